"""bwrap with the binds of a dyno, and what runs in it: the peer of a dyno's start."""

import os
from pathlib import Path

WRITABLE = ("/dev/shm", "/tmp", "/app/tmp", "/app/log")  # noqa: S108 - in the sandbox
ENV = {"HOME": "/app", "PATH": "/usr/local/bin:/usr/bin:/bin"}
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


def stack() -> list[str]:
    """Return what of /etc is shown, as far as it is here."""
    return [path for name in _STACK if os.path.exists(path := f"/etc/{name}")]  # noqa: PTH110 - it is a string


def boot(command: str) -> list[str]:
    """Return what boots *command* as a dyno without profile scripts boots it."""
    return ["bash", "-c", command]


def call(tree: Path, command: str) -> list[str]:
    """Return what boots *command* with *tree* read-only at /app; no seccomp, no Landlock."""
    binds = ["--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib"]
    binds += ["--symlink", "usr/lib64", "/lib64"]
    for path in stack():
        binds += ["--ro-bind", path, path]
    binds += ["--proc", "/proc", "--dev", "/dev", "--ro-bind", str(tree), "/app"]
    for directory in WRITABLE:
        binds += ["--tmpfs", directory]
    who = [] if os.geteuid() == 0 else ["--unshare-user"]
    apart = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--hostname", "dyno"]
    env = ["--clearenv", *(word for name, value in ENV.items() for word in ("--setenv", name, value))]
    return ["bwrap", *who, *apart, "--die-with-parent", *binds, "--chdir", "/app", *env, *boot(command)]
