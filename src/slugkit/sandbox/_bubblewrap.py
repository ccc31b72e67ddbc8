"""Bubblewrap: namespaces, a root of its own, everything read-only but what the view says; by bwrap(1).

For ordinary users only, where nothing but a program with a profile of its own may make user namespaces: even as run by
root it left ``core_pattern`` writable (security.md 1).
"""

import os
import posixpath
import re
import shutil
import stat
from functools import cache
from pathlib import Path

from attrs import frozen

from .. import _exec
from .._warden.seccomp import program
from ..command import Command, DataFile, HiddenArgs
from ._promises import Level
from ._selftest import tried
from ._spec import Bind, File, Link, Mount, Overlay, SandboxSpec, Tmpfs, shown_at

_MISSING = "bwrap is not on PATH (Debian, Ubuntu: apt-get install bubblewrap)"
_NOT_FOR_ROOT = "it is for ordinary users: root needs no user namespace, and has namespaces without one"
_NO_OVERLAY = "it has no copy-on-write view of a directory"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_DISABLES_USERNS = (0, 8)  # --disable-userns came with 0.8.0 (2023-02)
_LARGEST_COPY = 256 * 2**10  # bytes
_OWN_PROCESSES = 2  # bwrap, and pid 1 of its namespace

_NAMESPACES = (
    *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
    *("--hostname", "localhost"),  # the host's own name must not reach a slug, and this one resolves
    "--die-with-parent",  # the init that the warden forks for it
    "--new-session",  # TIOCSTI
    *("--proc", "/proc", "--dev", "/dev"),
)


@frozen
class Bubblewrap:
    """Confine with bwrap(1)."""

    name: str = "bubblewrap"
    level: Level = "isolated"
    mounts: bool = True

    def check(self) -> str | None:
        """Run a self-test in a scratch directory; the answer holds for this process and its user."""
        if os.geteuid() == 0:
            return _NOT_FOR_ROOT
        return _MISSING if _program() is None else tried(self).missing(self.level)

    def confine(self, command: Command, spec: SandboxSpec) -> Command:
        """Return the bwrap call that shows *spec* and runs *command*; secrets travel by descriptor.

        Raises:
            ValueError: *spec* wants an `Overlay`.
        """
        args: list[str | DataFile] = [*_NAMESPACES, *([] if spec.network else ["--unshare-net"])]
        args += ["--disable-userns"] if _version() >= _DISABLES_USERNS else []
        args += ["--seccomp", DataFile(program())] if program() else []
        made, shown = {"/"}, {"/dev"}
        for mount in spec.mounts:
            args += _parents(mount.inside, made, shown)
            args += _mount(mount)
            if not isinstance(mount, Link | File):
                shown.add(mount.inside)
        args += ["--remount-ro", "/dev", "--remount-ro", "/", "--clearenv"]
        for name, value in command.env.items():
            args += ["--setenv", name, value]
        if command.cwd is not None:
            args += ["--chdir", str(command.cwd)]
        argv = (_program() or "bwrap", "--args", HiddenArgs(tuple(args)), "--", *command.argv)
        limits = {"core": 0, **spec.limits}
        return Command(argv, env={}, confinement={"wrapped": _OWN_PROCESSES, "limits": limits})

    def inside(self, spec: SandboxSpec, path: Path) -> str:
        """Return where the mounts of *spec* show *path*; a path none of them shows is its own answer."""
        return shown_at(spec, path)


def _parents(inside: str, made: set[str], shown: set[str]) -> list[str]:
    """Return what makes the directories above *inside*, unless an earlier mount shows them; bwrap's own are 0700.

    Those it makes join *made*. Strings, not paths: with ``pathlib`` this took as long as the sandbox itself, 10 ms.
    """
    missing: list[str] = []
    parent = posixpath.dirname(inside)
    while parent not in made:
        if parent in shown:
            return []
        missing.append(parent)
        parent = posixpath.dirname(parent)
    made.update(missing)
    return [arg for directory in reversed(missing) for arg in ("--perms", "0755", "--dir", directory)]


def _mount(mount: Mount) -> list[str | DataFile]:
    match mount:
        case Bind(host, inside, writable, optional):
            data = None if writable else _small(host)
            if data is not None:
                return _mount(File(inside, data))
            kind = ("--bind" if writable else "--ro-bind") + ("-try" if optional else "")
            return [kind, str(host), inside]
        case Tmpfs(inside, size):
            return ["--perms", "1777", "--size", str(size), "--tmpfs", inside]
        case Overlay():
            raise ValueError(_NO_OVERLAY)
        case Link(target, inside):
            return ["--symlink", target, inside]
        case File(inside, data):
            return ["--perms", "0644", "--file", DataFile(data), inside]  # in bwrap's own root, which becomes read-only


def _small(path: Path) -> bytes | None:
    """Return the content of a small file that anybody may read: each bind costs bwrap a look at all the others.

    With 29 binds in /etc a sandbox took 17 ms to start and end, with 10 it takes 12 (2 cores).
    """
    try:
        info = path.stat()
        if stat.S_ISREG(info.st_mode) and info.st_mode & stat.S_IROTH and info.st_size <= _LARGEST_COPY:
            return path.read_bytes()
    except OSError:  # bwrap finds that out as well, and leaves it out
        pass
    return None


def _program() -> str | None:
    return shutil.which("bwrap", path=os.environ.get("PATH", _PATH))


@cache
def _version() -> tuple[int, ...]:
    try:
        output = _exec.run(Command((_program() or "bwrap", "--version"))).output
    except _exec.StartError:
        return ()
    return tuple(int(part) for part in re.findall(r"\d+", output))
