"""Try a sandbox for real in a scratch directory: detection is doing (security.md 1)."""

import os
import tempfile
from pathlib import Path

from .. import _exec
from ..command import Command
from ._spec import Bind, Sandbox, SandboxSpec, Tmpfs
from ._stack import dyno_uid, stack_view

_SCRIPT = r"""
export LC_ALL=C
fail() { echo "self-test: $1"; exit 9; }
[ "$CANARY" = inside ] || fail "the environment was not replaced"
(echo x >> /app/slug) 2>/dev/null && fail "the slug can be written"
(chmod 777 /app/slug && : > /app/slug) 2>/dev/null && fail "the slug can be truncated"
(echo x > /escape) 2>/dev/null && fail "the root can be written"
[ -e "$OUTSIDE" ] && fail "host files outside the view can be seen"
(echo x > /proc/sys/kernel/core_pattern) 2>/dev/null && fail "core_pattern can be written"
[ "$(readlink /proc/self/ns/pid)" = "$HOST_PIDS" ] && fail "host processes can be seen"
echo x > /app/tmp/ok || fail "tmp/ cannot be written"
echo x > /tmp/ok || fail "/tmp cannot be written"
echo kept
"""


def self_test(sandbox: Sandbox) -> str | None:
    """Return what *sandbox* fails to promise here, in its own words, or None when it keeps its word."""
    with tempfile.TemporaryDirectory(prefix="slugkit-selftest-") as scratch:
        app = Path(scratch, "app")
        (app / "tmp").mkdir(parents=True)
        (app / "slug").write_text("slug\n")
        for directory in (app, app / "tmp"):
            directory.chmod(0o755)  # whatever the umask: the dyno uid enters them
        mounts = (
            *stack_view(dyno_uid()),
            Bind(app, "/app"),
            Tmpfs("/app/tmp", 2**20),
            Tmpfs("/tmp", 2**20),  # noqa: S108 - inside the sandbox
        )
        env = {
            "PATH": "/usr/bin:/bin",
            "CANARY": "inside",
            "OUTSIDE": scratch,
            "HOST_PIDS": os.readlink("/proc/self/ns/pid"),  # noqa: PTH115 - not a path
        }
        command = Command(("bash", "-c", _SCRIPT), env=env, cwd=Path("/app"))
        spec = SandboxSpec(mounts, uid=dyno_uid())
        try:
            done = _exec.run(sandbox.confine(command, spec))
        except _exec.StartError as error:
            return str(error)
        if (app / "slug").read_text() != "slug\n":
            return "self-test: the slug was changed"
    if done.status == 0 and done.output == "kept\n":
        return None
    return done.output.strip() or f"exited with status {done.status} and said nothing"
