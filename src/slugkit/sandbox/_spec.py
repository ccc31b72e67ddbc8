"""What a confined command is to see, as values, and the Protocol of whatever shows it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from attrs import field, frozen

from ..command import Command


@frozen
class Bind:
    """A file or directory of the host, shown at *inside*; *optional* ones may be missing."""

    host: Path
    inside: str
    writable: bool = False
    optional: bool = False


@frozen
class Tmpfs:
    """A private, writable directory in memory of at most *size* bytes and *inodes* entries, gone with the command."""

    inside: str
    size: int
    inodes: int = 2**20


@frozen
class Overlay:
    """A directory of the host, shown at *inside* and writable there: what is written is as private as a `Tmpfs`."""

    host: Path
    inside: str
    size: int
    inodes: int = 2**20


@frozen
class Link:
    """A symbolic link."""

    target: str
    inside: str


@frozen
class File:
    """A read-only file made of *data*."""

    inside: str
    data: bytes = field(repr=False)


Mount = Bind | Tmpfs | Overlay | Link | File


@frozen
class SandboxSpec:
    """The whole view of a confined command: mounts in order, who it runs as, and what it may use.

    ``uid`` is the user and group to become when the host program is root, else None. ``network`` off leaves loopback
    of its own; ``port``, where the kernel can, is the only TCP port that may be listened on. ``limits`` are those of
    setrlimit(2): "open_files", "processes", "core". ``cgroups`` are directories in each of which it is to have a cgroup
    of its own, with those ``cgroup_settings`` (file names and contents) that there are. ``scratch`` is removed when all
    of the command is gone.
    """

    mounts: tuple[Mount, ...]
    uid: int | None = None
    network: bool = True
    port: int | None = None
    limits: Mapping[str, int] = field(factory=dict)
    cgroups: tuple[str, ...] = ()
    cgroup_settings: Mapping[str, str] = field(factory=dict)
    scratch: Path | None = None


class Sandbox(Protocol):
    """A way to confine a command; everything but `check` is pure."""

    @property
    def name(self) -> str:
        """What ``sandbox=`` and ``--sandbox`` call it."""

    @property
    def mounts(self) -> bool:
        """Whether it shows a view at other paths than the host's; else a command sees the host's own paths."""

    def check(self) -> str | None:
        """Try it here, once, and return why it does not keep its promises, or None."""

    def confine(self, command: Command, spec: SandboxSpec) -> Command:
        """Return *command* confined to the view of *spec*; its cwd is a path as it sees it."""

    def inside(self, spec: SandboxSpec, path: Path) -> str:
        """Return where a command confined to *spec* sees the host's *path*."""


def shown_at(spec: SandboxSpec, path: Path) -> str:
    """Return where the mounts of *spec* show *path*; a path none of them shows is its own answer."""
    text = str(path)
    for mount in reversed(spec.mounts):
        if isinstance(mount, Bind | Overlay) and (f"{text}/").startswith(f"{mount.host}/"):
            return (mount.inside + text[len(str(mount.host)) :]).rstrip("/") or "/"
    return text
