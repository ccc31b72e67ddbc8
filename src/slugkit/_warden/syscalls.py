"""System calls that Python has no name for, on x86_64 and aarch64; each raises OSError."""

import ctypes
import os

MACHINE = os.uname().machine

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)

# From the kernel's tables (arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h): those that came
# after 5.0 have one number everywhere.
_OLD = {
    "x86_64": {
        "rt_sigaction": 13,
        "clone": 56,
        "capset": 126,
        "pivot_root": 155,
        "mount": 165,
        "umount2": 166,
        "keyctl": 250,
        "seccomp": 317,
    },
    "aarch64": {
        "umount2": 39,
        "mount": 40,
        "pivot_root": 41,
        "capset": 91,
        "rt_sigaction": 134,
        "keyctl": 219,
        "clone": 220,
        "seccomp": 277,
    },
}
_NEW = {"open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "close_range": 436}
_NEW |= {"openat2": 437, "mount_setattr": 442, "landlock_create_ruleset": 444, "landlock_add_rule": 445}
_NEW |= {"landlock_restrict_self": 446}
NUMBERS = _OLD.get(MACHINE, {}) | _NEW

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000


def syscall(name: str, *arguments: "int | bytes | ctypes.Array[ctypes.c_char] | None") -> int:
    """Return what the system call *name* does.

    Raises:
        OSError: It failed; or this machine's number of it is not known here.
    """
    if name not in NUMBERS:
        raise OSError(38, f"no number of {name} for {MACHINE}")
    words = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result = int(_libc.syscall(ctypes.c_long(NUMBERS[name]), *words))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def prctl(option: int, *arguments: int) -> int:
    """Do what the call does with up to four *arguments*, the rest of them 0, and return what it returns."""
    result = int(_libc.prctl(option, *arguments, *([0] * (4 - len(arguments)))))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl: {os.strerror(number)}")
    return result


def openat2(directory: int, path: bytes, flags: int, resolve: int) -> int:
    """Return a descriptor of *path* below *directory*, found as *resolve* (RESOLVE_*) allows."""
    how = flags.to_bytes(8, "little") + bytes(8) + resolve.to_bytes(8, "little")
    return syscall("openat2", directory, path, how, len(how))
