"""What is kept about an unpacked tree: how many entries and bytes it has, and what its slug said of it."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Self

from attrs import field, frozen

from .._tree import digest, walk
from ..archive import Proof, UnpackedTree


@frozen
class Record:
    """``entries`` and ``size`` (bytes) of a tree, and the ``proofs`` of its segments, for the next release to share.

    ``index`` is the slug's own description of the tree; where it has none, ``digest`` is that of the tree. In a file it
    is a line of JSON before the index, and the file's time is when the tree was used last.
    """

    entries: int
    size: int
    proofs: frozenset[Proof] = frozenset()
    digest: str = ""
    index: bytes = field(default=b"", repr=False)

    @classmethod
    def of(cls, tree: Path, unpacked: UnpackedTree, added: int) -> Self:
        """Return that of *tree*, which was just made, with so many directories *added* to what was *unpacked*."""
        made = unpacked.restored
        if made is None:
            return cls(*census(tree), digest=digest(tree))
        return cls(made.entries + added, made.size, made.proofs, index=unpacked.index)

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return the one in the file *path*, or None when there is none, or half of one.

        Raises:
            OSError: It is there and cannot be read.
        """
        try:
            line, _, index = path.read_bytes().partition(b"\n")
            told = json.loads(line)
            proofs = frozenset((str(chained), str(packed)) for chained, packed in told["proofs"])
            return cls(int(told["entries"]), int(told["size"]), proofs, str(told["digest"]), index)
        except (FileNotFoundError, ValueError, TypeError, KeyError, RecursionError):
            return None

    def write(self, path: Path) -> None:
        """Put it into the file *path*."""
        told = {"entries": self.entries, "size": self.size, "digest": self.digest, "proofs": sorted(self.proofs)}
        path.write_bytes(json.dumps(told).encode() + b"\n" + self.index)

    def fits(self, tree: Path) -> bool:
        """Return whether *tree* has as many entries and bytes as when it was made: what a lost or cut file changes."""
        return census(tree) == (self.entries, self.size)


def used(path: Path) -> None:
    """Make the time of *path* now: it, or what it tells of, is in use."""
    with suppress(OSError):  # a store may be read-only
        os.utime(path)


def census(tree: Path) -> tuple[int, int]:
    """Return how many entries and bytes there are below *tree*.

    Raises:
        OSError: Something could not be read.
    """
    sizes = [entry.info.st_size if entry.is_file else 0 for entry in walk(tree)]
    return len(sizes), sum(sizes)
