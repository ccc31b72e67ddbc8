"""Try a sandbox for real in a scratch directory: detection is doing (security.md 1)."""

import os
import tempfile
from collections.abc import Hashable, Mapping
from functools import cache
from pathlib import Path
from typing import cast

from attrs import frozen

from .. import _exec
from .._tree import read_beneath
from .._warden import landlock
from ..command import Command
from ._promises import REQUIRED, Level
from ._spec import Bind, Sandbox, SandboxSpec, Tmpfs
from ._stack import dyno_uid, stack_view

# Says "ok PROMISE" or "open PROMISE: what was possible" for each; what it does not reach says nothing, and is not kept.
_SCRIPT = r"""
export LC_ALL=C
found() { if [ -z "$2" ]; then echo "ok $1"; else echo "open $1: $2"; fi; }
can() { local told=$1; shift; ("$@") >/dev/null 2>&1 && hole="$told"; }
status() { grep "^$1:" /proc/self/status | tr -d ' \t' | cut -d: -f2; }

hole=; can "it can be written" eval 'echo x >> "$APP/slug"'
can "it can be truncated" eval 'chmod 777 "$APP/slug" && : > "$APP/slug"'
can "it can be replaced" eval 'mv "$APP/slug" "$APP/old"'
can "a file can be added" eval ': > "$APP/new"'
found read_only "$hole"
hole=; can "a directory of the host" eval ': > "$OUTSIDE/open/x"'; can "the root" eval ': > /escape'
can "core_pattern" eval 'exec 3>>/proc/sys/kernel/core_pattern'
echo x > "$APP/tmp/ok" || hole="not even tmp/ can be written"; echo x > "$APP/log/ok" || hole="nor log/"
found private_writes "$hole"
hole=; can "a file of the host" cat "$OUTSIDE/canary"; can "a directory of the host" ls "$OUTSIDE/open"
found hidden_files "$hole"
hole=; can "the host's /tmp shows" ls "$TMP_CANARY"; can "there is none" eval '! echo x > /tmp/ok'
found private_tmp "$hole"
hole=; can "/proc shows them" eval '[ "$(readlink /proc/self/ns/pid)" = "$HOST_PID_NS" ]'
found private_pids "$hole"
hole=; can "kill" kill -0 "$HOST"
found no_signals "$hole"
hole=; can "the environment" eval 'grep -q . "/proc/$HOST/environ"'; can "a descriptor" ls -l "/proc/$HOST/fd"
found no_tracing "$hole"
hole=; can "they are the host's" eval '[ "$(readlink /proc/self/ns/ipc)" = "$HOST_IPC_NS" ]'
found private_ipc "$hole"
hole=; [ "$CANARY" = inside ] || hole="a variable of the host's"
[ -z "$HOST_SECRET" ] || hole="a variable of the host's"
found clean_environment "$hole"
hole=; [ "$(status NoNewPrivs)" = 1 ] || hole="no_new_privs is off"
[ "$(status CapEff)$(status CapPrm)" = 00000000000000000000000000000000 ] || hole="there are capabilities"
[ "$EUID" != 0 ] || hole="it runs as uid 0"
found no_privileges "$hole"
hole=; [ "$(status Seccomp)" = 2 ] || hole="there is no filter"
found syscall_filter "$hole"
hole=; can "it is the host's" eval '[ "$(readlink /proc/self/ns/net)" = "$HOST_NET_NS" ]'
found private_network "$hole"
setsid sleep 1000 >/dev/null 2>&1 &
echo "left $!"
"""


_NAMES = ("pid", "ipc", "net")
_SCOPED_SINCE = 6  # Landlock ABI
_POWERLESS = "root needs CAP_CHOWN, DAC_OVERRIDE, FOWNER, KILL, SETGID and SETUID; an ordinary user needs none"


@frozen
class Tried:
    """What came of a self-test: for each promise "" or what was possible all the same; or why nothing was tried."""

    found: Mapping[str, str]
    failure: str | None = None

    def missing(self, level: Level) -> str | None:
        """Return why a sandbox of *level* does not work here, or None when it keeps what it has to."""
        if self.failure is not None:
            return self.failure
        holes = [f"{name}: {hole}" for name in sorted(REQUIRED[level]) if (hole := self.found.get(name, "not tried"))]
        return f"self-test: {'; '.join(holes)}" if holes else None


def tried(sandbox: Sandbox) -> Tried:
    """Return what `self_test` finds, which takes a tenth of a second: once in this process for each user."""
    try:
        hash(sandbox)
    except TypeError:  # one of the host program's that cannot be told from others
        return self_test(sandbox)
    return _once(cast("Hashable", sandbox), os.geteuid())


@cache
def _once(sandbox: Sandbox, euid: int) -> Tried:  # noqa: ARG001 - whom the answer holds for
    return self_test(sandbox)


def self_test(sandbox: Sandbox) -> Tried:
    """Return what *sandbox* keeps of what can be promised, found out by running something in it."""
    try:
        return _tried(sandbox)
    except PermissionError as error:
        return Tried({}, f"{error}: {_POWERLESS}")


def _tried(sandbox: Sandbox) -> Tried:
    with tempfile.TemporaryDirectory(prefix="slugkit-selftest-") as scratch:
        place, uid = Path(scratch), dyno_uid()
        app = _made(place, uid)
        home = "/app" if sandbox.mounts else str(app)
        spec = SandboxSpec((*stack_view(uid), *_view(app, home, mounts=sandbox.mounts)), uid)
        command = Command(("bash", "-c", _SCRIPT), env=_env(place, home), cwd=Path(home))
        try:
            done = _exec.run(sandbox.confine(command, spec))
        except _exec.StartError as error:
            return Tried({}, str(error))
        if not done.output.startswith(("ok ", "open ")):
            return Tried({}, done.output.strip() or f"exited with status {done.status} and said nothing")
        found = _read(done.output, scoped=getattr(sandbox, "scoped", False))
        if read_beneath(app, "slug") != b"slug\n":
            found["read_only"] = "it was changed"
        return Tried(found)


def _made(place: Path, uid: int | None) -> Path:
    """Make what is to be attacked below *place*, and return the app."""
    app = place / "app"
    for directory in (place, app, app / "tmp", app / "log", place / "open"):
        directory.mkdir(exist_ok=True)
        directory.chmod(0o755)  # whatever the umask: the dyno uid enters them
        if uid is not None and directory.parent == app:
            os.chown(directory, uid, uid)
    (place / "open").chmod(0o777)
    for file in (app / "slug", place / "canary"):
        file.write_text("slug\n")
        file.chmod(0o644)
    return app


def _view(app: Path, home: str, *, mounts: bool) -> tuple[Bind | Tmpfs, ...]:
    if mounts:
        return (Bind(app, home), *(Tmpfs(path, 2**20) for path in (f"{home}/tmp", f"{home}/log", "/tmp")))  # noqa: S108
    return (Bind(app, home), *(Bind(app / name, f"{home}/{name}", writable=True) for name in ("tmp", "log")))


def _env(place: Path, home: str) -> dict[str, str]:
    spaces = {f"HOST_{name.upper()}_NS": os.readlink(f"/proc/self/ns/{name}") for name in _NAMES}  # noqa: PTH115
    where = {"APP": home, "OUTSIDE": str(place), "TMP_CANARY": str(place), "HOST": str(os.getpid())}
    return {"PATH": "/usr/bin:/bin", "CANARY": "inside", **where, **spaces}


def _read(output: str, *, scoped: bool) -> dict[str, str]:
    """Return what the script said, and what follows from it; *scoped*: Landlock is asked to keep sockets apart."""
    found, left = {}, ""
    for line in output.splitlines():
        word, _, rest = line.partition(" ")
        name, _, hole = rest.partition(": ")
        if word in {"ok", "open"}:
            found[name] = hole
        elif word == "left":
            left = rest
    apart = found.get("private_network") == ""
    scoped = scoped and landlock.abi() >= _SCOPED_SINCE
    found["private_sockets"] = "" if apart or scoped else "nothing keeps it from connecting"
    alive = found.get("private_pids") != "" and Path("/proc", left).exists()
    found["no_survivors"] = "one is left" if alive or not left else ""
    return found
