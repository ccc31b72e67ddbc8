"""What the warden forks for each command: it builds the sandbox, starts the command in it, and ends all of it.

It is pid 1 of the command's pid namespace, or, where there is none, the parent of every orphan in its family. Over its
control socket it tells "exited" and the status, or "error", the stage, errno and text - words between NULs, for what
the other end reads may come from an app - and is told "T": SIGTERM to all. When the socket or the warden is gone, so is
everything here.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import struct
import termios
from itertools import pairwise

from . import family, landlock, namespaces, privileges, seccomp
from .syscalls import syscall

TYPE_CHECKING = False  # typing takes 4 ms of a start that takes 30
if TYPE_CHECKING:
    from typing import Any, NoReturn

_ACCESS = {"read": landlock.READ, "write": landlock.WRITE, "use": landlock.USE}
_UP = 1  # IFF_UP


def run(spec: dict[str, Any], control: int, lifeline: int, given: list[int]) -> NoReturn:
    """Be the init of the command that *spec* describes; *given* are its standard streams and further descriptors."""
    stage = "descriptors"
    signal.set_wakeup_fd(-1)  # the warden's, soon closed: Python would complain of that in the command's output
    try:
        control, lifeline = _arranged(control, lifeline, given, spec)
        spec["control"] = control
        for stage, step in _STAGES:  # noqa: B007 - it is told when a step fails
            step(spec)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # one that comes too early is not lost
        main = os.fork()
        if main == 0:
            _become(spec, control)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        _close_streams(spec["descriptors"])
        _watch(main, control, lifeline, alone=spec["namespaces"] is not None, wrapped=spec["wrapped"])
    except BaseException as error:  # noqa: BLE001 - nothing may reach the warden's own code
        _tell(control, "error", stage, getattr(error, "errno", None) or 0, error)
    os._exit(1)


def _arranged(control: int, lifeline: int, given: list[int], spec: dict[str, Any]) -> list[int]:
    """Put the descriptors *given* where the command expects them, ours above, and close all others."""
    wanted = [0, 1, 2, *spec["descriptors"]]
    above = max(wanted) + 64
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, above) for fd in (*given, control, lifeline)]
    for mount in spec["namespaces"]["mounts"] if spec["namespaces"] else ():
        if "mapping" in mount:
            mount["mapping"] = fcntl.fcntl(mount["mapping"], fcntl.F_DUPFD_CLOEXEC, above)
    for fd, number in zip(high, wanted, strict=False):
        os.dup2(fd, number)
    kept = sorted({*wanted, *high[-2:], *namespaces.opened(spec["namespaces"])})
    for one, following in pairwise(kept):
        os.closerange(one + 1, following)
    syscall("close_range", kept[-1] + 1, 2**31 - 1, 0)
    return high[-2:]


def _enter_user(spec: dict[str, Any]) -> None:
    space = spec["namespaces"]
    if space is not None and space["user"]:
        namespaces.map_user(*space["user"])


def _enter_cgroups(spec: dict[str, Any]) -> None:
    for directory in spec["cgroups"]:
        with open(f"{directory}/cgroup.procs", "w", encoding="ascii") as file:
            file.write("0")


def _enter_namespaces(spec: dict[str, Any]) -> None:
    if spec["namespaces"] is None:
        privileges.adopt_orphans()
        return
    if not spec["namespaces"]["network"]:
        with socket.socket() as probe:
            fcntl.ioctl(probe, 0x8914, struct.pack("16sh14x", b"lo", _UP))  # SIOCSIFFLAGS
    namespaces.enter(spec["namespaces"])


def _open_terminal(spec: dict[str, Any]) -> None:
    """Have a terminal of the sandbox's own as the command's streams, and give the host program the other end."""
    if not spec["terminal"]:
        return
    master, slave = os.openpty()
    if spec["uid"] is not None:
        os.fchown(slave, spec["uid"], spec["uid"])
    with socket.socket(fileno=os.dup(spec["control"])) as control:
        socket.send_fds(control, [b"terminal"], [master])
    for number in (0, 1, 2):
        os.dup2(slave, number)
    os.close(master)
    os.close(slave)


def _drop(spec: dict[str, Any]) -> None:
    os.umask(0o022)
    privileges.leave_keyring()
    if spec["confined"]:
        privileges.drop(spec["uid"])
        privileges.hide()


_STAGES = (
    ("user namespace", _enter_user),
    ("cgroup", _enter_cgroups),
    ("namespaces", _enter_namespaces),
    ("terminal", _open_terminal),
    ("privileges", _drop),
)


def _become(spec: dict[str, Any], control: int) -> NoReturn:
    """Become the command, in a session of its own, with nothing of ours but what it was given."""
    stage = "session"
    try:
        os.setsid()
        if spec["terminal"]:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:  # an ignored one stays so over exec
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        stage = "limits"
        privileges.limit(spec["limits"])
        stage = "landlock"
        if spec["landlock"] is not None:
            rules = [(os.fsencode(path), _ACCESS[access]) for path, access in spec["landlock"]["rules"]]
            rules += [(os.fsencode(os.ttyname(0)), landlock.USE)] if spec["terminal"] else []
            landlock.restrict(rules, spec["landlock"]["bind"])
        stage = "seccomp"
        if spec["seccomp"]:
            seccomp.restrict()
        stage = "command"
        os.chdir(spec["cwd"])
        env = {os.fsencode(name): os.fsencode(value) for name, value in spec["env"].items()}
        os.execve(_program(spec), [os.fsencode(one) for one in spec["argv"]], env)
    except BaseException as error:  # noqa: BLE001 - see run()
        _tell(control, "error", stage, getattr(error, "errno", None) or 0, error)
    os._exit(127)


def _program(spec: dict[str, Any]) -> str:
    """Return the path of the program; one without a slash is looked for on the command's own PATH."""
    name: str = spec["argv"][0]
    if "/" in name:
        return name
    for directory in spec["env"].get("PATH", os.defpath).split(":"):
        path = os.path.join(directory or ".", name)
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    raise FileNotFoundError(2, "no such program", name)


def _close_streams(numbers: list[int]) -> None:
    """Let go of what is the command's: a pipe ends when the command has closed it."""
    nothing = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    for number in numbers:
        os.close(number)


def _watch(main: int, control: int, lifeline: int, *, alone: bool, wrapped: int) -> NoReturn:
    """Reap, and do as told, until *main* ends or nobody is there to tell; then end everything."""
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    poll = select.poll()
    for fd in (control, lifeline, woken):
        poll.register(fd, select.POLLIN)
    status = _reaped(main)
    while status is None:
        for fd, _ in poll.poll():
            if fd == woken:
                os.read(woken, 4096)
            elif fd == control and os.read(control, 16) == b"T":
                family.signal_all(signal.SIGTERM, alone=alone, wrapped=wrapped)
            else:
                family.end(alone=alone)
        status = _reaped(main)
    _tell(control, "exited", status)
    family.end(alone=alone)


def _reaped(main: int) -> int | None:
    """Reap who has ended; return the exit status of *main*, as a shell tells it, if it is among them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == main:
            code = os.waitstatus_to_exitcode(status)
            found = code if code >= 0 else 128 - code


def _tell(control: int, *words: object) -> None:
    try:
        os.write(control, "\0".join(map(str, words)).encode("utf-8", "backslashreplace"))
    except OSError:  # nobody listens any more
        return
