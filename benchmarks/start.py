"""A dyno's whole life, start to last process gone, against bwrap with the same binds."""

import tempfile
from pathlib import Path

from benchmarks._pair import Row, command, need, pair
from slugkit import DynoRunner
from slugkit.testing import make_slug


def measure(runs: int) -> list[Row]:
    """Measure a process that exits at once, through a runner and through bwrap."""
    need(["bwrap"])
    with tempfile.TemporaryDirectory() as scratch, DynoRunner(store=f"{scratch}/store") as runner:
        slug = make_slug(Path(scratch), {})
        slug.unpack(tree := f"{scratch}/app")
        binds = ("--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib")
        links = ("--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp")  # noqa: S108
        writable = ("--ro-bind", tree, "/app", "--tmpfs", "/app/tmp", "--tmpfs", "/app/log")
        bwrap = command("bwrap", "--unshare-all", "--share-net", *binds, *links, *writable, "true")
        ours = ("dyno", lambda: runner.run(slug, "true"))
        return [pair("start", ours, ("bwrap", bwrap), target=1.0, runs=max(runs, 50))]
