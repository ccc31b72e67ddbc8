"""Start a command, run one to its end, and tell its exit status."""

import io
import os
import selectors
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import IO

from attrs import define, field

from ..command import Command, Completed
from ..logline import LineSplitter
from ._descriptors import descriptors, init_pid
from ._family import Process, extinguish, open_init

DEVNULL, PIPE, STDOUT = subprocess.DEVNULL, subprocess.PIPE, subprocess.STDOUT

_DRAIN = 1.0  # seconds to wait for the rest of the output when a stray process holds the pipe
_CHUNK = 65536
_LARGEST_OUTPUT = 32 * 2**20  # bytes of one command's output that are kept in memory


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
    capture: bool = False,
) -> Completed:
    """Run *command* to its end, its output merged and shown live to *on_line*.

    With *capture*, what is returned is its standard output alone, and what is shown is its standard error.

    Raises:
        DeadlineError: The monotonic clock reached *deadline*; the whole sandbox is dead by then.
        StartError: The program is not there or may not be executed.
    """
    try:
        process = spawn(command, stderr=subprocess.PIPE if capture else subprocess.STDOUT)
    except OSError as error:
        raise StartError(str(error)) from error
    init = open_init(process)
    kept = _Kept()

    def take(line: str) -> None:
        kept.add((line + "\n").encode("utf-8", "surrogateescape"))
        show(line)

    def show(line: str) -> None:
        if on_line is not None:
            on_line(line)

    stdout, stderr = process.popen.stdout, process.popen.stderr
    assert stdout is not None  # noqa: S101 - spawn() made it a pipe
    sinks = {stdout: _lines(take)} if stderr is None else {stdout: kept.add, stderr: _lines(show)}
    try:
        _pump(process.popen, sinks, deadline)
    finally:
        end(process, init)
    return Completed(exit_status(process.popen), kept.text())


def follow(command: Command, on_line: Callable[[str], None], *, grace: float) -> int:
    """Run *command*, a program of ours, to its end and return its exit status; *on_line* is shown all its output.

    It clears up after itself: when this is interrupted, it is too, and has *grace* seconds before it is killed.

    Raises:
        StartError: The program is not there or may not be executed.
    """
    try:
        process = spawn(command, stderr=subprocess.STDOUT)
    except OSError as error:
        raise StartError(str(error)) from error
    stdout = process.popen.stdout
    assert isinstance(stdout, io.BufferedReader)  # noqa: S101 - spawn() made it a pipe
    feed = _lines(on_line)
    try:
        while data := stdout.read1(_CHUNK):
            feed(data)
        feed(b"")
        return exit_status(process.popen)
    except BaseException:
        process.popen.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.popen.wait(grace)
        raise
    finally:
        end(process, None)


@define
class _Kept:
    """The end of an output, up to a size: a command that never stops printing must not take the memory."""

    parts: deque[bytearray] = field(factory=deque)
    size: int = 0

    def add(self, data: bytes) -> None:
        if not self.parts or len(self.parts[-1]) > _CHUNK:  # an object a line would cost ten times the text
            self.parts.append(bytearray())
        self.parts[-1] += data
        self.size += len(data)
        while self.size > _LARGEST_OUTPUT:
            self.size -= len(self.parts.popleft())

    def text(self) -> str:
        return b"".join(self.parts).decode("utf-8", "replace")


def _lines(take: Callable[[str], None]) -> Callable[[bytes], None]:
    """Return what hands on bytes as lines; b"" ends the last one."""
    splitter = LineSplitter()

    def feed(data: bytes) -> None:
        for line in splitter.feed(data) if data else splitter.flush():
            take(line)

    return feed


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


_Sinks = Mapping[IO[bytes], Callable[[bytes], None]]


def _pump(popen: "subprocess.Popen[bytes]", sinks: _Sinks, deadline: float | None) -> None:
    """Feed each pipe's bytes to its sink until all end, or the process has ended and a stray holds one; then b""."""
    feeds = {pipe.fileno(): feed for pipe, feed in sinks.items()}
    ended: float | None = None
    for fd, data in _chunks(list(feeds)):
        if data:
            feeds[fd](data)
        now = time.monotonic()
        if deadline is not None and now >= deadline:
            raise DeadlineError
        if ended is None and popen.poll() is not None:
            ended = now
        if ended is not None and (not data and now - ended > _DRAIN):
            break
    for feed in feeds.values():
        feed(b"")
    try:
        popen.wait(None if deadline is None else max(deadline - time.monotonic(), 0.01))
    except subprocess.TimeoutExpired:
        raise DeadlineError from None


def _chunks(fds: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """Yield what comes through the pipes *fds* until all have ended, and b"" ten times a second while nothing does."""
    with selectors.DefaultSelector() as selector:
        for fd in fds:
            os.set_blocking(fd, False)
            selector.register(fd, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(0.1)
            if not ready:
                yield fds[0], b""
            for key, _ in ready:
                data = os.read(key.fd, _CHUNK)
                if data:
                    yield key.fd, data
                else:
                    selector.unregister(key.fd)
