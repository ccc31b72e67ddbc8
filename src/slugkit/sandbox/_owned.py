"""Another owner: level owned, for root where the kernel offers nothing else."""

import os
from pathlib import Path

from attrs import evolve, frozen

from ..command import Command
from ._namespaces import confined
from ._promises import Level
from ._selftest import tried
from ._spec import SandboxSpec

_FOR_ROOT = "only root can run a command as somebody else"


@frozen
class Owned:
    """Run as a uid of nobody's, without a capability: what belongs to others cannot be changed."""

    name: str = "owned"
    level: Level = "owned"
    mounts: bool = False

    def check(self) -> str | None:
        """Run a self-test in a scratch directory; the answer holds for this process and its user."""
        return _FOR_ROOT if os.geteuid() != 0 else tried(self).missing(self.level)

    def confine(self, command: Command, spec: SandboxSpec) -> Command:
        """Return *command* with what the warden needs to run it as the uid of *spec*."""
        return evolve(command, confinement={**confined(spec), "seccomp": False})

    def inside(self, spec: SandboxSpec, path: Path) -> str:  # noqa: ARG002 - the Protocol's shape
        """Return *path* as it is."""
        return str(path)
