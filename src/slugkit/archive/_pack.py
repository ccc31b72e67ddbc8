"""Write a slug: one pass over the tree, deterministic to the byte, there whole or not at all."""

import hashlib
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import IO

from attrs import frozen

from .._tree import Entry, open_beneath, walk
from ..errors import OutputError, SlugkitError, SlugTooLargeError, UnsafeMemberError
from ..slug import MANIFEST_PATH, Manifest, encode_manifest, sha256_digest
from ._gzip import MemberWriter
from ._rules import check_link, check_path
from ._tar import END, Member, header, padding

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
        UnsafeMemberError: Something in the tree cannot be in a slug.
        OutputError: The disk said no.
    """
    entries = sorted(walk(root), key=lambda entry: os.fsencode(entry.path))
    partial = _partial(output)
    try:
        with partial.open("wb") as out:
            digests = _write(root, entries, manifest, out, max_size, mtime, on_progress)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(output)
    except OSError as error:
        if isinstance(error, SlugkitError):
            raise
        raise OutputError(str(output), error.strerror or str(error)) from error
    finally:
        partial.unlink(missing_ok=True)
    return digests


def _partial(output: Path) -> Path:
    """Make an empty file beside *output* that nobody else uses, with the modes the umask gives."""
    partial = output.with_name(f".{output.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except OSError as error:
        raise OutputError(str(output), error.strerror or str(error)) from error
    return partial


def _write(
    root: Path,
    entries: list[Entry],
    manifest: Manifest,
    out: IO[bytes],
    max_size: int | None,
    mtime: int,
    on_progress: Progress | None,
) -> Digests:
    raw, packed = hashlib.sha256(), hashlib.sha256()
    writer = MemberWriter(out, raw, packed)
    described = encode_manifest(manifest)
    writer.write(header(Member("./.slugkit/", "dir", mode=0o755, mtime=mtime)))
    writer.write(header(Member(f"./{MANIFEST_PATH}", "file", len(described), mtime=mtime)))
    writer.write(described + padding(len(described)))
    writer.end_member()
    writer.write(header(Member("./app/", "dir", mode=0o755, mtime=mtime)))
    files = size = 0
    for entry in entries:
        _add(writer, root, entry, mtime)
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


def _add(writer: MemberWriter, root: Path, entry: Entry, mtime: int) -> None:
    path = check_path(entry.path)
    name = f"./app/{path}"
    if entry.is_dir:
        writer.write(header(Member(name, "dir", mode=0o755, mtime=mtime)))
    elif entry.is_link:
        target = os.readlink(root / path)  # noqa: PTH115 - as it is spelled
        check_link(path, target)
        writer.write(header(Member(name, "link", mode=0o777, mtime=mtime, target=target)))
    elif entry.is_file:
        mode = 0o755 if entry.info.st_mode & 0o111 else 0o644
        writer.write(header(Member(name, "file", entry.info.st_size, mode, mtime)))
        _add_content(writer, root, entry)
    else:
        raise UnsafeMemberError(path, "not a file, directory or link: remove it before the end of compile")


def _add_content(writer: MemberWriter, root: Path, entry: Entry) -> None:
    fd = open_beneath(root, entry.path)
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
