"""Where two files differ, read in pieces: a file may be larger than the memory."""

import os
import re
from collections.abc import Iterator
from typing import BinaryIO

from attrs import frozen

from ._values import Range

_PIECE = 2**18  # bytes; what matches a piece takes a hundred times that at worst
_MOST_RANGES = 8
_GAP = 16  # equal bytes that do not part two ranges: a changed number has equal digits too
_CHANGED = re.compile(rb"[^\0]+(?:\0{1,%d}[^\0]+)*" % (_GAP - 1))  # not possessive: 3.11.2 takes a zero too many


@frozen
class Unequal:
    """Where two files differ, and how long they are.

    Offsets count in the longer one; up to the first difference they are the same in both.
    """

    ranges: tuple[Range, ...]
    count: int
    sizes: tuple[int, int]


def compare_files(one: BinaryIO, other: BinaryIO) -> Unequal:
    """Return where *one* and *other* differ."""
    sizes = (one.seek(0, os.SEEK_END), other.seek(0, os.SEEK_END))
    if sizes[0] == sizes[1]:
        return _same_size(one, other, sizes)
    first = _shared_beginning(one, other)
    shared = _shared_end(one, other, sizes, min(sizes) - first)
    last = max(sizes) - shared - 1
    return Unequal((Range(first, last),), last - first + 1, sizes)


def _same_size(one: BinaryIO, other: BinaryIO, sizes: tuple[int, int]) -> Unequal:
    ranges: list[Range] = []
    count = 0
    for offset, mine, theirs in _pieces(one, other):
        if mine == theirs:
            continue
        changed = _xor(mine, theirs)
        count += len(changed) - changed.count(0)
        for match in _CHANGED.finditer(changed):
            _add(ranges, Range(offset + match.start(), offset + match.end() - 1))
    return Unequal(tuple(ranges), count, sizes)


def _add(ranges: list[Range], found: Range) -> None:
    """Add *found*: to the last range when it is close to it, or when there are enough."""
    if ranges and (found.first - ranges[-1].last <= _GAP or len(ranges) == _MOST_RANGES):
        ranges[-1] = Range(ranges[-1].first, found.last)
    else:
        ranges.append(found)


def _pieces(one: BinaryIO, other: BinaryIO) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield pieces of both at the same offsets, up to the end of the shorter."""
    offset = 0
    one.seek(0)
    other.seek(0)
    while True:
        mine, theirs = one.read(_PIECE), other.read(_PIECE)
        length = min(len(mine), len(theirs))
        if not length:
            return
        yield offset, mine[:length], theirs[:length]
        offset += length


def _xor(mine: bytes, theirs: bytes) -> bytes:
    """Return a zero for each byte that is the same; a loop over a gigabyte would take minutes."""
    return (int.from_bytes(mine, "big") ^ int.from_bytes(theirs, "big")).to_bytes(len(mine), "big")


def _shared_beginning(one: BinaryIO, other: BinaryIO) -> int:
    end = 0
    for offset, mine, theirs in _pieces(one, other):
        if mine != theirs:
            changed = _xor(mine, theirs)
            return offset + len(changed) - len(changed.lstrip(b"\0"))
        end = offset + len(mine)
    return end


def _shared_end(one: BinaryIO, other: BinaryIO, sizes: tuple[int, int], most: int) -> int:
    """Return how many bytes at the end both share, at most *most*."""
    shared = 0
    while shared < most:
        length = min(_PIECE, most - shared)
        one.seek(sizes[0] - shared - length)
        other.seek(sizes[1] - shared - length)
        mine, theirs = one.read(length), other.read(length)
        if mine != theirs:
            changed = _xor(mine, theirs)
            return shared + len(changed) - len(changed.rstrip(b"\0"))
        shared += length
    return shared
