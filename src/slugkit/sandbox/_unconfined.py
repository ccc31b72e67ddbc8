"""No sandbox: a plain process, promised nothing, and only when asked for by name."""

import sys
from pathlib import Path

from attrs import evolve, frozen

from ..command import Command
from ._promises import Level
from ._spec import SandboxSpec


@frozen
class Unconfined:
    """Run commands as they are, with real paths and the caller's own rights."""

    name: str = "none"
    level: Level = "none"
    mounts: bool = False

    def check(self) -> str | None:
        """Return None: it promises nothing."""
        return None

    def confine(self, command: Command, spec: SandboxSpec) -> Command:
        """Return *command* as it is; on Linux the warden runs it, who leaves nothing of it behind."""
        scratch = None if spec.scratch is None else str(spec.scratch)
        return evolve(command, confinement={"scratch": scratch}) if sys.platform == "linux" else command

    def inside(self, spec: SandboxSpec, path: Path) -> str:  # noqa: ARG002 - the Protocol's shape
        """Return *path* as it is."""
        return str(path)
