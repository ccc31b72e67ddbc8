"""Two sides run in turn, A B A B, and the ratio of their medians."""

import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from attrs import frozen


@frozen
class Row:
    """One figure: medians, in milliseconds unless said otherwise, and the ratio that is aimed at."""

    figure: str
    ours: str
    theirs: str
    our_median: float
    their_median: float
    target: float
    runs: int
    unit: str = "ms"

    @property
    def ratio(self) -> float:
        """Ours over theirs."""
        return self.our_median / self.their_median

    def __str__(self) -> str:
        verdict = "met" if self.ratio <= self.target else "missed"
        sides = f"{self.ours} {self.our_median:.1f} {self.unit} / {self.theirs} {self.their_median:.1f} {self.unit}"
        return f"{self.figure:<12} {sides} = {self.ratio:.2f} (target {self.target}, {verdict}, {self.runs} runs)"


def pair(
    figure: str,
    ours: tuple[str, Callable[[], object]],
    theirs: tuple[str, Callable[[], object]],
    *,
    target: float,
    runs: int,
    before: Callable[[], object] = lambda: None,
) -> Row:
    """Return the medians of *runs* runs of each side, taken in turn after one warm-up; *before* each, not counted."""
    times: tuple[list[float], list[float]] = ([], [])
    for run in range(runs + 1):
        for side, (_, call) in zip(times, (ours, theirs), strict=True):
            before()
            started = time.perf_counter()
            call()
            if run:
                side.append((time.perf_counter() - started) * 1000)
    medians = [statistics.median(side) for side in times]
    return Row(figure, ours[0], theirs[0], medians[0], medians[1], target, runs)


def command(*argv: str) -> Callable[[], object]:
    """Return a call that runs *argv* and throws its output away."""
    return lambda: subprocess.run(argv, check=True, capture_output=True)


def python(*arguments: str) -> Callable[[], object]:
    """Return a call that runs this interpreter, without the user's site directory."""
    return command(sys.executable, "-s", *arguments)


def need(names: Sequence[str]) -> None:
    """End with a sentence when a peer is missing; nothing is installed."""
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        sys.exit(f"missing peers: {', '.join(missing)}")


def left_out(name: str, reason: str) -> None:
    """Say that a peer has no rows, and why; the others have theirs."""
    print(f"left out: {name}: {reason}", file=sys.stderr)
