"""Many dynos at once: a formation from 1 to 50 against as many bwraps, containers or processes; and what 200 take."""

import tempfile
import time
from pathlib import Path
from typing import Self

from benchmarks import _engines
from benchmarks._pair import Row, pair
from slugkit import DynoRunner, Limits, Slug
from slugkit.testing import make_slug

_APP = "exec sleep 1000"
_MANY, _MOST, _AIM = 50, 200, 2000.0
# Of the engines, docker and podman take for each what a start says, one after the other: nothing to learn here.
_TARGETS = {"bwrap": 0.6, "crun run": 0.4, "honcho start": 1.0, "foreman start": 1.0}


def measure(runs: int) -> list[Row]:
    """Measure until all are up, to the exec of the app's command on either side; ending them is not counted."""
    with tempfile.TemporaryDirectory() as name:
        slug = make_slug(scratch := Path(name), {}, app=_APP)
        slug.unpack(tree := scratch / "app")
        with (
            _engines.peers(scratch, tree, f"echo up; {_APP}", _MANY - 1) as peers,
            Scaled(slug, scratch / "store") as scaled,
        ):
            rows = [_row(scaled, peer, runs) for peer in peers if peer.name in _TARGETS]
            took = []
            for _ in range(3):
                scaled.down()
                began = time.perf_counter()
                scaled.up(_MOST)
                took.append((time.perf_counter() - began) * 1000)
            return [*rows, Row("scale", f"{_MOST} dynos up", "the aim", sorted(took)[1], _AIM, 1.0, len(took))]


def _row(scaled: "Scaled", peer: _engines.Peer, runs: int) -> Row:
    ours, theirs = (
        (f"1 -> {_MANY}", lambda: scaled.up(_MANY)),
        (f"{_MANY - 1} x {peer.name}", lambda: scaled.peers(peer)),
    )
    return pair("scale", ours, theirs, target=_TARGETS[peer.name], runs=runs, before=scaled.down)


class Scaled:
    """A formation of one dyno between the runs, and nothing of the peer's."""

    def __init__(self, slug: Slug, store: Path) -> None:
        self._runner = DynoRunner(store=store, limits=Limits(memory=None))
        self._formation = self._runner.formation(slug, {"app": 1})
        self._peers: list[_engines.Running] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.down()
        self._runner.close()

    def up(self, quantity: int) -> None:
        """Have *quantity* dynos, and wait until all are up."""
        self._formation.scale(app=quantity)
        self._formation.wait_up()
        for dyno in self._formation.dynos:
            while not _sleeps(dyno.pid):
                time.sleep(0.001)

    def peers(self, peer: _engines.Peer) -> None:
        """Start as many of *peer* as there are to be dynos, back to back, and wait until all are up."""
        starts = range((_MANY - 1) // peer.count)
        self._peers = [_engines.started(peer, f"slugkit-benchmark-{number}") for number in starts]
        for running in self._peers:
            running.heard()

    def down(self) -> None:
        """End all but one dyno."""
        self._formation.scale(app=1)
        for running in self._peers:
            running.end()
        self._peers = []


def _sleeps(init: int | None) -> bool:
    """Return whether the child of *init* has become the app's command."""
    try:
        [child] = Path(f"/proc/{init}/task/{init}/children").read_text().split()
        return Path(f"/proc/{child}/comm").read_text() == "sleep\n"
    except (OSError, ValueError):
        return False
