"""One run of the process in a dyno: started, read, stopped, gone. Every call into `_exec` that dynos make is here."""

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from attrs import define, field

from .. import _exec, _log
from ..errors import DynoStartError
from ..logline import LineSplitter, Stream
from ..sandbox import memory_cgroup
from ._prepare import RunSpec
from ._spec import Output, Threads
from ._supervisor import Timer

_LOOK = 0.005  # seconds
_DRAIN = 1.0  # seconds for the rest of the output when a stray process holds the pipe
_CHUNK = 65536
_LAST_LINES = 20


@define(eq=False)
class Run:
    """A run. Its methods are for the supervisor's thread only, where its callbacks are called as well."""

    spec: RunSpec
    _threads: Threads
    _on_lines: Callable[[Stream, Sequence[str]], None]
    _on_end: Callable[["Run"], None]
    output: Output = "apart"
    terminal: bool = False
    status: int | None = field(default=None, init=False)
    began: float = field(default=0.0, init=False)
    up: bool = field(default=False, init=False)
    stopping: bool = field(default=False, init=False)
    failure: Exception | None = field(default=None, init=False)
    timers: list[Timer] = field(factory=list, init=False)
    _last_lines: deque[str] = field(factory=lambda: deque(maxlen=_LAST_LINES), init=False)
    _process: _exec.Process | None = field(default=None, init=False)
    _open: set[int] = field(factory=set, init=False)

    @property
    def last_lines(self) -> tuple[str, ...]:
        """What it wrote last."""
        return tuple(self._last_lines)

    @property
    def lived(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self.began

    def start(self) -> None:
        """Start it.

        Raises:
            OSError: The system could not; nothing of it is left.
        """
        self.began = time.monotonic()
        try:
            with ExitStack() as theirs:
                streams = self._streams(theirs)
                start = self._threads.processes.start
                self._process = start(self.spec.command, streams, self._ended, terminal=self.terminal)
        except BaseException:
            for fd in tuple(self._open):
                self._forget(fd)
            self._clean_up()
            raise

    def _streams(self, theirs: ExitStack) -> tuple[int, int, int]:
        """Return what the process is to have as its standard streams, to be closed with *theirs*; the rest is read."""
        if self.output == "attached" and not self.terminal:
            return 0, 1, 2
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        theirs.callback(os.close, nothing)
        if self.terminal:
            return nothing, nothing, nothing
        stdout = self._pipe("stdout", theirs)
        return nothing, stdout, stdout if self.output == "merged" else self._pipe("stderr", theirs)

    def _pipe(self, stream: Stream, theirs: ExitStack) -> int:
        """Return the end of a new pipe that is for the dyno to write; what it writes is read from now on."""
        read, write = os.pipe2(os.O_CLOEXEC)
        theirs.callback(os.close, write)
        self._read(stream, read)
        if self.spec.uid is not None:  # opening /dev/stdout asks for more than having it
            os.fchown(write, self.spec.uid, self.spec.uid)
        return write

    def terminate(self) -> None:
        """Send SIGTERM to every process there is, once: what a handler of it starts must be left to finish."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL to every process there is."""
        if self._process is not None:
            self._process.kill()

    @property
    def pid(self) -> int | None:
        """The pid of the init that all of it descends from, once it is known."""
        return None if self._process is None else self._process.pid

    @property
    def network(self) -> str | None:
        """Where the kernel tells of the network that it is in: the host's, or its own once it has an init."""
        if not self.spec.own_network:
            return "/proc/net"
        return None if self.pid is None else f"/proc/{self.pid}/net"

    @property
    def memory(self) -> str | None:
        """The cgroup that tells how much memory it uses, if it has one."""
        return None if self._process is None else memory_cgroup(self._process.cgroups)

    @property
    def out_of_memory(self) -> bool:
        """Whether the kernel has killed something of it for want of memory."""
        return self._process is not None and self._process.out_of_memory

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs."""
        return self._process is None or self._process.status is not None

    def master(self) -> int | None:
        """Wait for this program's end of its terminal; None when it ended before it had one. For any thread."""
        return None if self._process is None else self._process.terminal()

    def _read(self, stream: Stream, fd: int) -> None:
        self._open.add(fd)
        splitter = LineSplitter()
        os.set_blocking(fd, False)

        def readable() -> None:
            try:
                data = os.read(fd, _CHUNK)
            except BlockingIOError:
                return
            lines = splitter.feed(data) if data else splitter.flush()
            self._last_lines.extend(lines)
            self._on_lines(stream, lines)
            if not data:
                self._forget(fd)

        self._threads.supervisor.watch(fd, readable)

    def _forget(self, fd: int) -> None:
        self._threads.supervisor.unwatch(fd)
        self._open.discard(fd)
        os.close(fd)

    def _ended(self) -> None:
        process = self._process
        status = 127 if process is None or process.status is None else process.status
        if process is not None and process.failure is not None:
            stage, _, text = process.failure
            self.failure = DynoStartError(self.spec.name, f"{stage}: {text}")
        self._drain(status, time.monotonic() + _DRAIN)

    def _drain(self, status: int, deadline: float) -> None:
        """Wait for the end of the output, but never for whoever outside was handed a pipe's end."""
        if self._open and time.monotonic() < deadline:
            self._threads.supervisor.after(_LOOK, lambda: self._drain(status, deadline))
            return
        for fd in tuple(self._open):
            self._forget(fd)
        self._threads.aside(lambda: self._leave(status))

    def _leave(self, status: int) -> None:
        """Clean up on a thread where that may take its time, then tell that nothing is left."""
        self._clean_up()
        self._threads.supervisor.post(lambda: self._gone(status))

    def _clean_up(self) -> None:
        try:
            self.spec.clean_up()
        except OSError as error:
            _log.debug("clean-up failed", port=self.spec.port, error=repr(error))

    def _gone(self, status: int) -> None:
        self.status = status
        for timer in self.timers:
            self._threads.supervisor.cancel(timer)
        self._on_end(self)
