"""The tar format: one deterministic writer of headers and one strict parser (ustar, PAX, GNU long names).

Not ``tarfile``: it accepts damaged headers by silently losing every member behind them, and its output is spread
over four formats (security.md 4).
"""

import re
from collections.abc import Iterator
from typing import Literal, Protocol

from attrs import evolve, frozen

from ..errors import CorruptSlugError

BLOCK = 512
END = bytes(2 * BLOCK)
_MOST_HEADER = 2**20  # bytes of PAX records or long names before a member
_OCTAL = re.compile(rb"[ ]*([0-7]*)[ \0]*\Z")
_KINDS: dict[bytes, "Kind"] = {
    b"0": "file",
    b"\0": "file",
    b"5": "dir",
    b"2": "link",
    b"1": "hardlink",
}
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
    records = {}
    name, target = _encode(member.name), _encode(member.target)
    if member.kind == "dir":
        name = name.rstrip(b"/") + b"/"
    if len(name) > 100 or not name.isascii():  # noqa: PLR2004 - the field's size
        records[b"path"], name = name, _ascii_end(name)
    if len(target) > 100 or not target.isascii():  # noqa: PLR2004 - the field's size
        records[b"linkpath"], target = target, _ascii_end(target)
    pax = _pax_header(records, member.mtime) if records else b""
    flag = {"file": b"0", "dir": b"5", "link": b"2", "hardlink": b"1"}[member.kind]
    return pax + _block(name, member.mode, member.size, member.mtime, flag, target)


def padding(size: int) -> bytes:
    """Return the zeros that fill a member of *size* bytes up to a whole block."""
    return bytes(-size % BLOCK)


def members(stream: ByteStream, path: str) -> Iterator[Member]:
    """Yield the members of *stream*; the caller reads a file's bytes and padding before it asks for the next.

    Raises:
        CorruptSlugError: Anything that is not a well-formed archive with its end marker and nothing behind it.
    """
    extra: dict[str, str] = {}
    while True:
        block = _exactly(stream, BLOCK, path)
        if block == bytes(BLOCK):
            break
        flag = _checked_flag(block, path)
        size = _number(block[124:136], path)
        if flag in b"xgLK":
            if size > _MOST_HEADER:
                raise CorruptSlugError(path, "a header of more than 1 MiB")
            data = _exactly(stream, size + len(padding(size)), path)[:size]
            extra |= _extension(flag, data, path)
            continue
        yield _member(block, flag, size, extra, path)
        if size < 0:
            raise CorruptSlugError(path, "a negative size")
        extra = {}
    if _exactly(stream, BLOCK, path) != bytes(BLOCK):
        raise CorruptSlugError(path, "a lone zero block where the archive should end")
    while rest := stream.read(2**16):
        if rest.strip(b"\0"):
            raise CorruptSlugError(path, "data behind the end of the archive")


def _member(block: bytes, flag: bytes, size: int, extra: dict[str, str], path: str) -> Member:
    name = _decode(block[:100])
    if block[257:263] == b"ustar\0" and (prefix := _decode(block[345:500])):
        name = f"{prefix}/{name}"
    if flag not in _KINDS:
        raise CorruptSlugError(path, f"a member of unknown type {flag!r}: {name!r}")
    kind = _KINDS[flag]
    if kind == "file" and name.endswith("/"):  # how archives from before 1988 spell a directory
        kind = "dir"
    if int(extra.get("size", size)) != size:
        raise CorruptSlugError(path, f"two sizes for one member: {name!r}")
    member = Member(
        extra.get("path", name),
        kind,
        size if kind == "file" else 0,
        _number(block[100:108], path),
        _number(block[136:148], path),
        extra.get("linkpath", _decode(block[157:257])),
    )
    if "\0" in member.name or "\0" in member.target:
        raise CorruptSlugError(path, "a name with a NUL")
    return member if kind in {"link", "hardlink"} else evolve(member, target="")


def _extension(flag: bytes, data: bytes, path: str) -> dict[str, str]:
    if flag == b"g":  # pax_global_header of git archive: a comment
        return {}
    if flag == b"L":
        return {"path": _decode(data)}
    if flag == b"K":
        return {"linkpath": _decode(data)}
    records = dict(_pax_records(data, path))
    return {key: value for key, value in records.items() if key in {"path", "linkpath", "size"}}


def _pax_records(data: bytes, path: str) -> Iterator[tuple[str, str]]:
    while data:
        length, blank, _ = data.partition(b" ")
        if not blank or not _is_number(length) or not 0 < int(length) <= len(data):
            raise CorruptSlugError(path, "a damaged PAX header")
        record, data = data[: int(length)], data[int(length) :]
        key, equals, value = record[len(length) + 1 : -1].partition(b"=")
        if not equals or record[-1:] != b"\n" or (key == b"size" and not _is_number(value)):
            raise CorruptSlugError(path, "a damaged PAX record")
        if key.startswith(b"GNU.sparse"):
            raise CorruptSlugError(path, "a sparse file")
        yield _decode(key, whole=True), _decode(value, whole=True)


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


def _pax_header(records: dict[bytes, bytes], mtime: int) -> bytes:
    data = b"".join(_record(key, value) for key, value in sorted(records.items()))
    block = _block(b"././@PaxHeader", 0o644, len(data), mtime, b"x", b"")
    return block + data + padding(len(data))


def _record(key: bytes, value: bytes) -> bytes:
    r"""Return ``LENGTH KEY=VALUE\n``, whose length counts its own digits."""
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest)
    while len(rest) + len(b"%d" % length) != length:
        length = len(rest) + len(b"%d" % length)
    return b"%d" % length + rest


def _block(name: bytes, mode: int, size: int, mtime: int, flag: bytes, target: bytes) -> bytes:
    big = b"\x80" + size.to_bytes(11, "big")
    told = b"%011o\0" % size if size < _LIMIT_OCTAL else big
    start = name.ljust(100, b"\0") + b"%07o\0%07o\0%07o\0%b%011o\0" % (mode, 0, 0, told, mtime)
    end = flag + target.ljust(100, b"\0") + b"ustar\x0000"
    block = (start + b" " * 8 + end).ljust(BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _ascii_end(name: bytes) -> bytes:
    """Return something of *name* for readers without PAX: its last bytes, other than ASCII as ``?``."""
    plain = bytes(byte if byte < 0x80 else ord("?") for byte in name)  # noqa: PLR2004 - ASCII
    return plain[-100:].lstrip(b"/")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _decode(raw: bytes, *, whole: bool = False) -> str:
    return (raw if whole else raw.partition(b"\0")[0]).decode("utf-8", "surrogateescape")
