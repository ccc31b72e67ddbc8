"""Landlock: level confined, for where nothing can be mounted - Docker's default profile, Ubuntu's user namespaces.

A command sees the host's own paths, and may use those of its view, whatever the modes say. What only a mount can do is
not promised: a /tmp and /dev/shm of its own, processes and names of its own.
"""

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from attrs import evolve, frozen

from .._warden import landlock
from ..command import Command
from ._namespaces import confined
from ._obstacles import circumstances
from ._promises import Level
from ._selftest import tried
from ._spec import Bind, Mount, SandboxSpec

_LEAST = 3  # the ABI that knows truncate(2)
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_ALWAYS_READ = ("/sys/devices/system/cpu", "/sys/fs/cgroup")  # how many CPUs and how much memory there are


@frozen
class Landlock:
    """Confine with Landlock, seccomp, no_new_privs, and a uid of its own as root."""

    name: str = "landlock"
    level: Level = "confined"
    mounts: bool = False
    scoped: bool = True

    def check(self) -> str | None:
        """Run a self-test in a scratch directory; the answer holds for this process and its user."""
        return _lacking() or _unfit(Path(tempfile.gettempdir())) or tried(self).missing(self.level)

    def confine(self, command: Command, spec: SandboxSpec) -> Command:
        """Return *command* with what the warden needs to leave it no more than what *spec* shows."""
        rules = {"rules": list(_rules(spec.mounts)), "bind": spec.port}
        return evolve(command, confinement={**confined(spec), "landlock": rules})

    def inside(self, spec: SandboxSpec, path: Path) -> str:  # noqa: ARG002 - the Protocol's shape
        """Return *path* as it is."""
        return str(path)


def _rules(mounts: tuple[Mount, ...]) -> Iterator[tuple[str, str]]:
    yield "/proc", "read"  # the files of others of the same user are there, too
    for name in _DEVICES:
        yield f"/dev/{name}", "use"
    for path in _ALWAYS_READ:
        yield path, "read"
    for mount in mounts:
        if isinstance(mount, Bind):
            yield str(mount.host), "write" if mount.writable else "read"


def _lacking() -> str | None:
    """Return why there is no Landlock here that will do; tried, for a filter of system calls may hide the kernel's."""
    try:
        found = landlock.version()
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return f"{error}: this kernel was started without it, say lsm=landlock,... to it"
        if circumstances().filtered:
            return f"{error}: a filter of system calls refuses it, as Docker's default profile does before 20.10.18"
        return f"{error}: this kernel has none (Linux 6.2)"
    return None if found >= _LEAST else f"this kernel's Landlock has ABI {found}, and {_LEAST} is needed (Linux 6.2)"


def _unfit(directory: Path) -> str | None:
    """Return why no dyno can have its tree, and no build of root's its workspace, in the temporary *directory*."""
    if os.statvfs(directory).f_flag & os.ST_NOEXEC:
        return f"nothing can be executed in {directory} (noexec), where dynos live: set TMPDIR"
    for one in (directory, *directory.parents) if os.geteuid() == 0 else ():
        if not one.stat().st_mode & stat.S_IXOTH:
            return f"only its owner enters {one}, and dynos live in {directory}: set TMPDIR"
    return None
