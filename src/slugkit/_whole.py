"""Files that appear whole, or not at all."""

import errno
import glob
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path
from typing import IO

from .errors import OutputError, SlugkitError

_STALE = 60.0  # seconds


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
def appearing(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file that becomes *path* when the block ends well, in one step, and is gone when it does not.

    Until then it has no name where the file system allows that (O_TMPFILE): SIGKILL leaves nothing behind. Only what
    replaces a file has one, between two system calls; the next one to write there collects it.

    Raises:
        OutputError: The disk said no, or *path* is there and no file. What the block raises stays as it is.
    """
    partial = partial_of(path)
    try:
        with writing(path):
            if path.exists() and not path.is_file():
                raise OutputError(os.fspath(path), "it is not a regular file")
            out = _unnamed(partial)
        try:
            yield out
            with writing(path):
                out.flush()
                os.fsync(out.fileno())
                if not partial.exists() and not _link(out.fileno(), path):
                    _link(out.fileno(), partial)
                if partial.exists():
                    partial.replace(path)
                _sync(path.parent)
        finally:
            with suppress(OSError):  # what it could say was said, or another error was first
                out.close()
    finally:
        with suppress(OSError):
            partial.unlink()
    _collect(path)


def write_whole(path: Path, data: bytes) -> None:
    """Make the file *path* hold *data*: it appears whole, and on the disk, or stays as it was.

    Raises:
        OutputError: The disk said no, or *path* is there and no file.
    """
    with writing(path), appearing(path) as file:
        file.write(data)


def _unnamed(partial: Path) -> IO[bytes]:
    try:
        return os.fdopen(os.open(partial.parent, os.O_TMPFILE | os.O_WRONLY, 0o666), "wb")
    except (AttributeError, OSError):  # not Linux, or a file system without
        return partial.open("xb")


def _link(fd: int, path: Path) -> bool:
    """Give the open file a name, and return whether it was free."""
    try:
        # Without a src_dir_fd, which an absolute path ignores, Python calls link(), which follows nothing.
        os.link(f"/proc/self/fd/{fd}", path, src_dir_fd=fd, follow_symlinks=True)
    except FileExistsError:
        return False
    return True


def _sync(directory: Path) -> None:
    """Bring the names in *directory* to the disk, if it may be read and its file system can."""
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        return
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
    finally:
        os.close(fd)


def partial_of(path: Path) -> Path:
    """Return a new name, beside *path*, for what is to become it."""
    return path.parent / f".{path.name[:100]}.{uuid.uuid4().hex[:8]}.partial"


def partials_of(path: Path) -> Sequence[Path]:
    """Return what is there under such names."""
    with suppress(OSError):
        return list(path.parent.glob(f".{glob.escape(path.name[:100])}.????????.partial"))
    return ()


def abandoned(path: Path) -> bool:
    """Return whether whoever makes *path* for a moment must be dead: it was not touched for a minute.

    Raises:
        OSError: It is gone.
    """
    return time.time() - path.lstat().st_ctime > _STALE


def _collect(path: Path) -> None:
    """Remove what writers of *path* that were killed have left; living ones are done within the minute."""
    for stale in partials_of(path):
        with suppress(OSError):
            if abandoned(stale):
                stale.unlink()
