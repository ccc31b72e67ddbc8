"""What a slug holds for nothing: the same bytes twice, caches and version control, bytecode that is never valid."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from ..archive import SurveyedFile
from ._weights import ROOT, Place, Weight, heaviest, part_of, weigh

_SMALLEST_DUPLICATE = 2**10  # bytes; below, a tar's own headers cost as much
_HEAD = 16  # bytes of a .pyc before the code
_PEP_552 = 3390  # the magic number of the first Python whose .pyc files have flags, 3.7
_PYTHON_2 = 20_000  # whose magic numbers were larger

# Each from the start of a part of a path: what is found first is the outermost.
_LEFTOVERS = re.compile(
    r"""(?:^|/)(?:
      (?P<version_control> \.git | \.hg | \.svn | \.bzr | CVS )
    | (?P<cache> \.pytest_cache | \.mypy_cache | \.ruff_cache | \.hypothesis | \.tox | \.nox | \.nyc_output
        | \.parcel-cache | \.sass-cache | \.turbo | node_modules/\.cache | \.next/cache | tmp/cache )
    | (?P<package_cache> \.npm | _cacache | \.cache/(?:pip|uv|yarn|node-gyp|pre-commit) | \.yarn-cache
        | vendor/bundle/[^/]+/[^/]+/cache )
    | (?P<desktop> \.DS_Store | Thumbs\.db | desktop\.ini | \.idea | \.vscode | \.[^/]+\.sw[op] )
    | (?P<object_file> [^/]+\.o )
    | (?P<log> npm-debug\.log[^/]* | yarn-error\.log )
    )(?=/|\Z)""",
    re.VERBOSE,
)


@frozen
class Duplicate:
    """Files with the same content: ``size`` bytes each; ``weight`` is what all but one of them take."""

    sha256: str
    size: int
    paths: tuple[str, ...]
    weight: Weight


@frozen
class Leftover:
    """Something a running app has no use for; ``kind`` says what: a cache, version control, ..."""

    kind: str
    path: str
    weight: Weight


def duplicates(files: Iterable[SurveyedFile]) -> tuple[Duplicate, ...]:
    """Return the files of 1 KiB and more that are there more than once, what costs most first."""
    same = defaultdict[str, list[SurveyedFile]](list)
    for file in files:
        if file.kind == "file" and file.size >= _SMALLEST_DUPLICATE:
            same[file.sha256].append(file)
    found = (_duplicate(copies) for copies in same.values() if len(copies) > 1)
    return heaviest(found, lambda one: one.weight, lambda one: one.paths)


def _duplicate(copies: Sequence[SurveyedFile]) -> Duplicate:
    first = copies[0]
    saved = [file.packed for file in copies]
    weight = Weight(len(copies) - 1, first.size * (len(copies) - 1), sum(saved) - max(saved))
    return Duplicate(first.sha256, first.size, tuple(sorted(file.path for file in copies)), weight)


def leftovers(files: Iterable[SurveyedFile], stale: Iterable[str]) -> tuple[Leftover, ...]:
    """Return the caches and the like that are left in a slug, the heaviest first.

    A ``__pycache__`` of the app's own counts when bytecode in it is among the *stale*; those of packages do not.
    """
    bytecode = {path.rpartition("/")[0] for path in stale if "/__pycache__/" in f"/{path}" and part_of(path) == ROOT}
    found = (
        Leftover(kind, path, weight)
        for (kind, path), weight in weigh(files, lambda file: _leftover(file.path, bytecode)).items()
        if weight.files
    )
    return heaviest(found, lambda one: one.weight, lambda one: one.path)


def _leftover(path: str, bytecode: set[str]) -> tuple[str, str] | None:
    found = _LEFTOVERS.search(path)
    if found:
        return (found.lastgroup or "").replace("_", " "), path[: found.end()]
    directory = path.rpartition("/")[0]
    return ("bytecode", directory) if directory in bytecode else None


def is_bytecode(path: str) -> bool:
    """Return whether *path* is named as Python's compiled modules are."""
    return path.endswith(".pyc")


def stale_bytecode(texts: Mapping[str, bytes], paths: set[str]) -> tuple[str, ...]:
    """Return those ``.pyc`` files among *texts* (contents by path) that Python would write anew at every start.

    They name the time of their source, and in a slug no file has the time it had where the bytecode was made. A
    ``.pyc`` without a source beside it (among *paths*) is run as it is and is never stale.
    """
    compiled = (path for path, text in texts.items() if is_bytecode(path) and _names_a_time(text[:_HEAD]))
    return tuple(sorted(path for path in compiled if _has_source(path, paths)))


def _names_a_time(head: bytes) -> bool:
    """Return whether the *head* of a .pyc tells a time, and no hash, of its source (PEP 552)."""
    magic, flags = int.from_bytes(head[:2], "little"), int.from_bytes(head[4:8], "little")
    if len(head) < _HEAD or head[2:4] != b"\r\n":
        return False  # not a .pyc at all
    return not _PEP_552 <= magic < _PYTHON_2 or flags & 1 == 0


def _has_source(path: str, paths: set[str]) -> bool:
    return "/__pycache__/" in f"/{path}" or path.removesuffix("c") in paths


def places(paths: Iterable[str], files: Iterable[SurveyedFile]) -> tuple[Place, ...]:
    """Return the directories of *paths*, each with how much of them is in it, the heaviest first."""
    wanted = set(paths)
    sums = weigh(files, lambda file: file.path.rpartition("/")[0] or ROOT if file.path in wanted else None)
    found = (Place(path, weight) for path, weight in sums.items())
    return heaviest(found, lambda one: one.weight, lambda one: one.path)
