"""Gzip members, written and read: isal where it has a wheel, zlib elsewhere, every CRC and length checked."""

import zlib
from collections.abc import Iterator
from typing import IO, Any, Protocol

from ..errors import CorruptSlugError

_codec: Any
try:
    from isal import isal_zlib as _codec

    _LEVEL = 3  # igzip's best: a sixth larger than gzip -6, six times as fast
    _ERRORS: tuple[type[Exception], ...] = (zlib.error, _codec.error)
except ImportError:  # no wheel for this machine
    _codec = zlib
    _LEVEL = 6
    _ERRORS = (zlib.error,)

_GZIP = 31  # wbits: 32 KiB window with a gzip header and trailer, whose time is 0
_CHUNK = 2**18
_FREE_RATIO = 64 * 2**20  # bytes that may come out before the ratio counts
_RATIO = 200
MAGIC = b"\x1f\x8b"


class _Hasher(Protocol):
    def update(self, data: bytes, /) -> None: ...


class _Sink(Protocol):
    def write(self, data: bytes, /) -> int: ...


class _Deflater(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class _Inflater(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: bytes, most: int, /) -> bytes: ...


class MemberWriter:
    """Compress into *out*, one gzip member at a time; *raw* and *packed* hash both sides on the way.

    What would compress so well that a reader takes it for a bomb is stored in members of its own.
    """

    def __init__(self, out: _Sink, raw: _Hasher, packed: _Hasher) -> None:
        self._out, self._raw, self._packed = out, raw, packed
        self._stored = False
        self._deflate = self._new()
        self._raw_size = 0
        self.size = 0

    def write(self, data: bytes) -> None:
        """Add *data* to the current member."""
        self._raw.update(data)
        self._raw_size += len(data)
        stored = self._raw_size > _FREE_RATIO // 2 and self._raw_size > _RATIO // 2 * self.size
        if stored != self._stored:
            self._stored = stored
            self.end_member()
        self._emit(self._deflate.compress(data))

    def end_member(self) -> None:
        """Finish the current member; what follows starts another."""
        self._emit(self._deflate.flush())
        self._deflate = self._new()

    def _emit(self, data: bytes) -> None:
        self._packed.update(data)
        self.size += len(data)
        self._out.write(data)

    def _new(self) -> _Deflater:
        made: _Deflater = _codec.compressobj(0 if self._stored else _LEVEL, zlib.DEFLATED, _GZIP)
        return made


def inflate(file: IO[bytes], path: str) -> Iterator[bytes]:
    """Yield the uncompressed bytes of all gzip members of *file*; only zeros may follow the last.

    Raises:
        CorruptSlugError: Not gzip, cut short, a wrong check, or more than 200:1 after 64 MiB.
    """
    inflater, consumed, produced = _inflater(), 0, 0
    inside, padded, members = False, False, 0
    while data := file.read(_CHUNK):
        if not consumed and not MAGIC.startswith(data[:2]):
            raise CorruptSlugError(path, "it is not gzip")
        consumed += len(data)
        while data:
            if not inside and members:
                rest = data.lstrip(b"\0")
                padded, data = padded or len(rest) < len(data), rest
                if not data:
                    break
            if padded:
                raise CorruptSlugError(path, "data behind the padding of the last gzip member")
            inside = True
            out, data = _step(inflater, data, path)
            produced += len(out)
            # Asked for at most _CHUNK at a time, so that a bomb is refused before it is in memory.
            if produced > _FREE_RATIO and produced > _RATIO * consumed:
                raise CorruptSlugError(path, f"it grows more than {_RATIO} times when unpacked")
            yield out
            if inflater.eof:
                inflater, inside, members = _inflater(), False, members + 1
    if inside or not members:
        raise CorruptSlugError(path, "it ends in the middle" if consumed else "it is empty")


def _inflater() -> _Inflater:
    made: _Inflater = _codec.decompressobj(_GZIP)
    return made


def _step(inflater: _Inflater, data: bytes, path: str) -> tuple[bytes, bytes]:
    """Return some of what *data* uncompresses to, and what of it is still to be read."""
    try:
        out = inflater.decompress(data, _CHUNK)
    except _ERRORS as error:
        raise CorruptSlugError(path, f"damaged ({error})") from error
    return out, inflater.unused_data if inflater.eof else inflater.unconsumed_tail
