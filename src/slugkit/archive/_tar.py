"""The tar format: one deterministic writer of headers and one strict parser (ustar, PAX, GNU long names).

Not ``tarfile``: it accepts damaged headers by silently losing every member behind them, and its output is spread
over four formats (security.md 4).
"""

import re
from collections.abc import Iterator
from typing import Literal, Protocol

from attrs import frozen

from ..errors import CorruptSlugError

BLOCK = 512
END = bytes(2 * BLOCK)
_SHORT = 100  # what the fields for names take; a directory's slash not counted
_MOST_HEADER = 2**20  # bytes of PAX records or long names before a member
_MOST_RECORDS = 256  # in one PAX header; short ones cost more time than bytes
_LENGTH = re.compile(rb"([0-9]{1,18}) ")  # more digits than int() takes are an attack
_OCTAL = re.compile(rb"[ ]*([0-7]*)[ \0]*\Z")
_KINDS: dict[bytes, "Kind"] = {
    b"0": "file",
    b"\0": "file",
    b"5": "dir",
    b"2": "link",
    b"1": "hardlink",
}
_FLAGS: dict["Kind", bytes] = {"file": b"0", "dir": b"5", "link": b"2", "hardlink": b"1"}
_LIMIT_OCTAL = LATEST = 8**11  # bytes, and seconds
_BASE_256 = b"\x80\xff"  # how GNU tar starts a number that octal digits cannot tell: positive, negative

Kind = Literal["file", "dir", "link", "hardlink"]


@frozen
class Member:
    """One entry of a tar archive; sizes in bytes, ``mtime`` in seconds, names with surrogate escapes."""

    name: str
    kind: Kind
    size: int = 0
    mode: int = 0o644
    mtime: int = 0
    target: str = ""


class ByteStream(Protocol):
    """Bytes in order."""

    def read(self, size: int) -> bytes:
        """Return exactly *size* bytes, fewer only at the end."""


def header(member: Member) -> bytes:
    """Return the header block of *member*, behind a PAX header where ustar cannot say it; owner 0, no names."""
    name, target, records = _told(member)
    pax = _pax_header(records, member.mtime) if records else b""
    return pax + _block(name, member.mode, member.size, member.mtime, _FLAGS[member.kind], target)


def header_size(member: Member) -> int:
    """Return how many bytes `header` returns for *member*."""
    if len(member.name) < _SHORT and len(member.target) < _SHORT and member.name.isascii() and member.target.isascii():
        return BLOCK
    _, _, records = _told(member)
    return 2 * BLOCK + len(records) + -len(records) % BLOCK if records else BLOCK


def _told(member: Member) -> tuple[bytes, bytes, bytes]:
    """Return the name and the target in the header block of *member*, and the PAX records of what these cannot say."""
    name, target, records = encode(member.name), encode(member.target), b""
    if member.kind == "dir" and not name.endswith(b"/"):
        name += b"/"
    if len(target) > 100 or not target.isascii():  # noqa: PLR2004 - the field's size
        records, target = _record(b"linkpath", target), _ascii_end(target)
    if len(name) > 100 or not name.isascii():  # noqa: PLR2004 - the field's size
        records, name = records + _record(b"path", name), _ascii_end(name)
    return name, target, records


def padding(size: int) -> bytes:
    """Return the zeros that fill a member of *size* bytes up to a whole block."""
    return bytes(-size % BLOCK)


def members(stream: ByteStream, path: str) -> Iterator[Member]:
    """Yield the members of *stream*; the caller reads a file's bytes and padding before it asks for the next.

    Raises:
        CorruptSlugError: Anything that is not a well-formed archive with its end marker and nothing behind it.
    """
    extra: dict[str, str] = {}
    read = 0
    while (block := _exactly(stream, BLOCK, path)) != bytes(BLOCK):
        flag, size = _checked_flag(block, path), _number(block[124:136], path)
        if size < 0:
            raise CorruptSlugError(path, "a negative size")
        if flag in b"xgLK":
            read += BLOCK + size
            if read > _MOST_HEADER:
                raise CorruptSlugError(path, "headers of more than 1 MiB before a member")
            data = _exactly(stream, size + len(padding(size)), path)[:size]
            for key, value in _extension(flag, data, path):
                if key in extra:
                    raise CorruptSlugError(path, f"a member with two of {key!r}")
                extra[key] = value
            continue
        yield _member(block, flag, size, extra, path)
        extra, read = {}, 0
    if extra:
        raise CorruptSlugError(path, "a header with no member behind it")
    _check_end(stream, path)


def _check_end(stream: ByteStream, path: str) -> None:
    if _exactly(stream, BLOCK, path) != bytes(BLOCK):
        raise CorruptSlugError(path, "a lone zero block where the archive should end")
    while rest := stream.read(2**16):
        if rest.strip(b"\0"):
            raise CorruptSlugError(path, "data behind the end of the archive")


def _member(block: bytes, flag: bytes, size: int, extra: dict[str, str], path: str) -> Member:
    name = _text(block[:100], path)
    if block[257:263] == b"ustar\0" and (prefix := block[345:500].partition(b"\0")[0]):
        name = f"{decode(prefix)}/{name}"
    name, target = extra.get("path", name), extra.get("linkpath", _text(block[157:257], path))
    if flag not in _KINDS:
        raise CorruptSlugError(path, f"a member of unknown type {flag!r}: {name!r}")
    kind = _KINDS[flag]
    if kind == "file" and name.endswith("/"):  # how archives from before 1988 spell a directory
        kind = "dir"
    if int(extra.get("size", size)) != size:
        raise CorruptSlugError(path, f"two sizes for one member: {name!r}")
    if size and kind != "file":  # readers do not agree on whether bytes follow
        raise CorruptSlugError(path, f"a size of what is no file: {name!r}")
    if not name or "\0" in name or "\0" in target:
        raise CorruptSlugError(path, "a name that is empty, or has a NUL")
    if kind not in {"link", "hardlink"}:
        target = ""
    return Member(name, kind, size, _number(block[100:108], path), _number(block[136:148], path), target)


def _extension(flag: bytes, data: bytes, path: str) -> Iterator[tuple[str, str]]:
    """Yield what the header *data* says of the next member, of what slugkit needs."""
    if flag in b"LK":
        yield ("path" if flag == b"L" else "linkpath"), _text(data, path)
        return
    for key, value in _pax_records(data, path):
        if key.startswith(b"GNU.sparse"):
            raise CorruptSlugError(path, "a sparse file")
        if key in {b"path", b"linkpath", b"size"}:
            if flag == b"g":  # git archive leaves a comment there
                raise CorruptSlugError(path, f"one {key.decode()!r} for all members")
            if key == b"size" and not _is_number(value):
                raise CorruptSlugError(path, "a damaged PAX record")
            yield key.decode(), decode(value)


def _pax_records(data: bytes, path: str) -> Iterator[tuple[bytes, bytes]]:
    at, records = 0, 0
    while at < len(data):
        records += 1
        if records > _MOST_RECORDS:
            raise CorruptSlugError(path, f"more than {_MOST_RECORDS} PAX records before a member")
        length = _LENGTH.match(data, at)
        end = at + int(length[1]) if length else 0
        if length is None or not length.end() < end <= len(data):
            raise CorruptSlugError(path, "a damaged PAX header")
        key, equals, value = data[length.end() : end - 1].partition(b"=")
        if not equals or data[end - 1] != ord("\n"):
            raise CorruptSlugError(path, "a damaged PAX record")
        yield key, value
        at = end


def _is_number(raw: bytes) -> bool:
    return raw.isdigit() and len(raw) < 20  # noqa: PLR2004 - beyond 2**63, and int() refuses 4 300


def _checked_flag(block: bytes, path: str) -> bytes:
    expected = sum(block[:148]) + sum(block[156:]) + 8 * ord(" ")
    if _number(block[148:156], path) != expected:
        raise CorruptSlugError(path, "a header with a wrong checksum")
    return block[156:157]


def _number(raw: bytes, path: str) -> int:
    if raw[0] in _BASE_256:
        return int.from_bytes(raw[1:], "big", signed=raw[0] == _BASE_256[1])
    match = _OCTAL.match(raw)
    if match is None:
        raise CorruptSlugError(path, f"a header with the number {raw!r}")
    return int(match[1] or b"0", 8)


def _exactly(stream: ByteStream, size: int, path: str) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise CorruptSlugError(path, "the archive ends without its end marker")
    return data


def _pax_header(records: bytes, mtime: int) -> bytes:
    return _block(b"././@PaxHeader", 0o644, len(records), mtime, b"x", b"") + records + padding(len(records))


def _record(key: bytes, value: bytes) -> bytes:
    r"""Return ``LENGTH KEY=VALUE\n``, whose length counts its own digits."""
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest)
    while len(rest) + len(b"%d" % length) != length:
        length = len(rest) + len(b"%d" % length)
    return b"%d" % length + rest


def _block(name: bytes, mode: int, size: int, mtime: int, flag: bytes, target: bytes) -> bytes:
    told = b"%011o\0" % size if size < _LIMIT_OCTAL else b"\x80" + size.to_bytes(11, "big")
    fields = b"%07o\x000000000\x000000000\0%b%011o\0" % (mode, told, mtime)
    total = sum(name) + sum(fields) + sum(flag) + sum(target) + _CONSTANT  # zeros add nothing
    return b"%b%b%06o\0 %b%b%b" % (name.ljust(100, b"\0"), fields, total, flag, target.ljust(100, b"\0"), _END_OF_BLOCK)


_END_OF_BLOCK = b"ustar\x0000".ljust(BLOCK - 257, b"\0")
_CONSTANT = sum(_END_OF_BLOCK) + 8 * ord(" ")  # the checksum's own field counts as blanks


def _ascii_end(name: bytes) -> bytes:
    """Return something of *name* for readers without PAX: its last bytes, other than ASCII as ``?``."""
    plain = name if name.isascii() else name.decode("ascii", "replace").replace("\ufffd", "?").encode()
    return plain[-100:].lstrip(b"/")


def encode(text: str) -> bytes:
    """Return the bytes of the name *text* as they are in archives and on disks, whatever the locale."""
    return text.encode("utf-8", "surrogateescape")


def _text(field: bytes, path: str) -> str:
    """Return the text in a *field* that is filled up with NULs."""
    text, _, rest = field.partition(b"\0")
    if rest.strip(b"\0"):
        raise CorruptSlugError(path, "a name with a NUL, and more behind it")
    return decode(text)


def decode(raw: bytes) -> str:
    """Return the name that *raw* spells in an archive or on a disk, whatever the locale."""
    return raw.decode("utf-8", "surrogateescape")
