"""Garbage collection: what the dead left, and what was not used for long."""

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from .._locks import unheld
from .._tree import remove_tree, walk
from ._layout import Layout, subject_of
from ._oci import Descriptor, is_slug, tag_of
from ._staging import collect
from ._trees import Trees

MONTH = 30 * 86_400.0  # seconds
_BEING_WRITTEN = 3600.0  # seconds: other tools write the blobs first and the index last


@frozen
class Collected:
    """How many trees, slugs, blobs and leftovers were removed, and how many bytes of trees and blobs that were."""

    trees: int = 0
    slugs: int = 0
    blobs: int = 0
    leftovers: int = 0
    size: int = 0


@frozen
class _Unwanted:
    """A ``tree``, or the ``manifest`` of a slug without a tag: when it was ``used`` last; its files, bytes by inode."""

    used: float
    files: dict[int, int]
    tree: str = ""
    manifest: str = ""


def collect_garbage(trees: Trees, layout: Layout, max_age: float, max_size: int | None) -> Collected:
    """Remove from the store of *trees* and *layout* what `DirectoryStore.gc` says, and return what that was.

    Raises:
        CorruptStoreError: The index cannot be read: no slug is removed.
        OSError: The disk said no.
    """
    if not trees.root.is_dir():
        return Collected()
    now = time.time()
    leftovers = collect(trees.root / "staging")
    try:
        with layout.changing() as manifests:
            leftovers += _remove_old(trees.root / "quarantine", now - max_age)
            listed = layout.reachable(manifests)
            doomed, kept = _choose(layout, [*_untagged(layout, manifests), *_unpacked(trees)], now - max_age, max_size)
            removed, freed = _remove(trees, doomed, kept)
            slugs = {one.manifest for one in doomed if one.manifest}
            _drop(layout, manifests, slugs)
        with layout.changing() as manifests:  # again: the index no longer names what is removed now
            swept = list(_sweep(layout, manifests, listed, now - min(max_age, _BEING_WRITTEN)))
    finally:  # the trees: nobody has to wait for that, and on a full disk they make room for the next index
        collect(trees.root / "staging")
    return Collected(removed, len(slugs), len(swept), leftovers, freed + sum(swept))


def _untagged(layout: Layout, manifests: list[Descriptor]) -> Iterator[_Unwanted]:
    tagged = {one["digest"] for one in manifests if tag_of(one) is not None}
    for digest, one in {one["digest"]: one for one in manifests if one["digest"] not in tagged}.items():
        manifest = layout.manifest(one)
        if manifest is not None and is_slug(manifest):
            layer = layout.blob(manifest["layers"][0]["digest"])
            used = layer.stat().st_mtime if layer.exists() else 0.0
            yield _Unwanted(used, _sizes([layer]), manifest=digest)


def _unpacked(trees: Trees) -> Iterator[_Unwanted]:
    for identity, used in trees.used():
        tree = trees.at(identity)
        with suppress(FileNotFoundError):  # it was damaged, and is in quarantine now
            files = {entry.info.st_ino: entry.info.st_size for entry in walk(tree) if entry.is_file}
            with unheld(tree) as free:
                pass
            yield _Unwanted(used if free else math.inf, files, tree=identity)


def _sizes(paths: Iterable[Path]) -> dict[int, int]:
    return {info.st_ino: info.st_size for info in (path.stat() for path in paths if path.exists())}


def _choose(
    layout: Layout, found: list[_Unwanted], oldest: float, max_size: int | None
) -> tuple[list[_Unwanted], dict[int, int]]:
    """Return which of *found* are to go, and the files that stay, bytes by inode: of what was used last, what fits."""
    optional = {inode for one in found for inode in one.files}
    kept = {inode: size for inode, size in _sizes(layout.blobs()).items() if inode not in optional}
    doomed = []
    for one in sorted(found, key=lambda one: -one.used):
        together = kept | one.files
        fits = max_size is None or sum(together.values()) <= max_size
        if one.used == math.inf or (one.used > oldest and fits):
            kept = together
        else:
            doomed.append(one)
    return doomed, kept


def _remove(trees: Trees, doomed: list[_Unwanted], kept: dict[int, int]) -> tuple[int, int]:
    """Remove the trees that are *doomed*, unless someone came to hold one, and return how many, and their bytes."""
    freed = [one.files for one in doomed if one.tree and trees.remove(one.tree)]
    trees.forget()
    return len(freed), sum(
        {inode: size for files in freed for inode, size in files.items() if inode not in kept}.values()
    )


def _drop(layout: Layout, manifests: list[Descriptor], dropped: set[str]) -> None:
    """Take *dropped* out of *manifests*, and what refers to them, and what refers to that."""
    subjects = {one["digest"]: subject_of(layout.manifest(one)) for one in manifests}
    gone = set(dropped)
    while more := {digest for digest, subject in subjects.items() if subject in gone} - gone:
        gone |= more
    manifests[:] = [one for one in manifests if one["digest"] not in gone]


def _sweep(layout: Layout, manifests: list[Descriptor], listed: set[str], oldest: float) -> Iterator[int]:
    """Remove blobs that no manifest needs, if one *listed* them or they are older than *oldest*; yield their sizes."""
    needed = {layout.blob(digest) for digest in layout.reachable(manifests)}
    surplus = {layout.blob(digest) for digest in listed} - needed
    if not all(layout.is_whole(one["digest"]) for one in manifests):
        oldest = 0.0  # what a damaged manifest needs, nobody knows
    for path in set(layout.blobs()) - needed:
        info = path.stat()
        if path in surplus or info.st_mtime < oldest:
            path.unlink()
            yield info.st_size


def _remove_old(home: Path, oldest: float) -> int:
    """Remove what was moved into *home* before *oldest*, and return how many entries that were."""
    try:
        stale = [path for path in home.iterdir() if path.lstat().st_ctime < oldest]
    except FileNotFoundError:
        return 0
    for path in stale:
        remove_tree(path)
    return len(stale)
