"""Sandboxes that look closer: one that lets writes outside happen and shows them, one that injects config vars."""

import os
from collections.abc import Mapping
from pathlib import Path

from attrs import evolve, field, frozen

from .._tree import walk
from ..command import Command
from ..sandbox import Bind, Sandbox, SandboxSpec

#: Where nothing is in a build's sandbox and packs write to all the same. A write to /etc or /usr is refused there, and
#: shows in the output only.
TRAPS = ("/home", "/media", "/mnt", "/opt", "/root", "/run", "/srv", "/var")


@frozen
class Trapping:
    """*inner* with empty, writable directories at `TRAPS`, which are below *directory* on the host."""

    inner: Sandbox
    directory: Path
    _mounted: set[str] = field(factory=set, init=False, repr=False)

    @property
    def name(self) -> str:
        """The name of the sandbox within."""
        return self.inner.name

    def check(self) -> str | None:
        """Ask the sandbox within."""
        return self.inner.check()

    def confine(self, command: Command, spec: SandboxSpec) -> Command:
        """Confine *command* with the traps beneath the mounts of *spec*, of which some may lie in one."""
        self._mounted.update(mount.inside for mount in spec.mounts)
        traps = tuple(Bind(self._made(trap, spec.uid), trap, writable=True) for trap in TRAPS)
        return self.inner.confine(command, evolve(spec, mounts=(*traps, *spec.mounts)))

    def inside(self, spec: SandboxSpec, path: Path) -> str:
        """Ask the sandbox within."""
        return self.inner.inside(spec, path)

    def caught(self) -> tuple[str, ...]:
        """Return the paths, as the build saw them, that were written outside; mount points are the sandbox's own."""
        if not self.directory.is_dir():
            return ()
        paths = [f"/{entry.path}" for entry in walk(self.directory) if "/" in entry.path]
        return tuple(path for path in paths if not any(f"{own}/".startswith(f"{path}/") for own in self._mounted))

    def _made(self, trap: str, uid: int | None) -> Path:
        path = self.directory / trap[1:]
        if not path.is_dir():
            path.mkdir(parents=True)
            if uid is not None:
                os.chown(path, uid, uid)
        return path


@frozen
class Injecting:
    """*inner* with *env* in the environment of every command, as no platform has it."""

    inner: Sandbox
    env: Mapping[str, str]

    @property
    def name(self) -> str:
        """The name of the sandbox within."""
        return self.inner.name

    def check(self) -> str | None:
        """Ask the sandbox within."""
        return self.inner.check()

    def confine(self, command: Command, spec: SandboxSpec) -> Command:
        """Confine *command* with the variables it does not have itself."""
        return self.inner.confine(evolve(command, env={**self.env, **command.env}), spec)

    def inside(self, spec: SandboxSpec, path: Path) -> str:
        """Ask the sandbox within."""
        return self.inner.inside(spec, path)
