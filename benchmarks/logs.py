"""Log lines of two dynos through a runner to a callback, against ``honcho start`` writing them to nowhere."""

import subprocess
import tempfile
from pathlib import Path

from benchmarks._pair import Row, need, pair
from slugkit import DynoRunner, Slug
from slugkit.logline import LogLine
from slugkit.testing import make_slug

_LINES = 50_000  # of each of two processes
_WRITE = f"exec seq -f 'a log line as long as most are, number %.0f' {_LINES}"


def measure(runs: int) -> list[Row]:
    """Measure two processes from their start to their last line."""
    need(["honcho"])
    with tempfile.TemporaryDirectory() as scratch, DynoRunner(store=f"{scratch}/store") as runner:
        slug = make_slug(Path(scratch), {}, one=_WRITE, two=_WRITE)
        runner.run(slug, "true")  # it is unpacked now
        Path(scratch, "Procfile").write_text(f"one: {_WRITE}\ntwo: {_WRITE}\n", encoding="utf-8")
        ours = ("runner", lambda: _through_a_runner(slug, f"{scratch}/store"))
        row = pair("logs", ours, ("honcho", lambda: _through_honcho(scratch)), target=0.1, runs=runs)
    return [row]


def _through_a_runner(slug: Slug, store: str) -> None:
    count = 0

    def on_log(line: LogLine) -> None:
        nonlocal count
        count += line.source == "app"

    with DynoRunner(store=store, on_log=on_log) as runner:
        for dyno in [runner.start(slug, name) for name in ("one", "two")]:
            dyno.wait()
    if count != 2 * _LINES:
        raise RuntimeError(f"{count} lines arrived")


def _through_honcho(directory: str) -> None:
    # One process ends before the other, and honcho then ends that one: it may write less than it should, never more.
    subprocess.run(["honcho", "start"], cwd=directory, check=True, stdout=subprocess.DEVNULL)
