"""Mounts by descriptor, with the kernel's newer calls (security.md 2.2).

A mount point is found without following a link and cannot be exchanged between the look and the mount.
"""

from __future__ import annotations

import errno
import os
import stat

from .syscalls import AT_EMPTY_PATH, AT_FDCWD, AT_RECURSIVE, openat2, syscall

TYPE_CHECKING = False  # typing takes 4 ms of a start that takes 25
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

RDONLY, NOSUID, NODEV, NOEXEC = 1, 2, 4, 8

_IDMAP = 1 << 20
_CLONE_TREE, _CLOEXEC = 1, os.O_CLOEXEC
_MOVE_BY_FD = 0x4 | 0x40  # F_EMPTY_PATH, T_EMPTY_PATH
_NO_SYMLINKS, _IN_ROOT = 0x04, 0x10
_SET_FLAG, _SET_STRING, _CREATE = 0, 1, 6
_PATH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def tree(path: bytes, attributes: int, *, directory: int = AT_FDCWD, recursive: bool = False) -> int:
    """Return a copy, mounted nowhere yet, of what is at *path*, with *attributes*; and of what is mounted below.

    Raises:
        OSError: It is not there, or the kernel refused.
    """
    flags = _CLONE_TREE | _CLOEXEC | (AT_RECURSIVE if recursive else 0)
    try:
        copy = syscall("open_tree", directory, path, flags)
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or 0), os.fsdecode(path)) from None
    restrict(copy, attributes, recursive=recursive)
    return copy


def restrict(mount: int, attributes: int, *, recursive: bool = False) -> None:
    """Set *attributes* on *mount*, and on what is mounted below."""
    how = attributes.to_bytes(8, "little") + bytes(24)
    syscall("mount_setattr", mount, b"", AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0), how, len(how))


def give(mount: int, namespace: int) -> None:
    """Let the owners in *mount* be those that the user *namespace* maps them to."""
    how = b"".join(word.to_bytes(8, "little") for word in (_IDMAP, 0, 0, namespace))
    syscall("mount_setattr", mount, b"", AT_EMPTY_PATH, how, len(how))


def filesystem(kind: str, options: Mapping[str, str | None], attributes: int) -> int:
    """Return a new file system that is mounted nowhere yet; an option of None is a flag."""
    context = syscall("fsopen", kind.encode(), 1)
    try:
        for name, value in options.items():
            command, given = (_SET_FLAG, None) if value is None else (_SET_STRING, value.encode())
            syscall("fsconfig", context, command, name.encode(), given, 0)
        syscall("fsconfig", context, _CREATE, None, None, 0)
        return syscall("fsmount", context, 1, attributes)
    finally:
        os.close(context)


def attach(mount: int, at: int) -> None:
    """Mount *mount* at the directory or file *at*, which is closed."""
    try:
        syscall("move_mount", mount, b"", at, b"", _MOVE_BY_FD)
    finally:
        os.close(at)


def found(root: int, path: bytes) -> int:
    """Return a descriptor, good for a mount point, of *path* below *root*.

    Raises:
        OSError: It is not there; or it is, or lies behind, a link.
    """
    return openat2(root, path, _PATH, _NO_SYMLINKS | _IN_ROOT)


def point(root: int, path: bytes, *, directory: bool) -> int:
    """Return a descriptor of *path* below *root*, made - in our own file systems - where it is not there.

    Raises:
        OSError: As for `found`; or it is no directory when one is wanted, or one when none is.
    """
    relative = path.strip(b"/") or b"."
    try:
        fd = found(root, relative)
    except FileNotFoundError:
        parent, name = os.path.split(relative)
        with Directory(root, parent) as above:
            if directory:
                os.mkdir(name, 0o755, dir_fd=above)
            else:
                new_file(name, above).close()
        fd = found(root, relative)
    if stat.S_ISDIR(os.fstat(fd).st_mode) != directory:
        os.close(fd)
        number = errno.ENOTDIR if directory else errno.EISDIR
        raise OSError(number, os.strerror(number), path)
    return fd


def new_file(name: bytes, directory: int) -> Any:  # noqa: ANN401 - a binary file
    """Return the new file *name* in *directory*, open to be written."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(name, flags, 0o644, dir_fd=directory), "wb")


class Directory:
    """The directory *path* below *root*, made where it is not there, open for the block."""

    def __init__(self, root: int, path: bytes) -> None:
        self._fd = point(root, path, directory=True)

    def __enter__(self) -> int:
        return self._fd

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
