"""Edit an app's source tree in place, and nothing outside of it: a test's mistake must not cost its author a file."""

import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from .._tree import remove_tree
from ._fakes import write_tree


def write(root: Path, files: Mapping[str, str | bytes]) -> None:
    """Write *files*, contents by path below *root*; a link in the place of one is replaced, not followed.

    Raises:
        ValueError: A path leads elsewhere.
    """
    for name in files:
        path = _below(root, name)
        if path.is_symlink():
            path.unlink()
    write_tree(root, files)


def copy(directory: Path, root: Path) -> None:
    """Copy what is in *directory* into *root* as ``cp -R`` does: directories are added to, files replaced."""
    for entry in directory.iterdir():
        target = root / entry.name
        if entry.is_dir() and not entry.is_symlink():
            if target.is_symlink() or not target.is_dir():
                remove_tree(target)
                target.mkdir()
            copy(entry, target)
        elif entry.is_symlink() or entry.is_file():  # no FIFO: reading one waits for ever
            remove_tree(target)
            shutil.copy2(entry, target, follow_symlinks=False)


def remove(root: Path, name: str) -> None:
    """Remove *name* below *root* with all that is in it; nothing there is fine.

    Raises:
        ValueError: It leads elsewhere.
    """
    remove_tree(_below(root, name))


def _below(root: Path, name: str) -> Path:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError(f"{name!r} is not a path below the app's directory")
    for parent in path.parents:
        if (root / parent).is_symlink() and str(parent) != ".":
            raise ValueError(f"{name!r} leads through the link {str(parent)!r}")
    return root / path
