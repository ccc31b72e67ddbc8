"""Where unpacked slugs live: content-addressed, built once, shared read-only by every dyno."""

import fcntl
import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Protocol

from attrs import field, frozen

from .._tree import remove_tree, sync, walk, writing
from ..archive import Slug
from ..errors import UnsafeMemberError


class SlugStore(Protocol):
    """Keep unpacked slugs."""

    def tree(self, slug: Slug) -> Path:
        """Return the directory of *slug*'s app, unpacked and checked; nobody may write it."""


def _absolute(path: str | PathLike[str]) -> Path:
    return Path(path).absolute()


@frozen
class DirectoryStore:
    """A store in the directory *root*: ``unpacked/<diff_id>`` trees, and ``digests/<digest>`` naming them.

    Safe under concurrent users: a tree appears by one rename, and the one who comes second finds it there. Staging
    directories are locked by their owner; those of the dead are collected on the next use. A tree whose files are no
    longer as many or as large as they were (``census/<diff_id>``) is put into quarantine and unpacked again.
    """

    root: Path = field(converter=_absolute)
    _checked: set[Path] = field(factory=set, init=False, repr=False, eq=False)

    def tree(self, slug: Slug) -> Path:
        """Return the directory of *slug*'s app, unpacking it first if it is not there, or damaged.

        Raises:
            CorruptSlugError: The slug is damaged; the store is unchanged.
            UnsafeMemberError: The slug is hostile; the store is unchanged.
            OutputError: The disk said no; the store is unchanged.
        """
        name = self.root / "digests" / slug.digest.removeprefix("sha256:")
        with writing(self.root):
            return self._known(name) or self._unpack(slug, name)

    def _known(self, name: Path) -> Path | None:
        """Return the whole tree that *name* names, or None."""
        try:
            diff_id = name.read_bytes().decode("ascii", "replace")
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not re.fullmatch(r"[0-9a-f]{64}", diff_id):  # a power cut leaves empty files
            return None
        tree = self.root / "unpacked" / diff_id
        if not tree.is_dir():
            return None
        return tree if self._is_whole(tree) else None

    def _is_whole(self, tree: Path) -> bool:
        """Return whether *tree* is as it was made; one that is not is put into quarantine."""
        if tree not in self._checked and _census(tree) != self._counted(tree.name):
            tree.rename(_made(self.root / "quarantine") / f"{tree.name}-{uuid.uuid4().hex[:8]}")
            return False
        self._checked.add(tree)
        return True

    def _counted(self, diff_id: str) -> str | None:
        try:
            return (self.root / "census" / diff_id).read_bytes().decode("ascii", "replace")
        except FileNotFoundError:
            return None

    def _unpack(self, slug: Slug, name: Path) -> Path:
        with self._staging() as staging:
            # Static-file servers validate by mtime: the time the content arrived is never stale (design.md 4).
            diff_id = slug.unpack(staging / "tree", mtime=int(time.time())).removeprefix("sha256:")
            _make_mount_points(staging / "tree")
            tree = _made(self.root / "unpacked") / diff_id
            _write_once(self.root / "census" / diff_id, _census(staging / "tree"), staging)
            sync(staging)
            if not tree.is_dir() or not self._is_whole(tree):  # another file may hold the same tree
                _rename_once(staging / "tree", tree)
            _write_once(name, diff_id, staging)
            sync(tree.parent)
        return tree

    @contextmanager
    def _staging(self) -> Iterator[Path]:
        """Yield an empty directory on the store's file system that is gone afterwards."""
        home = self.root / "staging"
        home.mkdir(parents=True, exist_ok=True)
        _collect(home)
        staging = home / uuid.uuid4().hex
        staging.mkdir()
        fd = os.open(staging, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield staging
        finally:
            remove_tree(staging)
            fcntl.flock(fd, fcntl.LOCK_UN)  # closing would not do while a fork of the host program holds it too
            os.close(fd)


_YOUNG = 60.0  # seconds: between its mkdir and its flock a staging directory must not be taken for a dead one's


def _collect(home: Path) -> None:
    """Remove the staging directories whose owner is dead: nobody holds their lock."""
    for entry in list(os.scandir(home)):
        try:
            fd = os.open(entry.path, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - os.fstat(fd).st_mtime > _YOUNG:
                remove_tree(Path(entry.path))
        except BlockingIOError:
            continue
        finally:
            os.close(fd)


def _make_mount_points(tree: Path) -> None:
    """Make sure that tmp/ and log/ are real directories: a dyno's writable ones are mounted there."""
    for name in ("tmp", "log"):
        path = tree / name
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise UnsafeMemberError(name, "a slug needs a directory there")
        path.mkdir(mode=0o755, exist_ok=True)
        path.chmod(0o755)


def _rename_once(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError:
        if not target.is_dir():  # someone else was first, and content-addressed means the same
            raise


def _write_once(path: Path, text: str, staging: Path) -> None:
    _made(path.parent)
    (staging / "name").write_text(text)
    (staging / "name").replace(path)


def _made(directory: Path) -> Path:
    directory.mkdir(exist_ok=True)
    return directory


def _census(tree: Path) -> str:
    """Return how many entries and bytes there are below *tree*: what a lost or cut file changes."""
    sizes = [entry.info.st_size if entry.is_file else 0 for entry in walk(tree)]
    return f"{len(sizes)} entries, {sum(sizes)} bytes\n"
