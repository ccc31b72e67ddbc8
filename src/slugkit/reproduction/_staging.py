"""Where the two builds happen, and what is kept of them."""

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from attrs import evolve

from .._tree import copy_tree, remove_tree
from .._whole import appearing, writing
from ..environ import user_cache
from ..errors import OutputError, SourceUnusableError
from ..source import DirectorySource, Source
from ._values import BuiltSlug


@contextmanager
def staging() -> Iterator[Path]:
    """Yield a directory of its own below the user's cache; what a killed run left there goes first."""
    home = user_cache(os.environ) / "reproduce"
    root = home / uuid.uuid4().hex[:8]
    with writing(home):
        home.mkdir(parents=True, exist_ok=True)
        with _locked(home):  # or another run would find the new one before its lock
            for stale in home.iterdir():
                _remove_unless_used(stale)
            root.mkdir(mode=0o700)
            lock = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield root
    finally:
        remove_tree(root)
        os.close(lock)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _remove_unless_used(stale: Path) -> None:
    try:
        lock = os.open(stale, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # gone meanwhile, or nothing of ours
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove_tree(stale)
    except BlockingIOError:
        return
    finally:
        os.close(lock)


def placed(origin: Source, place: Path, ours: Path, *, linked: bool) -> Source:
    """Return *origin* at another path below *place*: a directory's copy, which nobody edits meanwhile, or a link."""
    with writing(place):
        place.mkdir(parents=True)
    copy = place / origin.path.resolve().name
    if not isinstance(origin, DirectorySource):
        if linked:
            copy.symlink_to(origin.path.resolve())
        return evolve(origin, path=copy if linked else origin.path.absolute())
    real, own = origin.path.resolve(), ours.resolve()
    inside = str(own.relative_to(real)) if own.is_relative_to(real) else None
    copy.mkdir()
    try:
        copy_tree(real, copy, skip=lambda path: path == inside or path.rpartition("/")[2] == ".git")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise SourceUnusableError(str(origin.path), f"{where}{error.strerror or error}") from error
    return evolve(origin, path=copy)


def checked_directory(keep: str | PathLike[str] | None) -> Path | None:
    """Return the directory *keep* if slugs can be put there, before builds spend minutes; it may be absent yet."""
    if keep is None:
        return None
    directory = Path(keep).absolute()
    if not directory.is_dir() and os.path.lexists(directory):
        raise OutputError(str(directory), "it is not a directory")
    if not os.access(directory if directory.is_dir() else directory.parent, os.W_OK):
        raise OutputError(str(directory), "it cannot be made or written")
    return directory


def put(slug: BuiltSlug, directory: Path | None, name: str) -> BuiltSlug:
    """Put the slug into *directory*, whole or not at all, if there is one."""
    if directory is None or slug.path is None:
        return evolve(slug, path=None)
    target = directory / f"{name}.slug.tgz"
    with writing(target):
        directory.mkdir(exist_ok=True)
    with writing(target), slug.path.open("rb") as built, appearing(target) as kept:
        shutil.copyfileobj(built, kept, 2**20)
    return evolve(slug, path=target)
