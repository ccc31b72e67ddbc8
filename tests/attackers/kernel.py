"""System calls that Python has no function for; they raise OSError like those it has."""

import ctypes
import os
import platform

X86 = platform.machine() == "x86_64"
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long

_NUMBERS = {  # on x86_64, and on aarch64
    "add_key": (248, 217),
    "bpf": (321, 280),
    "capset": (126, 91),
    "clone3": (435, 435),
    "fanotify_init": (300, 262),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "init_module": (175, 105),
    "io_uring_setup": (425, 425),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "mount": (165, 40),
    "mq_open": (240, 180),
    "mq_timedreceive": (243, 183),
    "mq_timedsend": (242, 182),
    "mq_unlink": (241, 181),
    "msgctl": (71, 187),
    "msgget": (68, 186),
    "msgrcv": (70, 188),
    "msgsnd": (69, 189),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "prctl": (157, 167),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "reboot": (169, 142),
    "rt_tgsigqueueinfo": (297, 240),
    "semctl": (66, 191),
    "semget": (64, 190),
    "setns": (308, 268),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "shmget": (29, 194),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "tgkill": (234, 131),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18


def call(name: str, *arguments: object) -> int:
    """Return what the system call *name* does; integers are passed as longs.

    Raises:
        OSError: It said no.
    """
    ready = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result = int(_LIBC.syscall(_NUMBERS[name][0 if X86 else 1], *ready))
    if result == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def mount(source: str, target: str, kind: str | None, flags: int = 0) -> None:
    """Mount *source* at *target*."""
    call("mount", source.encode(), target.encode(), kind.encode() if kind else None, flags, None)


def own_mounts() -> None:
    """Leave the mount namespace for one of our own, if allowed: what is mounted then harms nobody.

    Where this is refused, so are mounts: both ask for CAP_SYS_ADMIN in the same user namespace.
    """
    call("unshare", CLONE_NEWNS)
    mount("none", "/", None, MS_REC | MS_PRIVATE)


class Range(ctypes.Structure):
    """A ``struct iovec``."""

    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


def copy_memory(pid: int, address: int, size: int) -> bytes:
    """Return *size* bytes of the memory of another process."""
    buffer = ctypes.create_string_buffer(size)
    mine, theirs = Range(ctypes.addressof(buffer), size), Range(address, size)
    call("process_vm_readv", pid, ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0)
    return buffer.raw


def poke_memory(pid: int, address: int, data: bytes) -> None:
    """Write *data* to the memory of another process."""
    buffer = ctypes.create_string_buffer(data, len(data))
    mine, theirs = Range(ctypes.addressof(buffer), len(data)), Range(address, len(data))
    call("process_vm_writev", pid, ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0)


PTRACE_SEIZE = 0x4206


def trace(pid: int) -> None:
    """Become the tracer of *pid* without stopping it."""
    call("ptrace", PTRACE_SEIZE, pid, 0, 0)
