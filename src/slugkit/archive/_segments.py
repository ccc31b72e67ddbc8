"""Where a tar is cut into segments, and the cache of those that were compressed before."""

import hashlib
import os
import uuid
import zlib
from collections.abc import Iterable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path

from attrs import frozen

from .._whole import abandoned
from ._gzip import BACKEND, compress
from ._index import LARGEST_SEGMENT, Segment
from ._tar import BLOCK, Member, header

_LEAST = 2**20  # bytes; below, members compress worse and cost more
_MEAN = 2**20  # bytes from there to a cut, on average
_CACHED = 2**30  # bytes that a cache keeps
_DIGEST = hashlib.sha256().digest_size


@frozen
class Piece:
    """What a segment holds of one member: its *head*, *size* bytes of the file *path* from *offset*, and zeros.

    *length* is that of all three; *ends* says that it is a file of which nothing follows.
    """

    head: bytes
    path: str
    offset: int
    size: int
    length: int
    ends: bool = False


def cut(app: Iterable[Member]) -> Iterator[list[Piece]]:
    """Yield the segments of *app*, members of the tar in its order.

    Where one ends depends on what is in it and on the header of the next member: an edit moves the cuts around it, and
    no others. A member larger than a segment has some of its own.
    """
    segment: list[Piece] = []
    filled = 0
    for member in app:
        head = header(member)
        size = len(head) + member.size + -member.size % BLOCK
        if filled and (filled + size > LARGEST_SEGMENT or (filled >= _LEAST and _ends_before(head, size))):
            yield segment
            segment, filled = [], 0
        path = member.name.removeprefix("./app/")
        if size > LARGEST_SEGMENT:
            yield from _divided(head, path, member.size)
        else:
            segment.append(Piece(head, path, 0, member.size, size, member.kind == "file"))
            filled += size
    if segment:
        yield segment


def _ends_before(head: bytes, size: int) -> bool:
    """Tell by the header: with a chance of n in _MEAN for n bytes, so that many small members do as one large one."""
    return zlib.crc32(head) < size * 2**32 // _MEAN


def _divided(head: bytes, path: str, size: int) -> Iterator[list[Piece]]:
    first = LARGEST_SEGMENT - len(head)
    yield [Piece(head, path, 0, first, LARGEST_SEGMENT)]
    for offset in range(first, size, LARGEST_SEGMENT):
        length = min(LARGEST_SEGMENT, size - offset)
        yield [Piece(b"", path, offset, length, length + -length % BLOCK, offset + length == size)]


@frozen
class Packed:
    """A segment with both of its sides."""

    segment: Segment
    raw: bytes | bytearray
    member: bytes


@frozen
class SegmentCache:
    """Compressed segments by what they hold, in files of *directory* that are checked when used; None keeps nothing."""

    directory: Path | None

    def packed(self, raw: bytes | bytearray) -> Packed:
        """Return *raw* as a gzip member, from the cache if it is there."""
        digest = hashlib.sha256(raw).hexdigest()
        path = self.directory and self.directory / f"{digest}-{BACKEND}"
        member = self._read(path)
        if member is None:
            member = compress(raw)
            self._write(path, member)
        return Packed(Segment(len(raw), digest, len(member)), raw, member)

    def prune(self) -> None:
        """Remove what was used longest ago, beyond 1 GiB, and what the dead have left."""
        with suppress(OSError):
            for path in self._surplus():
                path.unlink(missing_ok=True)

    def _surplus(self) -> Iterator[Path]:
        kept = 0
        paths = list(self.directory.iterdir()) if self.directory else []
        yield from (path for path in paths if path.name.startswith(".") and abandoned(path))
        entries = [(path.stat(), path) for path in paths if not path.name.startswith(".")]
        for info, path in sorted(entries, key=lambda pair: -pair[0].st_mtime):
            kept += info.st_size
            if kept > _CACHED:
                yield path

    def _read(self, path: Path | None) -> bytes | None:
        try:
            with path.open("rb") if path else nullcontext() as file:
                digest, member = (file.read(_DIGEST), file.read()) if file else (b"", b"")
        except OSError:
            return None
        if hashlib.sha256(member).digest() != digest:
            return None
        with suppress(OSError):
            os.utime(path)  # type: ignore[arg-type]
        return member

    def _write(self, path: Path | None, member: bytes) -> None:
        """Keep *member*; a disk that says no costs the next build some time, and this one nothing."""
        if path is None:
            return
        partial = path.with_name(f".{uuid.uuid4().hex}")
        try:
            path.parent.mkdir(exist_ok=True)
            partial.write_bytes(hashlib.sha256(member).digest() + member)
            partial.replace(path)
        except OSError:
            with suppress(OSError):
                partial.unlink()
