"""Packing a tree for the first time, against ``tar czf``."""

import tempfile
from pathlib import Path

from benchmarks import _corpus
from benchmarks._pair import Row, command, need, pair
from slugkit import Manifest
from slugkit.archive import pack


def measure(runs: int) -> list[Row]:
    """Measure the whole of both, the output on the same file system."""
    need(["tar", "gzip"])
    with tempfile.TemporaryDirectory() as scratch:
        tree = _corpus.make(Path(scratch))
        ours = ("pack", lambda: pack(tree, Manifest(), Path(scratch, "ours.tgz")))
        tar = command("tar", "czf", f"{scratch}/theirs.tgz", "-C", str(tree), ".")
        return [pair("pack", ours, ("tar czf", tar), target=0.2, runs=runs)]
