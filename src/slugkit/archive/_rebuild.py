"""Compare an unpacked tree with what its slug said, without the slug: its segments are made again from the files."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from .._tree import Entry, walk
from ._index import parse_index
from ._indexed import Segments
from ._pack import read_pieces
from ._parallel import in_order
from ._tar import decode

_What = tuple[str, int, int, str]  # kind, size, mode and target


def damaged(index: bytes, tree: Path) -> Iterator[str]:
    """Yield in words what *tree* has otherwise than the *index* of its slug says; tmp/ and log/ may be there as well.

    Raises:
        CorruptSlugError: The index itself is damaged.
        UnsafeMemberError: A file cannot be read.
    """
    segments = Segments(-1, str(tree), parse_index(index, None, str(tree)))
    expected = _expected(segments)
    found = {_spelled(entry.path): _what(tree, entry) for entry in walk(tree)}
    for path in sorted(expected.keys() | found.keys()):
        if expected.get(path) != found.get(path):
            yield f"{path!r} is gone, changed, or should not be there"
            return
    yield from filter(None, in_order(lambda number: _compared(segments, number, tree), range(len(segments))))


def _expected(segments: Segments) -> dict[str, _What]:
    directory: _What = ("dir", 0, 0o755, "")
    expected = {"tmp": directory, "log": directory}
    for member in filter(None, segments.members):
        expected[member.name] = (member.kind, member.size, member.mode, member.target)
        parent = member.name.rpartition("/")[0]
        while parent and parent not in expected:
            expected[parent], parent = directory, parent.rpartition("/")[0]
    return expected


def _spelled(name: str) -> str:
    return decode(os.fsencode(name))  # as an archive spells it, whatever the locale


def _what(tree: Path, entry: Entry) -> _What:
    if entry.is_link:
        return "link", 0, 0o755, _spelled(os.readlink(tree / entry.path))  # noqa: PTH115 - as it is spelled
    size = entry.info.st_size if entry.is_file else 0
    return "dir" if entry.is_dir else "file" if entry.is_file else "other", size, entry.info.st_mode & 0o7777, ""


def _compared(segments: Segments, number: int, tree: Path) -> str | None:
    pieces = list(segments.pieces(number))
    files = [piece.path for one, piece in pieces if segments.index.members[one].kind == "file"]
    if "" in files:  # the manifest, which no tree has
        return None
    raw = read_pieces(tree, [piece for _, piece in pieces])
    if hashlib.sha256(raw).hexdigest() == segments.index.segments[number].sha256:
        return None
    return f"one of {len(files)} files from {files[0]!r} to {files[-1]!r} has other contents"
