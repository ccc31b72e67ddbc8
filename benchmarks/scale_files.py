"""What 4 and 16 times the files cost, against tar and against as many times what the fewest cost."""

import os
from itertools import count

from attrs import evolve

from benchmarks import _corpus
from benchmarks._pair import Row, need, pair
from benchmarks.pack import tar
from benchmarks.unpack import untar
from slugkit import DirectoryStore, Manifest, Slug
from slugkit.archive import pack

_COUNTS = (6_250, 25_000, 100_000)
_LINEAR = 1.2


def measure(runs: int) -> list[Row]:
    """Measure packing and unpacking of small files, and the slope of each."""
    need(["tar", "gzip", "sync"])
    runs = min(runs, 5)  # a hundred thousand files each
    packed = [_pack(number, runs) for number in _COUNTS]
    unpacked = [_unpack(number, runs) for number in _COUNTS]
    return [row for rows in (packed, unpacked) for row in (*rows, *(_slope(rows[0], row) for row in rows[1:]))]


def _pack(files: int, runs: int) -> Row:
    tree, scratch = _corpus.small_files(files), _corpus.scratch()
    ours = (f"{files} files", lambda: pack(tree, Manifest(), scratch / f"small-{files}.tgz"))
    return pair("pack files", ours, ("tar czf", tar(tree, "gzip", scratch / "small.tgz")), target=0.5, runs=runs)


def _unpack(files: int, runs: int) -> Row:
    scratch, names = _corpus.scratch(), count()
    path = scratch / f"small-{files}.tgz"

    def ours() -> None:
        DirectoryStore(scratch / f"small-{files}-{next(names)}").tree(Slug.open(path))

    def theirs() -> None:
        untar(path, scratch / f"small-{files}-tar-{next(names)}", sync=True)

    return pair(
        "unpack files", (f"{files} files", ours), ("tar xzf + sync -f", theirs), target=1.0, runs=runs, before=os.sync
    )


def _slope(few: Row, many: Row) -> Row:
    """Return how *many* compares to as many times the *few*."""
    factor = int(many.ours.split()[0]) // int(few.ours.split()[0])
    linear = few.our_median * factor
    return evolve(many, theirs=f"{factor} x {few.ours}", their_median=linear, target=_LINEAR)
