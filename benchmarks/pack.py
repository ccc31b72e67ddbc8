"""Packing a tree for the first time, against ``tar czf``, pigz and ``zstd -T0``."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from benchmarks import _corpus
from benchmarks._pair import Row, need, pair
from slugkit import Manifest
from slugkit.archive import pack


def measure(runs: int) -> list[Row]:
    """Measure the whole of each, from the same tree to the same file system, and the sizes."""
    need(["tar", "gzip", "pigz", "zstd"])
    tree, scratch = _corpus.environment(), _corpus.scratch()
    ours = ("pack", lambda: pack(tree, Manifest(), scratch / "ours.tgz"))
    rows = [
        pair("pack", ours, (f"tar | {name}", tar(tree, program, scratch / name)), target=target, runs=runs)
        for name, program, target in (("gzip", "gzip", 0.2), ("pigz", "pigz", 0.45), ("zstd", "zstd -3 -T0", 1.0))
    ]
    sizes = [(scratch / name).stat().st_size / 1000 for name in ("ours.tgz", "gzip")]
    return [*rows, Row("pack size", "pack", "gzip -6", sizes[0], sizes[1], 1.05, 1, "kB")]


def tar(tree: Path, program: str, output: Path) -> Callable[[], object]:
    """Return a call that packs *tree* with GNU tar and *program*."""
    argv = ["tar", "-C", str(tree), "-I", program, "-cf", str(output), "."]
    return lambda: subprocess.run(argv, check=True)
