"""Gzip members: written by libdeflate, read by isal, zlib where they have no wheel; every CRC and length checked."""

import struct
import zlib
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import IO, Any, Protocol

from ..errors import CorruptSlugError

_deflate: Any
try:
    import deflate as _deflate
except ImportError:
    _deflate = None
_codec: Any
try:
    from isal import isal_zlib as _codec

    _ERRORS: tuple[type[Exception], ...] = (zlib.error, _codec.error)
except ImportError:
    _codec = zlib
    _ERRORS = (zlib.error,)

MAGIC = b"\x1f\x8b"
#: libdeflate's 4 is 2 % larger than gzip -6, in a third of its time; igzip's best is 12 % larger.
_LEVEL = 4 if _deflate else 6
#: What compresses: the same bytes and the same backend give the same member.
BACKEND = (f"deflate-{version('deflate')}" if _deflate else f"zlib-{zlib.ZLIB_RUNTIME_VERSION}") + f"-{_LEVEL}"
_crc32 = _deflate.crc32 if _deflate else zlib.crc32

_HEADER = struct.Struct("<3sB6s")  # RFC 1952, 2.3: magic and method, flags, no time, unknown system
_START, _REST = MAGIC + b"\x08", b"\0\0\0\0\0\xff"
_HAS_EXTRA = 4
_SUBFIELD = struct.Struct("<2sH")
_TRAILER = struct.Struct("<II")
_PADDING = b"SP"
_MOST_EXTRA = 0xFFFF  # bytes of all subfields
_GZIP = 31  # wbits: 32 KiB window with a gzip header and trailer
_CHUNK = 2**18
_FREE_RATIO = 64 * 2**20  # bytes that may come out before the ratio counts
_RATIO = 200
_MOST_MEMBERS = 2**17  # empty ones take their time too
WRITTEN_RATIO = 160  # what we write stays below what readers take for a bomb


class _Inflater(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: bytes, most: int, /) -> bytes: ...


def compress(raw: bytes | bytearray, extra: Mapping[bytes, bytes] | None = None) -> bytes:
    """Return *raw* as one gzip member with the subfields *extra* in its header; it depends on the backend only.

    What would compress so well that a reader takes it for a bomb is padded there, up to 10 MiB of it.
    """
    if not raw:
        body = b"\3\0"  # whatever the backend: readers know the footer by its bytes
    elif _deflate:
        body = bytes(_deflate.deflate_compress(raw, _LEVEL))
    else:
        deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15)
        body = deflater.compress(raw) + deflater.flush()
    fields = dict(extra or {})
    if (lacking := len(raw) // WRITTEN_RATIO - len(body)) > 0:
        room = _MOST_EXTRA - sum(_SUBFIELD.size + len(data) for data in fields.values())
        fields[_PADDING] = bytes(min(lacking, room - _SUBFIELD.size))
    told = b"".join(_SUBFIELD.pack(name, len(data)) + data for name, data in fields.items())
    if told:
        told = struct.pack("<H", len(told)) + told
    header = _HEADER.pack(_START, _HAS_EXTRA if told else 0, _REST)
    return header + told + body + _TRAILER.pack(_crc32(raw), len(raw) & 0xFFFFFFFF)


def extra_field(head: bytes, name: bytes) -> bytes | None:
    """Return the first subfield of the member that starts with *head*, if it is called *name*.

    >>> extra_field(compress(b"", {b"SK": b"data"}), b"SK")
    b'data'
    """
    at = _HEADER.size + 2
    if len(head) < at + _SUBFIELD.size or _HEADER.unpack_from(head) != (_START, _HAS_EXTRA, _REST):
        return None
    found, size = _SUBFIELD.unpack_from(head, at)
    data = head[at + _SUBFIELD.size :][:size]
    return data if found == name and len(data) == size else None


def decompress(packed: bytes, size: int, path: str) -> bytes:
    """Return the *size* bytes of the one gzip member *packed*; no more are ever made.

    Raises:
        CorruptSlugError: It is damaged, not one member, or not of that size.
    """
    inflater = _inflater()
    try:
        raw = inflater.decompress(packed, size + 1)
        if not inflater.eof:  # an empty tail may still be to be read
            raw += inflater.decompress(inflater.unconsumed_tail, 1)
    except _ERRORS as error:
        raise CorruptSlugError(path, f"damaged ({error})") from error
    if len(raw) != size or not inflater.eof or inflater.unused_data:
        raise CorruptSlugError(path, "a segment is not as long as its index says")
    return raw


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
            check_ratio(produced, consumed, path)
            yield out
            if inflater.eof:
                inflater, inside, members = _inflater(), False, members + 1
                if members > _MOST_MEMBERS:
                    raise CorruptSlugError(path, f"it has more than {_MOST_MEMBERS} gzip members")
    if inside or not members:
        raise CorruptSlugError(path, "it ends in the middle" if consumed else "it is empty")


def check_ratio(made: int, read: int, path: str) -> None:
    """Refuse *made* bytes out of *read* ones as a bomb.

    Raises:
        CorruptSlugError: It is more than 200:1 after 64 MiB.
    """
    if made > _FREE_RATIO and made > _RATIO * read:
        raise CorruptSlugError(path, f"it grows more than {_RATIO} times when unpacked")


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
