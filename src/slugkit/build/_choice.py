"""Which buildpacks a build was asked to use: by its caller, or by the app's own ``.buildpacks``."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from .._tree import read_beneath
from ..buildpacks import Buildpack, Fetcher, Runtime, find, find_for_app
from ..errors import InvalidSettingError

_MOST_PACKS = 50  # that an app may name: each costs time before anything has run


def asked_for(
    buildpacks: Sequence[str | PathLike[str] | Buildpack] | None, root: Path, runtime: Runtime, fetcher: Fetcher
) -> tuple[Buildpack, ...]:
    """Return the buildpacks that a build of *root* is to use, brought here: *buildpacks*, else its ``.buildpacks``.

    ``.buildpacks`` has a place or name a line; blanks around it and lines that start with ``#`` mean nothing
    (contract.md 2.5, as herokuish reads it).

    Raises:
        UnknownBuildpackError: One of them does not exist here.
        BuildpackFetchError, InvalidBuildpackError: One cannot be had, or is none.
    """
    if isinstance(buildpacks, str):
        raise InvalidSettingError("buildpacks", f"a list of them, such as [{buildpacks!r}]")
    if buildpacks:
        return tuple(find(one, runtime, fetcher) for one in buildpacks)
    listed = (read_beneath(root, ".buildpacks") or b"").decode("utf-8", "replace")
    names = [name for line in listed.split("\n") if (name := line.strip()) and not name.startswith("#")]
    if len(names) > _MOST_PACKS:
        raise InvalidSettingError(".buildpacks", f"it names more than {_MOST_PACKS} buildpacks")
    return tuple(find_for_app(name, runtime, fetcher) for name in names)
