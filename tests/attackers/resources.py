"""Resources: more of the machine than one dyno is to have, and what makes it hard to stop or to clean up after."""

import ctypes
import fcntl
import mmap
import os
import resource
import signal
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from kit import HELD, Outcome, Told

_BLOCK = 1 << 20
_KEPT: list[object] = []
_AWHILE = 15.0  # seconds, after which what cannot be caught ends by itself: the machine is not ours to keep busy


def fork_bomb(told: Told) -> Outcome:
    """Have more processes than a dyno may have."""
    for _ in range(told["limits"]["processes"] + 20):
        if os.fork() == 0:
            time.sleep(120)
    return HELD


def threads(told: Told) -> Outcome:
    """Have more threads than a dyno may have processes."""
    threading.stack_size(65536)
    for _ in range(told["limits"]["processes"] + 20):
        threading.Thread(target=time.sleep, args=(120,), daemon=True).start()
    return HELD


def memory_sum(told: Told) -> Outcome:
    """Use more memory than a dyno may, a part in each of many processes."""
    blocks = told["limits"]["memory"] // 6 // _BLOCK + 8
    ours, theirs = os.pipe()
    for _ in range(6):
        if os.fork() == 0:
            share = mmap.mmap(-1, blocks * _BLOCK)
            for _ in range(blocks):
                share.write(b"x" * _BLOCK)
            os.write(theirs, b"x")
            time.sleep(120)
    for _ in range(6):
        os.read(ours, 1)
    time.sleep(1.5)  # for whoever counts from time to time
    return HELD


def fill_tmp(told: Told) -> Outcome:
    """Fill tmp/ with more bytes than it may hold."""
    return _filled("tmp/filled", told["limits"]["tmp"])


def fill_log(told: Told) -> Outcome:
    """Fill log/ with more bytes than it may hold."""
    return _filled("log/filled", told["limits"]["tmp"])


def fill_slash_tmp(told: Told) -> Outcome:
    """Fill /tmp with more bytes than it may hold."""
    return _filled(f"/tmp/atk-{told['run']}-filled", told["limits"]["tmp"])


def fill_shm(told: Told) -> Outcome:
    """Fill /dev/shm with more bytes than it may hold."""
    return _filled(f"/dev/shm/atk-{told['run']}-filled", told["limits"]["tmp"])


def _filled(path: str, most: int) -> Outcome:
    """Take *most* bytes and some; the file is held by descriptor only, so that nothing is left."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.unlink(path)
    os.posix_fallocate(fd, 0, most + _BLOCK)
    return HELD


def fill_inodes(told: Told) -> Outcome:
    """Make more files in tmp/ than it may hold."""
    for number in range(told["limits"]["inodes"] + 100):
        os.close(os.open(f"tmp/{number}", os.O_WRONLY | os.O_CREAT, 0o600))
    return HELD


def open_files(told: Told) -> Outcome:
    """Open more files than a dyno may."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    null = os.open("/dev/null", os.O_RDONLY)
    for _ in range(told["limits"]["files"] + 10):
        os.dup(null)
    return HELD


def locked_memory(_told: Told) -> Outcome:
    """Lock memory that the machine may then never take back."""
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (64 * _BLOCK, 64 * _BLOCK))
    block = mmap.mmap(-1, 32 * _BLOCK)
    _KEPT.append(block)
    address = ctypes.addressof(ctypes.c_char.from_buffer(block))
    if ctypes.CDLL(None).mlock(ctypes.c_void_p(address), ctypes.c_size_t(32 * _BLOCK)):
        raise PermissionError("mlock")
    return HELD


def hog(_told: Told) -> Outcome:
    """Use every processor and hear no signal, while the host tries to stop it."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    for _ in range(8):
        if os.fork() == 0:
            os.setsid()
            _for_a_while(lambda: None)
    return HELD


def forking(_told: Told) -> Outcome:
    """Be somebody else all the time: fork and end, fork and end, so that a list of processes is never right."""
    end = time.monotonic() + _AWHILE
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while time.monotonic() < end and os.fork() == 0:
                with suppress(OSError):
                    os.setsid()
                time.sleep(0.001)
            os._exit(0)
    return HELD


def deep_directory(_told: Told) -> Outcome:
    """Leave a directory 10 000 deep in tmp/, for whoever removes it."""
    os.chdir("tmp")
    for _ in range(10_000):
        os.mkdir("d")
        os.chdir("d")
    os.chdir("/")
    return HELD


def locked_directory(_told: Told) -> Outcome:
    """Leave directories that nobody may enter."""
    os.makedirs("tmp/locked/below")
    with open("tmp/locked/below/file", "w"):
        pass
    os.chmod("tmp/locked/below", 0)
    os.chmod("tmp/locked", 0)
    with suppress(PermissionError):
        os.chmod("tmp", 0)
    return HELD


def immutable_file(_told: Told) -> Outcome:
    """Leave a file that not even root may remove."""
    fd = os.open("tmp/immutable", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.ioctl(fd, 0x40086602, struct.pack("l", 0x10))  # FS_IOC_SETFLAGS, FS_IMMUTABLE_FL
    return HELD


def log_flood(_told: Told) -> Outcome:
    """Write as much as one can, while the host keeps and shows it."""
    _writes(b"flood\n" * 10_000)
    return HELD


def endless_line(_told: Told) -> Outcome:
    """Write a line that never ends."""
    _writes(b"x" * 60_000)
    return HELD


def _writes(data: bytes) -> None:
    if os.fork() == 0:
        _for_a_while(lambda: os.write(2, data))


def _for_a_while(call: Callable[[], object]) -> NoReturn:
    end = time.monotonic() + _AWHILE
    while time.monotonic() < end:
        with suppress(OSError):
            call()
    os._exit(0)
