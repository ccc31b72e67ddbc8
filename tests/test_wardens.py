"""Wardens that are lent: each to one at a time, with nothing of whoever had it before."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from slugkit import DynoRunner, SlugBuilder
from slugkit._exec import Warden, Wardens, run
from slugkit.command import Command
from slugkit.errors import CompileFailedError
from slugkit.sandbox import SandboxSpec, choose, dyno_uid, stack_view
from slugkit.testing import make_slug, write_tree
from support import pids_with, small

pytestmark = pytest.mark.usefixtures("sandboxed")


@pytest.fixture
def wardens() -> Iterator[Wardens]:
    with Wardens() as wardens:
        yield wardens


@pytest.fixture
def mark() -> str:
    """Return a number of seconds to sleep that no other process sleeps."""
    return f"{60000 + os.getpid() % 9999}.{time.monotonic_ns() % 10**9:09}"


def pid_of(warden: Warden) -> int:
    """Return the warden's process: its commands are that one's children."""
    popen = warden._popen
    assert popen is not None
    return popen.pid


def says(warden: Warden, script: str = "echo hello") -> str:
    """Return what *script* prints, confined and run by *warden*."""
    uid = dyno_uid()
    command = Command(("/bin/bash", "-c", script), {"PATH": "/usr/bin:/bin"}, Path("/"))
    return run(choose("auto").confine(command, SandboxSpec(stack_view(uid), uid)), warden=warden).output


def lent_pid(wardens: Wardens) -> int:
    with wardens.lent() as warden:
        assert says(warden) == "hello\n"
        return pid_of(warden)


def kill(warden: int) -> None:
    """Kill a warden, and wait until it and what it had prepared is dead; its program may not have heard of it."""
    prepared = Path(f"/proc/{warden}/task/{warden}/children").read_text().split()
    os.kill(warden, signal.SIGKILL)
    os.waitid(os.P_PID, warden, os.WEXITED | os.WNOWAIT)
    while not all(map(gone, map(int, prepared))):
        time.sleep(0.005)


def gone(pid: int) -> bool:
    """Return whether *pid* is no process, or a dead one that nobody has asked about."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_the_next_one_has_the_warden_of_the_last(wardens: Wardens) -> None:
    """One after the other is lent the same warden, also after a block that failed; two at once have one each."""
    first = lent_pid(wardens)
    with pytest.raises(ValueError, match="mine"), wardens.lent():
        raise ValueError("mine")
    assert lent_pid(wardens) == first

    with wardens.lent() as one, wardens.lent() as other:
        assert pid_of(one) == first != pid_of(other)
        assert says(one) == says(other)


def test_closing_ends_them_all(wardens: Wardens) -> None:
    """Those that nobody has end at once, one that is lent when it is given back; closing again is fine."""
    with ExitStack() as lent:
        one = lent.enter_context(wardens.lent())
        idle, pid = lent_pid(wardens), pid_of(one)
        wardens.close()

        assert gone(idle)
        assert says(one) == "hello\n"
    wardens.close()
    assert gone(pid)


def test_what_an_interrupted_block_left_is_gone(wardens: Wardens, mark: str) -> None:
    """Ctrl-C may come while a command runs: it ends with the block, and so does the warden it was lent."""
    with pytest.raises(KeyboardInterrupt), wardens.lent() as warden:  # noqa: PT012 - the block is what is left
        pid = pid_of(warden)
        uid = dyno_uid()
        command = Command(("/bin/sleep", mark), {}, Path("/"))
        null = os.open(os.devnull, os.O_RDWR)
        warden.spawn(choose("auto").confine(command, SandboxSpec(stack_view(uid), uid)), (null, null, null))
        os.close(null)
        while not pids_with(mark):
            time.sleep(0.005)
        raise KeyboardInterrupt

    assert pids_with(mark) == []
    assert gone(pid)
    assert lent_pid(wardens) != pid


def test_a_warden_that_was_killed_is_not_lent(wardens: Wardens) -> None:
    """Somebody may kill it while nobody has it, or while somebody has: the next one is lent one that works."""
    first = lent_pid(wardens)
    kill(first)
    second = lent_pid(wardens)
    with wardens.lent() as warden:
        kill(pid_of(warden))

    assert len({first, second, lent_pid(wardens)}) == 3


def test_a_fork_has_its_own(wardens: Wardens) -> None:
    """A fork of the program leaves its parent's wardens alone."""
    first = lent_pid(wardens)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            own = lent_pid(wardens)
            status = 0 if own != first else 2
        finally:
            os._exit(status)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert lent_pid(wardens) == first


def test_another_user_has_his_own(wardens: Wardens, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that becomes another user for a while is not lent what runs as the one it was."""
    first, user = lent_pid(wardens), os.geteuid()
    with monkeypatch.context() as other:
        other.setattr(os, "geteuid", lambda: user + 1)
        with wardens.lent() as warden:
            assert pid_of(warden) != first
    assert lent_pid(wardens) == first


def test_builds_and_runners_give_back_what_they_were_lent(wardens: Wardens, tmp_path: Path, mark: str) -> None:
    """A build, one that fails, a runner with a dyno that still runs: each had the same warden, and left nothing."""
    app = write_tree(tmp_path / "app", {"Procfile": "web: true\n"})
    made, slug = lent_pid(wardens), make_slug(tmp_path / "slug", {}, worker=f"sleep {mark}")
    SlugBuilder(cache_dir=tmp_path / "cache", _wardens=wardens.lent).build(app, tmp_path / "a.tgz")
    assert lent_pid(wardens) == made
    failing = SlugBuilder(buildpacks=[small(tmp_path, compile="exit 1")], _wardens=wardens.lent)
    with pytest.raises(CompileFailedError):
        failing.build(app, tmp_path / "b.tgz")
    assert lent_pid(wardens) == made
    with DynoRunner(store=tmp_path / "store", grace=0.1, _wardens=wardens.lent) as runner:
        runner.start(slug, "worker").wait_up()
        with wardens.lent() as other:
            assert pid_of(other) != made
    assert pids_with(mark) == []
    with wardens.lent() as one, wardens.lent() as two:
        assert made in {pid_of(one), pid_of(two)}


def test_a_runner_whose_warden_is_killed_has_another(wardens: Wardens, tmp_path: Path) -> None:
    """The runner's dynos are gone with the warden it was lent, and the next one starts all the same."""
    slug = make_slug(tmp_path / "slug", {}, worker="sleep 600")
    with DynoRunner(store=tmp_path / "store", _wardens=wardens.lent) as runner:
        dyno = runner.start(slug, "worker")
        dyno.wait_up()
        processes = runner._house._threads
        assert processes is not None
        assert processes.processes._warden is not None
        os.kill(pid_of(processes.processes._warden), signal.SIGKILL)

        assert dyno.wait() == 137
        assert runner.run(slug, "echo again").output == "again\n"
