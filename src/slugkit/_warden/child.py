"""An init as the warden knows it: made for a kind of sandbox, given a command, cleared up after."""

from __future__ import annotations

import os

from . import cgroups, channel, init, namespaces
from .syscalls import syscall

TYPE_CHECKING = False  # typing takes 4 ms of a start that takes 25
if TYPE_CHECKING:
    from typing import Any

_SIGCHLD = 17


class Child:
    """An init: spare while it has no number, which is the host program's for its command.

    ``shared``: it has no pid namespace, so that what is left of it comes to the warden.
    """

    __slots__ = ("_directories", "_requests", "_stack", "kind", "name", "number", "pid", "scratch", "shared")

    def __init__(self, kind: dict[str, Any], lifeline: tuple[int, int]) -> None:
        self.kind, self.number = kind, -1
        self.scratch: str | None = None
        self._stack = _identities(kind)
        self.shared = kind["namespaces"] is None
        self.name = f"slugkit-{os.urandom(16).hex()}"
        self._directories: list[str] = []
        try:
            for base in kind["cgroups"]:
                self._directories.append(cgroups.make(base, self.name, kind["cgroup_settings"]))
            self._requests, theirs = channel.pair()
            flags = _SIGCHLD if self.shared else _SIGCHLD | namespaces.flags(kind["namespaces"])
            self.pid = syscall("clone", flags, 0, 0, 0, 0)
        except OSError:
            self.clear_up()
            raise
        if self.pid == 0:
            os.close(lifeline[1])
            init.run({**kind, "cgroups": self._directories}, theirs.fileno(), lifeline[0])
        theirs.close()

    def hand(self, number: int, scratch: str | None, descriptors: list[int]) -> bool:
        """Give it its command; return False if it is not there any more."""
        try:
            channel.give(self._requests, b"start", descriptors)
        except OSError:
            return False
        finally:
            self._requests.close()
        self.number, self.scratch = number, scratch
        return True

    def shows_the_host(self) -> bool:
        """Return whether it shows the files that a sandbox of its kind would show now."""
        return self._stack == _identities(self.kind)

    def dismiss(self) -> None:
        """Let it end, there being no command for it."""
        self._requests.close()

    def clear_up(self) -> bool:
        """Remove its cgroups, nothing of it being left; return whether one of it was killed for want of memory."""
        killed = cgroups.killed_for_memory(self._directories)
        for directory in self._directories:
            cgroups.remove(directory)
        return killed


def _identities(kind: dict[str, Any]) -> list[tuple[int, int] | None]:
    """Return which files of the host are mounted ahead: one that is replaced, as /etc/resolv.conf is, is another."""
    mounted = kind["namespaces"]["mounts"] if kind["namespaces"] else ()
    return [_identity(one["host"]) for one in mounted if one["kind"] == "bind"]


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
