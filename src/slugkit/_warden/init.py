"""What the warden forks for each command: it has the command start, and ends all of it.

It is pid 1 of the command's pid namespace, or, where there is none, the parent of every orphan in its family. Its only
child waits to be told which command to become, and hands it the control socket: over that the init tells "exited" and
the status, or "error", the stage, errno and text - words between NULs, for what the other end reads may come from an
app - and is told "T": SIGTERM to all. When the socket or the warden is gone, so is everything here.
"""

from __future__ import annotations

import fcntl
import marshal
import os
import select

from . import cgroups, channel, command, family, namespaces, privileges
from .light import signal, socket
from .syscalls import syscall

TYPE_CHECKING = False  # typing takes 4 ms of a start that takes 25
if TYPE_CHECKING:
    from typing import Any, NoReturn


def run(kind: dict[str, Any], requests: int, lifeline: int) -> NoReturn:
    """Be the init of a command in a sandbox of this *kind*, which *requests* will name."""
    stage = "descriptors"
    signal.set_wakeup_fd(-1)  # the warden's, soon closed: Python would complain of that in the command's output
    try:
        requests, lifeline = _alone_with(requests, lifeline)
        for stage, step in _STAGES:  # noqa: B007 - it is told when a step fails
            step(kind)
        stage = "descriptors"
        ours, theirs = channel.pair()
        main = os.fork()
    except BaseException as error:  # noqa: BLE001 - nothing may reach the warden's own code
        command.refuse(requests, stage, error)
    if main == 0:
        ours.close()
        os.close(lifeline)
        command.run(kind["namespaces"], requests, theirs)
    theirs.close()
    os.close(requests)
    _Init(kind, main, ours).watch(lifeline)


def _alone_with(*descriptors: int) -> list[int]:
    """Close all but *descriptors*, for which others are returned; have nothing as the standard streams."""
    above = max(descriptors) + 3
    kept = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, above) for fd in descriptors]
    os.closerange(0, min(kept))
    syscall("close_range", max(kept) + 1, 2**31 - 1, 0)
    for _ in range(3):
        os.open("/dev/null", os.O_RDWR)
    return kept


def _enter_user(kind: dict[str, Any]) -> None:
    space = kind["namespaces"]
    if space is not None and space["user"]:
        namespaces.map_user(*space["user"])


def _enter_cgroups(kind: dict[str, Any]) -> None:
    cgroups.join(kind["cgroups"])


def _lock(kind: dict[str, Any]) -> None:
    if kind["namespaces"] is None:
        privileges.adopt_orphans()
    privileges.leave_keyring()
    if kind["confined"]:
        privileges.lock()
        privileges.hide()


_STAGES = (
    ("user namespace", _enter_user),
    ("cgroup", _enter_cgroups),
    ("privileges", _lock),
)


class _Init:
    """The watch over *main*, which tells over *started* whose it is once it knows that."""

    def __init__(self, kind: dict[str, Any], main: int, started: socket.socket) -> None:
        self._kind, self._main, self._started = kind, main, started
        self._alone = kind["namespaces"] is not None
        self._wrapped = 0
        self._control = -1
        self._poll = select.poll()

    def watch(self, lifeline: int) -> NoReturn:
        """Reap, and do as told, until *main* ends or nobody is there to tell; then end everything."""
        stage = "descriptors"
        try:
            woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
            signal.signal(signal.SIGCHLD, lambda *_: None)
            for fd in (self._started.fileno(), lifeline, woken):
                self._poll.register(fd, select.POLLIN)
            status = self._reaped()
            while status is None:
                for fd, _ in self._poll.poll():
                    if fd == woken:
                        os.read(woken, 4096)
                    elif fd == self._started.fileno():
                        stage = "privileges"
                        self._take_over()
                    elif fd == self._control and os.read(fd, 16) == b"T":
                        family.signal_all(signal.SIGTERM, alone=self._alone, wrapped=self._wrapped)
                    else:
                        family.end(alone=self._alone)
                status = self._reaped()
            command.tell(self._control, "exited", status)
        except BaseException as error:  # noqa: BLE001 - see run()
            command.tell_error(self._control, stage, error)
        family.end(alone=self._alone)

    def _take_over(self) -> None:
        """Learn from *main* who is told of its end, and be as little as it is going to be, before it is.

        Then hear what is to be done with it: its end of the socket closes when it has become the command, or ended.
        """
        try:
            data, descriptors = channel.received(self._started)
        except ConnectionResetError:  # it ended without a look at what it was told
            data = b""
        if not data:
            self._poll.unregister(self._started)
            if self._control >= 0:
                self._poll.register(self._control, select.POLLIN)
            return
        [self._control] = descriptors
        uid, self._wrapped = marshal.loads(data)  # noqa: S302 - our own words
        if self._kind["confined"]:
            privileges.drop(uid)
            privileges.hide()
        try:
            self._started.send(b"go")
        except BrokenPipeError:  # it has failed, and said why
            return

    def _reaped(self) -> int | None:
        """Reap who has ended; return the exit status of *main*, as a shell tells it, if it is among them."""
        found = None
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return found
            if pid == 0:
                return found
            if pid == self._main:
                code = os.waitstatus_to_exitcode(status)
                found = code if code >= 0 else 128 - code
