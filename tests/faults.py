"""Kill a piece of work at one chosen system call, or let the system say no to that call; strace does it.

A server that has slugkit loaded forks a process for each piece of work, so that calls are counted from where the work
begins. Segments are worked on in the same thread there, or no count would mean the same call twice.
"""

import importlib
import json
import os
import re
import select
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from attrs import field, frozen

from slugkit import _whole
from slugkit.archive import _parallel, _slugfile
from slugkit.errors import SlugkitError

Work = Callable[[Path], object]

CHANGING = (
    *("open", "openat", "creat", "write", "pwrite64", "writev", "sendfile", "copy_file_range", "ftruncate"),
    *("link", "linkat", "rename", "renameat", "renameat2", "mkdir", "mkdirat", "unlink", "unlinkat", "rmdir"),
    *("symlink", "symlinkat", "chmod", "fchmod", "fchmodat", "utimensat", "fsync", "fdatasync", "syncfs", "flock"),
)
READING = (
    *("read", "pread64", "preadv", "preadv2", "getdents64", "lseek", "close", "readlink", "readlinkat"),
    *("stat", "lstat", "fstat", "newfstatat", "statx"),
)
_SYSCALLS = ",".join(f"?{name}" for name in CHANGING + READING)  # some are not on every machine
_BEGIN, _END = "/slugkit-begin", "/slugkit-end"
_CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)$")


@frozen
class Call:
    """The *number*-th call of *name* in a piece of work, counted by strace; *line* is how strace tells it."""

    name: str
    number: int
    line: str = field(eq=False)

    def __str__(self) -> str:
        """Tell which one, for an assertion."""
        return f"{self.name} {self.number}: {self.line[:200]}"


@frozen
class Outcome:
    """How a piece of work ended: ``signal`` that killed it or 0, its ``result``, or ``error``, ``code`` and ``text``.

    ``calls`` are those that were traced, between the begin of the work and its end.
    """

    signal: int = 0
    result: str = ""
    error: str = ""
    code: str = ""
    text: str = ""
    calls: tuple[Call, ...] = field(default=(), repr=False)


@frozen
class Faults:
    """A running server for the pieces of work that *module* lists as ``WORKS``; *log* is where strace writes."""

    log: Path
    _server: "subprocess.Popen[str]"

    def run(self, work: str, directory: Path) -> Outcome:
        """Do *work* in *directory*, undisturbed."""
        return self._run(work, directory, ())

    def trace(self, work: str, directory: Path) -> Outcome:
        """Do *work* in *directory* and list its calls."""
        return self._run(work, directory, ("-e", f"trace={_SYSCALLS}"))

    def kill(self, work: str, directory: Path, call: Call) -> Outcome:
        """Do *work* in *directory*, and kill it when it comes to *call*."""
        return self._run(work, directory, (f"--inject={call.name}:signal=KILL:when={call.number}",))

    def fail(self, work: str, directory: Path, call: Call, error: str) -> Outcome:
        """Do *work* in *directory*; *call* fails with *error*, such as "ENOSPC"."""
        return self._run(work, directory, (f"--inject={call.name}:error={error}:when={call.number}",))

    def _run(self, work: str, directory: Path, options: tuple[str, ...]) -> Outcome:
        pid = int(self._ask([work, str(directory)]))
        if not options:
            return Outcome(**json.loads(self._ask("go")))
        command = ["strace", "-f", "-s", "256", "-p", str(pid), "-o", str(self.log), *options]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
            assert strace.stderr is not None
            line = strace.stderr.readline()
            assert "attached" in line, line
            told = self._ask("go")
            strace.communicate(timeout=60)
        return Outcome(**json.loads(told), calls=tuple(_calls(self.log.read_text("utf-8", "replace"))))

    def _ask(self, request: object) -> str:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return self._server.stdout.readline()


@contextmanager
def faults(module: str, log: Path) -> Iterator[Faults]:
    """Yield a server for the works of *module*, of these tests."""
    command = [sys.executable, __file__, module]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        yield Faults(log, server)


def _calls(log: str) -> Iterator[Call]:
    """Yield the calls between the markers; all are counted, as strace does. Without markers, only some are traced."""
    counts, inside = Counter[str](), _BEGIN not in log
    for line in log.splitlines():
        if found := _CALL.match(line):
            name, rest = found.groups()
            counts[name] += 1
            if _END in rest:
                return
            if inside:
                yield Call(name, counts[name], rest)
            inside = inside or _BEGIN in rest


def _serve(works: Mapping[str, Work]) -> None:
    for line in sys.stdin:
        work, directory = json.loads(line)
        begin, started = os.pipe()
        told, say = os.pipe()
        pid = os.fork()
        if not pid:
            _do(works[work], Path(directory), begin, say)
        os.close(say)
        _say(str(pid))
        sys.stdin.readline()
        os.write(started, b"go")
        for fd in (begin, started):
            os.close(fd)
        with os.fdopen(told) as file:
            outcome = file.read()
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        _say(outcome or json.dumps({"signal": -status}))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _do(work: Work, directory: Path, begin: int, say: int) -> None:
    told: dict[str, Any] = {}
    select.select([begin], [], [])  # no call that is counted
    with suppress(OSError):
        os.stat(_BEGIN)
    try:
        told["result"] = str(work(directory))
    except SlugkitError as error:
        told.update(error=type(error).__name__, code=error.code, text=str(error))
    except BaseException as error:  # noqa: BLE001 - that is what the tests are to find
        told.update(error=type(error).__name__, text=traceback.format_exc())
    with suppress(OSError):
        os.stat(_END)
    os.write(say, json.dumps(told).encode())
    os._exit(0)


class _SameThread:
    """An executor that does the work at once."""

    def __init__(self, *_: object) -> None:
        pass

    def submit(self, work: Callable[..., Any], *arguments: object) -> "Future[Any]":
        done = Future[Any]()
        try:
            done.set_result(work(*arguments))
        except BaseException as error:  # noqa: BLE001 - as executors do
            done.set_exception(error)
        return done

    def shutdown(self, **_: object) -> None:
        pass


if __name__ == "__main__":
    _parallel.__dict__["ThreadPoolExecutor"] = _SameThread
    _slugfile._TICK = 2**62  # whenever a file was written, it is read as often
    _whole._STALE = 0.0  # who was killed is dead long enough
    _serve(importlib.import_module(sys.argv[1]).WORKS)
