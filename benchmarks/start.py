"""A dyno's start, to the first word of its app, against bwrap with the same binds, crun and docker."""

import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Self

from benchmarks import _bwrap
from benchmarks._pair import Row, need, pair
from slugkit import DynoRunner, Limits, LogLine, Slug
from slugkit.testing import make_slug

_APP = "echo up; exec sleep 1000"


def measure(runs: int) -> list[Row]:
    """Measure from the call until the app's first line is read; ending it is not counted."""
    need(["bwrap"])
    with tempfile.TemporaryDirectory() as scratch:
        slug = make_slug(Path(scratch), {}, app=_APP)
        slug.unpack(tree := Path(scratch, "app"))
        rows = []
        for name, limits in (("dyno", Limits(memory=None)), ("dyno, memory limited", Limits())):
            with Started(slug, Path(scratch), limits) as started:
                ours, theirs = (name, started.dyno), ("bwrap", lambda: started.peer(_bwrap.call(tree, _APP)))
                rows.append(pair("start", ours, theirs, target=1.0, runs=max(runs, 50), before=started.end))
        return rows


class Started:
    """What was started last, to be ended between the runs."""

    def __init__(self, slug: Slug, scratch: Path, limits: Limits) -> None:
        self._slug, self._up = slug, threading.Event()
        self._runner = DynoRunner(store=scratch / "store", on_log=self._said, limits=limits)
        self._peer: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self._runner.close()

    def _said(self, line: LogLine) -> None:
        if line.source == "app":
            self._up.set()

    def dyno(self) -> None:
        """Start a dyno and wait for its first line."""
        self._up.clear()
        self._dyno = self._runner.start(self._slug, "app")
        self._up.wait()

    def peer(self, argv: list[str]) -> None:
        """Start *argv* and wait for its first line."""
        self._peer = subprocess.Popen(argv, stdout=subprocess.PIPE, env={"PATH": "/usr/bin:/bin"})
        assert self._peer.stdout is not None  # noqa: S101 - it was asked for a pipe
        self._peer.stdout.readline()

    def end(self) -> None:
        """End both."""
        if (dyno := getattr(self, "_dyno", None)) is not None:
            dyno.stop()
        if self._peer is not None:
            self._peer.kill()
            self._peer.communicate()
            self._peer = None
