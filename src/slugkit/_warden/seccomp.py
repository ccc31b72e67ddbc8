"""The system calls that no dyno needs: a filter in the kernel that refuses them (security.md 2.6).

A list of what is denied, not of what is allowed: apps of every language run here. What only a capability could do is
refused by the kernel anyway; here it is refused before the code that has had the bugs.
"""

import errno
import struct

from .syscalls import MACHINE, prctl, syscall

_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_SET_MODE_FILTER = 1
_NO_NEW_PRIVS = 38
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000  # the bit of x86_64's third set of numbers, which would go past the list

# name: (x86_64, aarch64); None where there is none.
_DENIED: dict[str, tuple[int | None, int | None]] = {
    # look into other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    # change what is mounted, and with it what the sandbox shows
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467),
    "open_by_handle_at": (304, 265),
    # new namespaces: each makes a root who may use code that was never meant for users
    "unshare": (272, 97),
    "setns": (308, 268),
    # large and often broken
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "fanotify_init": (300, 262),
    # keys outlive a dyno and are shared by all processes of a user
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # the machine's own
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "vhangup": (153, 58),
    "iopl": (172, None),
    "ioperm": (173, None),
    "move_pages": (279, 239),
    "lsm_set_self_attr": (460, 460),
}
_CLONE, _CLONE3, _IOCTL, _SOCKET = (56, 220), (435, 435), (16, 29), (41, 198)
_PERSONALITY = 135, 92
_PERSONALITIES = (0, 0xFFFFFFFF)  # the usual one, and the question which it is
#: prlimit64(2) and setpriority(2) with the argument that names a process: 0 is the caller.
_OF_ONESELF = (((302, 261), 0), ((141, 140), 1))
_NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C  # put words into the mouth of who types at the terminal
_FAMILIES = (0, 1, 2, 10, 16)  # AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK: vsock and its like lead to the host

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _ARGUMENT = 0, 4, (16, 24)  # offsets in struct seccomp_data; of an argument the lower half


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _returning(action: int) -> bytes:
    return _step(_RETURN, action)


def _refuse(number: int) -> bytes:
    return _returning(_ERRNO | number)


def program(machine: str = MACHINE) -> bytes:
    """Return the filter for *machine* as classic BPF; b"" where its numbers are not known."""
    if machine not in _AUDIT_ARCH:
        return b""
    column = ("x86_64", "aarch64").index(machine)
    steps = [_step(_LOAD, _ARCH), _step(_EQUAL, _AUDIT_ARCH[machine], 1, 0), _returning(_KILL), _step(_LOAD, _NUMBER)]
    if machine == "x86_64":
        steps += [_step(_AT_LEAST, _X32, 0, 1), _returning(_KILL)]
    for numbers in _DENIED.values():
        number = numbers[column]
        if number is not None:
            steps += [_step(_EQUAL, number, 0, 1), _refuse(errno.EPERM)]
    steps += [_step(_EQUAL, _CLONE3[column], 0, 1), _refuse(errno.ENOSYS)]  # glibc then calls clone, whose flags show
    known = [_step(_EQUAL, one, len(_PERSONALITIES) - at, 0) for at, one in enumerate(_PERSONALITIES)]
    steps += _when(_PERSONALITY[column], 0, [*known, _refuse(errno.EPERM)])
    steps += _when(_CLONE[column], 0, [_step(_ANY_BIT, _NEW_NAMESPACES, 0, 1), _refuse(errno.EPERM)])
    for numbers, argument in _OF_ONESELF:
        steps += _when(numbers[column], argument, [_step(_EQUAL, 0, 1, 0), _refuse(errno.EPERM)])
    for request in (_TIOCSTI, _TIOCLINUX):
        steps += _when(_IOCTL[column], 1, [_step(_EQUAL, request, 0, 1), _refuse(errno.EPERM)])
    allowed = [_step(_EQUAL, family, len(_FAMILIES) - at, 0) for at, family in enumerate(_FAMILIES)]
    steps += _when(_SOCKET[column], 0, [*allowed, _refuse(errno.EAFNOSUPPORT)])
    return b"".join([*steps, _returning(_ALLOW)])


def _when(number: int, argument: int, steps: list[bytes]) -> list[bytes]:
    """Return what takes *steps* about the lower half of an argument of call *number*, and looks at the number again."""
    inner = [_step(_LOAD, _ARGUMENT[argument]), *steps, _step(_LOAD, _NUMBER)]
    return [_step(_EQUAL, number, 0, len(inner)), *inner]


_OURS = program()  # made once: every init has it


def restrict() -> None:
    """Put the filter on this process and on all that come of it.

    Raises:
        OSError: The kernel has no filters.
    """
    steps = _OURS
    if not steps:
        raise OSError(errno.ENOSYS, f"no system call numbers for {MACHINE}")
    import ctypes  # noqa: PLC0415 - the program can be made, and tested, anywhere

    prctl(_NO_NEW_PRIVS, 1)
    buffer = ctypes.create_string_buffer(steps, len(steps))
    described = struct.pack("@HP", len(steps) // 8, ctypes.addressof(buffer))
    syscall("seccomp", _SET_MODE_FILTER, 0, described)
