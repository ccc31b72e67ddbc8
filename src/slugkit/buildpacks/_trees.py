"""Fetched buildpacks on disk: directories named by commit or digest, each put there whole by one rename."""

import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import frozen

from .._tree import remove_tree, sync
from .._whole import writing
from ..errors import InvalidBuildpackError
from ._origin import Origin

_KEY = re.compile(r"[0-9a-f]{16}-[0-9a-f]{40,64}")
_STALE = 3600.0  # seconds after which what a killed fetch left is removed; no fetch takes longer


@frozen
class Trees:
    """The trees below ``root``; safe under concurrent builds."""

    root: Path

    def path(self, key: str) -> Path:
        """Return where the tree of *key* is, or would be; a key is no path, wherever it came from."""
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} is no key")
        return self.root / key

    def has(self, key: str) -> bool:
        """Return whether it is there."""
        return self.path(key).is_dir()

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yield an empty directory beside the trees, gone afterwards.

        Raises:
            OutputError: The disk said no.
        """
        with writing(self.root):
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._collect()
            scratch = self._new()
            scratch.mkdir(mode=0o700)
        try:
            with writing(self.root):
                yield scratch
        finally:
            remove_tree(scratch)

    def keep(self, tree: Path, key: str) -> None:
        """Put *tree* in its place; somebody else's, there first, is the same."""
        sync(tree)
        try:
            tree.rename(self.path(key))
        except OSError:
            if not self.has(key):
                raise

    def _collect(self) -> None:
        """Remove what killed fetches left; a new name first, so that no two builds remove the same thing."""
        for stale in self.root.glob("new-*"):
            with suppress(FileNotFoundError):
                if time.time() - stale.stat().st_mtime > _STALE:
                    ours = stale.rename(self._new())
                    os.utime(ours)
                    remove_tree(ours)

    def _new(self) -> Path:
        return self.root / f"new-{uuid.uuid4().hex[:8]}"


def check_pack(directory: Path, origin: Origin) -> Path:
    """Return *directory* if what is there is a buildpack.

    Raises:
        InvalidBuildpackError: It has no bin/detect or bin/compile.
    """
    for script in ("detect", "compile"):
        if not os.path.lexists(directory / "bin" / script):
            raise InvalidBuildpackError(origin.shown, f"it has no bin/{script}")
    return directory
