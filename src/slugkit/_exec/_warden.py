"""The host program's side of the warden: commands and descriptors go out, ends come back."""

import marshal
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from attrs import define, field

from ..command import Command
from ._descriptors import given, sealed

_DIRECTORY = Path(__file__).parents[1] / "_warden"
# A package of its own, so that nothing of slugkit's or of the site's is imported with it.
_BOOT = (
    "import sys; package = type(sys)('warden'); package.__path__ = [sys.argv[1]];"
    "sys.modules['warden'] = package; from warden.main import main; main(int(sys.argv[2]))"
)
_LARGEST_MESSAGE = 65536
_KILLED = 137


@define(eq=False)
class Process:
    """A command that the warden was asked to run; ``status`` is None until all of it is gone.

    ``pid`` is that of its init, and ``cgroups`` are its directories, once they are known. ``failure`` says which stage
    of its sandbox failed, the errno and the system's words; such a command never ran. ``out_of_memory`` says that the
    kernel killed something in its cgroup.
    """

    _warden: "Warden"
    _number: int
    _control: socket.socket
    _bases: Sequence[str] = ()
    status: int | None = field(default=None, init=False)
    pid: int | None = field(default=None, init=False)
    cgroups: tuple[str, ...] = field(default=(), init=False)
    out_of_memory: bool = field(default=False, init=False)
    failure: tuple[str, int, str] | None = field(default=None, init=False)
    _told: list[list[str]] = field(factory=list, init=False)

    def started(self, pid: int, name: str) -> None:
        """Take what the warden says of it."""
        self.pid, self.cgroups = pid, tuple(f"{base}/{name}" for base in self._bases)

    def terminal(self) -> int | None:
        """Wait for the other end of the terminal that it was given, and return its descriptor; None if it ended.

        It is the caller's to close.
        """
        while data := self._received():
            words, fds = data
            if fds:
                return fds[0]
            self._told.append(words)
        return None

    def _received(self) -> tuple[list[str], list[int]] | None:
        try:
            data, fds, _, _ = socket.recv_fds(self._control, _LARGEST_MESSAGE, 1, socket.MSG_CMSG_CLOEXEC)
        except OSError:
            return None
        return (data.decode("utf-8", "replace").split("\0"), fds) if data else None

    def terminate(self) -> None:
        """Send SIGTERM to every process in it."""
        with suppress(OSError):  # it is ending
            self._control.send(b"T")

    def kill(self) -> None:
        """Send SIGKILL to every process in it."""
        self._warden.kill(self._number)

    def gone(self) -> None:
        """Take what its init told before it ended."""
        status: int = _KILLED
        self._control.settimeout(0)
        while data := self._received():
            self._told.append(data[0])
        for words in self._told:
            match words:
                case ["exited", told]:
                    status = int(told)
                case ["error", stage, number, text]:
                    self.failure, status = (stage, int(number), text), 127
        self._control.close()
        self.status = status


class Warden:
    """The helper program that forks every command given to it; it ends, and they do, when this program does.

    It is started with the first command. Threads may share it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._popen: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._processes: dict[int, Process] = {}
        self._next = 0
        self._lost = False

    @property
    def alive(self) -> bool:
        """Whether it runs, or would with the next command: False once somebody has killed it."""
        return not self._lost

    def __enter__(self) -> Self:
        """Start it: that takes 25 ms, in which the host program can do something else."""
        with self._lock:
            self._started()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End it, and with it everything it runs."""
        self.close()

    def _started(self) -> socket.socket:
        if self._socket is None:
            with ExitStack() as unused:
                ours, theirs = map(unused.enter_context, socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
                argv = [sys.executable, "-I", "-S", "-c", _BOOT, str(_DIRECTORY), str(theirs.fileno())]
                self._popen = subprocess.Popen(
                    argv,
                    env={},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
                theirs.close()
                unused.pop_all()
            self._socket = ours
        return self._socket

    def fileno(self) -> int:
        """Return a descriptor that is readable when `collect` has something to tell."""
        with self._lock:
            return self._started().fileno()

    def spawn(self, command: Command, streams: Sequence[int], *, terminal: bool = False) -> Process:
        """Run *command*, with the descriptors *streams* as its standard input, output and error.

        *terminal*: they are to be a terminal of its own instead, whose other end `Process.terminal` returns.

        Raises:
            OSError: The warden cannot be started, or is gone.
        """
        with self._lock, given(command) as (argv, numbers):
            host = self._started()
            with ExitStack() as unused:
                ours, theirs = map(unused.enter_context, socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
                request, rest = _split(command, argv, numbers, terminal=terminal)
                spec = sealed(marshal.dumps(rest))
                try:
                    self._next += 1
                    start = marshal.dumps({"start": self._next, **request})
                    socket.send_fds(host, [start], [spec, theirs.fileno(), *streams, *numbers])
                finally:
                    os.close(spec)
                theirs.close()
                unused.pop_all()
            bases = command.confinement.get("cgroups", ())
            process = self._processes[self._next] = Process(self, self._next, ours, bases)
        return process

    def kill(self, number: int) -> None:
        """Have the init of command *number* killed, and with it all that is below."""
        with self._lock:
            if number in self._processes and self._socket is not None:
                with suppress(OSError):  # so is the warden, and with it the command
                    self._socket.send(marshal.dumps({"kill": number}))

    def collect(self) -> list[Process]:
        """Return the commands of which nothing is left since the last call; all of them when the warden is gone."""
        with self._lock:
            if self._socket is None:
                return []
            ended = []
            while True:
                try:
                    told = self._socket.recv(_LARGEST_MESSAGE, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    break
                except OSError:
                    told = b""
                if not told:
                    ended += list(self._processes)
                    self._lost = True
                    break
                match told.decode().split(" "):
                    case ["started", number, pid, name]:
                        self._processes[int(number)].started(int(pid), name)
                    case ["gone", number, killed]:
                        self._processes[int(number)].out_of_memory = killed == "1"
                        ended.append(int(number))
            processes = [self._processes.pop(number) for number in dict.fromkeys(ended)]
        for process in processes:
            process.gone()
        return processes

    def close(self) -> None:
        """End the warden, and with it everything it runs; return when nothing is left."""
        with self._lock:
            if self._socket is None or self._popen is None:
                return
            self._socket.shutdown(socket.SHUT_WR)
            self._popen.wait()
        self.collect()
        with self._lock:
            self._socket.close()
            self._socket, self._popen, self._lost = None, None, False


def _split(
    command: Command, argv: Sequence[str], numbers: Sequence[int], *, terminal: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the warden has to know of *command*, and the rest, which only the command's own process reads.

    No config vars are in the first: of what the warden reads, each init has a copy.
    """
    asked = {**_UNCONFINED, **command.confinement}
    kind = {name: asked.pop(name) for name in ("namespaces", "cgroups", "cgroup_settings")}
    kind["confined"] = asked["confined"]
    overlays = [mount for mount in asked["mounts"] if mount["kind"] == "overlay"]
    given = [(one["host"], one["uid"]) for one in overlays if one["uid"] is not None]
    request = {"kind": kind, "given": given, "scratch": asked.pop("scratch")}
    plain = {"argv": argv, "env": dict(command.env), "cwd": str(command.cwd or "/")}
    return request, {**plain, "descriptors": numbers, "terminal": terminal, **asked}


_UNCONFINED: dict[str, Any] = {
    "namespaces": None,
    "mounts": [],
    "landlock": None,
    "seccomp": False,
    "confined": False,
    "uid": None,
    "wrapped": 0,
    "limits": {},
    "cgroups": [],
    "cgroup_settings": {},
    "scratch": None,
}
