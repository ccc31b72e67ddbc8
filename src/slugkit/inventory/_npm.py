"""Node packages: each directory of a ``node_modules`` that has a ``package.json``."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ._package import Contents, Package, as_object, licenses_in, version_or_none

_MANIFEST = re.compile(
    r"(?P<directory>(?:.*/)?node_modules/(?P<name>(?:@[^/]+/)?[^/@.][^/]*))/package\.json", re.DOTALL
)
_LOCK = re.compile(r"(?P<directory>(?:.*/)?)(?:package-lock\.json|node_modules/\.package-lock\.json)", re.DOTALL)
_NAME = re.compile(r"(?:@[\w.~-]+/)?[\w.~-]+", re.ASCII)
_LONGEST_NAME = 214  # what npm allows
_NEEDED = ("dependencies", "optionalDependencies")


def is_metadata(path: str) -> bool:
    """Return whether the file *path* tells of Node packages."""
    return bool(_MANIFEST.fullmatch(path) or _LOCK.fullmatch(path))


def packages(contents: Contents) -> Iterator[Package]:
    """Yield the packages in *contents*, each with the files below it that are not in its own ``node_modules``."""
    locked = _locked(contents)
    for path in contents.paths:
        match = _MANIFEST.fullmatch(path)
        if match is None:
            continue
        directory = match["directory"]
        told = contents.json_object(path) or locked.get(directory, {})
        name, version = told.get("name"), version_or_none(told.get("version"))
        if not _is_name(name) or version is None:
            lock = locked.get(directory, {})
            name, version = lock.get("name", match["name"]), version_or_none(lock.get("version"))
        if isinstance(name, str) and _is_name(name):
            yield Package("npm", name, version or "", directory, _own(contents, directory), *_details(told))


def _is_name(name: object) -> bool:
    return isinstance(name, str) and len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) is not None


def _own(contents: Contents, directory: str) -> tuple[str, ...]:
    start = len(directory)
    return tuple(path for path in contents.below(directory) if "/node_modules/" not in path[start:])


def _details(told: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the licences and the dependencies; ``licenses`` is how packages of before 2015 spell the first."""
    old = told.get("licenses")
    spelled = [told.get("license"), *(old if isinstance(old, list) else [])]
    licenses = licenses_in(as_object(one).get("type", one) for one in spelled)
    needed = {name for kind in _NEEDED for name in as_object(told.get(kind)) if _is_name(name)}
    return licenses, tuple(sorted(needed))


def _locked(contents: Contents) -> dict[str, dict[str, Any]]:
    """Return what lock files (versions 2 and 3) say of each package's directory."""
    found = {}
    for path in contents.paths:
        if match := _LOCK.fullmatch(path):
            entries = as_object(contents.json_object(path).get("packages"))
            found.update({match["directory"] + place: as_object(entry) for place, entry in entries.items()})
    return found
