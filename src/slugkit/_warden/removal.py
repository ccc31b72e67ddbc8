"""Remove what an app has left behind, whatever it did to stop that: modes that shut its owner out, depth, links."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # typing takes 4 ms of a start that takes 25
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")


def remove(root: str) -> None:
    """Remove the directory *root* and everything below it; what the system does not let go stays.

    Directories are moved up beside each other and emptied one at a time: ``shutil.rmtree`` recurses, and dies on a tree
    1 500 deep on 3.11 and 3.12; a path that long has no name the kernel takes.
    """
    if os.path.islink(root):  # put in its place by the app: what it leads to is nobody's to remove
        _quietly(os.unlink, root)
        return
    todo = [root]
    while todo:
        directory = todo.pop()
        _quietly(os.chmod, directory, 0o700)
        entries = _quietly(os.scandir, directory) or ()
        todo += [moved for entry in list(entries) if (moved := _removed(root, entry))]
        if directory != root:
            _quietly(os.rmdir, directory)
    _quietly(os.rmdir, root)


def _quietly(call: Callable[..., T], *arguments: object) -> T | None:
    """Return what *call* does, or None: contextlib takes as long to be imported as a small tree to be removed."""
    try:
        return call(*arguments)
    except OSError:
        return None


def _removed(root: str, entry: os.DirEntry[str]) -> str | None:
    """Remove *entry*; if it is a directory, move it into *root* instead, and return its path there."""
    try:
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.path)
            return None
        os.chmod(entry.path, 0o700)  # or its own ".." could not be changed, and it not be moved
        moved = os.path.join(root, f".{os.urandom(16).hex()}")
        os.rename(entry.path, moved)
    except OSError:
        return None
    return moved
