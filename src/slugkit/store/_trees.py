"""Unpacked slugs: made once, out of the previous release's where they agree, checked before they are handed out."""

import os
import re
import threading
import uuid
import weakref
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from attrs import field, frozen

from .._locks import held, hold, is_at, locked, unheld, unlock
from .._tree import remove_tree, sync
from ..archive import Base, Slug, UnpackedTree
from ..errors import UnsafeMemberError
from ._record import Record, used
from ._staging import claimed, collect

IDENTITY = re.compile(r"[0-9a-f]{64}")
_MOST_BASES = 8  # among the trees used last is that of the release before


@frozen
class Trees:
    """``unpacked/<identity>`` below *root*, ``records/<identity>`` about each, ``digests/<digest>`` naming them.

    A tree that was handed out is held until this process ends, or nobody knows the store any more: dynos run on it.
    """

    root: Path
    _held: dict[Path, int] = field(factory=dict, init=False, repr=False, eq=False)
    _owner: int = field(factory=os.getpid, init=False, repr=False, eq=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        weakref.finalize(self, _release, self._held, self._owner)

    def known(self, digest: str) -> Path | None:
        """Return the tree of the slug file with *digest*, if it is there and whole."""
        identity = self._named(digest)
        return self._whole(identity) if identity else None

    def unpack(self, slug: Slug) -> Path:
        """Return the tree of *slug*; who comes second waits for the first, and finds it there.

        Raises:
            SlugkitError: The slug is damaged, hostile, or gone.
            OSError: The disk said no.
        """
        home = self.root / "staging"
        home.mkdir(parents=True, exist_ok=True)
        collect(home)
        staging = home / slug.digest.removeprefix("sha256:")
        with claimed(staging):
            return self.known(slug.digest) or self._publish(slug.digest, staging, self._unpacked(slug, staging))

    def release(self, tree: Path | None) -> None:
        """Hold *tree*, or any, no longer."""
        with self._lock:
            for one in [one for one in self._held if tree in {None, one}]:
                _let_go(self._held.pop(one), self._owner)

    def has(self, digest: str) -> bool:
        """Return whether the tree of the slug file with *digest* is there; nothing of it is read."""
        identity = self._named(digest)
        return identity is not None and self.at(identity).is_dir()

    def at(self, identity: str) -> Path:
        """Return where the tree *identity* is."""
        return self.root / "unpacked" / identity

    def record(self, identity: str) -> Path:
        """Return where the record of the tree *identity* is."""
        return self.root / "records" / identity

    def used(self) -> Iterator[tuple[str, float]]:
        """Yield each tree's identity and when it was used last, in seconds since 1970; 0 where nothing tells."""
        for tree in _entries(self.root / "unpacked"):
            if IDENTITY.fullmatch(tree.name) and tree.is_dir() and not tree.is_symlink():
                yield tree.name, self._used(tree.name)

    def _used(self, identity: str) -> float:
        with suppress(FileNotFoundError):
            return self.record(identity).stat().st_mtime
        return 0.0

    def remove(self, identity: str) -> bool:
        """Move the tree *identity* to ``staging``, where it is collected, and return whether nobody holds it."""
        with suppress(FileNotFoundError), unheld(self.at(identity)) as free:
            if free:
                self.at(identity).rename(_made(self.root / "staging") / uuid.uuid4().hex)
                return True
        return False

    def forget(self) -> None:
        """Remove what is told of trees that are not there; within the store's lock."""
        for record in _entries(self.root / "records"):
            if not self.at(record.name).exists():
                record.unlink()
        for name in _entries(self.root / "digests"):
            if not self.has(name.name):
                name.unlink()

    def _name(self, digest: str) -> Path:
        return self.root / "digests" / digest.removeprefix("sha256:")

    def _named(self, digest: str) -> str | None:
        try:
            identity = self._name(digest).read_bytes().decode("ascii", "replace")
        except (FileNotFoundError, NotADirectoryError):
            return None
        return identity if IDENTITY.fullmatch(identity) else None  # a power cut leaves empty files

    def _whole(self, identity: str) -> Path | None:
        """Return the tree *identity*, held, if it is as it was made; one that is not is put into quarantine."""
        tree = self.at(identity)
        with self._lock:
            if tree in self._held:
                if is_at(self._held[tree], tree):  # one look a process, not one a dyno
                    used(self.record(identity))
                    return tree
                unlock(self._held.pop(tree))
            fd = hold(tree)
            if fd is None:
                return None
            with ExitStack() as undone:
                undone.callback(unlock, fd)
                record = Record.read(self.record(identity))
                if record is None or not record.fits(tree):
                    self.quarantine(tree, fd)
                    return None
                used(self.record(identity))
                undone.pop_all()
                self._keep(tree, fd)
        return tree

    def _keep(self, tree: Path, fd: int) -> None:
        """Hold *tree*, open as *fd*, for this process."""
        before, self._held[tree] = self._held.get(tree), fd
        if before is not None:
            unlock(before)

    def quarantine(self, path: Path, fd: int) -> Path | None:
        """Move *path*, which is damaged, out of the way, and return where it is now.

        None when it is no longer what is open as *fd*: someone else did so, and there may be a whole one by now.
        """
        with locked(self.root / "lock"):
            if not is_at(fd, path):
                return None
            moved = _made(self.root / "quarantine") / f"{path.name}-{uuid.uuid4().hex[:8]}"
            path.rename(moved)
        return moved

    def _unpacked(self, slug: Slug, staging: Path) -> UnpackedTree:
        """Unpack *slug* to ``tree`` in *staging*, out of another tree if that can be done."""
        with self._bases() as bases:
            try:
                return slug.unpack_tree(_empty(staging / "tree"), bases)
            except OSError:
                if not bases:
                    raise
        # A file of the base is gone, or has as many names as the file system allows.
        remove_tree(staging / "tree")
        return slug.unpack_tree(_empty(staging / "tree"))

    @contextmanager
    def _bases(self) -> Iterator[Sequence[Base]]:
        """Yield the trees that were used last, held, with what was proven for them."""
        records = sorted(_entries(self.root / "records"), key=lambda path: -self._used(path.name))
        bases = []
        with ExitStack() as holding:
            for path in records[:_MOST_BASES]:
                tree = self.at(path.name)
                with suppress(OSError):  # a base saves time and room; who has none goes without
                    record = Record.read(path)
                    if holding.enter_context(held(tree)) is not None and record is not None:
                        bases.append(Base(tree, record.proofs))
            yield bases

    def _publish(self, digest: str, staging: Path, unpacked: UnpackedTree) -> Path:
        """Bring what is in *staging* to the disk, and only then to where others see it."""
        added = _make_mount_points(staging / "tree")
        Record.of(staging / "tree", unpacked, added).write(staging / "record")
        (staging / "name").write_text(unpacked.identity)
        sync(staging)
        while (tree := self._whole(unpacked.identity)) is None:  # another file may hold the same tree
            self._place(unpacked.identity, staging)
        (staging / "name").replace(_made(self.root / "digests") / self._name(digest).name)
        sync(self.root)
        return tree

    def _place(self, identity: str, staging: Path) -> None:
        """Move the tree in *staging*, and its record, to where others see them, unless there is one by now.

        It is held before anybody sees it: gc takes what is free.
        """
        tree = _made(self.root / "unpacked") / identity
        fd = hold(staging / "tree")
        with ExitStack() as undone:
            if fd is not None:
                undone.callback(unlock, fd)
            with locked(self.root / "lock"):
                if tree.is_dir() and not tree.is_symlink():
                    return
                (staging / "record").replace(_made(self.root / "records") / identity)
                (staging / "tree").rename(tree)
            undone.pop_all()
            if fd is not None:
                with self._lock:
                    self._keep(tree, fd)


def _release(held: dict[Path, int], owner: int) -> None:
    while held:
        _let_go(held.popitem()[1], owner)


def _let_go(fd: int, owner: int) -> None:
    """Hold a tree no more; a fork of *owner* shares its locks, and must leave them to it."""
    unlock(fd) if os.getpid() == owner else os.close(fd)


def _empty(directory: Path) -> Path:
    directory.mkdir()
    directory.chmod(0o755)
    return directory


def _entries(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except FileNotFoundError:
        return []


def _made(directory: Path) -> Path:
    directory.mkdir(exist_ok=True)
    return directory


def _make_mount_points(tree: Path) -> int:
    """Make sure that tmp/ and log/ are real directories, a dyno's writable ones go there; return how many were not."""
    added = 0
    for name in ("tmp", "log"):
        path = tree / name
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise UnsafeMemberError(name, "a slug needs a directory there")
        if not path.is_dir():
            path.mkdir(mode=0o755)
            added += 1
        path.chmod(0o755)
    return added
