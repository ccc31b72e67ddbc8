"""No sandbox: a plain process, promised nothing, and only when asked for by name."""

from pathlib import Path

from attrs import frozen

from ..command import Command
from ._spec import SandboxSpec


@frozen
class Unconfined:
    """Run commands as they are, with real paths and the caller's own rights."""

    name: str = "none"

    def check(self) -> str | None:
        """Return None: it promises nothing."""
        return None

    def confine(self, command: Command, spec: SandboxSpec) -> Command:  # noqa: ARG002 - the Protocol's shape
        """Return *command* as it is."""
        return command

    def inside(self, spec: SandboxSpec, path: Path) -> str:  # noqa: ARG002 - the Protocol's shape
        """Return *path* as it is."""
        return str(path)
