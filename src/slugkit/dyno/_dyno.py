"""`Dyno`: one running process type, its state, its log, and its end."""

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import IO, Literal

from attrs import define, field, frozen

from .. import _exec, _log
from ..command import Command
from ..errors import BootTimeoutError, DynoCrashedError, DynoStartError, RunnerClosedError
from ..events import DynoStateChanged
from ..logline import LineSplitter, LogLine, Stream, system_line
from ._confinement import listens
from ._delivery import Delivery
from ._supervisor import Supervisor

DynoState = Literal["created", "starting", "up", "crashed", "complete", "down"]

_HISTORY = 1500  # lines; contract.md 5.2
_LOOK = 0.02  # seconds between looks whether $PORT is listened on
_DRAIN = 1.0  # seconds for the rest of the output when a stray process holds the pipe
_CHUNK = 65536
_LAST_LINES = 20


@frozen
class DynoSpec:
    """What makes one dyno different from another; ``boot_timeout`` and ``grace`` in seconds."""

    name: str
    command: Command
    shown: str
    port: int
    uid: int | None
    web: bool
    one_off: bool
    attached: bool
    boot_timeout: float
    grace: float
    clean_up: Callable[[], None]


@define(eq=False)
class Dyno:
    """A started dyno; made by `DynoRunner`. Its methods may be called from any thread."""

    _spec: DynoSpec
    _supervisor: Supervisor = field(repr=False)
    _delivery: Delivery = field(repr=False)
    _state: DynoState = field(default="created", init=False)
    _status: int | None = field(default=None, init=False)
    _failure: Exception | None = field(default=None, init=False, repr=False)
    _stopping: bool = field(default=False, init=False)
    _log: deque[LogLine] = field(factory=lambda: deque(maxlen=_HISTORY), init=False, repr=False)
    _output: list[str] = field(factory=list, init=False, repr=False)
    _changed: threading.Condition = field(factory=threading.Condition, init=False, repr=False)
    _process: _exec.Process | None = field(default=None, init=False, repr=False)
    _watched: bool = field(default=False, init=False, repr=False)
    _open: set[int] = field(factory=set, init=False, repr=False)

    @property
    def name(self) -> str:
        """``web.1``, ``run.1234``."""
        return self._spec.name

    @property
    def port(self) -> int:
        """The port told to the dyno in $PORT."""
        return self._spec.port

    @property
    def url(self) -> str:
        """Where a web dyno answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def state(self) -> DynoState:
        """Heroku's own word for what it is doing (contract.md 4.12)."""
        return self._state

    @property
    def status(self) -> int | None:
        """The exit status once it has ended, 128 + the signal when killed; None before."""
        return self._status

    def logs(self) -> tuple[LogLine, ...]:
        """Return the newest 1500 lines of its log, oldest first."""
        with self._changed:
            return tuple(self._log)

    def wait_up(self) -> None:
        """Wait until it is up.

        Raises:
            DynoCrashedError: It has ended, before it was up or after; holds its status and last lines.
            BootTimeoutError: It did not listen on $PORT in time, and was killed (R10).
        """
        with self._changed:
            self._changed.wait_for(lambda: self._state == "up" or self._status is not None)
            failure = self._failure
        if failure is not None:
            raise failure
        if self._status is not None:
            raise DynoCrashedError(self.name, self._status, self._last_lines(), up=True)

    def wait(self) -> int:
        """Wait until it has ended, its last process gone, and return its exit status."""
        with self._changed:
            self._changed.wait_for(lambda: self._status is not None)
            return self._status or 0

    def stop(self) -> int:
        """End every process in it - SIGTERM, the grace, SIGKILL - and return its status when none is left."""
        self.request_stop()
        return self.wait()

    def request_stop(self) -> None:
        """Begin what `stop` does, without waiting for the end."""
        if self._status is None:
            with suppress(RunnerClosedError):  # closed in between: it has ended
                self._supervisor.call(self._begin_stop)

    def start(self) -> None:
        """Start it; the runner's to call, once.

        Raises:
            DynoStartError: Its sandbox could not be started.
        """
        try:
            self._supervisor.call(self._start)
        except BaseException as error:  # Ctrl-C while waiting for it to be started is one of them
            self._supervisor.call(self._abort)
            self.wait()
            if isinstance(error, OSError):
                raise DynoStartError(self.name, error.strerror or str(error)) from error
            raise

    # What follows runs on the supervisor's thread only.

    def _abort(self) -> None:
        """End what `_start`, whose turn came before this one's, has started, if it has."""
        self._stopping = True
        if self._watched and self._process is not None:
            _exec.kill(self._process, signal.SIGKILL)
        elif self._status is None:
            try:
                for fd in tuple(self._open):
                    self._forget(fd)
                if self._process is not None:
                    _exec.end(self._process, _exec.open_init(self._process))
            finally:
                self._finish(127)

    def _start(self) -> None:
        if self._stopping:  # the runner was closed in between
            raise RunnerClosedError
        inherit = None if self._spec.attached else _exec.DEVNULL
        pipe = None if self._spec.attached else _exec.PIPE
        # A one-off's output is one stream, as it is on a terminal: in the order in which it was written.
        stderr = _exec.STDOUT if self._spec.one_off and pipe is not None else pipe
        self._say(f"Starting process with command `{self._spec.shown}`")
        self._process = _exec.spawn(self._spec.command, stdin=inherit, stdout=pipe, stderr=stderr)
        self._to("starting")
        for stream, file in (
            ("stdout", self._process.popen.stdout),
            ("stderr", self._process.popen.stderr),
        ):
            if file is not None:
                self._read(stream, file)  # type: ignore[arg-type]
        self._watch_exit(self._process)
        if self._spec.web:
            self._supervisor.after(self._spec.boot_timeout, self._boot_timed_out)
            self._look_whether_up()
        else:
            self._to("up")

    def _read(self, stream: Stream, file: IO[bytes]) -> None:
        fd, splitter = file.fileno(), LineSplitter()
        os.set_blocking(fd, False)
        self._open.add(fd)

        def readable() -> None:
            try:
                data = os.read(fd, _CHUNK)
            except BlockingIOError:
                return
            for line in splitter.feed(data) if data else splitter.flush():
                self._take(stream, line)
            if not data:
                self._forget(fd)

        self._supervisor.watch(fd, readable)

    def _forget(self, fd: int) -> None:
        self._supervisor.unwatch(fd)
        self._open.discard(fd)

    def _take(self, stream: Stream, message: str) -> None:
        self._put(LogLine(datetime.now(UTC), "app", self.name, stream, message))
        if self._spec.one_off:
            self._output.append(message)

    def _say(self, message: str) -> None:
        self._put(system_line(self.name, message))

    def _put(self, line: LogLine) -> None:
        with self._changed:
            self._log.append(line)
        self._delivery.put(line)

    def _to(self, state: DynoState) -> None:
        old = self._state
        if old != "created":
            self._say(f"State changed from {old} to {state}")
        with self._changed:
            self._state = state
            self._changed.notify_all()
        self._delivery.put(DynoStateChanged(self.name, old, state))

    def _look_whether_up(self) -> None:
        if self._state != "starting" or self._status is not None:
            return
        if listens(self.port, os.geteuid() if self._spec.uid is None else self._spec.uid):
            self._to("up")
        else:
            self._supervisor.after(_LOOK, self._look_whether_up)

    def _boot_timed_out(self) -> None:
        if self._state != "starting" or self._stopping or self._process is None:
            return
        seconds = self._spec.boot_timeout
        self._failure = BootTimeoutError(self.name, seconds, self._last_lines())
        self._say(
            f"Error R10 (Boot timeout) -> Web process failed to bind to $PORT within {seconds:g} seconds of launch"
        )
        self._say("Stopping process with SIGKILL")
        _exec.kill(self._process, signal.SIGKILL)

    def _begin_stop(self) -> None:
        if self._stopping or self._status is not None:
            return
        self._stopping = True
        if self._process is None or self._process.popen.poll() is not None:
            return
        self._say("Stopping all processes with SIGTERM")
        self._terminate()
        self._supervisor.after(self._spec.grace, self._grace_is_over)

    def _terminate(self) -> None:
        """Send SIGTERM to every process there is, once: what a handler of it starts must be left to finish."""
        if self._status is not None or self._process is None:
            return
        pids = _exec.members(self._process)
        for pid in pids:
            _exec.signal_quietly(pid, signal.SIGTERM)
        if not pids:  # the sandbox is still being made
            self._supervisor.after(_LOOK, self._terminate)

    def _grace_is_over(self) -> None:
        if self._status is not None or self._process is None:
            return
        self._say(
            "Error R12 (Exit timeout) -> At least one process failed to exit"
            f" within {self._spec.grace:g} seconds of SIGTERM"
        )
        self._say("Stopping remaining processes with SIGKILL")
        _exec.kill(self._process, signal.SIGKILL)

    def _watch_exit(self, process: _exec.Process) -> None:
        pidfd = os.pidfd_open(process.pid)
        init = _exec.open_init(process)

        def exited() -> None:
            self._supervisor.unwatch(pidfd)
            os.close(pidfd)
            status = _exec.exit_status(process.popen)
            _exec.extinguish(process, init)
            self._drain(status, time.monotonic() + _DRAIN)

        self._supervisor.watch(pidfd, exited)
        self._watched = True

    def _drain(self, status: int, deadline: float) -> None:
        """Wait for the end of the output, but never for a stray process that holds a pipe."""
        if self._open and time.monotonic() < deadline:
            self._supervisor.after(_LOOK / 4, lambda: self._drain(status, deadline))
            return
        for fd in tuple(self._open):
            self._forget(fd)
        self._end(status)

    def _end(self, status: int) -> None:
        if self._process is not None:
            _exec.close(self._process)
        self._say(f"Process exited with status {status}")
        if self._failure is None and self._state == "starting":
            self._failure = DynoCrashedError(self.name, status, self._last_lines())
        self._to("complete" if self._spec.one_off else "down" if self._stopping else "crashed")
        self._finish(status)

    def _finish(self, status: int) -> None:
        """Wake whoever waits, whatever becomes of the rest."""
        try:
            self._spec.clean_up()
        except OSError as error:
            _log.debug("clean-up failed", dyno=self.name, error=repr(error))
        finally:
            with self._changed:
                self._status = status
                self._changed.notify_all()

    def _last_lines(self) -> tuple[str, ...]:
        return tuple(line.message for line in self._log if line.source == "app")[-_LAST_LINES:]
