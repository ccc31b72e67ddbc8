"""Compare two slugs: entry by entry, then byte by byte, each difference with its likely cause."""

import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .._tree import open_beneath
from ..archive import Slug, SurveyedFile
from ..slug import MANIFEST_PATH, encode_manifest
from ._causes import compressed, explain
from ._circumstances import Circumstances
from ._order import another_order
from ._ranges import Unequal, compare_files
from ._side import Side
from ._values import Cause, Difference

_AROUND = 512  # bytes on either side of a difference that are looked at
_ONE_THING = 16  # bytes; what is longer may have another cause at its end
_LARGEST_TEXT = 4 * 2**20  # bytes of a file whose order is looked at: all of it is read
_COUNTED = re.compile(r"[0-9a-fA-F]{6,}|[0-9]+")
_DEEPEST = 50  # parts of a path
_MOST_SHOWN = 200  # characters of a link's target

Builds = tuple[Circumstances, Circumstances]
Entries = dict[str, SurveyedFile]


def compare_slugs(slugs: tuple[Slug, Slug], trees: tuple[Path, Path], builds: Builds) -> tuple[Difference, ...]:
    """Return how two *slugs* differ, unpacked at *trees*, by the bytes of the paths.

    Raises:
        SlugkitError: One of them cannot be read.
    """
    one, other = ({entry.path: entry for entry in slug.survey()} for slug in slugs)
    found = [
        *_manifests(slugs, builds),
        *_one_sided(one, other, builds),
        *(found for path in one.keys() & other.keys() for found in _entry(one[path], other[path], trees, builds)),
    ]
    if not found:
        detail = "no entry differs, but the headers of the archives do"
        found = [Difference("", "archive", (Cause("unknown", detail),))]
    return tuple(sorted(found, key=lambda one: (os.fsencode(one.path), one.kind)))


def _manifests(slugs: tuple[Slug, Slug], builds: Builds) -> Iterator[Difference]:
    one, other = (encode_manifest(slug.manifest) for slug in slugs)
    if one != other:
        path = f"./{MANIFEST_PATH}"  # as the archive spells it: no file of an app does
        unequal, causes = _files(path, io.BytesIO(one), io.BytesIO(other), builds)
        yield Difference(path, "manifest", causes, unequal.sizes, unequal.ranges, unequal.count)


def _entry(one: SurveyedFile, other: SurveyedFile, trees: tuple[Path, Path], builds: Builds) -> Iterator[Difference]:
    """Yield how the entries of one path differ."""
    if one.kind != other.kind:
        yield Difference(one.path, "kind", (Cause("unknown", f"{one.kind} and {other.kind}"),))
        return
    if one.kind != "link" and one.mode != other.mode:
        yield Difference(one.path, "mode", (Cause("run-bit", f"mode {one.mode:04o} and {other.mode:04o}"),))
    if one.target != other.target:
        cause = _names(one.target, other.target, builds)
        targets = " and ".join(repr(entry.target[:_MOST_SHOWN]) for entry in (one, other))
        yield Difference(one.path, "link", (Cause(cause.code, f"it leads to {targets}"),))
    if (one.size, one.sha256) != (other.size, other.sha256):
        with _opened(trees[0], one.path) as first, _opened(trees[1], one.path) as second:
            unequal, causes = _files(one.path, first, second, builds)
        yield Difference(one.path, "content", causes, unequal.sizes, unequal.ranges, unequal.count)


def _opened(tree: Path, path: str) -> BinaryIO:
    fd = open_beneath(tree, path)
    if fd is None:
        raise FileNotFoundError(path)  # it was unpacked a moment ago
    return os.fdopen(fd, "rb")


def _one_sided(one: Entries, other: Entries, builds: Builds) -> Iterator[Difference]:
    """Yield what only one slug has; a name that is a little different in the other is told by the names."""
    gone = [one[path] for path in sorted(one.keys() - other.keys())]
    new = [other[path] for path in sorted(other.keys() - one.keys())]
    twins, originals = _patterns(new), _patterns(gone)
    for entry in gone:
        twin = next((twins[pattern] for pattern in _alike(entry) if pattern in twins), None)
        yield Difference(entry.path, "only-first", (_renamed(entry.path, twin, builds),))
    for entry in new:
        original = next((originals[pattern] for pattern in _alike(entry) if pattern in originals), None)
        cause = _renamed(original, entry.path, builds) if original is not None else _renamed(entry.path, None, builds)
        yield Difference(entry.path, "only-second", (cause,))


def _patterns(entries: list[SurveyedFile]) -> dict[tuple[object, ...], str]:
    found: dict[tuple[object, ...], str] = {}
    for entry in entries:
        for pattern in _alike(entry):
            found.setdefault(pattern, entry.path)
    return found


def _alike(entry: SurveyedFile) -> Iterator[tuple[object, ...]]:
    """Yield what entries share whose paths differ in numbers only, then those alike but for one part of the path."""
    yield entry.kind, _COUNTED.sub("*", entry.path)
    parts = entry.path.split("/")
    for number, part in enumerate(parts[:_DEEPEST]):
        yield entry.kind, entry.sha256, len(part), "/".join(parts[:number]), "/".join(parts[number + 1 :])


def _renamed(path: str, twin: str | None, builds: Builds) -> Cause:
    if twin is None:
        return Cause("unknown", "the other slug has nothing of the kind")
    return _names(path, twin, builds)


def _names(one: str, other: str, builds: Builds) -> Cause:
    """Return why two names differ: they are compared as files are."""
    _, causes = _files("", io.BytesIO(os.fsencode(one)), io.BytesIO(os.fsencode(other)), builds)
    return causes[0]


def _files(path: str, one: BinaryIO, other: BinaryIO, builds: Builds) -> tuple[Unequal, tuple[Cause, ...]]:
    """Return where two files differ, and why: a cause once, however often it shows."""
    unequal = compare_files(one, other)
    if max(unequal.sizes) <= _LARGEST_TEXT and (cause := another_order(_read(one), _read(other))):
        return unequal, (cause,)
    causes: dict[str, Cause] = {}
    for first, second in _windows(path, (one, other), unequal, builds):
        cause = explain(first, second)
        causes.setdefault(cause.code, cause)
    unknown = causes.pop("unknown", None)
    if unknown is not None and not causes:
        unknown = compressed(_read(one, 0, 16)) or unknown
        return unequal, (unknown,)
    return unequal, tuple(causes.values())


def _windows(
    path: str, files: tuple[BinaryIO, BinaryIO], unequal: Unequal, builds: Builds
) -> Iterator[tuple[Side, Side]]:
    """Yield both files' bytes around the beginning of each range, and around its end where that is elsewhere."""
    longer = max(unequal.sizes)
    for found in unequal.ranges:
        begin, end = found.first, found.last + 1
        places = [(begin, begin + min(end - begin, _AROUND), False)]
        if end - begin > _ONE_THING:
            places.append((end - 1, end, True))
        for start, stop, from_end in places:
            sides = []
            for file, size, build in zip(files, unequal.sizes, builds, strict=True):
                less = longer - size  # bytes that this file has fewer of between what both share
                moved = max(start - less, begin) if from_end else start
                sides.append(_side(path, file, (moved, max(stop - less, begin, moved)), build))
            yield sides[0], sides[1]


def _side(path: str, file: BinaryIO, span: tuple[int, int], build: Circumstances) -> Side:
    offset = max(span[0] - _AROUND, 0)
    text = _read(file, offset, span[1] + _AROUND - offset)
    return Side(path, text, span[0] - offset, span[1] - offset, offset, build)


def _read(file: BinaryIO, offset: int = 0, length: int = _LARGEST_TEXT) -> bytes:
    file.seek(offset)
    return file.read(length)
