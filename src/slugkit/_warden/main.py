"""The warden: forks what it is asked to, tells when all of it is gone, and ends with the program that started it.

One socket leads to the host program. It sends ``{"start": id}`` with descriptors - the spec, the control socket, the
command's three streams and what else it is to have - and ``{"kill": id}``; it is told "started", id and the init's pid,
and "gone", id and whether memory ran out. One thread, so that a fork copies no lock that somebody else holds.
"""

from __future__ import annotations

import array
import gc
import marshal
import os
import select
import signal
import socket

from . import family, init, namespaces, privileges, removal
from .syscalls import syscall

TYPE_CHECKING = False  # typing takes 4 ms of a start that takes 30
if TYPE_CHECKING:
    from typing import Any

_LARGEST_MESSAGE = 4096
_MOST_DESCRIPTORS = 250  # SCM_MAX_FD is 253
_SIGCHLD = 17
_REMEMBERED = ("namespaces", "cgroups", "scratch")  # no config vars: what it holds, each init has a copy of
_FREED = 50  # times a hundredth of a second for the kernel to let go of an empty cgroup


class Warden:
    """Its children by pid, each with the id that the host program gave it and what it is to leave behind: nothing."""

    def __init__(self, host: socket.socket) -> None:
        self._host = host
        self._children: dict[int, tuple[int, dict[str, Any]]] = {}
        self._removing: dict[int, str] = {}
        self._alive, self._lifeline = os.pipe2(os.O_CLOEXEC)
        self._woken, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._untold: list[bytes] = []

    def serve(self) -> None:
        """Do as the host program says until it is gone; then kill everything and return."""
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._poll.register(self._host, select.POLLIN)
        self._poll.register(self._woken, select.POLLIN)
        program = os.pidfd_open(os.getppid())  # a child that it forks, and does not end with it, has the socket too
        self._poll.register(program, select.POLLIN)
        while True:
            ready = dict(self._poll.poll())
            if program in ready:
                break
            if self._woken in ready:
                os.read(self._woken, 4096)
                self._reap()
            events = ready.get(self._host.fileno(), 0)
            if events & select.POLLOUT:
                self._tell()
            if events & ~select.POLLOUT and not self._obey():
                break
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        while self._children or self._removing:
            self._reap(0)
        family.extinguish()

    def _obey(self) -> bool:
        data, descriptors = _received(self._host)
        if not data:
            return False
        request = marshal.loads(data)  # noqa: S302 - the host program's own words
        if "start" in request:
            self._start(request["start"], descriptors)
        for pid, (number, _) in self._children.items():
            if number == request.get("kill"):
                os.kill(pid, signal.SIGKILL)
        return True

    def _start(self, number: int, descriptors: list[int]) -> None:
        spec = marshal.loads(_read(descriptors[0]))  # noqa: S302 - as above
        try:
            for directory in spec["cgroups"]:
                _make_cgroup(directory, spec["cgroup_settings"])
            _prepare(spec["namespaces"])
            flags = _SIGCHLD if spec["namespaces"] is None else _SIGCHLD | namespaces.flags(spec["namespaces"])
            pid = syscall("clone", flags, 0, 0, 0, 0)
            if pid == 0:
                os.close(self._lifeline)
                init.run(spec, descriptors[1], self._alive, descriptors[2:])
        except OSError as error:
            os.write(descriptors[1], f"error\0clone\0{error.errno}\0{error}".encode("utf-8", "backslashreplace"))
            self._gone(number, spec)
        else:
            self._children[pid] = number, {name: spec[name] for name in _REMEMBERED}
            self._tell(f"started {number} {pid}")
        finally:
            for fd in (*descriptors, *namespaces.opened(spec["namespaces"])):
                os.close(fd)

    def _reap(self, options: int = os.WNOHANG) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, options | os.WUNTRACED)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if os.WIFSTOPPED(status):  # an app of the same user may do that to its init, which would tell nothing
                os.kill(pid, signal.SIGCONT)
                continue
            options = os.WNOHANG
            if pid in self._removing:
                self._tell(self._removing.pop(pid))
            if pid in self._children:
                number, spec = self._children.pop(pid)
                if spec["namespaces"] is None:  # what an init did not end, being killed, has come to us
                    family.extinguish({*self._children, *self._removing})
                self._gone(number, spec)

    def _gone(self, number: int, spec: dict[str, Any]) -> None:
        killed = any(_killed_for_memory(directory) for directory in spec["cgroups"])
        gone = f"gone {number} {killed:d}"
        for directory in spec["cgroups"]:
            _remove_cgroup(directory)
        if spec["scratch"]:
            self._removing[self._remove(spec["scratch"])] = gone
        else:
            self._tell(gone)

    def _remove(self, scratch: str) -> int:
        """Fork what removes *scratch*, which can take its time, or fail; return its pid."""
        pid = os.fork()
        if pid == 0:
            try:
                os.close(self._lifeline)
                removal.remove(scratch)
            finally:
                os._exit(0)
        return pid

    def _tell(self, *what: str) -> None:
        """Tell what the host program has room for, the rest when it has read: or each waits for the other."""
        self._untold += [one.encode() for one in what]
        while self._untold:
            try:
                self._host.send(self._untold[0], socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            except OSError:  # so is the host
                self._untold.clear()
                break
            del self._untold[0]
        self._poll.modify(self._host, select.POLLIN | (select.POLLOUT if self._untold else 0))


def _prepare(spec: dict[str, Any] | None) -> None:
    """Open what namespaces need from outside of them: those that give files to another owner."""
    for mount in spec["mounts"] if spec else ():
        if mount["kind"] == "overlay" and mount["uid"] is not None:
            mount["mapping"] = namespaces.mapping(os.stat(mount["host"]).st_uid, mount["uid"])


def _make_cgroup(directory: str, settings: dict[str, str]) -> None:
    os.makedirs(directory, exist_ok=True)
    for name, value in settings.items():
        path = os.path.join(directory, name)
        if os.path.exists(path):
            with open(path, "w", encoding="ascii") as file:
                file.write(value)


def _killed_for_memory(directory: str) -> bool:
    """Return whether the kernel killed somebody in the cgroup, of version 2 or 1, for want of memory."""
    for name in ("memory.events", "memory.oom_control"):
        try:
            with open(os.path.join(directory, name), encoding="ascii") as file:
                lines = file.read().splitlines()
        except OSError:
            continue
        return any(line.startswith("oom_kill ") and line != "oom_kill 0" for line in lines)
    return False


def _remove_cgroup(directory: str) -> None:
    for _ in range(_FREED):
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            return
        except OSError:  # EBUSY for the moment that the dead take to leave
            select.select([], [], [], 0.01)
        else:
            return


def _received(host: socket.socket) -> tuple[bytes, list[int]]:
    space = socket.CMSG_SPACE(_MOST_DESCRIPTORS * array.array("i").itemsize)
    data, ancillary, _, _ = host.recvmsg(_LARGEST_MESSAGE, space, socket.MSG_CMSG_CLOEXEC)
    descriptors = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(payload[: len(payload) - len(payload) % descriptors.itemsize])
    return data, list(descriptors)


def _read(fd: int) -> bytes:
    parts, at = [], 0
    while part := os.pread(fd, 2**20, at):
        parts.append(part)
        at += len(part)
    return b"".join(parts)


def main(host: int) -> None:
    """Serve the program at the other end of the socket *host*; be nobody's business otherwise."""
    os.chdir("/")
    os.umask(0o022)
    privileges.leave_keyring()
    privileges.adopt_orphans()
    privileges.hide()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # its end is the host program's
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # what the thread that started us blocked
    gc.disable()
    gc.freeze()  # pages that no collection writes to stay shared with every init
    Warden(socket.socket(fileno=host)).serve()
