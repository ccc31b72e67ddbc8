"""Privilege: more rights than the app was given, other namespaces, other kinds of system calls."""

import ctypes
import mmap
import os
import struct
import time
from contextlib import suppress
from pathlib import Path

import kernel
from kit import HELD, Outcome, Told


def as_started(_told: Told) -> Outcome:
    """Do nothing: the host looks at what rights the app has."""
    return HELD


def set_user(_told: Told) -> Outcome:
    """Become root."""
    os.setresuid(0, 0, 0)
    return HELD


def set_groups(_told: Told) -> Outcome:
    """Join a group that reads disks or logs."""
    os.setgroups([4, 6])
    return HELD


def set_capabilities(_told: Told) -> Outcome:
    """Take every capability."""
    with suppress(OSError):  # what it has by then is what the host looks at
        kernel.call(
            "capset", struct.pack("II", 0x20080522, 0), struct.pack("IIIIII", *([0xFFFFFFFF, 0xFFFFFFFF, 0] * 2))
        )
    return HELD


def gain_privileges(_told: Told) -> Outcome:
    """Allow this process again to gain rights by executing."""
    with suppress(OSError):  # it never does; the host looks whether there was no need to
        kernel.call("prctl", 38, 0, 0, 0, 0)
    return HELD


def setuid_program(_told: Told) -> Outcome:
    """Become root by executing su, which is waiting for a password by then."""
    ours, _ = os.pipe()  # the other end is this process's alone: su ends with it
    if os.fork() == 0:
        os.dup2(ours, 0)
        os.execv("/usr/bin/su", ["su", "-"])
    return HELD


def capable_file(_told: Told) -> None:
    """Make a file that gives capabilities to whoever executes it."""
    Path("tmp/capable").write_text("")
    os.setxattr("tmp/capable", "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0))


def new_user_namespace(_told: Told) -> Outcome:
    """Make a user namespace, in which one is root: the door to most of the kernel."""
    kernel.call("unshare", kernel.CLONE_NEWUSER)
    return HELD


def cloned_user_namespace(_told: Told) -> Outcome:
    """Make a user namespace with clone3, whose arguments a filter cannot see."""
    arguments = struct.pack("QQQQQQQQ", kernel.CLONE_NEWUSER, 0, 0, 0, 17, 0, 0, 0)
    if kernel.call("clone3", arguments, 64) == 0:
        time.sleep(120)
    return HELD


def new_network(_told: Told) -> Outcome:
    """Make a network namespace."""
    kernel.call("unshare", kernel.CLONE_NEWNET)
    return HELD


def join_namespace(told: Told) -> Outcome:
    """Join the namespaces of a process of the host's, by its pid."""
    pid = told["pids"]["namespaced"]
    for kind in ("user", "net"):
        try:
            kernel.call("setns", os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY), 0)
        except OSError:
            if kind == "net":
                raise
    return HELD


def change_root(_told: Told) -> Outcome:
    """Make another directory the root."""
    os.chroot("tmp")
    return HELD


def foreign_calls(_told: Told) -> Outcome:
    """Make a system call of another architecture, which filters may know by other numbers: i386's prctl."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    low = libc.mmap(None, mmap.PAGESIZE, 7, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40, -1, 0)  # MAP_32BIT
    code = b"\x53\xb8" + struct.pack("<I", 172) + b"\xbb" + struct.pack("<I", 15)  # push rbx; prctl; PR_SET_NAME
    code += b"\xb9" + struct.pack("<I", low + 64) + b"\xcd\x80\x5b\xc3"  # the name; int 0x80; pop rbx; ret
    ctypes.memmove(low, code, len(code))
    ctypes.memmove(low + 64, b"atk-i386\0", 9)
    ctypes.CFUNCTYPE(ctypes.c_int)(low)()
    return HELD


def personality(_told: Told) -> Outcome:
    """Have all that is read executable, and addresses that do not change."""
    kernel.call("personality", 0x0440000)
    return HELD
