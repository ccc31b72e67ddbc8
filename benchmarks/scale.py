"""Many dynos at once: a formation from 1 to 50 against as many bwraps one after the other; and what 200 take."""

import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from benchmarks import _bwrap
from benchmarks._pair import Row, need, pair
from slugkit import DynoRunner, Limits, Slug
from slugkit.testing import make_slug

_APP = "exec sleep 1000"
_MANY, _MOST, _AIM = 50, 200, 2000.0


def measure(runs: int) -> list[Row]:
    """Measure until all are up, to the exec of the app's command on either side; ending them is not counted."""
    need(["bwrap"])
    with tempfile.TemporaryDirectory() as scratch:
        slug = make_slug(Path(scratch), {}, app=_APP)
        slug.unpack(tree := Path(scratch, "app"))
        with Scaled(slug, tree, Path(scratch, "store")) as scaled:
            ours, theirs = (f"1 -> {_MANY}", lambda: scaled.up(_MANY)), (f"{_MANY} bwraps", scaled.peers)
            row = pair("scale", ours, theirs, target=0.6, runs=runs, before=scaled.down)
            took = []
            for _ in range(3):
                scaled.down()
                began = time.perf_counter()
                scaled.up(_MOST)
                took.append((time.perf_counter() - began) * 1000)
            return [row, Row("scale", f"{_MOST} dynos up", "the aim", sorted(took)[1], _AIM, 1.0, len(took))]


class Scaled:
    """A formation of one dyno between the runs, and nothing of the peer's."""

    def __init__(self, slug: Slug, tree: Path, store: Path) -> None:
        self._runner = DynoRunner(store=store, limits=Limits(memory=None))
        self._formation = self._runner.formation(slug, {"app": 1})
        self._call = _bwrap.call(tree, f"echo up; {_APP}")
        self._peers: list[subprocess.Popen[bytes]] = []

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

    def peers(self) -> None:
        """Start as many bwraps as there are to be dynos, back to back, and wait until all are up."""
        self._peers = [subprocess.Popen(self._call, stdout=subprocess.PIPE) for _ in range(_MANY - 1)]
        for peer in self._peers:
            assert peer.stdout is not None  # noqa: S101 - it was asked for a pipe
            peer.stdout.readline()

    def down(self) -> None:
        """End all but one dyno."""
        self._formation.scale(app=1)
        for peer in self._peers:
            peer.kill()
            peer.communicate()
        self._peers = []


def _sleeps(init: int | None) -> bool:
    """Return whether the child of *init* has become the app's command."""
    try:
        [child] = Path(f"/proc/{init}/task/{init}/children").read_text().split()
        return Path(f"/proc/{child}/comm").read_text() == "sleep\n"
    except (OSError, ValueError):
        return False
