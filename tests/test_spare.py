"""The init that is prepared before its command is known: used, never stale, and never left."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from slugkit import _exec
from slugkit._exec import Warden
from slugkit.command import Command
from slugkit.sandbox import Bind, File, Landlock, Mount, Namespaces, SandboxSpec, cgroups, dyno_uid, stack_view
from waiting import SECONDS, until

ROOT = os.geteuid() == 0
ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
USR = Path("/usr/share")

pytestmark = pytest.mark.usefixtures("sandboxed")


@pytest.fixture
def warden() -> Iterator[Warden]:
    with Warden() as warden:
        yield warden


def told(warden: Warden, script: str, *mounts: Mount, **more: object) -> str:
    """Return what *script* prints in a sandbox whose view is *mounts* and the stack."""
    uid = dyno_uid()
    spec = SandboxSpec((*mounts, *stack_view(uid)), uid, **more)  # type: ignore[arg-type]
    done = _exec.run(Namespaces().confine(Command(("/bin/bash", "-c", script), ENV), spec), warden=warden)
    assert done.status == 0, done.output
    return done.output


def inits(warden: Warden) -> list[int]:
    """Return the children of *warden*."""
    assert warden._popen is not None
    pid = warden._popen.pid
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def spare(warden: Warden, *mounts: Mount, **more: object) -> int:
    """Wait for the one init that is spare, with the child that is to be a command, and return its pid.

    It is for a sandbox with *mounts* and *more*. Other tests mount something now and then, which ends it.
    """

    def there() -> bool:
        time.sleep(0.05)
        if not inits(warden):
            told(warden, "true", *mounts, **more)
        return len(inits(warden)) == 1 and len(children(inits(warden)[0])) == 1

    assert until(there)
    return inits(warden)[0]


def children(pid: int) -> list[str]:
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return []


def test_the_next_command_of_the_kind_has_the_init_that_is_ready(warden: Warden) -> None:
    """A while after a start another init is there; the next command is its, and another takes its place."""

    def used() -> bool:
        ready = spare(warden)
        nothing = os.open(os.devnull, os.O_RDWR)
        uid = dyno_uid()
        command = Namespaces().confine(Command(("/bin/sleep", "100"), ENV), SandboxSpec(stack_view(uid), uid))
        process = warden.spawn(command, (nothing, nothing, nothing))
        os.close(nothing)
        while process.pid is None:
            select.select([warden.fileno()], [], [], SECONDS)
            warden.collect()
        process.kill()
        assert until(lambda: warden.collect() == [process])
        return process.pid == ready and spare(warden) != ready

    assert until(used)


def test_a_file_that_was_replaced_is_the_new_one(warden: Warden, tmp_path: Path) -> None:
    """The host's /etc/resolv.conf is a new file when it changes: no command is shown the old one."""
    shown = tmp_path / "resolv.conf"
    for text in ("old", "new", "newest"):
        (tmp_path / "next").write_text(f"{text}\n")
        (tmp_path / "next").replace(shown)
        assert told(warden, "cat /shown", Bind(shown, "/shown")) == f"{text}\n"
        spare(warden, Bind(shown, "/shown"))
    shown.unlink()
    assert told(warden, "ls /", Bind(shown, "/shown", optional=True)).split().count("shown") == 0


@contextmanager
def mounted(directory: Path) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", directory], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", directory], check=True)


def test_what_is_mounted_since_is_seen(warden: Warden, tmp_path: Path) -> None:
    """A store, or a part of the stack, on a disk that was mounted after an init was prepared is there, or gone."""
    if not ROOT:
        return  # who cannot mount anything
    (tmp_path / "disk").mkdir()
    tmp_path.chmod(0o755)
    look = "cat /disk/file 2>/dev/null || echo none"
    view = Bind(tmp_path, "/above"), File("/x", b""), Bind(tmp_path / "disk", "/disk")
    assert told(warden, look, *view) == "none\n"
    spare(warden, *view)
    with mounted(tmp_path / "disk"):
        (tmp_path / "disk" / "file").write_text("mounted\n")
        assert told(warden, look, *view) == "mounted\n"
        assert told(warden, "cat /above/disk/file", *view) == "mounted\n"
        spare(warden, *view)
    assert told(warden, look, *view) == "none\n"


@pytest.mark.parametrize("victim", ["init", "child"])
def test_one_that_was_killed_is_not_missed(victim: str, warden: Warden) -> None:
    """Whoever kills a spare init, or its child, costs the next command nothing but the time for another."""
    told(warden, "echo first")
    ready = spare(warden)
    os.kill(ready if victim == "init" else int(children(ready)[0]), signal.SIGKILL)

    assert until(lambda: ready not in inits(warden))
    assert told(warden, "echo second") == "second\n"


def test_kinds_do_not_get_each_others(warden: Warden) -> None:
    """A network, a view, a level: another kind of sandbox has another init, and few are kept."""
    views: dict[str, tuple[Mount, ...]] = {"": (), "/one\n": (Bind(USR, "/one"),), "/two\n": (Bind(USR, "/two"),)}

    def kept() -> int:
        for network in (True, False):
            for shown, mounts in views.items():
                found = told(warden, "ls -d /one /two 2>/dev/null; cat /proc/net/dev", *mounts, network=network)
                assert found.startswith(shown or "Inter")
                assert (found.count(":") == 1) != network
        time.sleep(0.2)
        return len(inits(warden))

    assert until(lambda: kept() == 4)
    uid = dyno_uid()
    confined = Landlock().confine(Command(("/bin/echo", "x"), ENV), SandboxSpec(stack_view(uid), uid))
    assert _exec.run(confined, warden=warden).output == "x\n"
    time.sleep(0.2)
    assert until(lambda: len(inits(warden)) <= 4)


@pytest.mark.parametrize("end", ["close", "kill"])
def test_none_is_left(end: str, warden: Warden) -> None:
    """With the warden, closed or killed, its spare inits are gone; closed, their cgroups are as well."""
    groups = cgroups(2**30, None, None)

    def there() -> bool:
        ready = spare(warden, cgroups=groups.bases, cgroup_settings=groups.settings)
        pids[:] = [ready, *map(int, children(ready))]
        directories[:] = [
            file.parent
            for base in groups.bases
            for file in Path(base).glob("slugkit-*/cgroup.procs")
            if set(map(str, pids)) & set(file.read_text().split())
        ]
        return len(directories) == len(groups.bases)  # else a mount of another test's ended it meanwhile

    pids: list[int] = []
    directories: list[Path] = []
    assert until(there)
    if end == "kill":
        assert warden._popen is not None
        warden._popen.kill()
    warden.close()

    assert until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    if end == "close":
        assert not any(directory.exists() for directory in directories)
