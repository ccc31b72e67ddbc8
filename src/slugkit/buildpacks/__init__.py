"""Buildpacks: the Protocol, the built-in ones in detection order, and how a name finds one."""

from ..errors import UnknownBuildpackError
from ._contract import BuildContext, Buildpack, Detection, NotDetected, ReleaseDefaults
from ._procfile_only import ProcfileBuildpack
from .python import PythonBuildpack, Runtime

__all__ = [
    "LAST_RESORT",
    "BuildContext",
    "Buildpack",
    "Detection",
    "NotDetected",
    "ProcfileBuildpack",
    "PythonBuildpack",
    "ReleaseDefaults",
    "Runtime",
    "builtin",
    "find",
]

#: Tried when none of the built-in ones claims the app.
LAST_RESORT: Buildpack = ProcfileBuildpack()


def builtin(runtime: Runtime = "vendored") -> tuple[Buildpack, ...]:
    """Return the built-in buildpacks in the order they are tried; the first that claims the app gets it."""
    return (PythonBuildpack(runtime),)


def find(buildpack: str | Buildpack, runtime: Runtime = "vendored") -> Buildpack:
    """Return the buildpack that *buildpack* names, or is.

    Raises:
        UnknownBuildpackError: None is called that.
    """
    if not isinstance(buildpack, str):
        return buildpack
    known = {pack.name: pack for pack in (*builtin(runtime), LAST_RESORT)}
    if buildpack not in known:
        raise UnknownBuildpackError(buildpack, tuple(known))
    return known[buildpack]
