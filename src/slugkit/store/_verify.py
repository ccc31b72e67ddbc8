"""Find what is damaged in a store, by reading all of it."""

import errno
from collections.abc import Iterator
from contextlib import suppress
from hashlib import file_digest
from pathlib import Path

from attrs import frozen

from .._locks import held, locked
from .._tree import digest
from ..archive import damaged
from ..errors import SlugkitError
from ._layout import Layout
from ._record import Record
from ._trees import IDENTITY, Trees

_UNREADABLE = {errno.EIO, errno.EUCLEAN, errno.EBADMSG}  # a disk or a file system that lost something


@frozen
class Damage:
    """Something in a store that is not what it was.

    ``path`` is where it is missing, or cannot be read; or where it lies in quarantine now.
    """

    path: Path
    reason: str


def find_damage(trees: Trees, layout: Layout) -> Iterator[Damage]:
    """Yield what is damaged, moved into quarantine.

    Raises:
        CorruptStoreError: The index cannot be read.
        OSError: The disk said no.
    """
    if _gone(layout):
        with locked(layout.root / "lock"):  # again: it may have been collected between two looks
            yield from (Damage(path, "it is gone") for path in sorted(_gone(layout)))
    for path in sorted(layout.blobs()):
        if IDENTITY.fullmatch(path.name):  # others are names for a while
            yield from _damaged_blob(trees, path)
    for identity, _ in sorted(trees.used()):
        tree = trees.at(identity)
        with held(tree) as fd:
            if fd is not None and (reason := _changed(tree, Record.read(trees.record(identity)))) is not None:
                moved = trees.quarantine(tree, fd)
                yield from [Damage(moved, reason)] if moved else []


def _gone(layout: Layout) -> set[Path]:
    """Return the blobs that the index needs and that are not there."""
    listed = {layout.blob(digest) for digest in layout.reachable(layout.index()["manifests"])}
    return listed.difference(layout.blobs())


def _damaged_blob(trees: Trees, path: Path) -> Iterator[Damage]:
    with suppress(FileNotFoundError), path.open("rb") as file:  # or gc came by
        try:
            whole = file_digest(file, "sha256").hexdigest() == path.name
        except OSError as error:
            if error.errno not in _UNREADABLE:
                raise
            yield Damage(path, str(error))  # it stays: another time, it may be read
            return
        if not whole and (moved := trees.quarantine(path, file.fileno())):
            yield Damage(moved, "its bytes are not what its name says")


def _changed(tree: Path, record: Record | None) -> str | None:
    """Return what is wrong with *tree*, or None."""
    if record is None:
        return "nothing tells what it was"
    try:
        if not record.fits(tree):
            return "it has more or fewer entries or bytes than it had"
        if record.index:
            return next(damaged(record.index, tree), None)
        return None if digest(tree) == record.digest else "its files are not what they were"
    except SlugkitError as error:
        return str(error)
    except OSError as error:
        if error.errno not in _UNREADABLE:
            raise
        return str(error)
