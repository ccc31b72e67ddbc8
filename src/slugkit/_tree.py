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
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from attrs import frozen

from .errors import OutputError, SlugkitError


@contextmanager
def writing(path: str | PathLike[str]) -> Iterator[None]:
    """Say an OSError of the block as what it is to the caller: *path* could not be written.

    Raises:
        OutputError: The disk said no. Errors that are slugkit's own already stay what they are.
    """
    try:
        yield
    except SlugkitError:
        raise
    except OSError as error:
        raise OutputError(os.fspath(path), error.strerror or str(error)) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside *path*: what is written there takes its place by rename, or is removed after an error.

    Raises:
        OutputError: The disk said no, or *path* is there and no file.
    """
    partial = path.parent / f".{path.name[:100]}.{uuid.uuid4().hex[:8]}.partial"
    with writing(path):
        if path.exists() and not path.is_file():
            raise OutputError(os.fspath(path), "it is not a regular file")
        try:
            yield partial
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """Make the file *path* hold *data*: it appears whole, and on the disk, or stays as it was.

    Raises:
        OutputError: The disk said no, or *path* is there and no file.
    """
    with replacing(path) as partial, partial.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


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
    """Yield every entry below *root*, parents first, in bytewise order within each directory.

    *skip* is asked for each relative path; what it takes is left out, with everything below.

    Raises:
        OSError: Something could not be read.
    """
    todo = [""]
    while todo:
        directory = todo.pop()
        names = sorted(os.listdir(root / directory), key=os.fsencode)
        below = []
        for name in names:
            path = f"{directory}/{name}" if directory else name
            if skip is not None and skip(path):
                continue
            entry = Entry(path, os.lstat(root / path))
            yield entry
            if entry.is_dir:
                below.append(path)
        todo += reversed(below)


def open_beneath(root: Path, path: str) -> int | None:
    """Return a descriptor of the regular file *path* below *root*, or None when there is none.

    A link anywhere on the way, a FIFO or a device counts as none: a hostile tree must not lead the host anywhere.
    """
    *parents, name = path.split("/")
    if {"", ".", ".."}.intersection([*parents, name]):
        return None
    try:
        directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:  # the root itself may be a link that a build has put there
        if error.errno in {errno.ELOOP, errno.ENOTDIR}:
            return None
        raise
    try:
        for parent in parents:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            below = os.open(parent, flags, dir_fd=directory)
            os.close(directory)
            directory = below
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno in _LINK_OR_SOCKET:
            return None
        raise
    finally:
        os.close(directory)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        return None
    return fd


_LINK_OR_SOCKET = {errno.ELOOP, errno.ENXIO}  # a link under O_NOFOLLOW; a socket


def read_beneath(root: Path, path: str, limit: int = 2**20) -> bytes | None:
    """Return the first *limit* bytes of the regular file *path* below *root*, or None when there is none."""
    fd = open_beneath(root, path)
    if fd is None:
        return None
    with os.fdopen(fd, "rb") as file:
        return file.read(limit)


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

    Directories are moved up beside each other and emptied one at a time: ``shutil.rmtree`` recurses and dies
    on a tree 1 500 deep on 3.11 and 3.12, and a path that long has no name the kernel takes.
    """
    try:
        if not stat.S_ISDIR(os.lstat(root).st_mode):
            root.unlink()
            return
        root.chmod(0o700)
    except (FileNotFoundError, NotADirectoryError):
        return
    todo = [root]
    while todo:
        directory = todo.pop()
        for child in list(os.scandir(directory)):
            if child.is_dir(follow_symlinks=False):
                os.chmod(child.path, 0o700, follow_symlinks=True)
                moved = root / f".{uuid.uuid4().hex}"
                os.rename(child.path, moved)
                todo.append(moved)
            else:
                os.unlink(child.path)
        if directory != root:
            directory.rmdir()
    root.rmdir()
