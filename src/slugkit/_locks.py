"""Locks of directories and files, which the system takes away with the process that had them."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def hold(path: Path) -> int | None:
    """Return a descriptor of the directory *path* that keeps it from being collected; None when there is none."""
    while True:
        try:
            fd = os.open(path, DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return None
        with suppress(OSError):  # NFS locks only what is open for writing
            fcntl.flock(fd, fcntl.LOCK_SH)
        try:
            if is_at(fd, path):
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


@contextmanager
def held(path: Path) -> Iterator[int | None]:
    """Keep the directory *path* from being collected until the block ends; yield its descriptor, None without one."""
    fd = hold(path)
    try:
        yield fd
    finally:
        if fd is not None:
            unlock(fd)


@contextmanager
def unheld(path: Path) -> Iterator[bool]:
    """Tell whether nobody holds the directory *path*, and let nobody come to hold it until the block ends.

    One that was replaced by another of the same name meanwhile counts as held: the lock is not on that one.
    """
    fd = os.open(path, DIRECTORY)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield is_at(fd, path)
    finally:
        unlock(fd)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time into the block; *path* is the lock's file, and stays."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        unlock(fd)


def unlock(fd: int) -> None:
    """Close *fd* without its lock: closing alone would not do while a fork of the host program has it too."""
    with suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_UN)
    with suppress(OSError):  # nothing was written
        os.close(fd)


def is_at(fd: int, path: Path) -> bool:
    """Return whether *fd* is still what is called *path*."""
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False
