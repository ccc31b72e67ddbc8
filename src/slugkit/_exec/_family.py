"""Everything that descends from a started command: who they are, and how they are ended."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable

from attrs import frozen

_LONGEST_DEATH = 10.0  # seconds; a process that SIGKILL does not end is in the hands of the kernel


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
    except OSError:  # it is gone, or there is no descriptor left
        return None


def extinguish(process: Process, init: int | None) -> None:
    """Kill whatever of *process* is left and wait until it is gone; *init* is what `open_init` returned, closed here.

    Its pid 1 is dead only when all of its namespace is. As an ordinary user, an app that traces its pid 1 (same uid)
    can hold up that death; killing the tracer lets it go on.
    """
    kill(process, signal.SIGKILL)
    if init is None:
        return
    poll = select.poll()  # not select(), which takes no descriptor above 1023
    poll.register(init, select.POLLIN)
    deadline = time.monotonic() + _LONGEST_DEATH
    while not poll.poll(20) and time.monotonic() < deadline:
        for pid in members(process):
            signal_quietly(pid, signal.SIGKILL)
    os.close(init)


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
