"""A sandbox that looks closer than the one it is made of: traps where a build must not write."""

import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from attrs import evolve, field, frozen

from .._tree import walk
from ..command import Command
from ..errors import BuildpackError
from ..sandbox import Bind, Sandbox, SandboxSpec

#: Where nothing is in a build's sandbox and packs write to all the same. A write to /etc or /usr is refused there, and
#: shows in the output only.
TRAPS = ("/home", "/media", "/mnt", "/opt", "/root", "/run", "/srv", "/var")

Alter = Callable[[Command, SandboxSpec], tuple[Command, SandboxSpec]]


@frozen
class Altered:
    """*inner*, but *alter* changes each command and its view first."""

    inner: Sandbox
    alter: Alter

    @property
    def name(self) -> str:
        """The name of the sandbox within."""
        return self.inner.name

    @property
    def mounts(self) -> bool:
        """What the sandbox within does."""
        return self.inner.mounts

    def check(self) -> str | None:
        """Ask the sandbox within."""
        return self.inner.check()

    def confine(self, command: Command, spec: SandboxSpec) -> Command:
        """Confine what *alter* makes of them."""
        return self.inner.confine(*self.alter(command, spec))

    def inside(self, spec: SandboxSpec, path: Path) -> str:
        """Ask the sandbox within."""
        return self.inner.inside(spec, path)


@frozen
class Traps:
    """Empty, writable directories at `TRAPS`, below *directory* on the host: writes outside happen, and show."""

    directory: Path
    _mounted: set[str] = field(factory=set, init=False, repr=False)
    _ancestors: set[str] = field(factory=set, init=False, repr=False)

    def set(self, command: Command, spec: SandboxSpec) -> tuple[Command, SandboxSpec]:
        """Return *command* and *spec* with the traps beneath its mounts, of which some may lie in one.

        Raises:
            BuildpackError: A script has replaced what is above such a mount: it would be made where a link leads.
        """
        if not self._mounted:
            self._make(spec)
        for inside in self._ancestors:
            path = self.directory / inside[1:]
            if path.is_symlink() or not path.is_dir():
                raise BuildpackError(f"a script has replaced the directory {inside}")
        traps = tuple(Bind(self.directory / trap[1:], trap, writable=True) for trap in TRAPS)
        return command, evolve(spec, mounts=(*traps, *spec.mounts))

    def caught(self) -> tuple[str, ...]:
        """Return the paths, as the build saw them, that were written outside; mount points are the sandbox's own."""
        if not self.directory.is_dir():
            return ()
        paths = [f"/{entry.path}" for entry in walk(self.directory) if "/" in entry.path]
        return tuple(path for path in paths if not any(f"{own}/".startswith(f"{path}/") for own in self._mounted))

    def _make(self, spec: SandboxSpec) -> None:
        """Make the directories, before any script runs, with those above mounts: bwrap would make them 0700."""
        self._mounted.update(mount.inside for mount in spec.mounts)
        above = {str(path) for inside in self._mounted for path in PurePosixPath(inside).parents}
        self._ancestors.update(path for path in above if path.startswith(TRAPS))
        for inside in sorted({*TRAPS, *self._ancestors}):
            path = self.directory / inside[1:]
            path.mkdir(parents=True, exist_ok=True)
            if spec.uid is not None:
                os.chown(path, spec.uid, spec.uid, follow_symlinks=False)
