"""What an init forks, to lay out a sandbox, wait until it is told which command to become, and become it.

Only here is a command's environment read: what the warden reads, every init has a copy of.
"""

from __future__ import annotations

import fcntl
import marshal
import os
import termios

from . import channel, landlock, namespaces, privileges, seccomp
from .light import signal, socket

TYPE_CHECKING = False  # typing takes 4 ms of a start that takes 25
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

#: What the warden ignores, and with it the inits; the last two as Python does.
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ)

_APART = 64  # above what is wanted: nothing that was given lies in between
_ACCESS = {"read": landlock.READ, "write": landlock.WRITE, "use": landlock.USE}


def refuse(requests: int, stage: str, error: BaseException) -> NoReturn:
    """Wait for the command that there is no sandbox for, tell it why, and end."""
    try:
        _, descriptors = channel.received(socket.socket(fileno=requests))
        if descriptors:
            tell_error(descriptors[1], stage, error)
    finally:
        os._exit(1)


def run(space: dict[str, Any] | None, requests: int, init: socket.socket) -> NoReturn:
    """Lay out the namespaces *space*, wait for a request, and become the command that it brings.

    It is in a session of its own.
    """
    stage, control = "descriptors", -1
    try:
        os.setsid()
        laid = None if space is None else namespaces.lay(space)
    except BaseException as error:  # noqa: BLE001 - nothing may reach the init's own code
        refuse(requests, "namespaces", error)
    try:
        data, descriptors = channel.received(socket.socket(fileno=requests))
        if not data:  # the warden has no use for it any more
            os._exit(0)
        control = descriptors[1]
        spec = marshal.loads(_read(descriptors[0]))  # noqa: S302 - the host program's own words
        channel.give(init, marshal.dumps((spec["uid"], spec["wrapped"])), [control])
        last = 5 + len(spec["descriptors"])
        stage = "namespaces"
        if laid is not None:
            namespaces.enter(*laid, _mapped(spec["mounts"], descriptors[last:]))
        stage = "descriptors"
        control, go = _arranged(descriptors[2:last], spec["descriptors"], [control, init.fileno()])
        spec["control"] = control
        for stage, step in _STAGES:  # noqa: B007 - it is told when a step fails
            step(spec)
        stage = "command"
        if os.read(go, 2):  # the init has let go of its privileges, too
            _execute(spec)
    except ConnectionError:  # the init was killed, and tells nothing: nor does this
        pass
    except BaseException as error:  # noqa: BLE001 - as above
        tell_error(control, stage, error)
    os._exit(127)


def _read(fd: int) -> bytes:
    parts, at = [], 0
    while part := os.pread(fd, 2**20, at):
        parts.append(part)
        at += len(part)
    return b"".join(parts)


def _mapped(own: list[dict[str, Any]], mappings: Sequence[int]) -> list[dict[str, Any]]:
    """Return the mounts *own*, those overlays with their mapping that are given to another owner."""
    left = iter(mappings)
    return [one | {"mapping": next(left)} if one.get("uid") is not None else one for one in own]


def _arranged(given: Sequence[int], numbers: Sequence[int], ours: Sequence[int]) -> list[int]:
    """Put the descriptors *given* where the command expects them, and *ours*, which are returned, above; no others."""
    wanted = (0, 1, 2, *numbers)
    above = max(wanted) + 1
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, above + _APART) for fd in (*given, *ours)]
    os.closerange(3, above + _APART)
    for fd, number in zip(high, wanted, strict=False):
        os.dup2(fd, number)
    for fd in high[: len(wanted)]:
        os.close(fd)
    return high[len(given) :]


def _open_terminal(spec: dict[str, Any]) -> None:
    """Have a terminal of the sandbox's own as the command's streams, and give the host program the other end."""
    if not spec["terminal"]:
        return
    master, slave = os.openpty()
    if spec["uid"] is not None:
        os.fchown(slave, spec["uid"], spec["uid"])
    channel.give(socket.socket(fileno=os.dup(spec["control"])), b"terminal", [master])
    for number in (0, 1, 2):
        os.dup2(slave, number)
    os.close(master)
    os.close(slave)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _drop(spec: dict[str, Any]) -> None:
    if spec["confined"]:
        privileges.drop(spec["uid"])
        privileges.hide()


def _limit(spec: dict[str, Any]) -> None:
    privileges.limit(spec["limits"])


def _restrict_paths(spec: dict[str, Any]) -> None:
    if spec["landlock"] is not None:
        rules = [(os.fsencode(path), _ACCESS[access]) for path, access in spec["landlock"]["rules"]]
        rules += [(os.fsencode(os.ttyname(0)), landlock.USE)] if spec["terminal"] else []
        landlock.restrict(rules, spec["landlock"]["bind"])


def _restrict_calls(spec: dict[str, Any]) -> None:
    if spec["seccomp"]:
        seccomp.restrict()


_STAGES = (
    ("terminal", _open_terminal),
    ("privileges", _drop),
    ("limits", _limit),
    ("landlock", _restrict_paths),
    ("seccomp", _restrict_calls),
)


def _execute(spec: dict[str, Any]) -> None:
    for number in IGNORED:  # an ignored one stays so over exec
        signal.signal(number, signal.SIG_DFL)
    os.chdir(spec["cwd"])
    env = {os.fsencode(name): os.fsencode(value) for name, value in spec["env"].items()}
    os.execve(_program(spec), [os.fsencode(one) for one in spec["argv"]], env)


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


def tell_error(control: int, stage: str, error: BaseException) -> None:
    """Tell the host program that *error* came up at *stage*."""
    tell(control, "error", stage, getattr(error, "errno", None) or 0, error)


def tell(control: int, *words: object) -> None:
    """Send *words* to the host program, if it still listens."""
    try:
        os.write(control, "\0".join(map(str, words)).encode("utf-8", "backslashreplace"))
    except OSError:
        return
