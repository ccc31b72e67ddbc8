"""What a confined command is to see, as values, and the Protocol of whatever shows it."""

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
    """A private, writable directory in memory of at most *size* bytes, gone with the command."""

    inside: str
    size: int


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


Mount = Bind | Tmpfs | Link | File


@frozen
class SandboxSpec:
    """The whole view of a confined command: mounts in order, and who it runs as.

    ``uid`` is the user and group to become when the host program is root, else None.
    """

    mounts: tuple[Mount, ...]
    uid: int | None = None


class Sandbox(Protocol):
    """A way to confine a command; everything but `check` is pure."""

    @property
    def name(self) -> str:
        """What ``sandbox=`` and ``--sandbox`` call it."""

    def check(self) -> str | None:
        """Try it here, once, and return why it does not keep its promises, or None."""

    def confine(self, command: Command, spec: SandboxSpec) -> Command:
        """Return *command* confined to the view of *spec*; its cwd is a path as it sees it."""

    def inside(self, spec: SandboxSpec, path: Path) -> str:
        """Return where a command confined to *spec* sees the host's *path*."""
