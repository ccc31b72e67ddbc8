"""Unpacking into the store, everything checked, against ``tar xzf``."""

import subprocess
import tempfile
from pathlib import Path

from benchmarks import _corpus
from benchmarks._pair import Row, need, pair
from slugkit import DirectoryStore, Manifest, Slug
from slugkit._tree import remove_tree
from slugkit.archive import pack


def measure(runs: int) -> list[Row]:
    """Measure both into an empty directory, which is removed between runs and counted on both sides."""
    need(["tar", "gzip"])
    with tempfile.TemporaryDirectory() as scratch:
        pack(_corpus.make(Path(scratch)), Manifest(), Path(scratch, "slug.tgz"))
        slug = Slug.open(f"{scratch}/slug.tgz")

        def ours() -> None:
            DirectoryStore(Path(scratch, "store")).tree(slug)
            remove_tree(Path(scratch, "store"))

        def theirs() -> None:
            target = Path(scratch, "theirs")
            target.mkdir()
            _tar(slug, target)
            remove_tree(target)

        return [pair("unpack", ("store", ours), ("tar xzf", theirs), target=0.6, runs=runs)]


def _tar(slug: Slug, target: Path) -> None:

    subprocess.run(["tar", "xzf", slug.path, "-C", target], check=True)
