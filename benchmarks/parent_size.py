"""What a dyno's start costs a host program of 1 GB, against one of 20 MB."""

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks._pair import Row
from slugkit.testing import make_slug

_SCRIPT = """
import statistics, sys, time
import slugkit
slug, store, size, runs = slugkit.Slug.open(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
ballast = bytearray(b"x") * size
with slugkit.DynoRunner(store=store) as runner:
    took = []
    for run in range(runs + 1):
        began = time.perf_counter()
        runner.run(slug, "true")
        took.append(time.perf_counter() - began)
print(statistics.median(took[1:]) * 1000)
"""


def measure(runs: int) -> list[Row]:
    """Measure whole one-off dynos, in programs of either size in turn."""
    with tempfile.TemporaryDirectory() as scratch:
        slug = make_slug(Path(scratch), {})
        sides = [[_once(slug.path, scratch, size) for size in (2**30, 1)] for _ in range(max(runs // 3, 3))]
    large, small = (sorted(side)[len(side) // 2] for side in zip(*sides, strict=True))
    return [Row("parent-size", "1 GB", "20 MB", large, small, 1.2, len(sides) * 10)]


def _once(slug: Path, store: str, size: int) -> float:
    argv = [sys.executable, "-c", _SCRIPT, str(slug), store, str(size), "10"]
    return float(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
