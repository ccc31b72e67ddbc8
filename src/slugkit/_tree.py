"""Directory trees that are not trusted: walk, read, copy and remove them without ever following a link.

Everything goes by descriptor or by a path whose parents were just seen to be real directories; an error is raised,
never swallowed (``os.walk`` loses an unreadable directory without a word).
"""

import ctypes
import errno
import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Self

from attrs import define, field, frozen


@frozen
class Entry:
    """A file, directory, link or other thing below a root; ``path`` is relative, ``/``-separated."""

    path: str
    info: os.stat_result

    @property
    def is_dir(self) -> bool:
        """Whether it is a real directory."""
        return stat.S_ISDIR(self.info.st_mode)

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.info.st_mode)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.info.st_mode)


def walk(root: Path, *, skip: Callable[[str], bool] | None = None) -> Iterator[Entry]:
    """Yield every entry below *root* in bytewise order of their paths, which has parents first.

    *skip* is asked for each relative path; what it takes is left out, with everything below.

    Raises:
        OSError: Something could not be read.
    """
    start = f"{root}/"
    todo: list[str | Entry] = [""]
    while todo:
        step = todo.pop()
        if isinstance(step, Entry):
            yield step
            continue
        steps: dict[bytes, str | Entry] = {}
        for name in os.listdir(start + step):
            path = step + name
            if skip is not None and skip(path):
                continue
            entry = Entry(path, os.lstat(start + path))
            key = os.fsencode(name)
            steps[key] = entry
            if entry.is_dir:
                steps[key + b"/"] = f"{path}/"  # what is in "a" comes after "a.b"
        todo += (steps[key] for key in sorted(steps, reverse=True))


@define
class Beneath:
    """Open regular files below *root*; the directories on the way to the last one stay open, for its neighbours.

    A link anywhere on the way, a FIFO or a device counts as no file: a hostile tree must not lead the host anywhere.
    """

    root: Path
    _way: list[tuple[str, int]] = field(factory=list, init=False)  # names and descriptors, the root's first
    _parent: str | None = field(default=None, init=False)  # the path of the last of them

    def __enter__(self) -> Self:
        """Open nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the directories."""
        self._leave(0)

    def open(self, path: str) -> int | None:
        """Return a descriptor of the regular file *path*, or None when there is none.

        Raises:
            OSError: It is there and cannot be opened; or the root is not there.
        """
        parent, _, name = path.rpartition("/")
        if name in _NO_NAMES:
            return None
        try:
            if parent != self._parent or not self._way:
                parents = parent.split("/") if parent else []
                if _NO_NAMES.intersection(parents):
                    return None
                self._enter(parents)
                self._parent = parent
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self._way[-1][1])
        except OSError as error:
            if error.errno in _NO_FILE and (self._way or error.errno != errno.ENOENT):
                return None
            raise
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            return None
        return fd

    def _enter(self, parents: list[str]) -> None:
        """Open the directory below *parents*, and no others; the root itself may be a link that a build has made."""
        self._parent = None
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        if not self._way:
            self._way.append(("", os.open(self.root, flags)))
        same = (parent == name for parent, (name, _) in zip(parents, self._way[1:], strict=False))
        known = sum(takewhile(bool, same))
        self._leave(known + 1)
        for name in parents[known:]:
            self._way.append((name, os.open(name, flags, dir_fd=self._way[-1][1])))

    def _leave(self, level: int) -> None:
        while len(self._way) > level:
            with suppress(OSError):  # nothing was written there
                os.close(self._way.pop()[1])


_NO_NAMES = {"", ".", ".."}
_NO_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO}  # a link under O_NOFOLLOW; a socket


def open_beneath(root: Path, path: str) -> int | None:
    """Return a descriptor of the regular file *path* below *root*, or None when there is none, as `Beneath` does."""
    with Beneath(root) as beneath:
        return beneath.open(path)


def read_beneath(root: Path, path: str, limit: int = 2**20) -> bytes | None:
    """Return the first *limit* bytes of the regular file *path* below *root*, or None when there is none."""
    fd = open_beneath(root, path)
    if fd is None:
        return None
    with os.fdopen(fd, "rb") as file:
        return file.read(limit)


def in_the_way(path: Path) -> bool:
    """Return whether there is something at *path* that is no real directory: a link, a file."""
    return path.is_symlink() or (os.path.lexists(path) and not path.is_dir())


def copy_tree(source: Path, target: Path, *, skip: Callable[[str], bool] | None = None) -> None:
    """Copy what is below *source* into the existing directory *target*: files, modes, times, links as they are.

    Anything else (sockets, FIFOs, devices) is left out: no slug can hold it.
    """
    directories = []
    for entry in walk(source, skip=skip):
        here, there = source / entry.path, target / entry.path
        if entry.is_dir:
            there.mkdir()
            directories.append((there, entry.info))
        elif entry.is_link:
            there.symlink_to(os.readlink(here))
        elif entry.is_file:
            shutil.copyfile(here, there, follow_symlinks=False)
            there.chmod(entry.info.st_mode & 0o777)
            os.utime(there, ns=(entry.info.st_mtime_ns, entry.info.st_mtime_ns))
    for there, info in reversed(directories):
        os.utime(there, ns=(info.st_mtime_ns, info.st_mtime_ns))
        there.chmod(info.st_mode & 0o777 | 0o700)


def link_tree(source: Path, target: Path) -> None:
    """Make what is below *source* in the existing directory *target*: directories of its own, the same files.

    On another file system they are copies.
    """
    for entry in walk(source):
        here, there = source / entry.path, target / entry.path
        if entry.is_dir:
            there.mkdir()
            there.chmod(0o755)
            continue
        try:
            os.link(here, there, follow_symlinks=False)
        except OSError:  # EXDEV; EMLINK; a security module's no
            shutil.copy2(here, there, follow_symlinks=False)


def give_to(root: Path, uid: int, gid: int) -> None:
    """Make *uid* and *gid* the owner of *root* and of everything below it; links are not followed."""
    os.chown(root, uid, gid, follow_symlinks=False)
    for entry in walk(root):
        os.chown(root / entry.path, uid, gid, follow_symlinks=False)


def digest(root: Path, *, skip: Callable[[str], bool] | None = None) -> str:
    """Return the sha256 of what is below *root*, in hex: names, contents, links and whether it can be run."""
    hasher = hashlib.sha256()
    for path, state in snapshot(root, skip=skip).items():
        for part in (path, state):
            hasher.update(b"%d " % len(os.fsencode(part)) + os.fsencode(part))
    return hasher.hexdigest()


def snapshot(root: Path, *, skip: Callable[[str], bool] | None = None) -> dict[str, str]:
    """Return what is below *root*, by path: contents, run bits and link targets, but no times."""
    found = {}
    for entry in walk(root, skip=skip):
        path = root / entry.path
        if entry.is_link:
            found[entry.path] = f"-> {os.readlink(path)}"
        elif entry.is_file:
            with open(path, "rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            found[entry.path] = f"{'x' if entry.info.st_mode & 0o111 else 'f'} {content}"
        else:
            found[entry.path] = "directory" if entry.is_dir else "other"
    return found


def sync(directory: Path) -> None:
    """Bring the file system of *directory* to the disk: a power cut must not lose what was reported as stored."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(fd) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(fd)


def make_readable(root: Path) -> None:
    """Let the owner of *root* read all of it and change its directories, whatever modes were left; no setuid stays."""
    root.chmod(0o755)
    todo = [root]
    while todo:
        for entry in list(os.scandir(todo.pop())):
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                os.chmod(entry.path, mode & 0o777 | 0o700)
                todo.append(Path(entry.path))
            elif stat.S_ISREG(mode) and (mode & 0o7000 or not mode & 0o400):
                os.chmod(entry.path, mode & 0o777 | 0o400)


def remove_tree(root: Path) -> None:
    """Remove *root* and everything below it, however deep and whatever its modes; nothing there is fine.

    Deep directories are moved up beside the first: ``shutil.rmtree`` recurses and dies on a tree 1 500 deep on 3.11
    and 3.12, and a path that long has no name the kernel takes.
    """
    try:
        if not stat.S_ISDIR(os.lstat(root).st_mode):
            root.unlink()
            return
        root.chmod(0o700)
    except (FileNotFoundError, NotADirectoryError):
        return
    top = os.fspath(root)
    todo = [(top, False)]
    while todo:
        directory, is_empty = todo.pop()
        if is_empty:
            os.rmdir(directory)
            continue
        todo.append((directory, True))
        for child in list(os.scandir(directory)):
            if not child.is_dir(follow_symlinks=False):
                os.unlink(child.path)
                continue
            if child.stat(follow_symlinks=False).st_mode & stat.S_IRWXU != stat.S_IRWXU:
                os.chmod(child.path, 0o700)
            path = child.path
            if len(path) > len(top) + 500:  # a path may have 4 096 bytes, and a name 255
                path = f"{top}/.{uuid.uuid4().hex}"
                os.rename(child.path, path)
            todo.append((path, False))
