"""Tars and slugs made block by block, right or wrong: what the tests of the readers are about."""

import gzip
import hashlib
import io
import json
import struct
import tarfile
from collections.abc import Callable

from attrs import Factory, define

from slugkit.archive._gzip import compress
from slugkit.archive._tar import END, Member, header, padding

MTIME = 1_000_000_000


def file_(name: str, content: bytes = b"x", mode: int = 0o644, mtime: int = MTIME) -> bytes:
    """Return a regular file as a member."""
    return header(Member(name, "file", len(content), mode, mtime)) + content + padding(len(content))


def dir_(name: str) -> bytes:
    """Return a directory as a member."""
    return header(Member(name, "dir", 0, 0o755, MTIME))


def link(name: str, target: str) -> bytes:
    """Return a symbolic link as a member."""
    return header(Member(name, "link", 0, 0o777, MTIME, target))


def hard(name: str, target: str) -> bytes:
    """Return a hard link as a member."""
    return header(Member(name, "hardlink", 0, 0o644, MTIME, target))


def checked(block: bytes) -> bytes:
    """Return the header *block* with the checksum it should have."""
    blank = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(blank) + block[156:]


def patched(block: bytes, offset: int, data: bytes) -> bytes:
    """Return the header *block* with *data* at *offset*, and the checksum right."""
    return checked(block[:offset] + data + block[offset + len(data) :])


def typed(flag: bytes, name: str = "./app/x", size: int = 0) -> bytes:
    """Return the header of a member of the type *flag*."""
    return patched(header(Member(name, "file", size)), 156, flag)


def extension(flag: bytes, data: bytes) -> bytes:
    """Return what stands before a member: PAX records (``x``, ``g``), or GNU's long name (``L``) or target (``K``)."""
    return patched(header(Member("././@Long", "file", len(data))), 156, flag) + data + padding(len(data))


def record(key: str, value: bytes) -> bytes:
    """Return a PAX record."""
    rest = b" " + key.encode() + b"=" + value + b"\n"
    length = next(n for n in range(len(rest), len(rest) + 9) if n == len(rest) + len(str(n)))
    return str(length).encode() + rest


def pax(*records: tuple[str, bytes]) -> bytes:
    """Return a PAX header of *records*."""
    return extension(b"x", b"".join(record(key, value) for key, value in records))


def base256(value: int) -> bytes:
    """Return *value* as GNU tar writes, in 12 bytes, what octal digits cannot tell."""
    return b"\x80" + value.to_bytes(11, "big") if value >= 0 else b"\xff" + value.to_bytes(11, "big", signed=True)


def slug(*pieces: bytes, end: bytes = END) -> bytes:
    """Return the members *pieces* as a compressed archive without an index."""
    return gzip.compress(b"".join(pieces) + end, compresslevel=1, mtime=0)


def by_tarfile(add: Callable[[tarfile.TarFile], object], **options: int) -> bytes:
    """Return what Python's tarfile makes of what *add* adds."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1, **options) as archive:  # type: ignore[call-overload]
        add(archive)
    return out.getvalue()


def info(name: str, kind: bytes, target: str = "", **fields: int) -> tarfile.TarInfo:
    """Return a member for tarfile to write."""
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    for key, value in fields.items():
        setattr(made, key, value)
    return made


APP = dir_("./app/")
MANIFEST = b'{"schema": 1, "process_types": {"web": "./run"}}\n'


def _plain(text: str) -> str:
    return json.dumps(text)


@define
class Indexed:
    """A slug with an index: honest as it comes, until a test changes what it says of itself, or what is in it.

    *segments* are the bytes of the tar; *files* the index's lines on its members, *told* those on its segments;
    *lengths* those of the gzip members. What is None says the truth.
    """

    segments: list[bytes] = Factory(list)
    files: list[str] = Factory(list)
    told: list[str] | None = None
    lengths: list[int] | None = None
    packed: list[bytes] | None = None
    start: str = '{"version":1,"mtime":1000000000,"segments":['
    between: str = '],"files":['
    data: bytes | None = None
    frame: Callable[[bytes], bytes] | None = None
    size: int | None = None
    at: int | None = None
    table: bytes | None = None

    def add(self, *pieces: bytes) -> None:
        """Append a segment that the index is to tell."""
        self.segments.append(b"".join(pieces))

    def raw(self) -> bytes:
        """Return the end of the tar: the index as a member, and the end marker."""
        data = self.data
        if data is None:
            told = self.told
            if told is None:
                told = [f'[{len(one)},"{hashlib.sha256(one).hexdigest()}"]' for one in self.segments]
            lines = [self.start, ",\n".join(told), self.between, ",\n".join(self.files), "]}", ""]
            data = "\n".join(lines).encode("utf-8", "surrogatepass")
        if self.frame is not None:
            return self.frame(data)
        member = Member("./.slugkit/index.json", "file", len(data), 0o644, MTIME)
        return header(member) + data + padding(len(data)) + END

    def made(self) -> bytes:
        """Return the file."""
        packed = [compress(one) for one in self.segments] if self.packed is None else self.packed
        lengths = [len(one) for one in packed] if self.lengths is None else self.lengths
        table = b"".join(struct.pack("<I", one) for one in lengths) if self.table is None else self.table
        raw = self.raw()
        at = sum(len(one) for one in packed) if self.at is None else self.at
        size = len(raw) if self.size is None else self.size
        footer = compress(b"", {b"SK": struct.pack("<QI", at, size)})
        return b"".join(packed) + compress(raw, {b"SK": table}) + footer


def honest(*files: tuple[str, bytes]) -> Indexed:
    """Return a slug of *files*, each in a segment of its own, and of a manifest in the first."""
    made = Indexed()
    made.add(dir_("./.slugkit/"), file_("./.slugkit/manifest.json", MANIFEST))
    made.files = ['[".slugkit","d"]', f'[".slugkit/manifest.json","f",{len(MANIFEST)}]', '["app","d"]']
    head = APP
    for name, content in files:
        made.add(head, file_(f"./app/{name}", content))
        made.files.append(f'[{_plain(f"app/{name}")},"f",{len(content)}]')
        head = b""
    return made
