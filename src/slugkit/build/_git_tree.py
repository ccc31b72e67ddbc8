"""The object id that git gives a tree: a digest of a source that anyone can compare with a repository's."""

import hashlib
import os
from collections import defaultdict
from pathlib import Path

from .._tree import Entry, walk

_CHUNK = 2**20


def git_tree(root: Path) -> str:
    """Return, in hex, what ``git write-tree`` says when all of *root* is added: names, contents, links and run bits.

    Git knows no empty directories; what is no file, link or directory is left out.
    """
    children: dict[str, list[tuple[bytes, bytes]]] = defaultdict(list)
    for entry in reversed(list(walk(root))):  # what is in a directory comes before it
        parent, _, name = entry.path.rpartition("/")
        raw = os.fsencode(name)
        if entry.is_dir and children[entry.path]:
            children[parent].append((raw + b"/", b"40000 " + raw + b"\0" + _tree(children.pop(entry.path))))
        elif entry.is_file or entry.is_link:
            children[parent].append((raw, _mode(entry) + raw + b"\0" + _blob(root / entry.path, entry)))
    return _tree(children[""]).hex()


def _tree(records: list[tuple[bytes, bytes]]) -> bytes:
    data = b"".join(record for _, record in sorted(records))
    return _hashed(b"tree", len(data), data).digest()


def _mode(entry: Entry) -> bytes:
    if entry.is_link:
        return b"120000 "
    return b"100755 " if entry.info.st_mode & 0o100 else b"100644 "


def _blob(path: Path, entry: Entry) -> bytes:
    if entry.is_link:
        target = os.fsencode(path.readlink())
        return _hashed(b"blob", len(target), target).digest()
    hasher = _hashed(b"blob", entry.info.st_size)
    with path.open("rb") as file:
        while data := file.read(_CHUNK):
            hasher.update(data)
    return hasher.digest()


def _hashed(kind: bytes, size: int, data: bytes = b"") -> "hashlib._Hash":
    return hashlib.sha1(b"%s %d\0" % (kind, size) + data, usedforsecurity=False)  # the one that git has
