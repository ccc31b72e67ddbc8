"""What a dyno that does nothing costs beyond its app, against bwrap; proportional set sizes, in kB."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from benchmarks import _bwrap
from benchmarks._pair import Row, need
from slugkit import DynoRunner, Limits
from slugkit.testing import make_slug

_APP = "exec sleep 1000"
_MANY = 20
_TARGET = 3072.0  # kB


def measure(runs: int) -> list[Row]:  # noqa: ARG001 - sizes do not vary
    """Measure all that runs for so many dynos but the app itself, divided by their number."""
    need(["bwrap"])
    with tempfile.TemporaryDirectory() as scratch:
        slug = make_slug(Path(scratch), {}, app=_APP)
        slug.unpack(tree := Path(scratch, "app"))
        peers = [subprocess.Popen(_bwrap.call(tree, _APP)) for _ in range(_MANY)]
        with DynoRunner(store=Path(scratch, "store"), limits=Limits(memory=None)) as runner:
            before = set(_descendants())
            runner.formation(slug, {"app": _MANY}).wait_up()
            time.sleep(1)
            ours = _size(set(_descendants()) - before)
            theirs = _size(before)
        for peer in peers:
            peer.kill()
            peer.wait()
    return [Row("memory", "dyno", "bwrap", ours / _MANY, theirs / _MANY, _TARGET / (theirs / _MANY), 1, "kB PSS")]


def _descendants() -> list[int]:
    found = subprocess.run(["ps", "-eo", "pid=,ppid="], check=True, capture_output=True, text=True).stdout
    children: dict[int, list[int]] = {}
    for line in found.splitlines():
        pid, parent = map(int, line.split())
        children.setdefault(parent, []).append(pid)
    todo, below = [os.getpid()], []
    while todo:
        todo += (own := children.get(todo.pop(), []))
        below += own
    return below


def _size(pids: Iterable[int]) -> float:
    """Return the kilobytes of *pids* but for the apps themselves."""
    total = 0
    for pid in pids:
        try:
            if Path(f"/proc/{pid}/comm").read_text() == "sleep\n":
                continue
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                total += int(line.split()[1]) if line.startswith("Pss:") else 0
        except OSError:  # it has ended
            continue
    return total
