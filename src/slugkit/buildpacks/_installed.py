"""Buildpacks that installed packages add through the entry-point group ``slugkit.buildpacks``."""

from typing import TYPE_CHECKING

from ..errors import InvalidBuildpackError
from ._contract import Buildpack

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "slugkit.buildpacks"


def installed() -> "dict[str, EntryPoint]":
    """Return the entry points by name, in alphabetical order; nothing of theirs is imported yet."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - 15 ms, and few builds ask

    return {entry.name: entry for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name)}


def load(entry: "EntryPoint") -> Buildpack:
    """Return the buildpack that *entry* leads to: an object that is one, or a callable that makes one.

    Raises:
        InvalidBuildpackError: It cannot be imported, or is something else.
    """
    try:
        found = entry.load()
        pack = found() if callable(found) else found
    except Exception as error:
        raise InvalidBuildpackError(entry.name, f"{entry.value} cannot be loaded: {error!r}") from error
    methods = (getattr(pack, member, None) for member in ("detect", "compile", "release"))
    if not isinstance(getattr(pack, "name", None), str) or not all(callable(method) for method in methods):
        raise InvalidBuildpackError(entry.name, f"{entry.value} has no name, detect, compile and release")
    buildpack: Buildpack = pack
    return buildpack
