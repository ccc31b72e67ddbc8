"""The only place that starts processes: given a `Command`, its whole environment, and nothing of ours.

No ``preexec_fn``: the host program may have threads. Descriptors above 2 are closed, but for the data files a
command asks for, which the sandbox consumes before the app's first instruction.
"""

import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from attrs import frozen

from .command import INFO_FD, LIFELINE_FD, Command, Completed, DataFile, HiddenArgs
from .logline import LineSplitter

DEVNULL, PIPE, STDOUT = subprocess.DEVNULL, subprocess.PIPE, subprocess.STDOUT

_DRAIN = 1.0  # seconds to wait for the rest of the output when a stray process holds the pipe
_CHUNK = 65536


@frozen
class Process:
    """A started command.

    ``init`` is the pid of the sandbox's own pid 1 as the host sees it, ``lifeline`` the pipe's end that this program
    holds, if there are any.
    """

    popen: "subprocess.Popen[bytes]"
    init: int | None
    lifeline: int | None

    @property
    def pid(self) -> int:
        """The process that was started."""
        return self.popen.pid


def spawn(
    command: Command,
    *,
    stdin: int | None = subprocess.DEVNULL,
    stdout: int | None = subprocess.PIPE,
    stderr: int | None = subprocess.PIPE,
) -> Process:
    """Start *command*; None for a stream means this program's own.

    Raises:
        OSError: The program is not there or may not be executed.
    """
    with _descriptors(command) as (argv, fds, report, lifeline):
        popen = subprocess.Popen(
            argv,
            env=dict(command.env),
            cwd=command.cwd,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=fds,
            umask=0o022,  # the caller's own must not reach what is built
            start_new_session=stdin == subprocess.DEVNULL,
        )
    return Process(popen, _init_pid(report), lifeline)


def run(
    command: Command,
    *,
    on_line: Callable[[str], None] | None = None,
    deadline: float | None = None,
) -> Completed:
    """Run *command* to its end, its output merged and shown live to *on_line*.

    Raises:
        TimeoutError: The monotonic clock reached *deadline*; the whole sandbox is dead by then.
        OSError: The program is not there or may not be executed.
    """
    process = spawn(command, stderr=subprocess.STDOUT)
    lines: list[str] = []

    def take(line: str) -> None:
        lines.append(line)
        if on_line is not None:
            on_line(line)

    try:
        _pump(process.popen, take, deadline)
    finally:
        end(process)
    return Completed(exit_status(process.popen), "".join(line + "\n" for line in lines))


def end(process: Process) -> None:
    """Kill whatever of *process* is left and wait until it is gone."""
    if process.popen.poll() is None:
        kill(process, signal.SIGKILL)
        process.popen.wait()
    close(process)


def close(process: Process) -> None:
    """Close what this program still holds of an ended *process*."""
    for stream in (process.popen.stdout, process.popen.stderr):
        if stream is not None:
            stream.close()
    if process.lifeline is not None:
        os.close(process.lifeline)


def kill(process: Process, signum: int) -> None:
    """Send *signum* to pid 1 of the sandbox and to the process itself, or to its group where it has no sandbox.

    SIGKILL to pid 1 of a pid namespace ends everything in it.
    """
    if process.init is None:
        _quietly(os.killpg, process.pid, signum)
    else:
        signal_quietly(process.init, signum)
    if process.popen.returncode is None:
        signal_quietly(process.pid, signum)


def signal_quietly(pid: int, signum: int) -> None:
    """Send *signum* to *pid*; one that is gone is fine."""
    _quietly(os.kill, pid, signum)


def members(process: Process) -> list[int]:
    """Return the pids of every process in the sandbox but its pid 1; without a sandbox, of the whole family.

    In a pid namespace an orphan's parent is pid 1, so the tree below it is complete: double forks, own sessions and
    cleared environments included.
    """
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdecimal() and (parent := _parent(int(entry))) is not None:
            children.setdefault(parent, []).append(int(entry))
    found: list[int] = []
    todo = [process.pid] if process.init is None else list(children.get(process.init, ()))
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, ())
    return found


def open_init(process: Process) -> int | None:
    """Return a descriptor that becomes readable when the sandbox's pid 1, and so everything in it, is gone."""
    if process.init is None:
        return None
    try:
        return os.pidfd_open(process.init)
    except ProcessLookupError:
        return None


def exit_status(popen: "subprocess.Popen[bytes]") -> int:
    """Return the exit status as a shell tells it: 128 + the signal for a killed process."""
    code = popen.wait()
    return code if code >= 0 else 128 - code


def _parent(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def _quietly(call: Callable[[int, int], None], target: int, signum: int) -> None:
    try:
        call(target, signum)
    except (ProcessLookupError, PermissionError):
        return


def _pump(popen: "subprocess.Popen[bytes]", take: Callable[[str], None], deadline: float | None) -> None:
    """Hand on lines until the output ends, or the process has ended and a stray holds the pipe."""
    assert popen.stdout is not None  # noqa: S101 - spawn() made it a pipe
    splitter = LineSplitter()
    ended: float | None = None
    for data in _chunks(popen.stdout):
        for line in splitter.feed(data):
            take(line)
        now = time.monotonic()
        if deadline is not None and now >= deadline:
            raise TimeoutError
        if ended is None and popen.poll() is not None:
            ended = now
        if ended is not None and (not data and now - ended > _DRAIN):
            break
    for line in splitter.flush():
        take(line)
    try:
        popen.wait(None if deadline is None else max(deadline - time.monotonic(), 0.01))
    except subprocess.TimeoutExpired:
        raise TimeoutError from None


def _chunks(pipe: IO[bytes]) -> Iterator[bytes]:
    """Yield what comes through *pipe* until its end, and b"" ten times a second while nothing does."""
    fd = pipe.fileno()
    os.set_blocking(fd, False)
    with selectors.DefaultSelector() as selector:
        selector.register(fd, selectors.EVENT_READ)
        while True:
            if not selector.select(0.1):
                yield b""
                continue
            data = os.read(fd, _CHUNK)
            if not data:
                return
            yield data


@contextmanager
def _descriptors(
    command: Command,
) -> Iterator[tuple[list[str], list[int], int | None, int | None]]:
    """Open what *command* uses by descriptor; yield its plain argv, those descriptors, and our ends of its pipes."""
    theirs: list[int] = []
    ours: list[int] = []
    numbers: dict[str, str] = {}
    report = lifeline = None
    if command.info:
        report, give = os.pipe()
        theirs, ours, numbers[INFO_FD] = [*theirs, give], [*ours, report], str(give)
    if command.lifeline:
        take, lifeline = os.pipe()
        theirs, ours, numbers[LIFELINE_FD] = [*theirs, take], [*ours, lifeline], str(take)

    def plain(argument: str | DataFile | HiddenArgs) -> str:
        if isinstance(argument, str):
            return numbers.get(argument, argument)
        if isinstance(argument, HiddenArgs):
            data = b"".join(os.fsencode(plain(one)) + b"\0" for one in argument.args)
        else:
            data = argument.data
        theirs.append(_sealed(data))
        return str(theirs[-1])

    try:
        yield [plain(argument) for argument in command.argv], theirs, report, lifeline
    except BaseException:
        for fd in ours:
            os.close(fd)
        raise
    finally:
        for fd in theirs:
            os.close(fd)


def _sealed(data: bytes) -> int:
    """Return a descriptor of an anonymous file that holds *data*, at its start; no name, no disk."""
    fd = os.memfd_create("slugkit", os.MFD_CLOEXEC)
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _init_pid(report: int | None) -> int | None:
    """Read the sandbox's report (bwrap's ``--info-fd``); it ends before the app starts, or with the set-up."""
    if report is None:
        return None
    with os.fdopen(report, "rb") as file:
        text = file.read()
    try:
        return int(json.loads(text)["child-pid"])
    except (ValueError, KeyError):
        return None
