"""Namespaces: slugkit's own sandbox, level isolated - a root, processes, names and users of its own (security.md 1-2).

As an ordinary user it is in a user namespace; as root it is in none, and becomes the dyno uid instead: the app never
runs as uid 0, to which even a read-only /proc leaves ``core_pattern``.
"""

import os
from collections.abc import Iterator
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from ..command import Command
from ._promises import Level
from ._selftest import tried
from ._spec import Bind, File, Link, Mount, Overlay, SandboxSpec, Tmpfs, shown_at

_ALWAYS_USED = ("/dev", "/proc")


@frozen
class Namespaces:
    """Confine with namespaces, Landlock and seccomp, by the warden's own calls."""

    name: str = "namespaces"
    level: Level = "isolated"
    mounts: bool = True
    scoped: bool = True

    def check(self) -> str | None:
        """Run a self-test in a scratch directory; the answer holds for this process and its user."""
        return tried(self).missing(self.level)

    def confine(self, command: Command, spec: SandboxSpec) -> Command:
        """Return *command* with what the warden needs to show it *spec*."""
        ahead = tuple(takewhile(_is_anyones, spec.mounts))
        view = {
            "user": None if spec.uid is not None else (os.geteuid(), os.getegid()),
            "network": spec.network,
            "hostname": "localhost",  # the host's own name must not reach a slug, and this one resolves
            "mounts": [_mount(mount, None) for mount in ahead],
        }
        own = [_mount(mount, None if isinstance(mount, Bind) else spec.uid) for mount in spec.mounts[len(ahead) :]]
        landlock = {"rules": list(_rules(spec.mounts)), "bind": spec.port}
        return evolve(command, confinement={**confined(spec), "namespaces": view, "mounts": own, "landlock": landlock})

    def inside(self, spec: SandboxSpec, path: Path) -> str:
        """Return where the mounts of *spec* show *path*; a path none of them shows is its own answer."""
        return shown_at(spec, path)


def confined(spec: SandboxSpec) -> dict[str, Any]:
    """Return what the warden does to every confined command."""
    return {
        "confined": True,
        "seccomp": True,
        "uid": spec.uid,
        "limits": {"core": 0, **spec.limits},
        "cgroups": list(spec.cgroups),
        "cgroup_settings": dict(spec.cgroup_settings),
        "scratch": None if spec.scratch is None else str(spec.scratch),
    }


def _is_anyones(mount: Mount) -> bool:
    """Return whether *mount*, and what comes before it, can be there before it is known whose sandbox it will be."""
    return isinstance(mount, Link | Tmpfs) or (isinstance(mount, Bind) and not mount.writable)


@lru_cache(256)  # most are every dyno's
def _mount(mount: Mount, uid: int | None) -> dict[str, Any]:
    match mount:
        case Bind(host, inside, writable, optional):
            return {"kind": "bind", "host": str(host), "inside": inside, "writable": writable, "optional": optional}
        case Tmpfs(inside, size, inodes):
            return {"kind": "tmpfs", "inside": inside, "size": size, "inodes": inodes}
        case Overlay(host, inside, size, inodes):
            what = {"kind": "overlay", "host": str(host), "inside": inside, "size": size, "inodes": inodes, "uid": uid}
            return what | {"writable": False, "optional": False}
        case Link(target, inside):
            return {"kind": "link", "target": target, "inside": inside}
        case File(inside, data):
            return {"kind": "file", "inside": inside, "data": data.decode("latin-1")}


def _rules(mounts: tuple[Mount, ...]) -> Iterator[tuple[str, str]]:
    """Yield Landlock's view of *mounts*: the same again, for what a mount may have missed."""
    yield "/", "read"
    for path in _ALWAYS_USED:
        yield path, "use"
    for mount in mounts:
        if isinstance(mount, Tmpfs | Overlay) or (isinstance(mount, Bind) and mount.writable):
            yield mount.inside, "write"
