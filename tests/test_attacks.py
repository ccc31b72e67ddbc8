"""Hostile apps: what they try, and exactly what gets through, per sandbox and user."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from attacks.catalogue import CATALOGUE, Attempt
from attacks.expected import EXPECTED, RACES
from attacks.suite import CONTROL
from slugkit.sandbox import NAMES
from users import ROOT, USERS, as_user, readable_by_all

BACK_ENDS = tuple(name for name in NAMES if name != "auto")
STEP = 5  # of so many attempts that need a dyno of their own, each run of the normal suite makes one

Attack = Callable[[str, str, frozenset[str]], dict[str, Any]]


@pytest.fixture(scope="module")
def attack() -> Iterator[Attack]:
    """Yield what lets the attackers loose, as root or as an ordinary user, each time in a process of its own."""
    with readable_by_all("slugkit", "attr", "attrs") as place:
        for name in ("attacks", "attackers"):
            source = Path(__file__).parent / name
            shutil.copytree(source, place / name, ignore=shutil.ignore_patterns("__pycache__"))
        yield cache(lambda sandbox, user, names: _attack(place, sandbox, user, names))


def _attack(place: Path, sandbox: str, user: str, names: frozenset[str]) -> dict[str, Any]:
    argv = [str(place / "attacks"), "--json", "--sandbox", sandbox, "--only", ",".join(sorted(names))]
    done = as_user(user, place, argv, timeout=580)
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def sampled(sandbox: str, user: str) -> frozenset[str]:
    """Return the attempts of the normal suite: all that share a dyno, and some of those that need one each.

    Those take a second each where nothing stops them, which is no news, so without a sandbox there are none.
    """
    first = BACK_ENDS.index(sandbox) + 2 * USERS.index(user)
    alone = [one.name for one in CATALOGUE if one.place != "together" and sandbox != "none"]
    return frozenset([one.name for one in CATALOGUE if one.place == "together"] + alone[first % STEP :: STEP])


def compare(attack: Attack, sandbox: str, user: str, names: frozenset[str]) -> None:
    """Fail unless exactly what is expected gets through, of what gets through without protection."""
    told = attack(sandbox, user, names)
    if told["unavailable"]:
        assert "sandbox.unavailable" in told["unavailable"]
        return
    shared = frozenset(one.name for one in CATALOGUE if one.place == "together")
    control = attack(CONTROL, user, names if names - sampled(sandbox, user) else shared)
    possible = set(control["through"]) | {one.name for one in CATALOGUE if one.name in names - set(control["tried"])}
    possible -= RACES.get(sandbox, frozenset())
    through, expected = set(told["through"]) & possible, EXPECTED[sandbox, user] & possible & names

    why = {name: told["errors"][name] for name in through ^ expected}
    assert (sorted(through - expected), sorted(expected - through)) == ([], []), why


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("sandbox", BACK_ENDS)
def test_exactly_what_is_expected_gets_through(attack: Attack, sandbox: str, user: str) -> None:
    """Of all attempts that succeed unprotected, those that succeed in a dyno are the expected set, no more, no less."""
    compare(attack, sandbox, user, sampled(sandbox, user))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("sandbox", BACK_ENDS)
def test_exactly_what_is_expected_gets_through_of_all(attack: Attack, sandbox: str, user: str) -> None:
    """The same, of every attempt there is."""
    compare(attack, sandbox, user, frozenset(one.name for one in CATALOGUE))


@pytest.mark.parametrize("user", USERS)
def test_the_attempts_work(attack: Attack, user: str) -> None:
    """Without protection every attempt succeeds for whom it should: what a sandbox stops would have done harm."""
    names = frozenset(one.name for one in CATALOGUE if one.place == "together")
    must = {one.name for one in CATALOGUE if one.name in names and one.control in {"anyone", user}}
    told = attack(CONTROL, user, names)

    assert {name: told["errors"][name] for name in must - set(told["through"])} == {}


@pytest.mark.parametrize("user", ["root", "user"])
@pytest.mark.parametrize("sandbox", BACK_ENDS)
def test_every_back_end_has_an_expected_set(sandbox: str, user: str) -> None:
    """A new sandbox says what gets through it, before it is believed to be one."""
    assert EXPECTED[sandbox, user] <= {one.name for one in CATALOGUE}


def test_at_least_ninety_attempts() -> None:
    """There are as many attempts as promised, each once, in every group; one without a control says why."""
    names = [one.name for one in CATALOGUE]

    assert len(names) >= 90
    assert len(set(names)) == len(names)
    assert [one.name for one in CATALOGUE if one.control == "nobody" and not one.note] == []


@pytest.mark.parametrize("one", CATALOGUE, ids=lambda one: one.name)
def test_each_attempt_is_written(one: Attempt) -> None:
    """Every attempt of the list has its function in the attackers' own code, and says there what it does."""
    source = "".join(path.read_text() for path in (Path(__file__).parent / "attackers").glob("*.py"))

    assert f"def {one.name.replace('-', '_')}(" in source


def test_the_command_prints_the_found_set(tmp_path: Path) -> None:
    """``python tests/attacks --sandbox NAME`` tells what gets through, one line each."""
    argv = [
        sys.executable,
        str(Path(__file__).parent / "attacks"),
        "--sandbox",
        "none",
        "--only",
        "slug-write,read-home",
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=tmp_path, env=dict(os.environ))

    assert [line.split()[:3] for line in done.stdout.splitlines()[:2]] == [
        ["THROUGH", "files", "slug-write"],
        ["THROUGH", "files", "read-home"],
    ]
    assert (os.geteuid() == 0) == ROOT
