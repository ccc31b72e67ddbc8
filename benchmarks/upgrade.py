"""Unpacking the next release on a machine that has the last, against ``tar xzf`` and against hard links alone."""

import os
import subprocess
from itertools import count

from benchmarks import _corpus
from benchmarks._pair import Row, need, pair
from benchmarks.unpack import untar
from slugkit import DirectoryStore, Manifest, Slug
from slugkit.archive import pack


def measure(runs: int) -> list[Row]:
    """Measure releases that differ in one file, each unpacked out of the one before."""
    need(["tar", "gzip", "cp"])
    scratch, names = _corpus.scratch(), count()
    store = DirectoryStore(scratch / "upgraded")
    tree = store.tree(_release(next(names)))
    releases = iter([_release(next(names)) for _ in range(2 * (runs + 1))])
    ours = ("store", lambda: store.tree(Slug.open(next(releases).path)))
    path = scratch / "release-0.tgz"
    tar = ("tar xzf", lambda: untar(path, scratch / f"upgrade-tar-{next(names)}", sync=False))
    links = ("cp -al", lambda: subprocess.run(["cp", "-al", tree, scratch / f"links-{next(names)}"], check=True))
    return [
        pair("upgrade", ours, tar, target=0.1, runs=runs, before=os.sync),
        pair("upgrade", ours, links, target=1.0, runs=runs, before=os.sync),
    ]


def _release(number: int) -> Slug:
    app, scratch = _corpus.environment(), _corpus.scratch()
    (app / "app.py").write_text(f"print('release {number}')\n")
    path = scratch / f"release-{number}.tgz"
    pack(app, Manifest(), path, cache=scratch / "segments")
    return Slug.open(path)
