"""Bubblewrap: namespaces, a root of its own, everything read-only but what the view says.

As an ordinary user bwrap makes a user namespace. As root it makes none: it mounts, and setpriv(1) becomes the dyno
uid with no capability and no way back before the app's first instruction - the app never runs as uid 0, to which
even a read-only /proc leaves ``core_pattern`` (security.md 1).
"""

import os
import posixpath
import re
import shutil
from functools import cache
from pathlib import Path

from attrs import frozen

from .. import _exec
from ..command import BASH, INFO_FD, Command, DataFile, HiddenArgs, unveil
from ._selftest import self_test
from ._spec import Bind, File, Link, Mount, SandboxSpec, Tmpfs

_MISSING = "bwrap is not on PATH (Debian, Ubuntu: apt-get install bubblewrap)"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_DISABLES_USERNS = (0, 8)  # --disable-userns came with 0.8.0 (2023-02)

_NAMESPACES = (
    *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
    *(
        "--hostname",
        "localhost",
    ),  # the host's own name must not reach a slug, and this one resolves
    # Its parent is a thread of ours that outlives it (see dyno/_supervisor.py), so this is a lifeline.
    "--die-with-parent",
    "--new-session",  # TIOCSTI
    *("--proc", "/proc", "--dev", "/dev"),
)
# setpriv still is root when it starts: LD_PRELOAD or GLIBC_TUNABLES of the app's must not reach it. So the app's
# environment travels under names that mean nothing, and a shell gives them back once there is nothing to gain.
_VEIL = "_slugkit_env_"
_UNVEIL = f'{unveil(_VEIL)}exec "$@"'
_PRIVILEGES = ("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP")


@frozen
class Bubblewrap:
    """Confine with bwrap(1)."""

    name: str = "bubblewrap"

    def check(self) -> str | None:
        """Run a self-test in a scratch directory; the answer holds for this process and its user."""
        return _check(self, os.geteuid())

    def confine(self, command: Command, spec: SandboxSpec) -> Command:
        """Return the bwrap call that shows *spec* and runs *command*; secrets travel by descriptor."""
        args: list[str | DataFile] = [*_NAMESPACES, *_identity(spec)]
        made, shown = {"/"}, {"/dev"}
        for mount in spec.mounts:
            args += _parents(mount.inside, made, shown)
            args += _mount(mount)
            if not isinstance(mount, Link | File):
                shown.add(mount.inside)
        args += ["--remount-ro", "/dev", "--remount-ro", "/", "--clearenv"]
        prefix = "" if spec.uid is None else _VEIL
        for name, value in command.env.items():
            args += ["--setenv", prefix + name, value]
        if command.cwd is not None:
            args += ["--chdir", str(command.cwd)]
        argv = (_program() or "bwrap", "--info-fd", INFO_FD, "--args", HiddenArgs(tuple(args)))
        whole = (*argv, "--", *_become(spec), *command.argv)
        return Command(whole, env={}, info=True, lifeline=command.lifeline)

    def inside(self, spec: SandboxSpec, path: Path) -> str:
        """Return where the mounts of *spec* show *path*; a path none of them shows is its own answer."""
        text = str(path)
        for mount in reversed(spec.mounts):
            if isinstance(mount, Bind) and (f"{text}/").startswith(f"{mount.host}/"):
                return (mount.inside + text[len(str(mount.host)) :]).rstrip("/") or "/"
        return text


def _identity(spec: SandboxSpec) -> list[str]:
    if spec.uid is not None:
        return ["--cap-drop", "ALL", *_PRIVILEGES]
    disable = ["--disable-userns"] if _version() >= _DISABLES_USERNS else []
    return ["--unshare-user", *disable]


def _become(spec: SandboxSpec) -> tuple[str, ...]:
    if spec.uid is None:
        return ()
    who = ("--reuid", str(spec.uid), "--regid", str(spec.uid), "--clear-groups")
    drop = ("/usr/bin/setpriv", *who, "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--")
    return (*drop, *BASH, _UNVEIL, "bash")


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
            kind = ("--bind" if writable else "--ro-bind") + ("-try" if optional else "")
            return [kind, str(host), inside]
        case Tmpfs(inside, size):
            return ["--perms", "1777", "--size", str(size), "--tmpfs", inside]
        case Link(target, inside):
            return ["--symlink", target, inside]
        case File(inside, data):
            return ["--perms", "0644", "--file", DataFile(data), inside]  # in bwrap's own root, which becomes read-only


def _program() -> str | None:
    return shutil.which("bwrap", path=os.environ.get("PATH", _PATH))


@cache
def _version() -> tuple[int, ...]:
    try:
        output = _exec.run(Command((_program() or "bwrap", "--version"))).output
    except _exec.StartError:
        return ()
    return tuple(int(part) for part in re.findall(r"\d+", output))


@cache
def _check(sandbox: Bubblewrap, euid: int) -> str | None:
    if _program() is None:
        return _MISSING
    if euid == 0 and not os.access("/usr/bin/setpriv", os.X_OK):
        return "/usr/bin/setpriv is not there (Debian, Ubuntu: apt-get install util-linux)"
    return self_test(sandbox)
