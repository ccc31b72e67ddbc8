"""Write a slug: one pass over the files, deterministic to the byte, there whole or not at all."""

import hashlib
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from attrs import define, field, frozen

from .._tree import Beneath, Entry, walk
from .._whole import appearing, writing
from ..errors import InvalidSettingError, SlugTooLargeError, UnsafeMemberError
from ..slug import MANIFEST_PATH, Manifest, encode_manifest, sha256_digest
from ._gzip import compress
from ._index import Segment, pack_index
from ._parallel import in_order
from ._rules import MOST_MANIFEST, MemberTable
from ._segments import Packed, Piece, SegmentCache, cut
from ._tar import END, LATEST, Member, header, padding

EPOCH = 315_532_800  # 1980-01-01, the earliest time zip and pip can tell: no clock may reach the archive

Progress = Callable[[int, int], None]


@frozen
class Digests:
    """What a slug's bytes hash to: ``digest`` the file, ``diff_id`` the tar inside; ``size`` in bytes."""

    digest: str
    diff_id: str
    size: int


def pack(
    root: Path,
    manifest: Manifest,
    output: Path,
    *,
    max_size: int | None = None,
    mtime: int = EPOCH,
    cache: Path | None = None,
    on_start: Progress | None = None,
    on_progress: Progress | None = None,
) -> Digests:
    """Pack the tree at *root* as the app of a slug at *output*, and return its digests.

    Entries are sorted bytewise, owner 0, mode 0644 or 0755, all at *mtime*; hard links become copies (design.md 4).
    Segments that were packed before are taken from the directory *cache*. *on_start* is told how many files and bytes
    there are, *on_progress* how many were read. The output appears by rename: whole, or not at all.

    Raises:
        SlugTooLargeError: It grew beyond *max_size* bytes.
        UnsafeMemberError: Something in the tree cannot be in a slug, or cannot be read.
        InvalidSettingError: *mtime* is before 1970 or after 2242, which no header can tell.
        OutputError: The disk said no.
    """
    if not 0 <= mtime < LATEST:
        raise InvalidSettingError("SOURCE_DATE_EPOCH", "not a number of seconds between 1970 and 2242")
    described = encode_manifest(manifest)
    if len(described) > MOST_MANIFEST:
        raise UnsafeMemberError(MANIFEST_PATH, "it has more than 1 MiB: shorten commands and config vars")
    about = (
        Member("./.slugkit/", "dir", 0, 0o755, mtime),
        Member(f"./{MANIFEST_PATH}", "file", len(described), 0o644, mtime),
    )
    app = list(_listed(root, mtime))  # before, not meanwhile: threads that wait for each other's turn take longer
    if on_start is not None:
        on_start(sum(one.kind == "file" for one in app), sum(one.size for one in app))
    segments = SegmentCache(cache)
    read, size = 0, 0
    with appearing(output) as out:
        written = _Written(_Saying(out, output), max_size)
        head = b"".join(map(header, about)) + described + padding(len(described))
        # The manifest's segment is apart from the app's, so that a change of either leaves the other.
        jobs = itertools.chain([[Piece(head, "", 0, 0, len(head))]], cut(app))
        for pieces, packed in in_order(lambda pieces: (pieces, segments.packed(read_pieces(root, pieces))), jobs):
            written.add(packed)
            if on_progress is not None:
                read, size = read + sum(one.ends for one in pieces), size + sum(one.size for one in pieces)
                on_progress(read, size)
        digests = written.finish([*about, *app], mtime)
    segments.prune()
    return digests


def _listed(root: Path, mtime: int) -> Iterator[Member]:
    """Yield what is below *root* as members of the tar, in its order; nothing that cannot be read is lost.

    Raises:
        UnsafeMemberError: Something cannot be read, or be in a slug.
    """
    table = MemberTable()
    yield Member("./app/", "dir", 0, 0o755, mtime)
    try:
        for entry in walk(root):
            yield _placed(table.accept(_member(root, entry, mtime), entry.path))
    except OSError as error:
        name = os.path.relpath(os.fsdecode(error.filename), root) if error.filename else str(root)
        raise UnsafeMemberError(name, f"it cannot be read: {error.strerror}") from error


def _member(root: Path, entry: Entry, mtime: int) -> Member:
    if entry.is_dir:
        return Member(entry.path, "dir", 0, 0o755, mtime)
    if entry.is_link:
        target = os.readlink(root / entry.path)  # noqa: PTH115 - as it is spelled
        return Member(entry.path, "link", mtime=mtime, target=target)
    if entry.is_file:
        mode = 0o755 if entry.info.st_mode & 0o111 else 0o644
        return Member(entry.path, "file", entry.info.st_size, mode, mtime)
    raise UnsafeMemberError(entry.path, "not a file, directory or link: remove it before the end of compile")


def _placed(member: Member) -> Member:
    name = f"./app/{member.name}/" if member.kind == "dir" else f"./app/{member.name}"
    mode = 0o777 if member.kind == "link" else member.mode
    return Member(name, member.kind, member.size, mode, member.mtime, member.target)


def read_pieces(root: Path, pieces: Sequence[Piece]) -> bytearray:
    """Return the segment of *pieces*, whose files are below *root*.

    Raises:
        UnsafeMemberError: A file is not there, is shorter, or cannot be read.
    """
    segment = bytearray(sum(piece.length for piece in pieces))
    with memoryview(segment) as view, Beneath(root) as beneath:
        at = 0
        for piece in pieces:
            start = at + len(piece.head)
            view[at:start] = piece.head
            if piece.size:
                _read_file(view[start : start + piece.size], beneath, piece)
            at += piece.length
    return segment


def _read_file(view: memoryview, beneath: Beneath, piece: Piece) -> None:
    try:
        fd = beneath.open(piece.path)
        if fd is None:
            raise UnsafeMemberError(piece.path, "it changed while it was packed")
        try:
            done = 0
            while done < piece.size and (read := os.preadv(fd, [view[done:]], piece.offset + done)):
                done += read
        finally:
            os.close(fd)
    except OSError as error:
        raise UnsafeMemberError(piece.path, f"it cannot be read: {error.strerror}") from error
    if done < piece.size:
        raise UnsafeMemberError(piece.path, "it shrank while it was packed")


@define
class _Written:
    """What of a slug is written to *out* so far."""

    _out: "_Saying"
    _max_size: int | None
    _segments: list[Segment] = field(factory=list, init=False)
    _raw: Any = field(factory=hashlib.sha256, init=False)
    _file: Any = field(factory=hashlib.sha256, init=False)
    _size: int = field(default=0, init=False)

    def add(self, packed: Packed) -> None:
        self._segments.append(packed.segment)
        self._put(packed.raw, packed.member)

    def finish(self, members: Sequence[Member], mtime: int) -> Digests:
        """Write the end of the archive: with the index of *members*, or without where they are too many for one."""
        self._put(*(pack_index(members, self._segments, mtime) or (END, compress(END))))
        return Digests(sha256_digest(self._file), sha256_digest(self._raw), self._size)

    def _put(self, raw: bytes | bytearray, packed: bytes) -> None:
        self._size += len(packed)
        if self._max_size is not None and self._size > self._max_size:
            raise SlugTooLargeError(self._size, self._max_size)
        self._raw.update(raw)
        self._file.update(packed)
        self._out.write(packed)


class _Saying:
    """A file to write to, whose errors name the output; those of a progress callback stay what they are."""

    def __init__(self, out: IO[bytes], output: Path) -> None:
        self._out, self._output = out, output

    def write(self, data: bytes) -> None:
        with writing(self._output):
            self._out.write(data)
