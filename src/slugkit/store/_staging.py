"""Directories that one process at a time makes; what the dead leave there is found and removed."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .._locks import DIRECTORY, is_at, unheld, unlock
from .._tree import remove_tree


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Let the block have the directory *path*, empty, to itself; it is gone afterwards.

    Whoever wants the same one waits, and finds it gone when it is its turn; what a dead owner left is removed.
    """
    fd = _claim(path)
    try:
        for child in list(path.iterdir()):
            remove_tree(child)
        yield
    finally:
        with suppress(OSError):  # it is collected by the next one, then
            remove_tree(path)
        unlock(fd)


def _claim(path: Path) -> int:
    while True:
        with suppress(FileExistsError):
            path.mkdir()
        with suppress(FileNotFoundError):  # someone took it for a dead one's, between the two calls
            fd = os.open(path, DIRECTORY)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                if is_at(fd, path):
                    return fd
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)


def collect(home: Path) -> int:
    """Remove the directories in *home* whose owner is dead, for nobody has their lock; return how many.

    One that cannot be removed, such as another user's, stays: that is no error of who comes by.
    """
    collected = 0
    with suppress(FileNotFoundError):
        for path in list(home.iterdir()):
            with suppress(OSError), unheld(path) as free:
                if free:
                    remove_tree(path)
                    collected += 1
    return collected
