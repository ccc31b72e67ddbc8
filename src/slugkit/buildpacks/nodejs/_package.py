"""What package.json says, as one value: versions, scripts, and whether an install needs more than its lists."""

import json
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from ..._tree import read_beneath
from ...errors import BuildpackError

#: What engines may ask a version of.
ENGINES = ("node", "npm", "yarn", "pnpm")
_LARGEST = 2**22  # bytes
_LONGEST_RANGE = 200  # characters: it is shown, and is an argument of commands
# Scripts of the app itself that an install runs: what they make depends on the app's other files.
_AT_INSTALL = ("preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare")
_DEPENDENCIES = ("dependencies", "devDependencies", "optionalDependencies", "resolutions", "overrides")
_ELSEWHERE = re.compile(r"(file|link|portal|patch|workspace|exec):|\.{0,2}/|~/|git[+:@]|[\w.-]+/[\w.-]+$")
_EXACT = re.compile(r"(?P<name>[a-z]+)@(?P<version>\d+\.\d+\.\d+[\w.-]*)(?:\+(?P<digest>[a-z0-9]+\.[0-9a-f]+))?")


@frozen
class Pinned:
    """What ``packageManager`` names: a manager, its exact version, and "sha512.<hex>" or nothing."""

    name: str
    version: str
    digest: str = ""


@frozen
class Package:
    """What of package.json the pack acts on; ``own_files``: installing reads other files of the app, or runs them.

    ``cache_directories`` are those below the app that the cache keeps besides ``node_modules``.
    """

    engines: Mapping[str, str]
    scripts: Mapping[str, str]
    manager: Pinned | None
    has_dev_dependencies: bool
    own_files: bool
    cache_directories: tuple[str, ...] = ()


def read_package(root: Path) -> Package:
    """Return what the package.json in *root* says.

    Raises:
        BuildpackError: It is gone, is no JSON object, its engines are no ranges, its packageManager names no exact
            version, or its cacheDirectories are none of the app's.
    """
    raw = read_beneath(root, "package.json", _LARGEST)
    if raw is None:  # another pack's compile may have removed it since detect
        raise BuildpackError("package.json is gone since detect", "see that no pack before this one removes it")
    try:
        plain = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise BuildpackError(f"package.json is no JSON: {error!s:.100}", "correct it, then run npm install") from error
    if not isinstance(plain, dict):
        raise BuildpackError("package.json is no JSON object", 'write one: {"name": ..., "dependencies": {...}}')
    scripts = _strings(plain, "scripts")
    return Package(
        engines=_engines(plain),
        scripts=scripts,
        manager=_pinned(plain.get("packageManager")),
        has_dev_dependencies=bool(plain.get("devDependencies")) or "workspaces" in plain,
        own_files=any(name in scripts for name in _AT_INSTALL) or "workspaces" in plain or _leads_elsewhere(plain),
        cache_directories=_cache_directories(plain),
    )


def _strings(plain: Mapping[str, Any], key: str) -> dict[str, str]:
    """Return the texts under *key*; whatever else is there means nothing, as for npm."""
    found = plain.get(key)
    return {n: v for n, v in found.items() if isinstance(v, str)} if isinstance(found, dict) else {}


def _engines(plain: Mapping[str, Any]) -> dict[str, str]:
    """Return the ranges of engines that this pack reads, each on one line."""
    asked = _strings(plain, "engines")
    ranges = {name: " ".join(asked[name].split()) for name in ENGINES if name in asked}
    for name, text in ranges.items():
        if not text.isprintable() or len(text) > _LONGEST_RANGE:
            reason = f"package.json: engines.{name} is {text!a:.80}, no range of versions"
            raise BuildpackError(reason, 'write one as npm does, such as "20.x" or ">=18"')
    return ranges


def _pinned(text: object) -> Pinned | None:
    if text is None:
        return None
    match = _EXACT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise BuildpackError(f"package.json: packageManager is {text!r:.80}", "write name@version, such as yarn@4.18.1")
    if match["name"] not in {"npm", "yarn", "pnpm"}:
        raise BuildpackError(f"package.json: packageManager is {match['name']}", "slugkit knows npm, yarn and pnpm")
    return Pinned(match["name"], match["version"], match["digest"] or "")


def _leads_elsewhere(plain: Mapping[str, Any]) -> bool:
    """Return whether a dependency is a path, a repository or a patch: its content may change without a word here."""
    asked = (value for key in _DEPENDENCIES for value in _strings(plain, key).values())
    return any(_ELSEWHERE.match(value) for value in asked) or "patchedDependencies" in json.dumps(plain.get("pnpm"))


def _cache_directories(plain: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what cacheDirectories lists, under either name that Heroku reads; node_modules is cached anyway."""
    key = "cacheDirectories" if "cacheDirectories" in plain else "cache_directories"
    found = plain.get(key) or []
    names: dict[str, None] = {}
    for asked in found if isinstance(found, list) else [found]:
        name = posixpath.normpath(asked) if isinstance(asked, str) else "."
        if name == "." or name.startswith("/") or name.split("/")[0] == ".." or not name.isprintable():
            fix = 'list directories below the app, such as [".next/cache"]'
            raise BuildpackError(f"package.json: {key} has {asked!r:.80}, no directory of the app", fix)
        names[name] = None
    return tuple(name for name in names if name != "node_modules")
