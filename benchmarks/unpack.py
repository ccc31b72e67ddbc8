"""Unpacking into an empty store, everything checked and on the disk, against ``tar xzf`` and ``sync -f``."""

import os
import subprocess
from itertools import count
from pathlib import Path

from benchmarks import _corpus
from benchmarks._pair import Row, need, pair
from slugkit import DirectoryStore, Manifest, Slug
from slugkit.archive import pack


def measure(runs: int) -> list[Row]:
    """Measure both into a directory of their own each time."""
    need(["tar", "gzip", "sync"])
    path, scratch, names = _corpus.scratch() / "unpack.tgz", _corpus.scratch(), count()
    pack(_corpus.environment(), Manifest(), path)
    ours = ("store", lambda: DirectoryStore(scratch / f"store-{next(names)}").tree(Slug.open(path)))
    theirs = ("tar xzf + sync -f", lambda: untar(path, scratch / f"tar-{next(names)}", sync=True))
    return [pair("unpack", ours, theirs, target=0.6, runs=runs, before=os.sync)]


def untar(slug: Path, target: Path, *, sync: bool) -> None:
    """Unpack *slug* into the new directory *target* with GNU tar."""
    target.mkdir()
    subprocess.run(["tar", "xzf", slug, "-C", target], check=True)
    if sync:
        subprocess.run(["sync", "-f", target], check=True)
