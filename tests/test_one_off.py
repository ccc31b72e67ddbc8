"""One-off dynos: detached, of a release, attached to streams and to a terminal; driven as a person would."""

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from slugkit._exec import Kept
from slugkit.archive import Slug
from slugkit.dyno import Dyno, DynoRunner
from slugkit.dyno._one_off import last_lines
from slugkit.errors import ReleaseFailedError
from slugkit.testing import make_slug
from support import pids_with

pytestmark = pytest.mark.usefixtures("sandboxed")


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[DynoRunner]:
    with DynoRunner(store=tmp_path / "store", grace=5.0) as runner:
        yield runner


@pytest.fixture
def slug(tmp_path: Path) -> Slug:
    return make_slug(tmp_path, {}, web="true")


# -- detached and released -------------------------------------------------------------------------------------


def test_a_detached_one_off_is_a_dyno(runner: DynoRunner, tmp_path: Path) -> None:
    """detach() returns at once; the output goes to the log, and the end is the command's own (contract.md 4.10)."""
    slug = make_slug(tmp_path, {}, task="bash -c 'echo task of $DYNO; read line; exit $0'")
    dyno = runner.detach(slug, "task 3")

    assert isinstance(dyno, Dyno)
    assert (dyno.wait(), dyno.state) == (3, "complete")
    assert f"task of {dyno.name}" in [line.message for line in dyno.logs() if line.source == "app"]
    assert dyno.name.startswith("run.")
    assert dyno.wait(0.0) == 3


def test_waiting_may_have_an_end(runner: DynoRunner, slug: Slug) -> None:
    """wait() with a timeout returns None when that is over, and the dyno goes on; stop() ends it."""
    dyno = runner.detach(slug, "exec sleep 600")

    assert dyno.wait(0.01) is None
    assert (dyno.stop(), dyno.state) == (143, "complete")


def test_the_release_phase_runs_the_new_slug(runner: DynoRunner, tmp_path: Path) -> None:
    """release() runs the slug's release process with its config vars in release.NNNN; without one there is nothing."""
    slug = make_slug(tmp_path / "a", {}, web="true", release="echo $DYNO $SCHEMA; echo migrated >&2")
    done = runner.release(slug, config_vars={"SCHEMA": "v2"})

    assert done is not None
    name, schema, migrated = done.output.split()
    assert (done.status, name[:8], schema, migrated) == (0, "release.", "v2", "migrated")
    assert len(name) == len("release.1234")
    assert runner.release(make_slug(tmp_path / "b", {}, web="true")) is None


def test_a_release_that_fails_is_an_error(runner: DynoRunner, tmp_path: Path) -> None:
    """A status other than 0 is an error with the dyno, the status and the last lines."""
    slug = make_slug(tmp_path, {}, release="seq 100; echo no such column; exit 7")
    with pytest.raises(ReleaseFailedError) as caught:
        runner.release(slug)
    error = caught.value

    assert (error.status, error.timeout) == (7, None)
    assert error.last_lines == (*(str(n) for n in range(82, 101)), "no such column")
    assert str(error).startswith(f"the release command exited with status 7 in {error.dyno}\n  82\n")


def test_a_release_has_its_time(runner: DynoRunner, tmp_path: Path) -> None:
    """A release that takes too long is stopped, and that is an error too."""
    slug = make_slug(tmp_path, {}, release="echo waiting; exec sleep 600")
    with pytest.raises(
        ReleaseFailedError, match=r"took longer than 0\.3 seconds, and release\.\d{4} was stopped"
    ) as caught:
        runner.release(slug, timeout=0.3)

    assert (caught.value.status, caught.value.last_lines) == (143, ("waiting",))


def test_of_a_large_output_the_end_is_kept() -> None:
    """What a one-off prints is kept up to 32 MiB, the last lines of it."""
    kept = Kept()
    for number in range(40):
        kept.add_line(f"{number}" + "x" * 2**20)

    assert 31 * 2**20 < len(kept.text()) <= 32 * 2**20
    assert last_lines(kept.text())[-1].startswith("39x")
    assert not kept.text().startswith("0x")


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/stderr", "/proc/self/fd/1"])
def test_an_app_may_open_its_output_by_name(runner: DynoRunner, slug: Slug, name: str) -> None:
    """What an app writes to /dev/stdout or /dev/stderr is output, also where root made the app another user."""
    assert runner.run(slug, f"echo hello > {name}").output == "hello\n"


ATEXIT = """
import atexit, sys
from slugkit import DynoRunner, Slug
runner = DynoRunner(store=sys.argv[2], grace=5)
atexit.register(runner.close)
formation = runner.formation(Slug.open(sys.argv[1]), {"worker": 2})
formation.wait_up()
atexit.register(lambda: print([dyno.state for dyno in formation.dynos]))
"""


def test_a_runner_may_be_closed_at_exit(tmp_path: Path) -> None:
    """A program that closes its runner when the interpreter ends, with no threads to give, leaves nothing."""
    mark = f"atexit-{os.getpid()}-{tmp_path.name}"
    slug = make_slug(tmp_path, {}, worker=f"exec -a {mark} sleep 600")
    argv = [sys.executable, "-c", ATEXIT, str(slug.path), str(tmp_path / "store")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stdout, done.stderr) == (0, "['up', 'up']\n", "")
    assert pids_with(mark) == []


# -- attached --------------------------------------------------------------------------------------------------

ATTACH = """
import fcntl, os, signal, sys, termios, threading, time
from slugkit import DynoRunner, Slug
slug, store, command, *words = sys.argv[1:]
if "terminal" in words:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
def gone(*_):
    raise SystemExit(75)
signal.signal(signal.SIGTERM, gone)
if "deaf" in words:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
if "gone" in words:
    def lost(_):
        raise termios.error(5, "Input/output error")
    termios.tcgetattr = lost
    os.get_terminal_size = lambda _: os.read(-1, 1)
if "hours" in words:
    clock, passed = time.monotonic, []
    time.monotonic = lambda: clock() + 3600 * sum(passed)
    signal.signal(signal.SIGUSR1, lambda *_: passed.append(30))
mine = signal.getsignal(signal.SIGWINCH)
log = open(store + ".log", "w")
status = []
with DynoRunner(store=store, grace=3, on_log=lambda line: print(line, file=log, flush=True)) as runner:
    def attach():
        variables = {"1A": ""} if "bad" in words else {}
        status.append(runner.attach(Slug.open(slug), command, config_vars=variables))
    if "thread" in words:
        thread = threading.Thread(target=attach)
        thread.start()
        thread.join()
    else:
        attach()
print("status", status[0], signal.getsignal(signal.SIGWINCH) is mine, file=log, flush=True)
os._exit(status[0])
"""


class Person:
    """Somebody at a terminal of 24 lines, 80 columns, who attached."""

    def __init__(
        self, slug: Slug, tmp_path: Path, command: str, *words: str, argv: Sequence[str] | None = None
    ) -> None:
        self.master, self.slave = os.openpty()
        self.resize(24, 80)
        self.before = termios.tcgetattr(self.slave)
        self.store = tmp_path / "store"
        script = ["-c", ATTACH, str(slug.path), str(self.store), command, "terminal", *words]
        env = {**os.environ, "TERM": "vt100", "PYTHON_COLORS": "0"}
        self.host = subprocess.Popen(
            [sys.executable, *(argv or script)],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            env=env,
            start_new_session=True,
        )
        self.seen = ""

    def resize(self, lines: int, columns: int) -> None:
        """Change the size of the window."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        """Press *keys*."""
        os.write(self.master, keys)

    def see(self, text: str, seconds: float = 20) -> bool:
        """Read what is shown until *text* is."""
        deadline = time.monotonic() + seconds
        while text not in self.seen and time.monotonic() < deadline:
            if select.select([self.master], [], [], 0.05)[0]:
                self.seen += os.read(self.master, 65536).decode()
        return text in self.seen

    def leave(self) -> int:
        """Wait for the host program's end, reading on."""
        deadline = time.monotonic() + 20
        while self.host.poll() is None and time.monotonic() < deadline:
            self.see("\0", 0.05)
        self.see("\0", 0.05)
        return self.host.wait(1)

    def log(self) -> list[str]:
        """Return the lines that the host program's listener got."""
        return Path(f"{self.store}.log").read_text().splitlines()

    def close(self) -> None:
        """End what is left of it."""
        if self.host.poll() is None:
            self.host.kill()
            self.host.wait()
        for fd in (self.master, self.slave):
            if fd >= 0:
                os.close(fd)


@pytest.fixture
def attached(slug: Slug, tmp_path: Path) -> Iterator[Callable[..., Person]]:
    persons: list[Person] = []

    def made(command: str, *words: str) -> Person:
        persons.append(Person(slug, tmp_path, command, *words))
        return persons[-1]

    yield made
    for person in persons:
        person.close()


def test_a_terminal_of_its_own(attached: Callable[..., Person]) -> None:
    """On a terminal the command has one too, of the same size and kind; its status is returned, modes are undone."""
    person = attached("test -t 0 -a -t 1 -a -t 2 && stty size > /proc/self/fd/2; echo $TERM $COLUMNS $LINES; exit 7")

    assert person.leave() == 7
    assert person.seen.split() == ["24", "80", "vt100", "80", "24"]
    assert termios.tcgetattr(person.slave) == person.before


def test_what_is_logged_of_an_attached_one_off(attached: Callable[..., Person]) -> None:
    """The start and the end are logged in Heroku's words, what was typed and shown is not (contract.md 4.10)."""
    person = attached("echo secret")
    person.leave()
    *lines, end = person.log()

    assert [line.partition("]: ")[2] for line in lines] == [
        "Awaiting client",
        "Starting process with command `echo secret`",
        "State changed from starting to up",
        "Process exited with status 0",
        "State changed from up to complete",
    ]
    assert end == "status 0 True"
    assert person.seen == "secret\r\n"


def test_every_key_reaches_the_command(attached: Callable[..., Person]) -> None:
    """Ctrl-C, Ctrl-Z, Ctrl-D and the rest are bytes for the command, not signals for the host program."""
    person = attached("stty raw -echo; echo ready; head -c 5 | od -An -tx1")
    assert person.see("ready")
    person.type(b"\x03\x1a\x1c\x04\xff")

    assert person.leave() == 0
    assert "03 1a 1c 04 ff" in person.seen


def test_end_of_file_is_a_key(attached: Callable[..., Person]) -> None:
    """Ctrl-D ends the input of a command that reads lines; what was typed is echoed by its own terminal."""
    person = attached("echo ready; cat; echo end")
    assert person.see("ready")
    person.type(b"hello\r\x04")

    assert person.leave() == 0
    assert person.seen == "ready\r\nhello\r\nhello\r\nend\r\n"


def test_ctrl_c_interrupts_the_command(attached: Callable[..., Person]) -> None:
    """Where the command's terminal makes a signal of it, Ctrl-C is one for the command: its status is 130."""
    person = attached("echo ready; exec sleep 600")
    assert person.see("ready")
    person.type(b"\x03")

    assert person.leave() == 130
    assert person.log()[-1] == "status 130 True"


def test_who_is_idle_for_hours_stays_attached(attached: Callable[..., Person]) -> None:
    """No time-out ends an attached one-off: thirty hours later the next key and the end of the input reach it."""
    person = attached("echo ready; cat; echo end", "hours")
    assert person.see("ready")
    person.host.send_signal(signal.SIGUSR1)
    time.sleep(1.5)  # the host program looks at its clock once a second
    person.type(b"hello\r\x04")

    assert person.leave() == 0
    assert person.seen == "ready\r\nhello\r\nhello\r\nend\r\n"


@pytest.mark.parametrize("words", [(), ("thread",)], ids=["by signal", "by looking"])
def test_the_size_follows(attached: Callable[..., Person], words: tuple[str, ...]) -> None:
    """A window that changes its size is followed: on the main thread by SIGWINCH, given back then; else by looking."""
    person = attached("until [ \"$(stty size)\" = '50 132' ]; do sleep 0.05; done; stty size", *words)
    time.sleep(0.3)
    person.resize(50, 132)
    os.kill(person.host.pid, signal.SIGWINCH)

    assert person.see("50 132")
    assert person.leave() == 0
    assert person.log()[-1] == "status 0 True"


def test_nothing_of_the_end_is_lost(attached: Callable[..., Person]) -> None:
    """Everything a command writes is shown, however much at the very end."""
    person = attached("seq 20000")

    assert person.leave() == 0
    assert person.seen.split() == [str(number) for number in range(1, 20_001)]


def test_more_keys_than_are_read_stop_nothing(attached: Callable[..., Person]) -> None:
    """A large paste to a command that prints as much is read and shown to its end."""
    person = attached("stty raw -echo; echo ready; head -c 200000 | tee /dev/stderr | md5sum; echo end")
    assert person.see("ready")
    rest = b"0123456789" * 20_000
    os.set_blocking(person.master, False)
    deadline = time.monotonic() + 20
    while rest and time.monotonic() < deadline:
        try:
            rest = rest[os.write(person.master, rest[:4096]) :]
        except BlockingIOError:
            person.see("\0", 0.01)

    assert person.see("end")
    assert person.seen.count("0123456789") == 20_000
    assert person.leave() == 0


def test_an_exception_gives_the_terminal_back(attached: Callable[..., Person], tmp_path: Path) -> None:
    """A host program that leaves by an exception has its terminal as it was, and nothing of the dyno is left."""
    mark = f"attached-{os.getpid()}-{tmp_path.name}"
    person = attached(f"echo ready; exec -a {mark} sleep 600")
    assert person.see("ready")
    assert termios.tcgetattr(person.slave) != person.before
    person.host.send_signal(signal.SIGTERM)

    assert person.leave() == 75
    assert termios.tcgetattr(person.slave) == person.before
    assert pids_with(mark) == []


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_the_command_gives_the_terminal_back(slug: Slug, tmp_path: Path, signum: signal.Signals) -> None:
    """``slugkit exec`` that is told to end leaves the terminal as it was, and nothing of the dyno."""
    mark = f"exec-{os.getpid()}-{tmp_path.name}"
    command = f"echo ready; exec -a {mark} sleep 600"
    argv = ["-m", "slugkit", "exec", "--store", str(tmp_path / "store"), str(slug.path), "--", command]
    person = Person(slug, tmp_path, "", argv=argv)
    assert person.see("ready")
    assert termios.tcgetattr(person.slave) != person.before
    person.host.send_signal(signum)

    assert person.leave() == 130
    assert termios.tcgetattr(person.slave) == person.before
    assert pids_with(mark) == []
    person.close()


def test_a_terminal_that_is_gone_ends_the_dyno(attached: Callable[..., Person], tmp_path: Path) -> None:
    """When the window is closed the dyno is stopped, also where the host program does not die of it."""
    mark = f"windowless-{os.getpid()}-{tmp_path.name}"
    person = attached(f"echo ready; exec -a {mark} sleep 600", "deaf")
    assert person.see("ready")
    os.close(person.slave)
    os.close(person.master)
    person.master = person.slave = -1

    assert person.host.wait(20) == 143
    assert pids_with(mark) == []


def test_a_terminal_that_is_gone_before_is_an_attach_error(attached: Callable[..., Person], tmp_path: Path) -> None:
    """Where nobody can be attached the log says R13 in Heroku's words, nothing is left, and it is one clear error."""
    mark = f"unattached-{os.getpid()}-{tmp_path.name}"
    person = attached(f"exec -a {mark} sleep 600", "gone")

    assert person.leave() == 1
    assert re.search(r"DynoStartError: run\.\d{4} could not be started: terminal: Input/output error", person.seen)
    assert [line.partition("]: ")[2] for line in person.log()][3:5] == [
        "Error R13 (Attach error) -> Failed to attach to process",
        "Stopping all processes with SIGTERM",
    ]
    assert pids_with(mark) == []
    assert termios.tcgetattr(person.slave) == person.before


def test_streams_that_are_no_terminal_are_the_commands_own(slug: Slug, tmp_path: Path) -> None:
    """Without a terminal the command has the program's own streams, byte for byte, and is told of no terminal."""
    argv = [sys.executable, "-c", ATTACH, str(slug.path), str(tmp_path / "store"), "cat; env >&2; exit 3"]
    done = subprocess.run(argv, input=b"a\r\n\xff\x03", capture_output=True, check=False, timeout=60)

    assert (done.returncode, done.stdout) == (3, b"a\r\n\xff\x03")
    assert b"TERM=" not in done.stderr
    assert b"COLUMNS=" not in done.stderr


def test_a_start_that_fails_leaves_the_terminal_alone(attached: Callable[..., Person]) -> None:
    """An error before the start is told on a terminal that was never changed."""
    person = attached("true", "bad")

    assert person.leave() == 1
    assert "InvalidConfigVarError" in person.seen
    assert termios.tcgetattr(person.slave) == person.before
