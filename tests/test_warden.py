"""The warden and what it forks: nothing gets away, nothing leaks, and nobody's death leaves anything behind."""

import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import weakref
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from alone import alone
from slugkit import _exec
from slugkit._exec import Process, Warden
from slugkit.command import Command, DataFile
from slugkit.sandbox import Landlock, Namespaces, Sandbox, SandboxSpec, Unconfined, dyno_uid, stack_view
from users import BECOME, UID
from waiting import SECONDS, until

ROOT = os.geteuid() == 0
ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
SANDBOXES: Mapping[str, Sandbox] = {"none": Unconfined(), "landlock": Landlock(), "namespaces": Namespaces()}
EACH = pytest.mark.parametrize("kind", list(SANDBOXES))
WITHOUT_NAMESPACES = pytest.mark.parametrize("kind", ["none", "landlock"])

pytestmark = pytest.mark.usefixtures("sandboxed")


@pytest.fixture
def warden() -> Iterator[Warden]:
    with Warden() as warden:
        yield warden


@pytest.fixture
def mark() -> str:
    """Return a number of seconds to sleep that no other process sleeps."""
    return f"{60000 + os.getpid() % 9999}.{time.monotonic_ns() % 10**9:09}"


def confined(kind: str, script: str, *arguments: str, env: Mapping[str, str] = ENV) -> Command:
    """Return bash running *script*, in the sandbox *kind*."""
    sandbox, uid = SANDBOXES[kind], dyno_uid()
    assert sandbox.check() is None
    command = Command(("/bin/bash", "-c", script, "bash", *arguments), env, Path("/"))
    return sandbox.confine(command, SandboxSpec(stack_view(uid), uid))


def spawn(warden: Warden, command: Command, out: int | None = None, err: int | None = None) -> Process:
    nothing = os.open(os.devnull, os.O_RDWR)
    try:
        return warden.spawn(command, (nothing, nothing if out is None else out, nothing if err is None else err))
    finally:
        os.close(nothing)


def wait(warden: Warden, *processes: Process, seconds: float = SECONDS) -> list[int | None]:
    """Return the statuses of *processes* when nothing is left of them, or the time is up."""
    end = time.monotonic() + seconds
    while any(one.status is None for one in processes) and time.monotonic() < end:
        select.select([warden.fileno()], [], [], 0.05)
        warden.collect()
    return [one.status for one in processes]


def with_mark(mark: str) -> dict[int, str]:
    """Return the command lines that hold *mark*, of this machine's processes but this one."""
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdecimal() and int(entry.name) != os.getpid():
                line = (entry / "cmdline").read_bytes().decode("utf-8", "replace").replace("\0", " ")
                found |= {int(entry.name): line} if mark in line else {}
    return found


def sleeping(mark: str) -> int:
    """Return how many processes sleep for *mark*."""
    return sum(line.startswith(("sleep", "hopper")) for line in with_mark(mark).values())


class Talking:
    """A command whose output is read line by line."""

    def __init__(self, warden: Warden, command: Command) -> None:
        take, give = os.pipe2(os.O_CLOEXEC)
        self.process = spawn(warden, command, give, give)
        os.close(give)
        self._lines = os.fdopen(take, encoding="utf-8", errors="replace")
        weakref.finalize(self, self._lines.close)

    def line(self) -> str:
        """Wait for the next line and return it."""
        return self._lines.readline().rstrip("\n")

    def rest(self) -> list[str]:
        """Return what is left when nobody can write any more."""
        with self._lines:
            return self._lines.read().splitlines()


# -- nothing gets away -----------------------------------------------------------------------------------------

# Each leaves one process that sleeps for $1, in a way that a killed process group, or a closed terminal, would miss.
ESCAPES = {
    "background": 'sleep "$1" &',
    "own session": 'setsid sleep "$1" &',
    "double fork": '(setsid setsid sleep "$1" &) &',
    "no environment": 'env -i setsid sleep "$1" >/dev/null 2>&1 </dev/null &',
    "deaf to signals": '(trap "" TERM HUP INT QUIT PIPE; setsid sleep "$1") &',
    "stopped": 'setsid sleep "$1" & sleep 0.1; kill -STOP $!;',
    "closed streams": 'setsid sleep "$1" <&- >&- 2>&- &',
    "many": 'for i in {1..30}; do (setsid sleep "$1" &) & done;',
    "pid hopper": """python3 -c '
import os, sys, time
while True:
    if os.fork(): os._exit(0)
    os.setsid()
' "$1" &""",
}


@EACH
@pytest.mark.parametrize("way", list(ESCAPES))
def test_the_end_of_the_command_is_the_end_of_all(kind: str, way: str, warden: Warden, mark: str) -> None:
    """When the first process ends, whatever it started is dead before its status is told."""
    process = spawn(warden, confined(kind, f"{ESCAPES[way]} sleep 0.1; exit 3", mark))

    assert wait(warden, process) == [3]
    assert with_mark(mark) == {}


@EACH
@pytest.mark.parametrize("way", list(ESCAPES))
def test_kill_leaves_nothing(kind: str, way: str, warden: Warden, mark: str) -> None:
    """Killed, whatever the command started is dead before its status is told, which is 137."""
    talking = Talking(warden, confined(kind, f'{ESCAPES[way]} echo up; exec sleep "$1"', mark))
    assert talking.line() == "up"
    talking.process.kill()

    assert wait(warden, talking.process) == [137]
    assert with_mark(mark) == {}
    assert talking.rest() == []


@EACH
def test_terminate_reaches_every_process(kind: str, warden: Warden) -> None:
    """SIGTERM goes to the first process, its children, their sessions and double forks alike, at once."""
    child = 'trap "echo got $1; exit" TERM; echo up; while :; do sleep 0.02; done'
    script = (
        'trap "echo got main" TERM;'
        ' setsid bash -c "$1" bash session & (bash -c "$1" bash double &) &'
        ' (setsid setsid bash -c "$1" bash triple &) &'
        ' bash -c "$1" bash child & for i in {1..500}; do sleep 0.02; done; exit 4'
    )
    talking = Talking(warden, confined(kind, script, child))
    assert [talking.line() for _ in range(4)] == ["up"] * 4
    talking.process.terminate()

    reached = {f"got {name}" for name in ("main", "session", "double", "triple", "child")}
    while reached and (line := talking.line()):
        reached.discard(line)
    assert reached == set()
    talking.process.kill()
    assert wait(warden, talking.process) == [137]
    talking.rest()


@EACH
def test_a_command_that_is_told_to_end_at_once_ends(kind: str, warden: Warden, mark: str) -> None:
    """SIGTERM sent before the command has begun is not lost: it ends with 143, as if it had run."""
    processes = [spawn(warden, confined(kind, 'exec sleep "$1"', mark)) for _ in range(10)]
    for process in processes:
        process.terminate()

    assert wait(warden, *processes) == [143] * 10


@EACH
def test_a_command_killed_at_once_is_gone(kind: str, warden: Warden, mark: str) -> None:
    """A kill that comes before anything else leaves nothing, however far the start has come."""
    processes = []
    for delay in range(10):
        processes.append(spawn(warden, confined(kind, 'setsid sleep "$1" & exec sleep "$1"', mark)))
        time.sleep(delay / 1000)
        processes[-1].kill()

    assert wait(warden, *processes) == [137] * 10
    assert with_mark(mark) == {}


@pytest.mark.parametrize("name", ["KILL", "STOP", "TERM", "INT", "USR1", "SEGV"])
def test_an_app_that_attacks_its_init_does_not_get_away(name: str, warden: Warden, mark: str) -> None:
    """Without namespaces an app of the same user can signal its init: it ends all the same, and all that it started."""
    process = spawn(warden, confined("none", f'setsid sleep "$1" & kill -{name} $PPID; sleep 0.2; exit 3', mark))

    assert wait(warden, process) in ([3], [137])
    assert with_mark(mark) == {}


@WITHOUT_NAMESPACES
def test_others_are_spared(kind: str, warden: Warden, mark: str) -> None:
    """What clears up after one command, its init killed, touches no other's."""
    other = Talking(warden, confined(kind, 'setsid sleep "$1" & echo up; exec sleep "$1"', mark))
    assert other.line() == "up"
    while sleeping(mark) < 2:  # the shells have yet to become what they are to run
        time.sleep(0.01)
    one = spawn(warden, confined(kind, "setsid sleep 600 & exec sleep 600"))
    one.kill()

    assert wait(warden, one) == [137]
    assert sleeping(mark) == 2
    other.process.kill()
    assert wait(warden, other.process) == [137]
    other.rest()


@EACH
def test_nothing_dead_is_left_lying_about(kind: str, warden: Warden) -> None:
    """Orphans that end while the command runs are reaped: a command that forks for ever does not fill the table."""
    script = 'for i in {1..40}; do (true &); done; sleep 0.3; cat /proc/[0-9]*/stat 2>/dev/null | grep -c ") Z $PPID "'

    talking = Talking(warden, confined(kind, script))
    assert wait(warden, talking.process) == [1]  # grep's own: there was none
    assert talking.rest() == ["0"]


# -- whoever dies ----------------------------------------------------------------------------------------------

HOST = """
import os, sys, threading, time
from pathlib import Path
from test_warden import *
kinds, mark, how = sys.argv[1].split(","), sys.argv[2], sys.argv[3]
warden = Warden()
ways = [way for way in ESCAPES if way != "pid hopper"]
def begin():
    for kind in kinds:
        for way in ways:
            spawn(warden, confined(kind, f'{ESCAPES[way]} exec sleep "$1"', mark))
if how == "thread":
    thread = threading.Thread(target=begin); thread.start(); thread.join()
else:
    begin()
print(os.getpid(), warden._popen.pid, len(ways), flush=True)
if how == "fork" and os.fork() == 0:
    os.close(1)
    time.sleep(60)
time.sleep(600)
"""


def python() -> dict[str, str]:
    """Return the variables with which Python finds this module, and whatever it needs."""
    paths = (Path(__file__).parent, *map(Path, sys.path))
    path = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {**path, "PYTHONPATH": ":".join(map(str, paths)), "PYTHONDONTWRITEBYTECODE": "1"}


def host(mark: str, how: str = "main") -> tuple["subprocess.Popen[str]", int, int]:
    """Start a program that runs what tries to get away, in each sandbox; return it, its warden's pid, and how many."""
    argv = [sys.executable, "-c", HOST, ",".join(SANDBOXES), mark, how]
    popen = subprocess.Popen(argv, env=python(), stdout=subprocess.PIPE, text=True)
    assert popen.stdout is not None
    line = popen.stdout.readline().split()
    assert len(line) == 3
    least = len(SANDBOXES) * (2 * int(line[2]) + 29)
    if not until(lambda: sleeping(mark) >= least):
        popen.kill()
        pytest.fail(f"{sleeping(mark)} of {least} sleep")
    return popen, int(line[1]), least


@pytest.mark.parametrize("how", ["main", "fork"])
def test_when_the_host_program_is_killed_all_is_gone(how: str, mark: str) -> None:
    """SIGKILL to the program, also one that has forked a child that lives on: its commands are gone within seconds."""
    popen, warden, _ = host(mark, how)
    children = Path(f"/proc/{popen.pid}/task/{popen.pid}/children").read_text().split()
    popen.kill()
    popen.communicate(timeout=SECONDS)
    try:
        assert until(lambda: sleeping(mark) == 0), with_mark(mark)
        assert until(lambda: not Path(f"/proc/{warden}").exists())
    finally:
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)


def test_when_the_warden_is_killed_all_is_gone(mark: str) -> None:
    """SIGKILL to the warden: its commands are gone, and the program that started it lives."""
    popen, warden, _ = host(mark)
    os.kill(warden, signal.SIGKILL)
    try:
        assert until(lambda: sleeping(mark) == 0), with_mark(mark)
        assert popen.poll() is None
    finally:
        popen.kill()
        popen.communicate(timeout=SECONDS)


def test_the_end_of_the_thread_is_the_end_of_nothing(mark: str) -> None:
    """Commands, and the warden, that a thread started go on when the thread has ended."""
    popen, _, least = host(mark, "thread")
    time.sleep(0.3)
    try:
        assert sleeping(mark) >= least
    finally:
        popen.kill()
        popen.communicate(timeout=SECONDS)
    assert until(lambda: sleeping(mark) == 0)


def test_a_warden_that_was_killed_is_told(mark: str) -> None:
    """Commands of a dead warden have ended with 137; to kill or end one is no error, to start one is."""
    warden = Warden()
    processes = [spawn(warden, confined("none", 'exec sleep "$1"', mark)) for _ in range(3)]
    assert warden.alive
    assert warden._popen is not None
    warden._popen.kill()
    warden._popen.wait()
    for process in processes:
        process.kill()
        process.terminate()

    assert wait(warden, *processes) == [137] * 3
    assert not warden.alive
    with pytest.raises(OSError, match=r"pipe|reset"):
        spawn(warden, confined("none", "true"))
    warden.close()
    assert until(lambda: with_mark(mark) == {})


def test_closing_ends_everything(mark: str) -> None:
    """After close nothing runs any more, every command has a status, and the next command gets a warden of its own."""
    warden = Warden()
    processes = [spawn(warden, confined(kind, 'setsid sleep "$1" & exec sleep "$1"', mark)) for kind in SANDBOXES]
    warden.close()

    assert with_mark(mark) == {}
    assert [process.status for process in processes] == [137] * len(SANDBOXES)
    warden.close()
    assert wait(warden, spawn(warden, confined("none", "exit 5"))) == [5]
    warden.close()


# -- nothing leaks ---------------------------------------------------------------------------------------------


@EACH
def test_no_signal_setting_of_the_host_reaches_a_command(kind: str) -> None:
    """Signals that the host program ignores or blocks are neither ignored nor blocked in a command; umask is 022."""
    ignored = (signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD, signal.SIGTSTP, signal.SIGALRM)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ignored}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGUSR2})
    umask = os.umask(0o077)
    try:
        with Warden() as warden:
            talking = Talking(warden, confined(kind, "grep -h '^Sig[BI]' /proc/self/status; umask"))
            wait(warden, talking.process)
    finally:
        os.umask(umask)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            signal.signal(number, handler)
    assert talking.rest() == ["SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000", "0022"]


@EACH
def test_a_command_has_nothing_but_its_streams(kind: str, warden: Warden) -> None:
    """No descriptor above 2, no variable of the host's, a session of its own, no terminal, / as its directory."""
    read, write = os.pipe()
    os.set_inheritable(read, True)
    os.set_inheritable(write, True)
    spawn(warden, confined(kind, "exec sleep 60"))  # the descriptors of another command
    try:
        script = 'ls -m /proc/self/fd; env | sort | grep -v "^_=\\|^SHLVL="; ps -o sid= -o tty= -p $$; echo $$; pwd'
        talking = Talking(warden, confined(kind, script, env={**ENV, "A": "1"}))
        wait(warden, talking.process)
    finally:
        os.close(read)
        os.close(write)
    lines = talking.rest()
    assert lines[:-3] == ["0, 1, 2, 3", "A=1", "LC_ALL=C", "PATH=/usr/bin:/bin", "PWD=/"]  # 3 is the one ls reads
    assert [*lines[-3].split(), lines[-1]] == [lines[-2], "?", "/"]


def test_the_hosts_keyring_is_out_of_reach() -> None:
    """A key in the session keyring of the host program is not in that of a command, in a sandbox or not."""
    look = """
import ctypes, os
call, number = ctypes.CDLL(None).syscall, {"x86_64": (250, 248), "aarch64": (219, 217)}[os.uname().machine]
def found(): return call(number[0], 10, -3, b"user", b"canary", 0) > 0
"""
    script = f"""{look}
assert call(number[0], 1, None, 0, 0, 0) > 0
assert call(number[1], b"user", b"canary", b"secret", 6, -3) > 0
from test_warden import *
print(found())
with Warden() as warden:
    for kind in SANDBOXES:
        talking = Talking(warden, confined(kind, 'python3 -c "$1"', {look + "print(found())"!r}))
        wait(warden, talking.process)
        print(kind, *talking.rest())
"""
    done = subprocess.run([sys.executable, "-c", script], env=python(), capture_output=True, text=True, check=False)

    assert done.stdout.splitlines() == ["True", *(f"{kind} False" for kind in SANDBOXES)], done.stderr


def descriptors(pid: int | str) -> list[str]:
    """Return what a process's descriptors are; only root may look into the warden."""
    found = []
    for entry in os.listdir(f"/proc/{pid}/fd"):
        with suppress(OSError):
            found.append(os.readlink(f"/proc/{pid}/fd/{entry}").partition(":")[0])
    return sorted(found)


def test_a_hundred_commands_leave_no_descriptor(warden: Warden) -> None:
    """Neither this program nor the warden has a descriptor more after commands that ran, failed, or were killed."""
    assert warden._popen is not None
    looked_at: list[int | str] = ["self", *([warden._popen.pid] if ROOT else [])]

    def settled() -> list[list[str]]:
        for kind in SANDBOXES:  # each has a spare init afterwards, until somebody mounts something
            assert wait(warden, spawn(warden, confined(kind, "true"))) == [0]
        time.sleep(0.5)
        return [descriptors(pid) for pid in looked_at]

    before = settled()
    for number in range(100):
        kind = list(SANDBOXES)[number % 3]
        command = confined(kind, "sleep 60" if number % 4 == 0 else "true")
        if number % 5 == 0:
            command = evolve(command, argv=("/nonexistent", DataFile(b"data")))
        process = spawn(warden, command)
        if number % 4 == 0:
            process.kill()
        assert wait(warden, process) in ([0], [127], [137])

    assert until(lambda: settled() == before)


def test_a_start_that_fails_leaves_no_descriptor() -> None:
    """When no warden can be started, or it is gone, nothing stays open here."""
    before = descriptors("self")
    warden = Warden()
    spawn(warden, confined("none", "true"))
    assert warden._popen is not None
    warden._popen.kill()
    warden._popen.wait()
    for _ in range(10):
        with pytest.raises(OSError, match=r"pipe|reset"):
            spawn(warden, confined("none", "true"))
    warden.close()
    executable, sys.executable = sys.executable, "/nonexistent/python"
    try:
        for _ in range(10):
            with pytest.raises(FileNotFoundError):
                spawn(Warden(), confined("none", "true"))
    finally:
        sys.executable = executable

    assert descriptors("self") == before


def test_the_warden_is_the_standard_librarys() -> None:
    """What it imports is Python's own or lies in its directory; it has no variable, and writes no bytecode."""
    told = alone("answer({name: getattr(one, '__file__', None) for name, one in sys.modules.items()})")
    own = {name for name, file in told.items() if file and file.startswith(str(_exec._warden._DIRECTORY))}

    assert {name.partition(".")[0] for name in told} - {"warden"} <= sys.stdlib_module_names | {"__main__"}
    assert own == {name for name in told if name.startswith("warden.")}
    assert alone("answer(dict(os.environ))").keys() <= {"LC_CTYPE", "LD_LIBRARY_PATH"}


def test_the_warden_has_taken_no_environment(warden: Warden, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its environment is empty, whatever the host program's is; its directory is /."""
    monkeypatch.setenv("HOST_CANARY", "seen")
    assert wait(warden, spawn(warden, confined("none", "true"))) == [0]
    assert warden._popen is not None

    if not ROOT:
        return  # only root may look
    assert b"=" not in Path(f"/proc/{warden._popen.pid}/environ").read_bytes().replace(b"LC_CTYPE=", b"")
    assert os.readlink(f"/proc/{warden._popen.pid}/cwd") == "/"


@EACH
def test_a_command_cannot_look_into_the_warden(kind: str, warden: Warden) -> None:
    """Neither the warden nor an init shows its memory, its environment or its descriptors to a command."""
    assert wait(warden, spawn(warden, confined(kind, "true"))) == [0]
    assert warden._popen is not None
    script = (
        'for pid in $PPID "$1"; do for file in environ maps mem fd cwd exe; do'
        " (cat /proc/$pid/$file || ls /proc/$pid/$file/ || readlink /proc/$pid/$file) >/dev/null 2>&1"
        " && echo $pid $file;"
        " done; done; echo end"
    )
    command = confined(kind, script, str(warden._popen.pid))
    talking = Talking(warden, command)
    wait(warden, talking.process)

    assert talking.rest() == ["end"] or (ROOT and kind == "none")


def memory(pid: int) -> bytes:
    """Return what of the memory of *pid* can be read, all that it has written in it."""
    parts = []
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as file:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            where, rights, *_ = line.split()
            first, last = (int(one, 16) for one in where.split("-"))
            with suppress(OSError, OverflowError):  # of the kernel's own pages
                file.seek(first)
                parts.append(file.read(last - first) if rights.startswith("rw") else b"")
    return b"".join(parts)


@EACH
def test_only_a_command_has_its_config_vars(kind: str, warden: Warden) -> None:
    """They are never in the memory of the warden, which every init has a copy of, nor in that of the init."""
    secret = uuid.uuid4().hex
    assert warden._popen is not None
    for last in ("exit", "sleep 100"):
        command = confined(kind, f"echo $TOKEN; {last}", env={**ENV, "TOKEN": secret})
        talking = Talking(warden, command)
        assert talking.line() == secret
        if last == "exit":
            wait(warden, talking.process)
    warden.collect()
    for pid in (warden._popen.pid, talking.process.pid):
        assert pid is not None
        if ROOT:
            assert len(told := memory(pid)) > 2**20
            assert secret.encode() not in told
        else:
            with pytest.raises(PermissionError):
                memory(pid)


def test_a_command_can_be_killed_for_memory() -> None:
    """A host program that the system is told to spare has no commands that are spared in its place."""
    script = """
import os, sys, time
from test_warden import *
open("/proc/self/oom_score_adj", "w").write(sys.argv[1])
with Warden() as warden:
    for kind in SANDBOXES:
        talking = Talking(warden, confined(kind, "cat /proc/self/oom_score_adj"))
        print(talking.line())
"""
    lowest = "-500" if ROOT else "300"
    done = subprocess.run(
        [sys.executable, "-c", script, lowest], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )

    assert done.stdout.split() == (["0"] if ROOT else [lowest]) * 3, done.stderr


# -- many, large, wrong ----------------------------------------------------------------------------------------


def test_twenty_threads_start_commands_at_once(warden: Warden) -> None:
    """Threads share a warden: each gets its own command's output and status."""
    told: dict[int, tuple[int, str]] = {}

    def run(number: int) -> None:
        for round_ in range(3):
            kind = list(SANDBOXES)[(number + round_) % 3]
            done = _exec.run(confined(kind, f"echo {number}; exit {number}"), warden=warden)
            told[number * 3 + round_] = done.status, done.output

    threads = [threading.Thread(target=run, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert told == {number: (number // 3, f"{number // 3}\n") for number in range(60)}


def test_two_hundred_commands_at_once(warden: Warden, mark: str) -> None:
    """They all run at the same time, and end when they are killed."""
    processes = [spawn(warden, confined("none", 'exec sleep "$1"', mark)) for _ in range(200)]
    assert until(lambda: sleeping(mark) == 200)
    for process in processes:
        process.kill()

    assert wait(warden, *processes) == [137] * 200
    assert with_mark(mark) == {}


def test_nobody_has_to_collect(mark: str) -> None:
    """A host program that starts a thousand commands, collects none, and closes the warden, waits for nothing."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard[1]), hard[1]))
    try:
        with Warden() as warden:
            processes = [spawn(warden, confined("none", "exit 3")) for _ in range(700)]
            running = [spawn(warden, confined("none", 'exec sleep "$1"', mark)) for _ in range(20)]
        assert {process.status for process in running} == {137}
        assert {process.status for process in processes} <= {3, 137}
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, hard)


@EACH
def test_a_command_may_be_large(kind: str, warden: Warden) -> None:
    """A megabyte of variables and arguments arrives whole."""
    env = {**ENV, **{f"LARGE_{number}": "x" * 100_000 for number in range(10)}}
    talking = Talking(
        warden, confined(kind, 'env | grep -c "^LARGE_.=x*$"; echo ${#LARGE_9} ${#1}', "y" * 99_999, env=env)
    )

    assert wait(warden, talking.process) == [0]
    assert talking.rest() == ["10", "100000 99999"]


@EACH
def test_words_arrive_as_they_were_given(kind: str, warden: Warden) -> None:
    """Arguments and variables of any bytes, line ends and empty ones among them."""
    odd = ("", " ", "a\nb", "é€😀", "\udcff\udcfe", "-n", "$HOME", "\x01")
    command = confined(kind, 'printf "[%s]" "$@" "$ODD"', *odd, env={**ENV, "ODD": "\udcfd"})
    take, give = os.pipe2(os.O_CLOEXEC)
    process = spawn(warden, command, give)
    os.close(give)
    wait(warden, process)

    with os.fdopen(take, "rb") as output:
        assert output.read() == b"".join(b"[" + os.fsencode(word) + b"]" for word in (*odd, "\udcfd"))


@EACH
@pytest.mark.parametrize(
    ("change", "number", "text"),
    [
        ({"argv": ("/nonexistent",)}, 2, "[Errno 2] No such file or directory: '/nonexistent'"),
        ({"argv": ("nonexistent",)}, 2, "[Errno 2] no such program: 'nonexistent'"),
        ({"argv": ("/etc/os-release",)}, 13, "[Errno 13] Permission denied: '/etc/os-release'"),
        ({"argv": ("/usr",)}, 13, "[Errno 13] Permission denied: '/usr'"),
        ({"cwd": Path("/nonexistent")}, 2, "[Errno 2] No such file or directory: '/nonexistent'"),
        ({"cwd": Path("/bin/true")}, 20, "[Errno 20] Not a directory: '/bin/true'"),
        ({"env": {"A": "x" * 200_000}}, 7, "[Errno 7] Argument list too long: '/bin/bash'"),
        ({"argv": ("/bin/true", "a\0b")}, 0, "embedded null byte"),
    ],
)
def test_what_cannot_be_started_is_told(
    kind: str, change: Mapping[str, Any], number: int, text: str, warden: Warden
) -> None:
    """A program or directory that is missing or none ends as a failure of the stage "command", with status 127."""
    process = spawn(warden, evolve(confined(kind, "true"), **change))

    assert wait(warden, process) == [127]
    assert process.failure == ("command", number, text)


def test_a_failure_of_one_is_nothing_to_another(warden: Warden, mark: str) -> None:
    """A warden that was asked for what cannot be had goes on with what it has."""
    other = spawn(warden, confined("namespaces", 'exec sleep "$1"', mark))
    for change in ({"cgroups": ["/proc/none"]}, {"limits": {"core": -9}}, {"scratch": "/nonexistent/scratch"}):
        command = confined("none", "true")
        process = spawn(warden, evolve(command, confinement={**command.confinement, **change}))
        assert wait(warden, process) != [None]

    assert until(lambda: sleeping(mark) == 1)
    assert other.status is None


# -- what is left behind on disk -------------------------------------------------------------------------------

HOSTILE = """
import os
os.chdir("{scratch}")
os.symlink("/", "link"); os.mkfifo("fifo"); open(b"\\xff\\n", "w").close()
for depth in range(1500):
    os.mkdir("d"); os.chdir("d")
os.mkdir("shut"); open("shut/x", "w").close(); os.chmod("shut", 0); os.chmod(".", 0)
"""


def test_a_scratch_is_removed_whatever_is_in_it(warden: Warden, tmp_path: Path, mark: str) -> None:
    """Depth, modes, links and odd names keep nothing, and end neither the warden nor another command."""
    outside = tmp_path / "outside"
    outside.mkdir()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    other = spawn(warden, confined("none", 'exec sleep "$1"', mark))
    command = confined("none", 'python3 -c "$1"; ln -s "$2" "$3/out"', HOSTILE.format(scratch=scratch), str(outside),
                       str(scratch))  # fmt: skip
    process = spawn(warden, evolve(command, confinement={**command.confinement, "scratch": str(scratch)}))

    assert wait(warden, process, seconds=60) == [0]
    assert not scratch.exists()
    assert outside.is_dir()
    assert other.status is None
    assert sleeping(mark) == 1


# -- as an ordinary user ---------------------------------------------------------------------------------------

WHOLE = ("test_landlock.py", "test_namespaces.py", "test_spare.py", "test_warden.py")
#: Of the longest, what a user's own rights decide; the rest comes with script/test --all.
SAMPLE = "replaced or kinds_do or double or overlay or init_shows or look_into or program_is_killed or scratch"


def as_user(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the tests of the warden as an ordinary user, who has a copy of what they need."""
    place = Path(tempfile.mkdtemp(prefix="slugkit-as-user-", dir="/tmp"))
    try:
        for name in ("slugkit", "attr", "attrs", "pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments"):
            spec = find_spec(name)
            assert spec is not None
            assert spec.origin is not None
            source, ignored = Path(spec.origin).parent, shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, place / "lib" / name, ignore=ignored)
        for name in ("alone.py", "users.py", "waiting.py", *WHOLE):
            shutil.copy(Path(__file__).parent / name, place)
        shutil.copy(Path(pytest.__file__).parent.parent / "py.py", place / "lib")
        fixture = "from slugkit.sandbox import Namespaces\nimport pytest\n@pytest.fixture\ndef sandboxed():\n"
        (place / "conftest.py").write_text(f"{fixture}    assert Namespaces().check() is None\n")
        (place / "home").mkdir()
        for path in (place, *place.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        os.chown(place / "home", UID, UID)
        home, lib = str(place / "home"), str(place / "lib")
        env = {"PATH": "/usr/bin:/bin", "HOME": home, "TMPDIR": home, "PYTHONPATH": lib, "PYTHONDONTWRITEBYTECODE": "1"}
        argv = (*BECOME, "/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "-ra")
        files = [str(place / name) for name in WHOLE]
        whole = (
            *argv,
            "-W",
            "error",
            "-W",
            "ignore::pytest.PytestUnknownMarkWarning",
            f"--rootdir={place}",
            *arguments,
            *files,
        )
        return subprocess.run(whole, env=env, cwd=home, capture_output=True, text=True, timeout=600, check=False)
    finally:
        shutil.rmtree(place)


def test_a_user_has_the_same_rules() -> None:
    """What root's commands are held to, an ordinary user's are, who has nothing but user namespaces."""
    if not ROOT:
        return  # all of these are an ordinary user's already
    done = as_user("-k", SAMPLE)

    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    assert " passed" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_user_has_all_the_same_rules() -> None:
    """Every test of these modules holds for an ordinary user."""
    if not ROOT:
        return  # all of these are an ordinary user's already
    done = as_user()

    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
