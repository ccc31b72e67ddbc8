"""Start a command, run one to its end, and tell its exit status."""

import os
import selectors
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import IO

from ..command import Command, Completed
from ..logline import LineSplitter
from ._descriptors import descriptors, init_pid
from ._family import Process, extinguish, open_init

DEVNULL, PIPE, STDOUT = subprocess.DEVNULL, subprocess.PIPE, subprocess.STDOUT

_DRAIN = 1.0  # seconds to wait for the rest of the output when a stray process holds the pipe
_CHUNK = 65536


class StartError(Exception):
    """A program could not be started; no OSError, which a caller's own callback might raise."""


class DeadlineError(Exception):
    """A command was ended because its time was up; no TimeoutError, for the same reason."""


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
    with descriptors(command) as (argv, fds, report, lifeline):
        popen = subprocess.Popen(
            argv,
            env=dict(command.env),
            cwd=command.cwd,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=fds,
            umask=0o022,  # the caller's own must not reach what is built
            start_new_session=stdin == subprocess.DEVNULL or command.info,  # Ctrl-C is for us to hand on
        )
    return Process(popen, init_pid(report), lifeline)


def run(
    command: Command,
    *,
    on_line: Callable[[str], None] | None = None,
    deadline: float | None = None,
) -> Completed:
    """Run *command* to its end, its output merged and shown live to *on_line*.

    Raises:
        DeadlineError: The monotonic clock reached *deadline*; the whole sandbox is dead by then.
        StartError: The program is not there or may not be executed.
    """
    try:
        process = spawn(command, stderr=subprocess.STDOUT)
    except OSError as error:
        raise StartError(str(error)) from error
    init = open_init(process)
    lines: list[str] = []

    def take(line: str) -> None:
        lines.append(line)
        if on_line is not None:
            on_line(line)

    try:
        _pump(process.popen, take, deadline)
    finally:
        end(process, init)
    return Completed(exit_status(process.popen), "".join(line + "\n" for line in lines))


def end(process: Process, init: int | None) -> None:
    """Kill whatever of *process* is left, and return when nothing is; *init* is what `open_init` returned for it.

    Also after its main process has ended well: the rest of a sandbox dies milliseconds later, and until then it could
    change what the host program is about to read.
    """
    extinguish(process, init)
    process.popen.wait()
    close(process)


def close(process: Process) -> None:
    """Close what this program still holds of an ended *process*."""
    for stream in (process.popen.stdout, process.popen.stderr):
        if stream is not None:
            stream.close()
    if process.lifeline is not None:
        os.close(process.lifeline)


def exit_status(popen: "subprocess.Popen[bytes]") -> int:
    """Return the exit status as a shell tells it: 128 + the signal for a killed process."""
    code = popen.wait()
    return code if code >= 0 else 128 - code


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
            raise DeadlineError
        if ended is None and popen.poll() is not None:
            ended = now
        if ended is not None and (not data and now - ended > _DRAIN):
            break
    for line in splitter.flush():
        take(line)
    try:
        popen.wait(None if deadline is None else max(deadline - time.monotonic(), 0.01))
    except subprocess.TimeoutExpired:
        raise DeadlineError from None


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
