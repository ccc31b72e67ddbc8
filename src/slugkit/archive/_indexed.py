"""Read a slug through its index: any segment by itself, several at once, each compared with what the index says.

The index is never believed: a segment must have the digest it tells, and every byte of it must be what the listed
members make. What is read here is what a reader of the whole stream sees.
"""

import hashlib
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property
from itertools import accumulate

from attrs import field, frozen

from ..errors import CorruptSlugError
from ..slug import MANIFEST_PATH, sha256_digest
from ._gzip import decompress
from ._index import Index
from ._opened import reading
from ._parallel import in_order
from ._rules import MemberTable
from ._segments import Piece
from ._tar import BLOCK, Member, encode, header, header_size

_FIRST = [("./.slugkit/", "dir"), (f"./{MANIFEST_PATH}", "file"), ("./app/", "dir")]


@frozen
class Content:
    """Bytes from *offset* of the app's member *number* in the index: all that it has, or what is in one segment."""

    number: int
    offset: int
    data: memoryview


@frozen
class Segments:
    """The segments of the slug that is open as *fd*; *path* is what errors call it. Threads may share it.

    ``members`` are the app's, by their numbers in the index, as the paths below the app that the rules accept; None for
    the directory of the app itself and what describes the slug.
    """

    fd: int
    path: str
    index: Index
    members: Sequence[Member | None] = field(init=False)
    _starts: Sequence[int] = field(init=False, repr=False)  # of the members in the tar; and the end
    _spans: Sequence[tuple[int, int, int, int]] = field(init=False, repr=False)

    @members.default
    def _accept(self) -> Sequence[Member | None]:
        table, accepted = MemberTable(), list[Member | None]([None] * len(_FIRST))
        if [(one.name, one.kind) for one in self.index.members[: len(_FIRST)]] != _FIRST:
            raise CorruptSlugError(self.path, "its index does not begin as a slug does")
        for member in self.index.members[: len(_FIRST)]:
            table.ignore(member)
        for member in self.index.members[len(_FIRST) :]:
            one = table.accept(member, member.name.removeprefix("./app/").removesuffix("/"))
            # Spelled in any other way, a reader of the stream may take it for something else.
            if not one.name or member.name != f"./app/{one.name}{'/' if one.kind == 'dir' else ''}":
                raise CorruptSlugError(self.path, "its index lists something outside of the app, or in other words")
            accepted.append(one)
        return accepted

    @_starts.default
    def _find_starts(self) -> Sequence[int]:
        sizes = (header_size(one) + one.size + -one.size % BLOCK for one in self.index.members)
        starts = list(accumulate(sizes, initial=0))
        if starts[-1] != sum(one.size for one in self.index.segments):
            raise CorruptSlugError(self.path, "its index lists more or less than its segments hold")
        return starts

    @_spans.default
    def _find_spans(self) -> Sequence[tuple[int, int, int, int]]:
        """Return of each segment: where it starts in the tar and in the file, its first member, and the one after."""
        spans, start, packed, first = [], 0, 0, 0
        for segment in self.index.segments:
            end, last = start + segment.size, first
            while last < len(self.members) and self._starts[last] < end:
                last += 1
            spans.append((start, packed, first, last))
            start, packed = end, packed + segment.packed
            first = last - 1 if last and self._starts[last] > end else last
        return spans

    def __len__(self) -> int:
        """Return how many segments there are."""
        return len(self.index.segments)

    def holding(self, number: int) -> range:
        """Return the members that segment *number* holds, or holds some of."""
        return range(*self._spans[number][2:])

    def packed(self, number: int) -> bytes:
        """Return the gzip member of segment *number*, as it is in the file."""
        size = self.index.segments[number].packed
        with reading(self.path):
            return os.pread(self.fd, size, self._spans[number][1])

    def raw(self, number: int, packed: bytes | None = None) -> bytes:
        """Return the bytes of the tar that segment *number* holds.

        Raises:
            CorruptSlugError: They are not what the index says.
        """
        segment = self.index.segments[number]
        raw = decompress(self.packed(number) if packed is None else packed, segment.size, self.path)
        if hashlib.sha256(raw).hexdigest() != segment.sha256:
            raise CorruptSlugError(self.path, "a segment is not what its index says")
        return raw

    def pieces(self, number: int) -> Iterator[tuple[int, Piece]]:
        """Yield what segment *number* is made of, each piece with the number of its member.

        Raises:
            CorruptSlugError: It begins or ends within a header, or begins within padding.
        """
        start, _, first, last = self._spans[number]
        end = start + self.index.segments[number].size
        for one in range(first, last):
            member, at = self.index.members[one], self._starts[one]
            head, offset = header(member) if at >= start else b"", 0
            if at < start:  # its header is in a segment before
                offset, at = start - at - header_size(member), start
            size = min(member.size - offset, end - at - len(head))
            if size < 0 or offset < 0:
                raise CorruptSlugError(self.path, "a segment does not begin or end as segments do")
            yield one, Piece(head, self._path(one), offset, size, min(self._starts[one + 1], end) - at)

    def _path(self, number: int) -> str:
        member = self.members[number]
        return member.name if member else ""

    def contents(self, number: int, raw: bytes) -> Iterator[Content]:
        """Yield what segment *number*, whose bytes are *raw*, holds of the app; every byte of it must be as listed.

        Raises:
            CorruptSlugError: It is not.
        """
        at, view = 0, memoryview(raw)
        for one, piece in self.pieces(number):
            begin, end = at + len(piece.head), at + len(piece.head) + piece.size
            at += piece.length
            if raw[begin - len(piece.head) : begin] != piece.head or raw[end:at].strip(b"\0"):
                raise CorruptSlugError(self.path, "its index does not list what is in it")
            if self.members[one] is not None:
                yield Content(one, piece.offset, view[begin:end])

    def prove(self) -> str:
        """Read all of it and return its diff_id.

        Raises:
            CorruptSlugError: Something is not what the index says.
        """
        hasher = hashlib.sha256()
        for raw in in_order(self._proven, range(len(self))):
            hasher.update(raw)
        hasher.update(self.index.end)
        return sha256_digest(hasher)

    def _proven(self, number: int) -> bytes:
        raw = self.raw(number)
        for _ in self.contents(number, raw):
            pass
        return raw

    def read(self, wanted: Callable[[str], bool] | None = None) -> Iterator[tuple[Member, bytes | memoryview]]:
        """Yield the members of the app that are *wanted*, in order, each with some of its bytes, again until the last.

        No other segments are read; without *wanted* all are, and are proven.

        Raises:
            CorruptSlugError: Something is not what the index says.
        """
        numbers = {one for one, member in enumerate(self.members) if member and (not wanted or wanted(member.name))}
        needed = range(len(self)) if wanted is None else self.needed(numbers)
        for contents in in_order(self._read, needed):
            for one in contents:
                member = self.members[one.number]
                if member is not None and one.number in numbers:
                    yield member, one.data

    @cached_property
    def chained(self) -> Sequence[str]:
        """Return a digest for each segment: of it, and of what the index lists in it.

        The same bytes mean other files to an index that lies, or where they go on with a file of another name.
        """
        chained = []
        for number, (segment, span) in enumerate(zip(self.index.segments, self._spans, strict=True)):
            hasher = hashlib.sha256(segment.sha256.encode())
            for one in self.holding(number):
                member = self.index.members[one]
                listed = member.kind, member.size, member.mode, member.mtime, self._starts[one] - span[0]
                hasher.update(encode(f"{listed} {member.name}\0{member.target}\0"))
            chained.append(hasher.hexdigest())
        return chained

    def _read(self, number: int) -> list[Content]:
        return list(self.contents(number, self.raw(number)))

    def needed(self, numbers: Collection[int]) -> list[int]:
        """Return the segments that hold some of the members *numbers*."""
        wanted = set(numbers)
        return [number for number in range(len(self)) if not wanted.isdisjoint(self.holding(number))]

    def shares(self) -> Iterator[tuple[Member, int]]:
        """Yield each member of the app with its bytes in the file: a share of each segment that holds some of it."""
        ends = [start + one.size for (start, *_), one in zip(self._spans, self.index.segments, strict=True)]
        ratios = [one.packed / one.size for one in self.index.segments]
        number = 0
        for one, member in enumerate(self.members):
            share, at, end = 0.0, self._starts[one], self._starts[one + 1]
            while at < end:
                number += at >= ends[number]
                step = min(end, ends[number]) - at
                share, at = share + step * ratios[number], at + step
            if member is not None:
                yield member, round(share)
