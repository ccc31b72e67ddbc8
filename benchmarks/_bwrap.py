"""bwrap with the binds of a dyno, and what runs in it: the peer of a dyno's start."""

import os
from pathlib import Path

from slugkit.command import PROFILE

_STACK = (
    "alternatives",
    "ca-certificates",
    "hosts",
    "ld.so.cache",
    "localtime",
    "nsswitch.conf",
    "resolv.conf",
    "ssl/certs",
)
_BOOT = f'{PROFILE}\nexec bash -c "$1"'


def call(tree: Path, command: str) -> list[str]:
    """Return what boots *command* as a dyno boots it, with *tree* read-only at /app; no seccomp, no Landlock."""
    binds = ["--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib"]
    binds += ["--symlink", "usr/lib64", "/lib64"]
    for name in _STACK:
        binds += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    binds += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/dev/shm", "--tmpfs", "/tmp"]  # noqa: S108
    binds += ["--ro-bind", str(tree), "/app", "--tmpfs", "/app/tmp", "--tmpfs", "/app/log", "--chdir", "/app"]
    who = [] if os.geteuid() == 0 else ["--unshare-user"]
    apart = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--hostname", "dyno"]
    env = ["--clearenv", "--setenv", "HOME", "/app", "--setenv", "PATH", "/usr/local/bin:/usr/bin:/bin"]
    return ["bwrap", *who, *apart, "--die-with-parent", *binds, *env, "bash", "-c", command]
