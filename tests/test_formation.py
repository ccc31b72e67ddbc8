"""Formations for real: kept running, scaled, restarted, deployed, stopped; and the pure rules behind them."""

import gc
import os
import re
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from slugkit.archive import Slug
from slugkit.dyno import Backoff, Dyno, DynoRunner, Formation, Limits
from slugkit.dyno._house import drawn, numbered
from slugkit.dyno._ports import Ports
from slugkit.dyno._prepare import Workshop
from slugkit.dyno._supervisor import Supervisor
from slugkit.dyno._trees import Trees
from slugkit.errors import (
    BootTimeoutError,
    DynoCrashedError,
    DynoStartError,
    FormationStoppedError,
    InvalidConfigVarError,
    InvalidSettingError,
    OutputError,
    PortInUseError,
    RunnerClosedError,
    SlugkitError,
    UnknownProcessTypeError,
)
from slugkit.events import DynoEvent, DynoStateChanged
from slugkit.logline import LogLine
from slugkit.store import DirectoryStore
from slugkit.testing import make_slug
from support import pids_with

SERVE = 'exec python3 -m http.server --directory /app "$PORT"'
SLEEP = "exec sleep 600"
FOREVER = 1e6  # seconds; longer than any test

real = pytest.mark.usefixtures("sandboxed")


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[DynoRunner]:
    with DynoRunner(store=tmp_path / "store", grace=5.0, boot_timeout=20.0) as runner:
        yield runner


@pytest.fixture
def slug(tmp_path: Path) -> Slug:
    return make_slug(tmp_path / "one", {"hello.txt": "one\n"}, web=SERVE, worker=SLEEP, clock=SLEEP)


@pytest.fixture
def newer(tmp_path: Path) -> Slug:
    return make_slug(tmp_path / "two", {"hello.txt": "two\n"}, web=SERVE, worker=SLEEP)


def names(formation: Formation) -> list[str]:
    return [dyno.name for dyno in formation.dynos]


def said(dyno: Dyno) -> list[str]:
    """Return what the platform said of *dyno*, without the commands."""
    lines = [line.message for line in dyno.logs() if line.source == "heroku"]
    return ["Starting process" if line.startswith("Starting process") else line for line in lines]


def wrote(dyno: Dyno) -> list[str]:
    return [line.message for line in dyno.logs() if line.source == "app"]


def wrote_so_often(dyno: Dyno, line: str, number: int) -> bool:
    return wrote(dyno) == [line] * number


def wrote_something(dyno: Dyno) -> bool:
    return bool(wrote(dyno))


def until(condition: Callable[[], object]) -> None:
    """Wait until *condition* holds; it does soon, or the test has failed."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def get(dyno: Dyno) -> str:
    with urllib.request.urlopen(f"{dyno.url}/hello.txt", timeout=10) as response:
        return str(response.read().decode())


def started(dyno: Dyno) -> int:
    return said(dyno).count("Starting process")


# -- starting and scaling --------------------------------------------------------------------------------------


@real
def test_a_formation_is_so_many_dynos_of_each_type(runner: DynoRunner, slug: Slug) -> None:
    """Dynos are named TYPE.N, in the slug's order; each web dyno answers on a port of its own; $PORT is set for all."""
    formation = runner.formation(slug, {"worker": 1, "web": 2})
    formation.wait_up()

    assert names(formation) == ["web.1", "web.2", "worker.1"]
    assert [get(dyno) for dyno in formation.dynos[:2]] == ["one\n", "one\n"]
    assert len({dyno.port for dyno in formation.dynos}) == 3


@real
def test_lowest_numbers_come_and_highest_go(runner: DynoRunner, slug: Slug) -> None:
    """Scaling up takes the lowest free numbers, scaling down the highest used; what goes is gone (contract.md 4.9)."""
    formation = runner.formation(slug, {"worker": 4, "clock": 1})
    leaving = formation.dynos[1]
    leaving.stop()
    assert names(formation) == ["worker.1", "worker.3", "worker.4", "clock.1"]

    formation.scale(worker=2)
    assert names(formation) == ["worker.1", "worker.3", "clock.1"]
    formation.scale(worker=4, clock=0)
    assert names(formation) == ["worker.1", "worker.2", "worker.3", "worker.4"]
    formation.scale(worker=0)
    assert names(formation) == []
    assert leaving.state == "down"
    formation.scale(worker=1)
    assert names(formation) == ["worker.1"]


@real
def test_scaling_is_logged_as_the_apis(tmp_path: Path, slug: Slug) -> None:
    """What is scaled is logged under app[api], each type with its number; what goes, as a dyno that was stopped."""
    seen: list[LogLine] = []
    with DynoRunner(store=tmp_path / "store", on_log=seen.append) as runner:
        formation = runner.formation(slug, {"worker": 2})
        [_, second] = formation.dynos
        formation.scale(worker=1, clock=1)
    api = [str(line).partition(" ")[2] for line in seen if line.process == "api"]

    assert api == ["app[api]: Scaled to worker@2", "app[api]: Scaled to worker@1 clock@1"]
    assert said(second)[-3:] == [
        "Stopping all processes with SIGTERM",
        "Process exited with status 143",
        "State changed from up to down",
    ]


@real
@pytest.mark.parametrize(
    ("quantities", "error"), [({"wrker": 1}, UnknownProcessTypeError), ({"worker": -1}, InvalidSettingError)]
)
def test_what_cannot_be_scaled(
    runner: DynoRunner, slug: Slug, quantities: dict[str, int], error: type[Exception]
) -> None:
    """An unknown type, with those there are, or a number below 0 is refused before anything changes."""
    formation = runner.formation(slug, {"clock": 1})
    with pytest.raises(error) as caught:
        formation.scale(clock=2, **quantities)

    assert names(formation) == ["clock.1"]
    if isinstance(caught.value, UnknownProcessTypeError):
        assert caught.value.hint == "process types of this slug: web, worker, clock"
    with pytest.raises(error):
        runner.formation(slug, quantities)


@real
@pytest.mark.parametrize("error", [OutputError("worker.3", "no space left"), KeyboardInterrupt()])
def test_scaling_up_is_all_or_nothing(
    runner: DynoRunner, slug: Slug, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """When one new dyno cannot be started, or Ctrl-C comes, no new one stays, and the others never notice."""
    formation = runner.formation(slug, {"worker": 1})
    prepare = Workshop.prepare

    def fussy(self: Workshop, recipe: Any, name: str, *ports: Any) -> Any:  # noqa: ANN401
        if name == "worker.3":
            raise error
        return prepare(self, recipe, name, *ports)

    monkeypatch.setattr(Workshop, "prepare", fussy)
    with pytest.raises(type(error)):
        formation.scale(worker=4)

    assert names(formation) == ["worker.1"]
    assert (formation.dynos[0].state, started(formation.dynos[0])) == ("up", 1)
    monkeypatch.undo()
    formation.scale(worker=4)
    assert names(formation)[-1] == "worker.4"


@real
def test_formations_and_dynos_share_the_names(runner: DynoRunner, slug: Slug) -> None:
    """A runner has each name once, whoever started the dyno."""
    alone = runner.start(slug, "worker")
    formation = runner.formation(slug, {"worker": 2})
    other = runner.formation(slug, {"worker": 1})

    assert [alone.name, *names(formation), *names(other)] == ["worker.1", "worker.2", "worker.3", "worker.4"]


@given(st.sets(st.integers(1, 12)), st.integers(0, 12))
def test_numbers_are_the_lowest_free_ones(taken: set[int], quantity: int) -> None:
    """New dynos have the lowest numbers that nobody has, in order."""
    found = [int(name.rpartition(".")[2]) for name in numbered("web", quantity)({f"web.{n}" for n in taken})]

    assert found == [n for n in range(1, 30) if n not in taken][:quantity]


def test_one_offs_are_numbered_by_chance() -> None:
    """A one-off has four digits that no other has."""
    taken = {f"run.{number}" for number in range(1000, 10_000) if number != 4321}

    assert drawn("run")(taken) == ["run.4321"]


# -- ports -----------------------------------------------------------------------------------------------------


def free_ports() -> int:
    """Return a port that is free, and so are the next three."""
    ports = Ports()
    while True:
        first = ports.take()
        try:
            for port in range(first + 1, first + 4):
                ports.take(port)
        except PortInUseError:
            continue
        return first


@real
def test_web_dynos_get_the_port_and_the_next_free_ones(runner: DynoRunner, slug: Slug) -> None:
    """web.1 has the port that was asked for, further web dynos the next free ones, through restarts too."""
    port = free_ports()
    with socket.create_server(("", port + 1)):
        formation = runner.formation(slug, {"web": 2, "worker": 1}, port=port)
        formation.wait_up()
    first, second, worker = formation.dynos
    assert (first.port, second.port) == (port, port + 2)
    assert worker.port not in range(port, port + 3)

    formation.restart("web")
    formation.wait_up()
    assert (first.port, second.port, get(first), get(second)) == (port, port + 2, "one\n", "one\n")
    second.stop()
    formation.scale(web=2)
    formation.wait_up()
    assert [dyno.port for dyno in formation.dynos[:2]] == [port, port + 1]


@real
def test_ports_that_were_asked_for_stay_through_a_deploy(runner: DynoRunner, slug: Slug, newer: Slug) -> None:
    """A dyno with a port of its own stops, then its successor starts on it; or the old one again."""
    formation = runner.formation(slug, {"web": 1}, port=(port := free_ports()))
    formation.wait_up()
    formation.deploy(newer)
    [web] = formation.dynos
    assert (web.port, get(web), started(web)) == (port, "two\n", 2)

    with pytest.raises(DynoCrashedError, match=r"web\.1 exited with status 3 before it was up\n  no"):
        formation.deploy(make_slug(newer.path.parent / "bad", {}, web="echo no; exit 3"))
    formation.wait_up()
    assert (web.port, get(web), formation.slug) == (port, "two\n", newer)


@real
def test_a_port_that_is_taken_starts_nothing(runner: DynoRunner, slug: Slug) -> None:
    """A formation whose port somebody listens on is refused, and its name and ports are free again."""
    with socket.create_server(("", 0)) as taken, pytest.raises(PortInUseError):
        runner.formation(slug, {"web": 1}, port=(port := taken.getsockname()[1]))

    assert names(runner.formation(slug, {"web": 1}, port=port)) == ["web.1"]


def test_a_port_is_given_once() -> None:
    """A port is whoever's it was given to until it is given back; "the next free" and "if free" go past it."""
    ports = Ports()
    first = ports.take(free_ports())
    with pytest.raises(PortInUseError):
        ports.take(first)

    assert ports.take_from(first) == first + 1
    assert ports.take_some(first) != first
    ports.give_back(first)
    assert ports.take_some(first) == first
    with pytest.raises(InvalidSettingError, match="70000 is not a port"):
        ports.take_from(70_000)


# -- the crash policy ------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 2000), max_size=30), st.floats(1, 1000), st.floats(1, 1000), st.floats(1, 10_000))
def test_backoff_is_herokus(lives: list[float], early: float, cool_off: float, longest: float) -> None:
    """Each boot crash in a row doubles the wait, from none over the cool-off to the longest; a longer life forgets."""
    backoff, crashes, in_a_row = Backoff(early, cool_off, longest), 0, 0
    for lived in lives:
        in_a_row = in_a_row + 1 if lived <= early else 0
        crashes = backoff.crashes(crashes, lived)
        expected = 0.0 if in_a_row < 2 else min(cool_off * 2 ** (in_a_row - 2), longest)

        assert (crashes, backoff.delay(crashes)) == (in_a_row, expected)


@real
def test_exit_zero_restarts_at_once_and_then_cools_off(tmp_path: Path) -> None:
    """The end of the command is a crash, 0 too: the first restart is immediate, the next after a cool-off."""
    slug = make_slug(tmp_path, {}, worker="echo bye")
    with DynoRunner(store=tmp_path / "store", backoff=Backoff(FOREVER, FOREVER, FOREVER)) as runner:
        [worker] = runner.formation(slug, {"worker": 1}).dynos
        until(lambda: said(worker).count("State changed from up to crashed") == 2)
        with pytest.raises(DynoCrashedError, match=r"worker\.1 exited with status 0\n  bye") as caught:
            worker.wait_up()

        assert caught.value.up
        assert worker.state == "crashed"
        assert worker.status is None
    crash = ["Process exited with status 0", "State changed from up to crashed"]
    assert said(worker) == [
        *("Starting process", "State changed from starting to up", *crash),
        *("State changed from crashed to starting", "Starting process", "State changed from starting to up", *crash),
        "State changed from crashed to down",
    ]


@real
def test_a_cool_off_ends(tmp_path: Path) -> None:
    """After each cool-off the dyno is started again, and whoever waits for it waits on."""
    slug = make_slug(tmp_path, {}, worker="exit 3")
    with DynoRunner(store=tmp_path / "store", backoff=Backoff(FOREVER, 0.02, 0.04)) as runner:
        [worker] = runner.formation(slug, {"worker": 1}).dynos
        until(lambda: started(worker) >= 5)


@real
def test_a_long_life_is_no_boot_crash(tmp_path: Path) -> None:
    """A dyno that lived longer than the limit is started again at once, time after time."""
    slug = make_slug(tmp_path, {}, worker="sleep 0.1")
    with DynoRunner(store=tmp_path / "store", backoff=Backoff(0.05, FOREVER, FOREVER)) as runner:
        [worker] = runner.formation(slug, {"worker": 1}).dynos
        until(lambda: started(worker) >= 4)


@real
def test_a_crash_keeps_the_port(tmp_path: Path) -> None:
    """After a crash a web dyno answers where it did."""
    slug = make_slug(tmp_path, {"hello.txt": "one\n"}, web=SERVE)
    with DynoRunner(store=tmp_path / "store") as runner:
        [web] = runner.formation(slug, {"web": 1}).dynos
        web.wait_up()
        port = web.port
        [pid] = pids_with(f"--directory\0/app\0{port}\0")
        os.kill(pid, 9)
        until(lambda: "State changed from up to crashed" in said(web))
        web.wait_up()

        assert (web.port, get(web), started(web)) == (port, "one\n", 2)
        assert "Process exited with status 137" in said(web)


@real
def test_a_restart_or_a_deploy_ends_the_cool_off(tmp_path: Path) -> None:
    """A restart starts a dyno that cools off at once; a new release forgets its crashes (contract.md 4.6)."""
    slug = make_slug(tmp_path / "one", {}, worker="exit 3")
    with DynoRunner(store=tmp_path / "store", backoff=Backoff(FOREVER, FOREVER, FOREVER)) as runner:
        formation = runner.formation(slug, {"worker": 1})
        [worker] = formation.dynos
        until(lambda: started(worker) == 2 and worker.state == "crashed")
        formation.restart()
        until(lambda: started(worker) == 3 and worker.state == "crashed")
        formation.deploy(make_slug(tmp_path / "two", {}, worker="exit 4"))
        until(lambda: started(worker) == 5 and worker.state == "crashed")

        assert said(worker).count("Process exited with status 4") == 2


@real
def test_a_web_dyno_that_never_listens_is_tried_again(tmp_path: Path) -> None:
    """R10 is a crash as any other."""
    slug = make_slug(tmp_path, {}, web="echo booting; exec sleep 600")
    backoff = Backoff(FOREVER, FOREVER, FOREVER)
    with DynoRunner(store=tmp_path / "store", boot_timeout=0.3, backoff=backoff) as runner:
        formation = runner.formation(slug, {"web": 1})
        with pytest.raises(BootTimeoutError) as caught:
            formation.wait_up()

        assert caught.value.last_lines == ("booting",)
        assert said(formation.dynos[0]).count("State changed from starting to crashed") == 2


@real
def test_what_cannot_be_prepared_is_told_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart that the machine refuses is R99, a crash, and goes well when the machine is well again."""
    slug = make_slug(tmp_path, {}, worker=SLEEP)
    with DynoRunner(store=tmp_path / "store", grace=5, backoff=Backoff(FOREVER, 0.02, 0.02)) as runner:
        formation = runner.formation(slug, {"worker": 1})
        [worker] = formation.dynos
        monkeypatch.setattr(Trees, "take", _full)
        formation.restart()
        until(lambda: "Error R99 (Platform error) -> cannot write store: disk full" in said(worker))
        monkeypatch.undo()
        until(lambda: said(worker).count("State changed from starting to up") == 2)

    assert "State changed from starting to crashed" in said(worker)


def _full(*_: object) -> Path:
    raise OutputError("store", "disk full")


@real
def test_only_formations_restart(runner: DynoRunner, tmp_path: Path) -> None:
    """What start() and detach() started ends with its command."""
    slug = make_slug(tmp_path, {}, worker="exit 0")
    worker, one_off = runner.start(slug, "worker"), runner.detach(slug, "exit 3")

    assert (worker.wait(), worker.state, started(worker)) == (0, "crashed", 1)
    assert (one_off.wait(), one_off.state, started(one_off)) == (3, "complete", 1)


# -- restarts --------------------------------------------------------------------------------------------------


@real
def test_a_restart_is_logged_as_heroku_does(runner: DynoRunner, slug: Slug) -> None:
    """Restarting, the state, SIGTERM; then the new process starts and the old one ends, in either order (5.5)."""
    formation = runner.formation(slug, {"worker": 2})
    formation.wait_up()
    formation.restart("worker.2")
    formation.wait_up()
    first, second = formation.dynos
    until(lambda: "Process exited with status 143" in said(second))
    lines = said(second)[2:]

    assert lines[:3] == ["Restarting", "State changed from up to starting", "Stopping all processes with SIGTERM"]
    assert sorted(lines[3:]) == [
        "Process exited with status 143",
        "Starting process",
        "State changed from starting to up",
    ]
    assert lines.index("Starting process") < lines.index("State changed from starting to up")
    assert started(first) == 1


@real
def test_a_restart_waits_for_nobody(tmp_path: Path) -> None:
    """The new process starts as soon as SIGTERM is sent, on a port of its own; stop() waits for both."""
    mark = f"both-{os.getpid()}-{tmp_path.name}"
    stubborn = f"bash -c 'trap \"\" TERM; exec -a {mark} sleep 600' & trap '' TERM; echo ready; wait; sleep 600"
    slug = make_slug(tmp_path, {}, worker=stubborn)
    with DynoRunner(store=tmp_path / "store", grace=1.0) as runner:
        formation = runner.formation(slug, {"worker": 1})
        [worker] = formation.dynos
        port = worker.port
        until(lambda: wrote(worker) == ["ready"])
        formation.restart()
        until(lambda: wrote(worker) == ["ready", "ready"])
        assert worker.port != port
        assert not any(line.startswith("Process exited") for line in said(worker))
        formation.stop()

        assert pids_with(mark) == []
    assert said(worker).count("Process exited with status 137") == 2
    assert said(worker)[-1] == "State changed from up to down"


@real
@pytest.mark.parametrize(
    ("target", "restarted"),
    [("worker.1", ["worker.1"]), ("worker", ["worker.1", "worker.2"]), (None, ["worker.1", "worker.2", "clock.1"])],
)
def test_one_a_type_or_all(runner: DynoRunner, slug: Slug, target: str | None, restarted: list[str]) -> None:
    """A restart is of one dyno, of all of a type, or of all (contract.md 4.9)."""
    formation = runner.formation(slug, {"worker": 2, "clock": 1})
    formation.restart(target)

    assert [dyno.name for dyno in formation.dynos if "Restarting" in said(dyno)] == restarted


@real
def test_who_is_not_there_is_not_restarted(runner: DynoRunner, slug: Slug) -> None:
    """An unknown dyno is named with those there are; a type that is scaled to 0 is fine."""
    formation = runner.formation(slug, {"worker": 1})
    formation.restart("web")
    with pytest.raises(UnknownProcessTypeError, match=r"'worker\.2'") as caught:
        formation.restart("worker.2")

    assert caught.value.known == ("web", "worker", "clock", "worker.1")
    assert started(formation.dynos[0]) == 1


# -- deploys ---------------------------------------------------------------------------------------------------


@real
def test_a_deploy_rolls(tmp_path: Path, slug: Slug, newer: Slug) -> None:
    """Dyno by dyno, the new process is up before the old one is told to end; whoever follows the states hears of it."""
    events: list[DynoEvent] = []
    with DynoRunner(store=tmp_path / "store", grace=5.0, on_event=events.append) as runner:
        formation = runner.formation(slug, {"web": 2, "worker": 1})
        formation.wait_up()
        before = formation.dynos
        formation.deploy(newer)

        assert formation.dynos == before
        assert [get(dyno) for dyno in before[:2]] == ["two\n", "two\n"]
        assert formation.slug is newer
    for dyno in before:
        lines = said(dyno)
        up = lines.index("State changed from starting to up", 2)
        assert started(dyno) == 2
        assert up < lines.index("Stopping all processes with SIGTERM")
    changes = [
        (event.old, event.new) for event in events if isinstance(event, DynoStateChanged) and event.dyno == "web.2"
    ]
    assert changes[2:4] == [("up", "starting"), ("starting", "up")]


@real
def test_a_deploy_that_fails_changes_nothing(runner: DynoRunner, slug: Slug, tmp_path: Path) -> None:
    """When a new dyno does not come up, the error names it and has its last lines, and all run the old release."""
    formation = runner.formation(slug, {"web": 2, "worker": 1})
    formation.wait_up()
    bad = make_slug(
        tmp_path / "bad",
        {"hello.txt": "bad\n"},
        web=f"[ $DYNO = web.1 ] || {{ echo no; exit 3; }}; {SERVE}",
        worker=SLEEP,
    )
    with pytest.raises(DynoCrashedError) as caught:
        formation.deploy(bad)

    assert (caught.value.dyno, caught.value.status, caught.value.last_lines) == ("web.2", 3, ("no",))
    assert [get(dyno) for dyno in formation.dynos[:2]] == ["one\n", "one\n"]
    assert [dyno.state for dyno in formation.dynos] == ["up", "up", "up"]
    assert [started(dyno) for dyno in formation.dynos] == [3, 2, 1]
    assert formation.slug is slug
    formation.scale(web=3)
    formation.wait_up()
    assert get(formation.dynos[2]) == "one\n"


@real
def test_a_release_that_never_listens_is_not_deployed(tmp_path: Path, slug: Slug) -> None:
    """A new dyno that does not listen in time is R10, and the old one goes on."""
    with DynoRunner(store=tmp_path / "store", grace=5.0, boot_timeout=20.0) as runner:
        formation = runner.formation(slug, {"web": 1})
        formation.wait_up()
        life = formation.dynos[0]._life
        life.spec = evolve(life.spec, boot_timeout=0.3)
        with pytest.raises(BootTimeoutError, match=r"web\.1"):
            formation.deploy(make_slug(tmp_path / "bad", {}, web=SLEEP))

        assert (get(formation.dynos[0]), formation.dynos[0].state) == ("one\n", "up")


@real
def test_a_deploy_may_change_config_vars_only(runner: DynoRunner, tmp_path: Path) -> None:
    """The same slug with other config vars is a new release; without any, those there are stay."""
    slug = make_slug(tmp_path / "a", {}, worker=f"echo $GREETING; {SLEEP}")
    formation = runner.formation(slug, {"worker": 1}, config_vars={"GREETING": "hello"})
    [worker] = formation.dynos
    until(lambda: wrote(worker) == ["hello"])
    formation.deploy(slug, config_vars={"GREETING": "hi"})
    until(lambda: wrote(worker) == ["hello", "hi"])
    formation.deploy(slug)
    until(lambda: wrote(worker) == ["hello", "hi", "hi"])


@real
def test_a_release_has_what_is_running(runner: DynoRunner, slug: Slug, newer: Slug) -> None:
    """A release that lacks a type dynos run is refused; one that is scaled to 0 may go."""
    formation = runner.formation(slug, {"worker": 1, "clock": 1})
    with pytest.raises(UnknownProcessTypeError, match="'clock'"):
        formation.deploy(newer)
    assert (formation.slug, [started(dyno) for dyno in formation.dynos]) == (slug, [1, 1])

    formation.scale(clock=0)
    formation.deploy(newer)
    assert names(formation) == ["worker.1"]
    with pytest.raises(UnknownProcessTypeError):
        formation.scale(clock=1)


@real
def test_old_releases_can_be_collected(tmp_path: Path, slug: Slug, newer: Slug) -> None:
    """After a deploy nothing holds the old release's tree; one that did not come up is not held either."""
    store = DirectoryStore(tmp_path / "store")
    with DynoRunner(store=tmp_path / "store", grace=5.0) as runner:
        formation = runner.formation(slug, {"worker": 1})
        old = set(trees(store))
        formation.deploy(newer)
        until(lambda: "Process exited with status 143" in said(formation.dynos[0]))
        until(lambda: store.gc(max_age=-1).trees)
        new = set(trees(store))
        with pytest.raises(InvalidConfigVarError):
            formation.deploy(make_slug(tmp_path / "third", {"3": ""}, worker=SLEEP), config_vars={"1A": ""})
        assert len(trees(store)) == 2
        store.gc(max_age=-1)

        assert set(trees(store)) == new
        assert (len(old), len(new), old & new) == (1, 1, set())


def trees(store: DirectoryStore) -> list[str]:
    return os.listdir(store.root / "unpacked")


# -- cycling ---------------------------------------------------------------------------------------------------


@real
def test_dynos_cycle(tmp_path: Path, slug: Slug) -> None:
    """After its time a dyno of a formation is restarted, a one-off ended; other dynos stay (contract.md 4.7)."""
    with DynoRunner(store=tmp_path / "store", grace=5.0, cycle_after=0.3) as runner:
        formation, alone = runner.formation(slug, {"worker": 1}), runner.start(slug, "worker")
        one_off = runner.detach(slug, SLEEP)
        [worker] = formation.dynos
        until(lambda: said(worker).count("Cycling") >= 2)

        assert (one_off.wait(), one_off.state) == (143, "complete")
        assert said(one_off)[2:4] == ["Cycling", "Stopping all processes with SIGTERM"]
        assert (alone.state, said(alone)) == ("up", ["Starting process", "State changed from starting to up"])
    assert said(worker)[2:5] == ["Cycling", "State changed from up to starting", "Stopping all processes with SIGTERM"]


# -- the end ---------------------------------------------------------------------------------------------------


@real
def test_a_stopped_formation_is_over(runner: DynoRunner, slug: Slug) -> None:
    """stop() leaves nothing and ends wait(); again is fine; whatever would change it says so."""
    formation = runner.formation(slug, {"worker": 3})
    waiting = threading.Thread(target=formation.wait)
    waiting.start()
    dynos = formation.dynos
    assert waiting.is_alive()
    formation.stop()
    formation.stop()
    waiting.join(20)

    assert not waiting.is_alive()
    assert [(dyno.status, dyno.state) for dyno in dynos] == [(143, "down")] * 3
    assert formation.dynos == ()
    with pytest.raises(FormationStoppedError):
        formation.scale(worker=1)
    with pytest.raises(FormationStoppedError):
        formation.restart()
    with pytest.raises(FormationStoppedError):
        formation.deploy(slug)


@real
def test_the_runners_end_is_the_formations(tmp_path: Path, slug: Slug) -> None:
    """Leaving the block stops the formation too, one that cools off as well, and frees whoever waits for it."""
    crash = make_slug(tmp_path / "crash", {}, worker="exit 3")
    backoff = Backoff(FOREVER, FOREVER, FOREVER)
    with DynoRunner(store=tmp_path / "store", grace=5.0, backoff=backoff) as runner:
        formation, crashing = runner.formation(slug, {"worker": 2}), runner.formation(crash, {"worker": 1})
        waiting = [threading.Thread(target=one.wait) for one in (formation, crashing)]
        for thread in waiting:
            thread.start()
        until(lambda: started(crashing.dynos[0]) == 2 and crashing.dynos[0].state == "crashed")
    for thread in waiting:
        thread.join(20)

    assert not any(thread.is_alive() for thread in waiting)
    assert (formation.dynos, crashing.dynos) == ((), ())
    with pytest.raises(FormationStoppedError):
        formation.scale(worker=1)
    with pytest.raises(RunnerClosedError):
        runner.formation(slug, {"worker": 1})


@real
@pytest.mark.parametrize("end", ["formation", "runner"])
def test_the_end_comes_during_a_deploy(tmp_path: Path, slug: Slug, end: str) -> None:
    """A stop, or the end of the block, in the middle of a deploy ends the deploy, and nothing is left."""
    mark = f"midway-{os.getpid()}-{tmp_path.name}"
    never = make_slug(tmp_path / "never", {}, web=f"exec -a {mark} sleep 600")
    raised: list[BaseException] = []

    def deploy() -> None:
        try:
            formation.deploy(never)
        except FormationStoppedError as error:
            raised.append(error)

    with DynoRunner(store=tmp_path / "store", grace=5.0) as runner:
        formation = runner.formation(slug, {"web": 1})
        formation.wait_up()
        deploying = threading.Thread(target=deploy)
        deploying.start()
        until(lambda: pids_with(mark))
        if end == "formation":
            formation.stop()
            assert pids_with(mark) == []
    deploying.join(20)

    assert len(raised) == 1
    assert pids_with(mark) == []


@real
def test_an_interrupted_end_is_quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the block is left kills what has not ended, and leaves nothing either."""
    mark = f"hurried-{os.getpid()}-{tmp_path.name}"
    slug = make_slug(tmp_path, {}, worker=f"trap '' TERM; echo ready; exec -a {mark} sleep 600")
    runner = DynoRunner(store=tmp_path / "store", grace=FOREVER)
    formation = runner.formation(slug, {"worker": 2})
    for dyno in formation.dynos:
        until(partial(wrote_something, dyno))
    wait = Dyno.wait

    def interrupted(*_: object) -> int:
        monkeypatch.setattr(Dyno, "wait", wait)
        raise KeyboardInterrupt

    monkeypatch.setattr(Dyno, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        runner.close()

    assert pids_with(mark) == []
    assert formation.dynos == ()


@real
def test_a_start_that_fails_is_told_by_name(tmp_path: Path, slug: Slug, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the system refuses to start a deploy's process, the error names the dyno and the old one goes on."""
    with DynoRunner(store=tmp_path / "store", grace=5.0) as runner:
        formation = runner.formation(slug, {"worker": 1})
        monkeypatch.setattr("slugkit.dyno._run.os.pipe2", _refuse)
        with pytest.raises(DynoStartError, match=r"worker\.1 could not be started: Too many open files"):
            formation.deploy(slug)
        monkeypatch.undo()

        assert (formation.dynos[0].state, formation.slug) == ("up", slug)


def _refuse(*_: int) -> tuple[int, int]:
    raise OSError(24, "Too many open files")


# -- threads and memory ----------------------------------------------------------------------------------------


@real
def test_threads_may_change_it_at_once(runner: DynoRunner, slug: Slug) -> None:
    """Threads that scale, restart and deploy at once leave what the last of them asked for, and nobody else."""
    formation = runner.formation(slug, {"worker": 1})
    changes = [
        *(lambda n=n: formation.scale(worker=n) for n in (3, 1, 4)),
        *(formation.restart, lambda: formation.deploy(slug), formation.wait_up),
    ]
    threads = [threading.Thread(target=change) for change in changes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    formation.scale(worker=2)

    assert names(formation) == ["worker.1", "worker.2"]
    formation.wait_up()


@real
def test_a_dyno_that_is_scaled_away_is_not_waited_for(runner: DynoRunner, tmp_path: Path) -> None:
    """Who waits for dynos of which another thread stops one hears of no crash; a formation that is over is told."""
    formation = runner.formation(make_slug(tmp_path / "mute", {}, web=SLEEP), {"web": 1})
    raised: list[BaseException] = []

    def wait_up() -> None:
        try:
            formation.wait_up()
        except SlugkitError as error:
            raised.append(error)

    for change, outcome in ((lambda: formation.scale(web=0), []), (formation.stop, [DynoCrashedError])):
        formation.scale(web=1)
        waiting = threading.Thread(target=wait_up)
        waiting.start()
        time.sleep(0.2)
        assert waiting.is_alive()
        change()
        waiting.join(20)
        assert [type(error) for error in raised] == outcome


@real
def test_up_and_down_leaves_nothing_behind(tmp_path: Path, slug: Slug) -> None:
    """Dynos that are gone, with their logs, timers, ports and descriptors, are gone from the host program too."""
    with DynoRunner(store=tmp_path / "store", limits=Limits(memory=None)) as runner:  # or files of /proc come and go
        _scale_up_and_down(runner, slug)


def _scale_up_and_down(runner: DynoRunner, slug: Slug) -> None:
    formation = runner.formation(slug, {"worker": 1})
    counts = []
    for _ in range(3):
        formation.scale(worker=6)
        formation.scale(worker=1)
        runner.run(slug, "true")
        gc.collect()
        house = runner._house
        threads = house._threads
        assert threads is not None
        counts.append(
            (
                sum(isinstance(one, Dyno) for one in gc.get_objects()),
                len(os.listdir("/proc/self/fd")),
                len(house._dynos),
                len(house.workshop.ports._taken),
                sum(timer.callback is not None for _, _, timer in threads.supervisor._timers),
            )
        )

    assert counts[0] == counts[1] == counts[2]
    assert counts[0][2:] == (1, 1, 0)


def test_timers_that_were_cancelled_are_let_go() -> None:
    """A timer that is of no use keeps neither its callback nor, in number, its place; the others still ring."""
    supervisor = Supervisor()
    rang = threading.Event()

    def fill() -> int:
        supervisor.after(0.05, rang.set)
        for _ in range(10_000):
            supervisor.cancel(supervisor.after(FOREVER, rang.set))
        return len(supervisor._timers)

    left = supervisor.call(fill)

    assert left < 100
    assert rang.wait(20)
    supervisor.close()
    with pytest.raises(RunnerClosedError):
        supervisor.post(fill)


def test_output_has_its_turn_between_calls() -> None:
    """However many calls are waiting, what is readable is read between them."""
    supervisor = Supervisor()
    read, write = os.pipe()
    order: list[str] = []
    supervisor.call(lambda: supervisor.watch(read, lambda: order.append(os.read(read, 1).decode())))
    calls = [lambda: os.write(write, b"o"), *(lambda: order.append("call") for _ in range(50))]
    supervisor.call(lambda: [supervisor.post(call) for call in calls])
    supervisor.call(lambda: supervisor.unwatch(read))
    supervisor.close()
    os.close(read)
    os.close(write)

    assert order.index("o") < 5
    assert order.count("call") == 50


class Shelf:
    """A store that hands out a directory for each slug."""

    def tree(self, slug: Slug) -> Path:
        """Hand it out."""
        return Path(slug.path)


class Own(Shelf):
    """One that counts what it has back."""

    def __init__(self) -> None:
        self.back: list[str] = []

    def release(self, tree: Path) -> None:
        """Have it back."""
        self.back.append(tree.name)


def test_trees_go_back_when_nobody_uses_them() -> None:
    """A release that was left goes back with its last dyno; of others those used last stay; in use, none does."""
    own: Any = Own()
    shelf = Trees(own, own)
    used = [shelf.take(Slug(Path(f"/{n}"), Any, 0)) for n in range(8)]  # type: ignore[arg-type]
    shelf.take(Slug(Path("/0"), Any, 0))  # type: ignore[arg-type]
    shelf.give_back(used[0], for_good=True)
    assert own.back == []
    shelf.give_back(used[0])
    assert own.back == ["0"]
    for tree in used[1:]:
        shelf.give_back(tree)

    assert own.back == ["0", "1", "2", "3"]
    shared = Trees(own, None)
    shared.give_back(shared.take(Slug(Path("/9"), Any, 0)), for_good=True)  # type: ignore[arg-type]
    assert "9" not in own.back


@real
def test_unconfined_each_run_has_files_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With sandbox="none" a restart and a deploy begin with the slug's files, and no copy stays behind."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    slug = make_slug(
        tmp_path / "app", {"hello.txt": "hello"}, worker=f"cat hello.txt; echo; echo x > hello.txt; {SLEEP}"
    )
    with DynoRunner(store=tmp_path / "store", sandbox="none", grace=5) as runner:
        formation = runner.formation(slug, {"worker": 1})
        [worker] = formation.dynos
        changes: list[Callable[[], None]] = [formation.restart, partial(formation.deploy, slug), formation.stop]
        for number, change in enumerate(changes, 1):
            until(partial(wrote_so_often, worker, "hello", number))
            change()

    assert os.listdir(tmp_path / "scratch") == []


@real
def test_repr_names_what_is_there(runner: DynoRunner, slug: Slug) -> None:
    """In a shell, a formation and a dyno tell what they are."""
    formation = runner.formation(slug, {"worker": 2})

    assert repr(formation) == "<Formation worker.1, worker.2>"
    assert re.fullmatch("<Dyno worker.1: (starting|up)>", repr(formation.dynos[0]))
