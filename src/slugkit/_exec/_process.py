"""Run a command to its end: confined ones by a warden, our own tools as plain processes."""

import io
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from typing import Protocol

from attrs import frozen

from ..command import Command, Completed
from ..logline import LineSplitter
from ._descriptors import given
from ._kept import Kept
from ._warden import Process, Warden

_DRAIN = 1.0  # seconds to wait for the rest of the output when a stray process holds the pipe
_CHUNK = 65536
_TICK = 0.1  # seconds


class StartError(Exception):
    """A program could not be started; no OSError, which a caller's own callback might raise."""


class DeadlineError(Exception):
    """A command was ended because its time was up; no TimeoutError, for the same reason."""


def run(
    command: Command,
    *,
    warden: Warden | None = None,
    on_line: Callable[[str], None] | None = None,
    deadline: float | None = None,
    capture: bool = False,
) -> Completed:
    """Run *command* to its end, its output merged and shown live to *on_line*.

    With *capture*, what is returned is its standard output alone, and what is shown is its standard error. A confined
    command is the *warden*'s, or that of one of its own; when this returns, nothing of it runs any more.

    Raises:
        DeadlineError: The monotonic clock reached *deadline*; the whole sandbox is dead by then.
        StartError: The program is not there or may not be executed, or its sandbox cannot be made.
    """
    kept = Kept()

    def take(line: str) -> None:
        kept.add_line(line)
        show(line)

    def show(line: str) -> None:
        if on_line is not None:
            on_line(line)

    with ExitStack() as stack:
        out, give_out = _pipe(stack)
        err, give_err = _pipe(stack) if capture else (None, give_out)
        if not command.confinement:
            warden = None
        elif warden is None:
            warden = stack.enter_context(Warden())
        try:
            running = _start(command, warden, give_out, give_err, stack)
        except OSError as error:
            raise StartError(str(error)) from error
        finally:
            for fd in {give_out, give_err}:
                os.close(fd)
        sinks = {out: _lines(take)} if err is None else {out: kept.add, err: _lines(show)}
        try:
            _pump(running, sinks, deadline)
        finally:
            status = running.end()
    return Completed(status, kept.text())


class _Running(Protocol):
    def fileno(self) -> int | None:
        """Return a descriptor that is readable when it has ended, if there is one."""

    def poll(self) -> bool:
        """Return whether it has ended."""

    def end(self) -> int:
        """Kill what is left of it and return its status: 128 + the signal when killed."""


@frozen
class _Confined:
    """A command of a warden's."""

    warden: Warden
    process: Process

    def fileno(self) -> int:
        return self.warden.fileno()

    def poll(self) -> bool:
        self.warden.collect()
        return self.process.status is not None

    def end(self) -> int:
        if not self.poll():
            self.process.kill()
        with selectors.DefaultSelector() as selector:
            selector.register(self.fileno(), selectors.EVENT_READ)
            while not self.poll():
                selector.select(_TICK)  # another thread may have collected it
        if self.process.failure is not None:
            stage, _, text = self.process.failure
            raise StartError(text if stage == "command" else f"{stage}: {text}")
        return self.process.status or 0


@frozen
class _Plain:
    """A tool of ours, with a process group of its own."""

    popen: "subprocess.Popen[bytes]"

    def fileno(self) -> None:
        return None

    def poll(self) -> bool:
        return self.popen.poll() is not None

    def end(self) -> int:
        if self.popen.returncode is None or self.popen.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.popen.pid, signal.SIGKILL)
        return exit_status(self.popen)


def _start(command: Command, warden: Warden | None, out: int, err: int, stack: ExitStack) -> _Running:
    if warden is not None:
        nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return _Confined(warden, warden.spawn(command, (nothing, out, err)))
        finally:
            os.close(nothing)
    argv, fds = stack.enter_context(given(command))  # a lifeline ends with the call
    return _Plain(_popen(command, argv, fds, out, err))


def _popen(command: Command, argv: list[str], fds: list[int], out: int, err: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        argv,
        env=dict(command.env),
        cwd=command.cwd,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        pass_fds=fds,
        umask=0o022,  # the caller's own must not reach what is built
        start_new_session=True,  # Ctrl-C is for us to hand on
    )


def _pipe(stack: ExitStack) -> tuple[int, int]:
    """Return a pipe's ends; that to read from is closed with *stack*."""
    take, give = os.pipe2(os.O_CLOEXEC)
    stack.callback(os.close, take)
    return take, give


def follow(command: Command, on_line: Callable[[str], None], *, grace: float) -> int:
    """Run *command*, a program of ours, to its end and return its exit status; *on_line* is shown all its output.

    It clears up after itself: when this is interrupted, it is too, and has *grace* seconds before it is killed.

    Raises:
        StartError: The program is not there or may not be executed.
    """
    with given(command) as (argv, fds):
        try:
            popen = _popen(command, argv, fds, subprocess.PIPE, subprocess.STDOUT)
        except OSError as error:
            raise StartError(str(error)) from error
        return _follow(popen, _lines(on_line), grace)


def _follow(popen: "subprocess.Popen[bytes]", feed: Callable[[bytes], None], grace: float) -> int:
    stdout = popen.stdout
    assert isinstance(stdout, io.BufferedReader)  # noqa: S101 - it was asked for a pipe
    try:
        while data := stdout.read1(_CHUNK):
            feed(data)
        feed(b"")
        return exit_status(popen)
    except BaseException:
        popen.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            popen.wait(grace)
        raise
    finally:
        _Plain(popen).end()
        stdout.close()


def _lines(take: Callable[[str], None]) -> Callable[[bytes], None]:
    """Return what hands on bytes as lines; b"" ends the last one."""
    splitter = LineSplitter()

    def feed(data: bytes) -> None:
        for line in splitter.feed(data) if data else splitter.flush():
            take(line)

    return feed


def exit_status(popen: "subprocess.Popen[bytes]") -> int:
    """Return the exit status as a shell tells it: 128 + the signal for a killed process."""
    code = popen.wait()
    return code if code >= 0 else 128 - code


def _pump(running: _Running, sinks: Mapping[int, Callable[[bytes], None]], deadline: float | None) -> None:
    """Feed each pipe's bytes to its sink until it has ended and they have, or a stray holds one; then b""."""
    ended: float | None = None
    for fd, data in _chunks(running, list(sinks)):
        if data:
            sinks[fd](data)
        now = time.monotonic()
        if deadline is not None and now >= deadline:
            raise DeadlineError
        if ended is None and running.poll():
            ended = now
        if ended is not None and (not data and now - ended > _DRAIN):
            break
    for feed in sinks.values():
        feed(b"")
    while not running.poll():  # it has closed its output, and goes on
        if deadline is not None and time.monotonic() >= deadline:
            raise DeadlineError
        _wait(running)


def _wait(running: _Running) -> None:
    fd = running.fileno()
    if fd is None:
        time.sleep(0.001)
        return
    with selectors.DefaultSelector() as selector:
        selector.register(fd, selectors.EVENT_READ)
        selector.select(_TICK)


def _chunks(running: _Running, fds: list[int]) -> Iterator[tuple[int, bytes]]:
    """Yield what comes through the pipes *fds* until all have ended; b"" when it has, or nothing came for a while."""
    end = running.fileno()
    with selectors.DefaultSelector() as selector:
        for fd in fds:
            os.set_blocking(fd, False)
            selector.register(fd, selectors.EVENT_READ)
        if end is not None:
            selector.register(end, selectors.EVENT_READ)
        left = len(fds)
        while left:
            ready = selector.select(_TICK)
            if not ready or any(key.fd == end for key, _ in ready):
                yield fds[0], b""
            for key, _ in ready:
                if key.fd == end:
                    continue
                data = os.read(key.fd, _CHUNK)
                if data:
                    yield key.fd, data
                else:
                    selector.unregister(key.fd)
                    left -= 1
