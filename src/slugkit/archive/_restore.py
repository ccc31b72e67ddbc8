"""Unpack a slug through its index: several segments at once, and what another tree has by sharing its files."""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Self

from attrs import define, field, frozen

from ._indexed import Content, Segments
from ._newtree import NewTree
from ._parallel import in_order
from ._tar import Member

#: Whether an app's path is to be unpacked; None for all of them.
Wanted = Callable[[str], bool] | None
#: That a segment is what a slug's index says: the digests of what it holds - in its place, where it goes on with a
#: file - and of the gzip member that holds it.
Proof = tuple[str, str]


@frozen
class Restored:
    """What was made: how many ``entries`` with how many bytes of files (``size``), and what was proven for it."""

    entries: int
    size: int
    proofs: frozenset[Proof]


@frozen
class Base:
    """A tree that is there already, whose files a new one may share, and the segments that were proven for it."""

    tree: Path
    proven: frozenset[Proof]


def restore(
    segments: Segments, root: Path, wanted: Wanted = None, *, keep_times: bool = True, base: Base | None = None
) -> Restored:
    """Make what is *wanted* of the app in the empty directory *root*, and return what that is.

    Files whose segments were proven for *base* become hard links to its files; such segments are not uncompressed.

    Raises:
        CorruptSlugError: The index does not say what is there.
        OSError: The disk said no; or *base* did.
    """
    members = {number: one for number, one in enumerate(segments.members) if one and (not wanted or wanted(one.name))}
    with NewTree(root, keep_times) as tree:
        for member in members.values():
            tree.add_directory(member.name if member.kind == "dir" else member.name.rpartition("/")[0])
            if member.kind == "link":
                tree.add_link(member)
        files = {number: one for number, one in members.items() if one.kind == "file"}
        with _Shared.find(segments, files, base) as shared:
            restoring = _Restoring(segments, files, tree, shared)
            restoring.prepare()
            needed = range(len(segments)) if wanted is None else segments.needed(files)
            proofs = frozenset(in_order(restoring.restore, needed))
        tree.finish()
        entries = tree.directories() + sum(one.kind != "dir" for one in members.values())
    return Restored(entries, sum(one.size for one in files.values()), proofs)


def nearest(segments: Segments, bases: Sequence[Base]) -> Base | None:
    """Return the one of *bases* for which most bytes of *segments* were proven; None when nothing was."""
    sizes = {chained: one.size for chained, one in zip(segments.chained, segments.index.segments, strict=True)}
    shared = [sum(sizes.get(chained, 0) for chained, _ in base.proven) for base in bases]
    most = max(shared, default=0)
    return bases[shared.index(most)] if most else None


def _prove(segments: Segments, number: int, packed: bytes) -> Proof:
    return segments.chained[number], hashlib.sha256(packed).hexdigest()


@define
class _Shared:
    """Which files, by number, can be had from the directory open as *fd*, and the segments proven for it."""

    numbers: frozenset[int] = frozenset()
    known: Mapping[int, Proof] = field(factory=dict)
    fd: int = -1

    @classmethod
    @contextmanager
    def find(cls, segments: Segments, files: Mapping[int, Member], base: Base | None) -> Iterator[Self]:
        """Yield what *base* has of *files*: those all of whose segments were proven for it."""
        if base is None:
            yield cls()
            return
        proofs = in_order(lambda number: _prove(segments, number, segments.packed(number)), range(len(segments)))
        known = {number: proof for number, proof in enumerate(proofs) if proof in base.proven}
        unknown = {one for number in range(len(segments)) if number not in known for one in segments.holding(number)}
        fd = os.open(base.tree, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            yield cls(frozenset(files.keys() - unknown), known, fd)
        finally:
            os.close(fd)


@frozen
class _Restoring:
    """*files* of *segments*, by number, that are to be made in *tree*."""

    segments: Segments
    files: Mapping[int, Member]
    tree: NewTree
    shared: _Shared
    _spanning: frozenset[int] = field(init=False)

    @_spanning.default
    def _find_spanning(self) -> frozenset[int]:
        """Return the members that lie in several segments: made first, filled by whoever comes by."""
        held = [self.segments.holding(number) for number in range(len(self.segments))]
        return frozenset(one.start for before, one in pairwise(held) if one.start in before)

    def prepare(self) -> None:
        """Make what several segments would make."""
        for number in self._spanning & self.files.keys():
            if number in self.shared.numbers:
                self.tree.share(self.files[number], self.shared.fd)
            else:
                self.tree.add_file(self.files[number], ())

    def restore(self, number: int) -> Proof:
        """Make the files of segment *number*, or its part of them."""
        files = [one for one in self.segments.holding(number) if one in self.files]
        for one in files:
            if one in self.shared.numbers and one not in self._spanning:
                self.tree.share(self.files[one], self.shared.fd)
        proof = self.shared.known.get(number)
        if proof is not None and self.shared.numbers.issuperset(files):
            return proof
        packed = self.segments.packed(number)
        for content in self.segments.contents(number, self.segments.raw(number, packed)):
            if content.number in self.files and content.number not in self.shared.numbers:
                self._write(content)
        return _prove(self.segments, number, packed)

    def _write(self, content: Content) -> None:
        member = self.files[content.number]
        if content.number in self._spanning:
            self.tree.add_part(member, content.offset, content.data)
        else:
            self.tree.add_file(member, (content.data,))
