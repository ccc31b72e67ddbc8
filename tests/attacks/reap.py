"""Start dynos whose descendants are hard to reap, end them in one way, and tell how long what was left.

``python tests/attacks/reap.py --sandbox NAME --end END``: JSON lines, one for each kind of descendant.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])

from attacks import ATTACKERS, marks
from attacks.program import Program
from slugkit.testing import make_slug

GRACE = 0.5  # seconds
ENDS = ("stop", "leave", "raise", "terminate", "kill", "thread")
KINDS = (
    *("double-fork", "own-session", "pid-hopper", "cleared-environment", "background"),
    *("term-ignorer", "stopped-child", "pipe-holder", "unbound", "fork-bomb"),
)
_LONGEST = 8.0  # seconds; what is there by then stays
_SOON = 1.0  # the same, where something is known to stay
_LOOKS = 3  # one may miss who hops


def reap(sandbox: str, end: str, place: Path, longest: float, at_once: int) -> list[dict[str, Any]]:
    """Start a dyno of each kind, end all, and return for each what is left, and after how many seconds none was."""
    marks.check_sight()
    run = uuid4().hex[:12]
    slug = make_slug(
        place / run,
        {"reaping.py": (ATTACKERS / "reaping.py").read_bytes()},
        **dict.fromkeys(KINDS, "exec python3 -S -B reaping.py"),
    )
    settings = {"sandbox": sandbox, "store": str(place / "store"), "grace": GRACE, "limits": {}}
    program = Program(settings, env={"TMPDIR": str(place)})  # what a killed program leaves there goes with it
    try:
        if program.wait(lambda event: "ready" in event or "unavailable" in event, 30) != {"ready": True}:
            return [{"unavailable": True}]
        with ThreadPoolExecutor(len(KINDS)) as pool:
            list(pool.map(lambda kind: _started(program, str(slug.path), run, kind), KINDS))
        return _ended(program, run, end, longest, at_once)
    finally:
        program.end()
        marks.end(run)


def _started(program: Program, slug: str, run: str, kind: str) -> None:
    name = program.start(slug, kind, {"KIND": kind, "MARK": f"atk-{run}-{kind}"})["name"]
    if not program.wait(lambda event: event.get("line") == name, 20):
        ended = program.process.poll(), [event for event in program.events if "ended" in event]
        raise RuntimeError(f"{kind} says nothing; what has ended: {ended} {program.errors()}")


def _ended(program: Program, run: str, end: str, longest: float, at_once: int) -> list[dict[str, Any]]:
    if end == "thread":  # those that started the dynos are gone by now
        time.sleep(0.5)
        return [{"kind": kind, "left": len(marks.left(run, kind)), "seconds": 0.0} for kind in KINDS]
    if end == "stop":
        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(lambda kind: _stopped(program, run, kind), KINDS))
    began = time.monotonic()
    if end in {"leave", "raise"}:
        program.end(end)
        began = time.monotonic()  # nothing is left when it has returned
    else:
        os.kill(program.pid, signal.SIGKILL if end == "kill" else signal.SIGTERM)
    return _gone(run, began, longest)


def _stopped(program: Program, run: str, kind: str) -> dict[str, Any]:
    program.ask("stop", id=kind)
    event = program.wait(lambda event: kind in {event.get("stopped"), event.get("failed")}, GRACE + _LONGEST) or {}
    at_once = {pid for _ in range(_LOOKS) for pid in marks.left(run, kind)}
    return {"kind": kind, "left": len(at_once), "seconds": event.get("seconds")}


def _gone(run: str, began: float, longest: float) -> list[dict[str, Any]]:
    """Look until nothing is left; a kind is gone at the last look that found it."""
    last = dict.fromkeys(KINDS, 0.0)
    left: dict[str, list[int]] = {}
    clear = 0
    while clear < _LOOKS and (now := time.monotonic() - began) < longest:
        left = marks.marked(run)
        last.update(dict.fromkeys(left, now))
        clear = 0 if left else clear + 1
    return [{"kind": kind, "left": len(left.get(kind, ())), "seconds": round(last[kind], 3)} for kind in KINDS]


def main() -> None:
    """Do it as often as asked, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sandbox", default="auto")
    parser.add_argument("--end", choices=ENDS, default="stop")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--some-stay", action="store_true", help="do not wait long for what stays")
    options = parser.parse_args()
    longest = _SOON if options.some_stay else _LONGEST
    at_once = len(KINDS) if options.repeat == 1 else 1  # the times are those of one
    place = Path(tempfile.mkdtemp(prefix="slugkit-reap-", dir="/tmp"))
    place.chmod(0o755)
    try:
        for _ in range(options.repeat):
            for line in reap(options.sandbox, options.end, place, longest, at_once):
                sys.stdout.write(json.dumps(line) + "\n")
    finally:
        shutil.rmtree(place, ignore_errors=True)  # a warden may be about to remove what is in there


if __name__ == "__main__":
    main()
