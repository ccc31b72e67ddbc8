"""Values of config vars in an app that is about to be packed: a slug is copied and kept where secrets are not."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from .._tree import Entry, open_beneath, walk
from ..errors import SecretInSlugError
from ..events import ConfigVarFound
from ..slug import MANIFEST_PATH, Manifest
from ._packs import Emit

SHORTEST_SECRET = 8  # bytes; shorter values are found everywhere by chance (security.md 6)
_CHUNK = 2**20  # bytes read at a time

Wanted = Mapping[str, bytes]


def report_secrets(
    root: Path, config_vars: Mapping[str, str], manifest: Manifest, emit: Emit, *, forbidden: bool
) -> None:
    """Tell which *config_vars* are in the app that is about to be packed.

    Raises:
        SecretInSlugError: One is, and they are *forbidden*.
    """
    found = leaked(root, config_vars, manifest)
    for name, paths in found.items():
        emit(ConfigVarFound(name, paths))
    if found and forbidden:
        raise SecretInSlugError(tuple(found), tuple(dict.fromkeys(path for paths in found.values() for path in paths)))


def leaked(root: Path, config_vars: Mapping[str, str], manifest: Manifest | None = None) -> dict[str, tuple[str, ...]]:
    """Return the names of those *config_vars* whose values are in the tree *root* or the *manifest*, with the paths.

    Contents, names and link targets are searched, each file once, for values of 8 bytes or more, as they are.
    """
    values = {name: value.encode("utf-8", "surrogateescape") for name, value in config_vars.items()}
    wanted = {name: value for name, value in values.items() if len(value) >= SHORTEST_SECRET}
    found: dict[str, list[str]] = {}
    for path, names in _told(root, wanted, manifest) if wanted else ():
        for name in sorted(names):
            found.setdefault(name, []).append(path)
    return {name: tuple(paths) for name, paths in sorted(found.items())}


def _told(root: Path, wanted: Wanted, manifest: Manifest | None) -> Iterator[tuple[str, set[str]]]:
    if manifest:
        strings = b"\0".join(_strings(manifest.to_dict()))
        yield MANIFEST_PATH, _within(strings, wanted)
    for entry in walk(root):
        yield entry.path, _named(root, entry, wanted) | _contained(root, entry, wanted)


def _named(root: Path, entry: Entry, wanted: Wanted) -> set[str]:
    """Return whose value the path of *entry* holds, and that of its directory does not, or its target."""
    path, parent = os.fsencode(entry.path), os.fsencode(os.path.dirname(entry.path))  # noqa: PTH120 - of any bytes
    target = os.fsencode((root / entry.path).readlink()) if entry.is_link else b""
    return _within(path, wanted) - _within(parent, wanted) | _within(target, wanted)


def _contained(root: Path, entry: Entry, wanted: Wanted) -> set[str]:
    try:
        fd = open_beneath(root, entry.path) if entry.is_file else None
    except OSError:  # who packs it will say so
        return set()
    if fd is None:
        return set()
    with os.fdopen(fd, "rb", buffering=0) as file:
        return _read_through(file, wanted)


def _read_through(file: IO[bytes], wanted: Wanted) -> set[str]:
    """Return whose value *file* holds; what could be the start of one is kept for the next chunk."""
    overlap = max(map(len, wanted.values())) - 1
    found, rest = set[str](), b""
    while data := file.read(_CHUNK):
        data = rest + data
        found |= _within(data, {name: value for name, value in wanted.items() if name not in found})
        rest = data[-overlap:]
    return found


def _within(data: bytes, wanted: Wanted) -> set[str]:
    return {name for name, value in wanted.items() if value in data}


def _strings(plain: object) -> Iterator[bytes]:
    if isinstance(plain, str):
        yield plain.encode("utf-8", "surrogateescape")
    elif isinstance(plain, Mapping):
        for key, value in plain.items():
            yield from _strings(key)
            yield from _strings(value)
    elif isinstance(plain, list | tuple):
        for value in plain:
            yield from _strings(value)
