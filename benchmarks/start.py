"""A dyno's start, to the first word of its app, against bwrap, crun, docker and others that start the same."""

import tempfile
import threading
import time
from pathlib import Path
from typing import Self

from benchmarks import _engines
from benchmarks._pair import Row, pair
from slugkit import DynoRunner, Limits, LogLine, Slug
from slugkit.testing import make_slug

_APP = "echo up; exec sleep 1000"
_SETTLED = 0.1  # seconds
_QUICK = ("bwrap", "crun run", "runc run")  # of a few milliseconds, ten say little


def measure(runs: int) -> list[Row]:
    """Measure from the call until the app's first line is read; ending it is not counted."""
    with tempfile.TemporaryDirectory() as name:
        slug = make_slug(scratch := Path(name), {}, app=_APP)
        slug.unpack(tree := scratch / "app")
        with _engines.peers(scratch, tree, _APP) as peers:
            rows = [_row("dyno", Limits(memory=None), peer, runs, slug, scratch) for peer in peers]
            ways = [peer for peer in peers if peer.name == "bwrap"]
            rows[1:1] = [_row("dyno, memory limited", Limits(), peer, runs, slug, scratch) for peer in ways]
        return rows


def _row(name: str, limits: Limits, peer: _engines.Peer, runs: int, slug: Slug, scratch: Path) -> Row:
    counted = max(runs, 50) if peer.name in _QUICK else runs
    with Started(slug, scratch, limits) as started:
        ours, theirs = (name, started.dyno), (peer.name, lambda: started.peer(peer))
        return pair("start", ours, theirs, target=peer.target, runs=counted, before=started.end)


class Started:
    """What was started last, to be ended between the runs."""

    def __init__(self, slug: Slug, scratch: Path, limits: Limits) -> None:
        self._slug, self._up = slug, threading.Event()
        self._runner = DynoRunner(store=scratch / "store", on_log=self._said, limits=limits)
        self._peer: _engines.Running | None = None

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

    def peer(self, peer: _engines.Peer) -> None:
        """Start *peer* and wait for its first line."""
        self._peer = _engines.started(peer)
        self._peer.heard()

    def end(self) -> None:
        """End both, and let the kernel take away their namespaces: that takes as long as a start, and is neither's."""
        if (dyno := getattr(self, "_dyno", None)) is not None:
            dyno.stop()
        if self._peer is not None:
            self._peer.end()
            self._peer = None
        time.sleep(_SETTLED)
