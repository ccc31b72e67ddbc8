"""Packing again after an edit of one app file, with the segments of the last time, against pigz."""

from itertools import count

from benchmarks import _corpus
from benchmarks._pair import Row, need, pair
from benchmarks.pack import tar
from slugkit import Manifest
from slugkit.archive import pack


def measure(runs: int) -> list[Row]:
    """Measure the whole of both, an edit of app.py before each."""
    need(["tar", "pigz"])
    tree, scratch, edits = _corpus.environment(), _corpus.scratch(), count()
    ours = ("pack", lambda: pack(tree, Manifest(), scratch / "again.tgz", cache=scratch / "segments"))
    theirs = ("tar | pigz", tar(tree, "pigz", scratch / "again.pigz"))
    return [pair("repack", ours, theirs, target=0.15, runs=runs, before=lambda: _edit(next(edits)))]


def _edit(number: int) -> None:
    (_corpus.environment() / "app.py").write_text(f"print('edit {number}')\n")
