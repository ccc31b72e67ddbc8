"""The warden: forks what it is asked to, tells when all of it is gone, and ends with the program that started it.

One socket leads to the host program. It sends ``{"start": id, ...}`` with descriptors - the spec, the control socket,
the command's three streams and what else it is to have - and ``{"kill": id}``; it is told "started", id, the init's pid
and the name of its cgroups, and "gone", id and whether memory ran out. One thread, so that a fork copies no lock that
somebody else holds.
"""

from __future__ import annotations

import errno
import gc
import marshal
import os
import select

from . import channel, command, family, namespaces, privileges, removal
from .child import Child
from .light import signal, socket

TYPE_CHECKING = False  # typing takes 4 ms of a start that takes 25
if TYPE_CHECKING:
    from typing import Any

_QUIET = 10  # ms without a request: the next init is prepared when no start has to wait for that
_SETTLED = 1000  # ms without a mount on the host: machines with containers have some all the time
_MOST_SPARE = 4  # kinds of sandboxes: builds and dynos, each with a network or without


class Warden:
    """Its inits by pid, and those of them that are spare by what they are prepared for."""

    def __init__(self, host: socket.socket) -> None:
        self._host = host
        self._inits: dict[int, Child] = {}
        self._spare: dict[bytes, Child] = {}
        self._wanted: dict[bytes, dict[str, Any]] = {}
        self._pause = _QUIET
        self._removing: dict[int, str] = {}
        self._lifeline = os.pipe2(os.O_CLOEXEC)
        self._woken, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._untold: list[bytes] = []

    def serve(self) -> None:
        """Do as the host program says until it is gone; then kill everything and return."""
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        program = os.pidfd_open(os.getppid())  # a child that it forks, and does not end with it, has the socket too
        mounted = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
        for fd in (self._host.fileno(), self._woken, program):
            self._poll.register(fd, select.POLLIN)
        self._poll.register(mounted, select.POLLPRI)
        served = True
        while served:
            ready = dict(self._poll.poll(self._pause if self._wanted else None))
            if mounted in ready:  # what is prepared has what was mounted before
                self._wanted |= {key: one.kind for key, one in self._spare.items()}
                self._pause = _SETTLED
                self._dismiss(*self._spare)
            served = program not in ready and self._turn(ready)
        for pid in self._inits:
            os.kill(pid, signal.SIGKILL)
        while self._inits or self._removing:
            self._reap(0)
        family.extinguish()

    def _turn(self, ready: dict[int, int]) -> bool:
        """Do what there is to do; return False when the host program has closed its end."""
        if not ready:
            self._prepare()
        if self._woken in ready:
            os.read(self._woken, 4096)
            self._reap()
        events = ready.get(self._host.fileno(), 0)
        if events & select.POLLOUT:
            self._tell()
        return not events & ~select.POLLOUT or self._obey()

    def _obey(self) -> bool:
        data, descriptors = channel.received(self._host)
        if not data:
            return False
        request = marshal.loads(data)  # noqa: S302 - the host program's own words
        if "start" in request:
            self._start(request, descriptors)
            return True
        for one in self._inits.values():
            if one.number == request["kill"]:
                os.kill(one.pid, signal.SIGKILL)
        return True

    def _start(self, request: dict[str, Any], descriptors: list[int]) -> None:
        number, scratch, kind = request["start"], request["scratch"], request["kind"]
        key = marshal.dumps(kind)
        self._wanted[key], self._pause = kind, _QUIET
        try:
            for host, uid in request["given"]:
                descriptors.append(namespaces.mapping(os.stat(host).st_uid, uid))
            one = self._ready(key)
            if one is None or not one.hand(number, scratch, descriptors):
                one = self._made(kind)
                if not one.hand(number, scratch, descriptors):
                    raise OSError(errno.ECHILD, "its init was killed")
        except OSError as error:
            command.tell_error(descriptors[1], "init", error)
            self._gone(number, scratch, killed=False)
        else:
            self._tell(f"started {number} {one.pid} {one.name}")
        finally:
            for fd in descriptors:
                os.close(fd)

    def _ready(self, key: bytes) -> Child | None:
        """Take the spare init for *key*, if there is one that shows what the host has now."""
        one = self._spare.pop(key, None)
        if one is None or one.shows_the_host():
            return one
        one.dismiss()
        return None

    def _made(self, kind: dict[str, Any]) -> Child:
        one = Child(kind, self._lifeline)
        self._inits[one.pid] = one
        return one

    def _prepare(self) -> None:
        """Have an init ready for another command in a sandbox like one of the last."""
        key, kind = self._wanted.popitem()
        if key in self._spare:
            return
        self._dismiss(*list(self._spare)[: 1 - _MOST_SPARE])
        try:
            self._spare[key] = self._made(kind)
        except OSError:  # whoever wants it is told
            return

    def _dismiss(self, *keys: bytes) -> None:
        for key in keys:
            self._spare.pop(key).dismiss()

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
            if pid in self._inits:
                self._ended(self._inits.pop(pid))

    def _ended(self, one: Child) -> None:
        if one.shared:  # what it did not end, being killed, has come to us
            family.extinguish({*self._inits, *self._removing})
        killed = one.clear_up()
        if one.number >= 0:
            self._gone(one.number, one.scratch, killed=killed)
        else:
            self._spare = {key: other for key, other in self._spare.items() if other is not one}

    def _gone(self, number: int, scratch: str | None, *, killed: bool) -> None:
        gone = f"gone {number} {killed:d}"
        if scratch:
            self._removing[self._remove(scratch)] = gone
        else:
            self._tell(gone)

    def _remove(self, scratch: str) -> int:
        """Fork what removes *scratch*, which can take its time, or fail; return its pid."""
        pid = os.fork()
        if pid == 0:
            try:
                os.close(self._lifeline[1])
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


def main(host: int) -> None:
    """Serve the program at the other end of the socket *host*; be nobody's business otherwise."""
    os.chdir("/")
    os.umask(0o022)
    privileges.leave_keyring()
    privileges.adopt_orphans()
    privileges.be_killed_for_memory()
    privileges.hide()
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:  # what the host program ignores
        signal.signal(number, signal.SIG_DFL)
    privileges.reset_libcs_signals()
    for number in command.IGNORED:  # its end is the host program's
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # what the thread that started us blocked
    gc.disable()
    gc.freeze()  # pages that no collection writes to stay shared with every init
    Warden(socket.socket(fileno=host)).serve()
