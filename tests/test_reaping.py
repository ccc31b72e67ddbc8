"""Nothing of a dyno survives it: each kind of descendant that is hard to reap, and each way to end."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from attacks.expected import SURVIVORS
from attacks.reap import ENDS, GRACE, KINDS
from slugkit.sandbox import NAMES
from users import USERS, as_user, readable_by_all

BACK_ENDS = tuple(name for name in NAMES if name != "auto")
REPEATS = 20
ENDINGS = [  # but for those of which nothing is promised
    (sandbox, end)
    for sandbox in BACK_ENDS
    for end in ENDS
    if end != "thread" and SURVIVORS.get((sandbox, end)) != frozenset(KINDS)
]
STOP, KILL = 1.0, 0.5  # seconds after the grace, and after the host program was killed

Reap = Callable[[str, str, str, int], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def reap() -> Iterator[Reap]:
    """Yield what starts ten kinds of dynos and ends them, as root or as an ordinary user."""
    with readable_by_all("slugkit", "attr", "attrs") as place:
        for name in ("attacks", "attackers"):
            source = Path(__file__).parent / name
            shutil.copytree(source, place / name, ignore=shutil.ignore_patterns("__pycache__"))

        def run(sandbox: str, user: str, end: str, repeat: int) -> list[dict[str, Any]]:
            argv = [str(place / "attacks/reap.py"), "--sandbox", sandbox, "--end", end, "--repeat", str(repeat)]
            argv += ["--some-stay"] if SURVIVORS.get((sandbox, end)) else []
            done = as_user(user, place, argv, timeout=880)
            assert done.returncode == 0, done.stderr[-3000:]
            return [json.loads(line) for line in done.stdout.splitlines()]

        yield run


def survivors(told: list[dict[str, Any]]) -> set[str]:
    """Return the kinds of which something is left."""
    return {line["kind"] for line in told if line.get("left")}


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize(("sandbox", "end"), ENDINGS)
def test_nothing_survives(reap: Reap, sandbox: str, end: str, user: str) -> None:
    """Whatever a dyno started is gone when it, its runner's block or its host program has ended, by whatever."""
    told = reap(sandbox, user, end, 1)
    print(end, user, told)  # noqa: T201 - the times, for whoever asks

    assert survivors(told) <= SURVIVORS.get((sandbox, end), frozenset())
    assert told == [{"unavailable": True}] or len(told) == len(KINDS)


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("sandbox", BACK_ENDS)
def test_dynos_outlive_the_thread_that_started_them(reap: Reap, sandbox: str, user: str) -> None:
    """The end of the thread that called start() ends nothing."""
    told = reap(sandbox, user, "thread", 1)

    assert told == [{"unavailable": True}] or survivors(told) == set(KINDS)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize(("sandbox", "end"), ENDINGS)
def test_nothing_survives_again_and_again(reap: Reap, sandbox: str, end: str, user: str) -> None:
    """Twenty times out of twenty, within the grace and a second when stopped, half a second when the host is killed."""
    told = reap(sandbox, user, end, REPEATS)
    if told[0].get("unavailable"):
        return
    allowed = SURVIVORS.get((sandbox, end), frozenset())
    limit = {"stop": GRACE + STOP, "kill": KILL, "terminate": KILL}.get(end, float("inf"))

    assert survivors(told) <= allowed
    assert [line for line in told if line["kind"] not in allowed and line["seconds"] > limit] == []
