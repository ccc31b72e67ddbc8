"""How text finds a buildpack, and which ones are tried when there is none."""

from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from ..errors import BuildpackFetchError, InvalidBuildpackError, UnknownBuildpackError
from ._classic import ClassicBuildpack
from ._contract import BuildContext, Buildpack, NotDetected
from ._fetch import Fetcher
from ._installed import installed, load
from ._origin import Origin, parse_origin, without_credentials
from ._procfile_only import ProcfileBuildpack
from .nodejs import NodejsBuildpack
from .python import PythonBuildpack, Runtime
from .ruby import RubyBuildpack
from .static import StaticBuildpack

#: Tried in turn when nothing else claims the app: whoever has an index.html may have written a Procfile besides.
LAST_RESORTS: tuple[Buildpack, ...] = (ProcfileBuildpack(), StaticBuildpack())
#: The name of the app's own bin/detect and bin/compile as a buildpack (contract.md 2.8).
INLINE = "inline"


def builtin(runtime: Runtime = "vendored") -> tuple[Buildpack, ...]:
    """Return the built-in buildpacks in the order they are tried; the first that claims the app gets it."""
    return (RubyBuildpack(), NodejsBuildpack(), PythonBuildpack(runtime))


def detectable(runtime: Runtime = "vendored") -> Iterator[Buildpack]:
    """Yield what detection tries: the built-in buildpacks, then those of installed packages.

    One that cannot be loaded claims no app, and says why: it must not stop the builds of apps that are not for it.
    """
    yield from builtin(runtime)
    for name, entry in installed().items():
        try:
            yield load(entry)
        except InvalidBuildpackError as error:
            yield _Broken(name, error)


def find(buildpack: str | PathLike[str] | Buildpack, runtime: Runtime, fetcher: Fetcher) -> Buildpack:
    """Return the buildpack that *buildpack* is, or names: one built in, one installed, or a place (contract.md 2.5).

    A path object is a directory or an archive, whatever it is called.

    Raises:
        UnknownBuildpackError: Nothing is called that.
        BuildpackFetchError, InvalidBuildpackError: It cannot be had, or is none.
    """
    if isinstance(buildpack, PathLike):
        path = Path(buildpack)
        return fetcher.fetch(Origin("path" if path.is_dir() else "archive", "", str(path), None))
    if not isinstance(buildpack, str):
        return buildpack
    named = _named(buildpack, runtime)
    if named is not None:
        return named
    origin = parse_origin(buildpack)
    if origin is None and _is_directory(buildpack):
        origin = Origin("path", "", buildpack, None)
    if origin is None:
        raise UnknownBuildpackError(without_credentials(buildpack), _names())
    return fetcher.fetch(origin)


def find_for_app(buildpack: str, runtime: Runtime, fetcher: Fetcher) -> Buildpack:
    """Return the buildpack that an app's own ``.buildpacks`` names: an app may not read this machine's files by it.

    Raises:
        SlugkitError: As `find`; and BuildpackFetchError for a place that is neither https nor http.
    """
    named = _named(buildpack, runtime)
    if named is not None:
        return named
    origin = parse_origin(buildpack)
    if origin is None:
        raise UnknownBuildpackError(without_credentials(buildpack), _names())
    if not origin.is_remote:
        reason = "an app's .buildpacks may not name a place of this machine"
        raise BuildpackFetchError(origin.shown, reason, "name it with buildpacks= or --buildpack")
    return fetcher.fetch(origin)


def _named(name: str, runtime: Runtime) -> Buildpack | None:
    if name in {INLINE, "heroku-community/inline"}:
        return ClassicBuildpack(None, INLINE, INLINE)
    known = {pack.name: pack for pack in (*builtin(runtime), *LAST_RESORTS)}
    if name in known:
        return known[name]
    if "/" in name or name.startswith("."):
        return None
    entry = installed().get(name)
    return None if entry is None else load(entry)


def _is_directory(text: str) -> bool:
    try:
        return bool(text) and Path(text).is_dir()
    except (OSError, ValueError):  # too long, or with a NUL
        return False


def _names() -> tuple[str, ...]:
    return (*(pack.name for pack in (*builtin(), *LAST_RESORTS)), INLINE, *installed())


class _Broken:
    """Stands for an installed buildpack that cannot be loaded."""

    def __init__(self, name: str, error: InvalidBuildpackError) -> None:
        self.name, self._error = name, error

    def detect(self, context: BuildContext) -> NotDetected:  # noqa: ARG002 - the Protocol's shape
        return NotDetected(self._error.reason)

    def compile(self, context: BuildContext) -> None:  # noqa: ARG002 - the Protocol's shape
        raise self._error

    def release(self, context: BuildContext) -> None:
        """Never asked."""
