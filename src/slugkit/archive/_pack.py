"""Write a slug: one pass over the tree, deterministic to the byte, there whole or not at all."""

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from attrs import evolve, frozen

from .._tree import Entry, open_beneath, walk, writing
from ..errors import InvalidSettingError, SlugTooLargeError, UnsafeMemberError
from ..slug import MANIFEST_PATH, Manifest, encode_manifest, sha256_digest
from ._gzip import MemberWriter
from ._rules import MemberTable
from ._tar import END, LATEST, Member, header, padding

EPOCH = 315_532_800  # 1980-01-01, the earliest time zip and pip can tell: no clock may reach the archive
_CHUNK = 2**20

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
    on_progress: Progress | None = None,
) -> Digests:
    """Pack the tree at *root* as the app of a slug at *output*, and return its digests.

    Entries are sorted bytewise, owner 0, mode 0644 or 0755, all at *mtime*; hard links become copies (design.md 4).
    The output appears by rename: whole, or not at all.

    Raises:
        SlugTooLargeError: It grew beyond *max_size* bytes.
        UnsafeMemberError: Something in the tree cannot be in a slug, or cannot be read.
        InvalidSettingError: *mtime* is before 1970 or after 2242, which no header can tell.
        OutputError: The disk said no.
    """
    if not 0 <= mtime < LATEST:
        raise InvalidSettingError("SOURCE_DATE_EPOCH", "not a number of seconds between 1970 and 2242")
    entries = _entries(root)
    with _appearing(output) as out:
        return _write(root, entries, manifest, _Saying(out, output), max_size, mtime, on_progress)


def measure(root: Path) -> tuple[int, int]:
    """Return how many files there are below *root*, and how many bytes in them.

    Raises:
        UnsafeMemberError: Something cannot be read.
    """
    sizes = [entry.info.st_size for entry in _entries(root) if entry.is_file]
    return len(sizes), sum(sizes)


def _entries(root: Path) -> list[Entry]:
    """Return what is below *root* in the archive's order; nothing that cannot be read is lost."""
    try:
        return sorted(walk(root), key=lambda entry: os.fsencode(entry.path))
    except OSError as error:
        raise _unreadable(root, error) from error


def _unreadable(root: Path, error: OSError) -> UnsafeMemberError:
    name = os.path.relpath(os.fsdecode(error.filename), root) if error.filename else str(root)
    return UnsafeMemberError(name, f"it cannot be read: {error.strerror}")


@contextmanager
def _appearing(output: Path) -> Iterator[IO[bytes]]:
    """Yield a file that becomes *output* when the block ends well, by rename, and is gone when it does not.

    Until then it has no name where the file system allows that (O_TMPFILE): not even SIGKILL leaves anything behind.
    """
    partial = output.with_name(f".{output.name[:100]}.{uuid.uuid4().hex[:8]}.partial")
    try:
        with writing(output):
            out = _unnamed(partial)
        with out:
            yield out
            with writing(output):
                out.flush()
                os.fsync(out.fileno())
                if not partial.exists():
                    # Without a src_dir_fd, which an absolute path ignores, Python calls link(), which follows nothing.
                    fd = out.fileno()
                    os.link(f"/proc/self/fd/{fd}", partial, src_dir_fd=fd, follow_symlinks=True)
        with writing(output):
            partial.replace(output)
    finally:
        with suppress(FileNotFoundError, NotADirectoryError):
            partial.unlink()


def _unnamed(partial: Path) -> IO[bytes]:
    try:
        return os.fdopen(os.open(partial.parent, os.O_TMPFILE | os.O_WRONLY, 0o666), "wb")
    except (AttributeError, OSError):  # not Linux, or a file system without
        return partial.open("xb")


class _Saying:
    """A file to write to, whose errors name the output; those of a progress callback stay what they are."""

    def __init__(self, out: IO[bytes], output: Path) -> None:
        self._out, self._output = out, output

    def write(self, data: bytes) -> int:
        with writing(self._output):
            return self._out.write(data)


def _write(
    root: Path,
    entries: list[Entry],
    manifest: Manifest,
    out: _Saying,
    max_size: int | None,
    mtime: int,
    on_progress: Progress | None,
) -> Digests:
    raw, packed = hashlib.sha256(), hashlib.sha256()
    writer, table = MemberWriter(out, raw, packed), MemberTable()
    described = encode_manifest(manifest)
    writer.write(header(Member("./.slugkit/", "dir", mode=0o755, mtime=mtime)))
    writer.write(header(Member(f"./{MANIFEST_PATH}", "file", len(described), mtime=mtime)))
    writer.write(described + padding(len(described)))
    writer.end_member()
    writer.write(header(Member("./app/", "dir", mode=0o755, mtime=mtime)))
    files = size = 0
    for entry in entries:
        _add(writer, root, entry, table.accept(_member(root, entry, mtime), entry.path))
        files, size = files + 1, size + (entry.info.st_size if entry.is_file else 0)
        if max_size is not None and writer.size > max_size:
            raise SlugTooLargeError(writer.size, max_size)
        if on_progress is not None:
            on_progress(files, size)
    writer.write(END)
    writer.end_member()
    if max_size is not None and writer.size > max_size:
        raise SlugTooLargeError(writer.size, max_size)
    return Digests(sha256_digest(packed), sha256_digest(raw), writer.size)


def _member(root: Path, entry: Entry, mtime: int) -> Member:
    if entry.is_dir:
        return Member(entry.path, "dir", mtime=mtime)
    if entry.is_link:
        target = os.readlink(root / entry.path)  # noqa: PTH115 - as it is spelled
        return Member(entry.path, "link", mtime=mtime, target=target)
    if entry.is_file:
        return Member(entry.path, "file", entry.info.st_size, entry.info.st_mode, mtime)
    raise UnsafeMemberError(entry.path, "not a file, directory or link: remove it before the end of compile")


def _add(writer: MemberWriter, root: Path, entry: Entry, member: Member) -> None:
    mode = 0o777 if member.kind == "link" else member.mode
    writer.write(header(evolve(member, name=f"./app/{member.name}", mode=mode)))
    if member.kind == "file":
        _add_content(writer, root, entry)


def _add_content(writer: MemberWriter, root: Path, entry: Entry) -> None:
    try:
        fd = open_beneath(root, entry.path)
    except OSError as error:
        raise UnsafeMemberError(entry.path, f"it cannot be read: {error.strerror}") from error
    if fd is None:
        raise UnsafeMemberError(entry.path, "it changed while it was packed")
    size = entry.info.st_size
    with os.fdopen(fd, "rb", buffering=0) as file:
        left = size
        while left and (data := file.read(min(left, _CHUNK))):
            writer.write(data)
            left -= len(data)
    if left:
        raise UnsafeMemberError(entry.path, "it shrank while it was packed")
    writer.write(padding(size))
