"""The index at the end of a slug: which segments it has and what is in them; never believed, only compared.

``index.json`` is the last member of the tar, so it says nothing that depends on a compressor: where each segment's gzip
member lies stands in the extra field of the index's own gzip member, and where that one lies in the extra field of the
footer, an empty member of constant size (RFC 1952, 2.3.1.1).
"""

import hashlib
import json
import re
import struct
from collections.abc import Iterator, Sequence
from json.encoder import encode_basestring_ascii
from typing import IO, Any

from attrs import field, frozen

from ..errors import CorruptSlugError
from ._gzip import WRITTEN_RATIO, check_ratio, compress, decompress, extra_field
from ._tar import BLOCK, END, LATEST, Kind, Member, decode, encode, header, padding

#: Bytes of the tar that one segment holds at most.
LARGEST_SEGMENT = 2**23
INDEX_PATH = ".slugkit/index.json"
_VERSION = 1
_SUBFIELD = b"SK"
_FOOTER = struct.Struct("<QI")  # where the index's gzip member starts, and how many bytes it uncompresses to
_LENGTH = struct.Struct("<I")
_LARGEST = 2**25  # bytes of an index: of 150 000 files with paths of 200 bytes
_LONGEST_LINE = 2**16  # a path and a target of the longest, all escapes
_MOST_LINES = 160_000
_MOST_SEGMENTS = 0xFF00 // _LENGTH.size  # an extra field has 65 535 bytes
_BETWEEN = '],"files":['
_KINDS: dict[str, tuple[Kind, int]] = {
    "f": ("file", 0o644),
    "x": ("file", 0o755),
    "d": ("dir", 0o755),
    "l": ("link", 0o777),
}
_LETTERS = {kind: letter for letter, kind in _KINDS.items()}


@frozen
class Segment:
    """A run of the tar that is one gzip member: ``size`` bytes with ``sha256``, ``packed`` bytes in the file."""

    size: int
    sha256: str
    packed: int


@frozen
class Index:
    """All members of a slug's tar but the index, and the segments that hold them, both in the order of the archive.

    ``identity`` is the sha256 of the index itself, in hex: it stands for every byte of the tar, as the diff_id does.
    ``end`` are the last bytes of the tar, behind the segments.
    """

    segments: tuple[Segment, ...]
    members: tuple[Member, ...]
    identity: str
    end: bytes = field(repr=False)


def pack_index(members: Sequence[Member], segments: Sequence[Segment], mtime: int) -> tuple[bytes, bytes] | None:
    """Return the end of a slug: the tar's last bytes, and what stands for them in the file.

    None when there are more files or segments than an index tells, or one that readers would take for a bomb; such a
    slug is read as a stream.
    """
    told = ",\n".join(f'[{one.size},"{one.sha256}"]' for one in segments)
    lines = ",\n".join(map(_line, members))
    start = f'{{"version":{_VERSION},"mtime":{mtime},"segments":[\n'
    data = b"".join((start.encode(), told.encode(), b"\n", _BETWEEN.encode(), b"\n", lines.encode("ascii"), b"\n]}\n"))
    raw = _framed(data, mtime, len(data))
    if len(raw) > _LARGEST or len(segments) > _MOST_SEGMENTS or len(members) + len(segments) > _MOST_LINES - 10:
        return None
    table = b"".join(_LENGTH.pack(one.packed) for one in segments)
    packed = compress(raw, {_SUBFIELD: table})
    if len(raw) > WRITTEN_RATIO * len(packed):
        return None
    footer = compress(b"", {_SUBFIELD: _FOOTER.pack(sum(one.packed for one in segments), len(raw))})
    return raw, packed + footer


def _framed(data: bytes, mtime: int, size: int) -> bytes:
    """Return what is around an index of *size* bytes, and *data* in it."""
    return header(Member(f"./{INDEX_PATH}", "file", size, mtime=mtime)) + data + padding(size) + END


def _line(member: Member) -> str:
    name = _quoted(member.name.removeprefix("./").rstrip("/"))
    letter = _LETTERS[member.kind, member.mode]
    match member.kind:
        case "file":
            return f'[{name},"{letter}",{member.size}]'
        case "link":
            return f'[{name},"{letter}",{_quoted(member.target)}]'
        case _:
            return f'[{name},"{letter}"]'


def _quoted(name: str) -> str:
    return encode_basestring_ascii(decode(encode(name)))  # as it is spelled where names are UTF-8


_FOOTER_SIZE = len(compress(b"", {_SUBFIELD: bytes(_FOOTER.size)}))


def read_index(file: IO[bytes], path: str) -> Index | None:
    """Return the index of the slug *file*, or None when it has none.

    Raises:
        CorruptSlugError: It has one that is damaged.
    """
    size = file.seek(0, 2)
    file.seek(max(size - _FOOTER_SIZE, 0))
    footer = file.read(_FOOTER_SIZE)
    told = extra_field(footer, _SUBFIELD)
    if told is None or len(told) != _FOOTER.size or compress(b"", {_SUBFIELD: told}) != footer:
        return None
    start, length = _FOOTER.unpack(told)
    if length > _LARGEST or not 0 < size - _FOOTER_SIZE - start <= _LARGEST:
        raise CorruptSlugError(path, "its index is larger than 32 MiB, or not there")
    file.seek(start)
    packed = file.read(size - _FOOTER_SIZE - start)
    table = extra_field(packed, _SUBFIELD)
    if table is None or len(table) % _LENGTH.size:
        raise CorruptSlugError(path, "its index does not say where the segments are")
    lengths = [length for (length,) in _LENGTH.iter_unpack(table)]
    if sum(lengths) != start:
        raise CorruptSlugError(path, "its index does not cover the file")
    return parse_index(decompress(packed, length, path), lengths, path)


def parse_index(raw: bytes, lengths: Sequence[int] | None, path: str) -> Index:
    """Return the index in the last bytes *raw* of a tar; *lengths* are those of its segments in the file, if known.

    Raises:
        CorruptSlugError: It is damaged.
    """
    try:
        if raw.count(b"\n") > _MOST_LINES:
            raise ValueError("too many lines")
        lines = str(memoryview(raw)[BLOCK : -len(END)], "ascii").rstrip("\0").split("\n")
        [start] = _loaded([lines[0] + "]}"])
        if start.keys() != {"version", "mtime", "segments"} or start["version"] != _VERSION:
            raise ValueError("another version")
        mtime, middle = _number(start["mtime"], LATEST), lines.index(_BETWEEN, 1)
        sizes = zip(_loaded(lines[1:middle]), [0] * (middle - 1) if lengths is None else lengths, strict=True)
        segments = tuple(_segment(told, packed) for told, packed in sizes)
        members = tuple(_member(told, mtime) for told in _loaded(lines[middle + 1 : -2]))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise CorruptSlugError(path, f"its index cannot be read ({error})") from error
    size = sum(map(len, lines)) + len(lines) - 1
    if lines[-2:] != ["]}", ""] or raw[:BLOCK] + raw[BLOCK + size :] != _framed(b"", mtime, size):
        raise CorruptSlugError(path, "its index is not framed as an index is")
    if lengths is not None:
        _check_ratios(segments, path)
    return Index(segments, members, hashlib.sha256(memoryview(raw)[BLOCK : BLOCK + size]).hexdigest(), raw)


def _check_ratios(segments: Sequence[Segment], path: str) -> None:
    """Refuse what a reader of the stream takes for a bomb; one that is a bomb by its last segment only is one here."""
    made, read = 0, 0
    for one in segments:
        made += one.size
        check_ratio(made, read, path)
        read += one.packed


def _loaded(lines: Sequence[str]) -> Iterator[Any]:
    """Yield what each of *lines* holds; some are parsed at a time, so that a hostile index does not fill the memory."""
    start = 0
    while start < len(lines):
        end, size = start, 0
        while end < len(lines) and size < _LONGEST_LINE:
            size, end = size + len(lines[end]), end + 1
        if size > 2 * _LONGEST_LINE:
            raise ValueError("a line that is too long")
        loaded = json.loads(f"[{''.join(lines[start:end]).removesuffix(',')}]")
        if len(loaded) != end - start:
            raise ValueError("more or less than one thing a line")
        yield from loaded
        start = end


def _segment(told: Any, packed: int) -> Segment:  # noqa: ANN401
    size, digest = told
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise ValueError("no digest")
    return Segment(_number(size - 1, LARGEST_SEGMENT) + 1, digest, packed)


def _member(told: Any, mtime: int) -> Member:  # noqa: ANN401
    name, letter, *rest = told
    kind, mode = _KINDS[letter]
    name = f"./{_name(name)}/" if kind == "dir" else f"./{_name(name)}"
    if kind == "file":
        (size,) = rest
        return Member(name, kind, _number(size, LATEST), mode, mtime)
    if kind == "dir":
        () = rest
        return Member(name, kind, 0, mode, mtime)
    (target,) = rest
    return Member(name, kind, 0, mode, mtime, _name(target))


def _name(value: Any) -> str:  # noqa: ANN401
    """Return *value* if it is a text as a header's bytes are decoded: two spellings must not mean one file."""
    if type(value) is not str or "\0" in value:
        raise ValueError("no name")
    if not value.isascii() and decode(encode(value)) != value:
        raise ValueError("a name that no header has")
    return value


def _number(value: Any, limit: int) -> int:  # noqa: ANN401
    if type(value) is not int or not 0 <= value < limit:
        raise ValueError("no number")
    return value
