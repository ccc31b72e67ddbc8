"""Where the bytes of a slug are: by directory, by the part that made them, by package."""

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from attrs import asdict, frozen

from ..archive import SurveyedFile
from ..inventory import Package

ROOT = "."  # the path of the app itself, which no other can bear
K = TypeVar("K", bound=Hashable)

# What buildpacks and package managers make; whatever is in none of them is the app's own. The first that fits counts.
_PARTS = re.compile(
    r"""(?: \.heroku/python/lib/python[^/]*/site-packages
          | \.heroku/[^/]+
          | vendor/(?:bundle|jvm|node|php|python|ruby-[^/]*)
          | (?:venv|\.venv|\.apt|\.jdk|\.m2|\.profile\.d)
          | (?:[^/]+/)*? node_modules
        )(?=/)""",
    re.VERBOSE | re.DOTALL,
)


@frozen
class Weight:
    """How much of a slug something is: ``files``, bytes unpacked (``size``), bytes of the compressed file (``packed``).

    ``packed`` is a share: files are compressed together.
    """

    files: int = 0
    size: int = 0
    packed: int = 0

    def __add__(self, other: "Weight") -> "Weight":
        """Return the weight of both."""
        return Weight(self.files + other.files, self.size + other.size, self.packed + other.packed)

    def __sub__(self, other: "Weight") -> "Weight":
        """Return what is left without *other*."""
        return Weight(self.files - other.files, self.size - other.size, self.packed - other.packed)


NOTHING = Weight()


@frozen
class Place:
    """A directory or a part of a slug; the app itself has the path ``.``."""

    path: str
    weight: Weight


@frozen
class PackageWeight:
    """A package that is installed in a slug, and how much of the slug it is."""

    ecosystem: str
    name: str
    version: str
    location: str
    weight: Weight


def flat(value: Any) -> dict[str, Any]:  # noqa: ANN401 - any attrs value
    """Return *value* as plain data, its weight's numbers beside its other fields."""
    plain = asdict(value)
    weight = plain.pop("weight", {})
    return {**plain, **weight}


def heaviest(places: Iterable[K], weight: Callable[[K], Weight], name: Callable[[K], Any]) -> tuple[K, ...]:
    """Return *places*, those first that take most of the compressed file; ties in the order of their names."""
    return tuple(sorted(places, key=lambda one: (-weight(one).packed, -weight(one).size, name(one))))


def weight(file: SurveyedFile) -> Weight:
    """Return how much *file* is; a directory is no file, and yet takes its header."""
    return Weight(int(file.kind != "dir"), file.size, file.packed)


def weigh(files: Iterable[SurveyedFile], key: Callable[[SurveyedFile], K | None]) -> dict[K, Weight]:
    """Return how much *files* are by *key*; those whose key is None do not count."""
    sums: dict[K, Weight] = {}
    for file in files:
        found = key(file)
        if found is not None:
            sums[found] = sums.get(found, NOTHING) + weight(file)
    return sums


def parent(path: str) -> str:
    """Return the directory that *path* is in."""
    return path.rpartition("/")[0] or ROOT


def depth(path: str) -> int:
    """Return how many directories below the app *path* is: 0 for the app itself."""
    return 0 if path == ROOT else path.count("/") + 1


def directories(files: Sequence[SurveyedFile]) -> tuple[Place, ...]:
    """Return every directory with all that is below it, the heaviest first."""
    sums = {ROOT: NOTHING, **weigh(files, _directory)}
    for path in list(sums):
        above = parent(path)
        while above not in sums:
            sums[above] = NOTHING
            above = parent(above)
    for path in sorted(sums, key=depth, reverse=True)[:-1]:
        sums[parent(path)] += sums[path]
    found = (Place(path, weight) for path, weight in sums.items())
    return heaviest(found, lambda one: one.weight, lambda one: (depth(one.path), one.path))


def ways_through(sums: Mapping[str, Weight]) -> set[str]:
    """Return the directories of *sums* that hold one other and no file besides: the other says it all."""
    return {
        parent(path)
        for path, weight in sums.items()
        if path != ROOT and parent(path) != ROOT and _same(weight, sums.get(parent(path)))
    }


def _same(one: Weight, other: Weight | None) -> bool:
    return other is not None and (one.files, one.size) == (other.files, other.size)


def _directory(file: SurveyedFile) -> str:
    return (file.path or ROOT) if file.kind == "dir" else parent(file.path)


def part_of(path: str) -> str:
    """Return the part of a slug that *path* is in: what made it, or ``.`` for the app's own.

    >>> part_of("web/node_modules/a/node_modules/b/index.js"), part_of("app.py")
    ('web/node_modules', '.')
    """
    found = _PARTS.match(path)
    return found[0] if found else ROOT


def group_of(path: str) -> str:
    """Return the part that *path* is in and, where packages lie side by side in it, the one of them.

    >>> group_of("node_modules/a/node_modules/b/index.js"), group_of(".heroku/python/bin/python")
    ('node_modules/a', '.heroku/python')
    """
    part = part_of(path)
    first, _, second = path.removeprefix(f"{part}/").partition("/")
    if not first or part.rpartition("/")[2] not in {"node_modules", "site-packages"}:
        return part
    if first.endswith((".dist-info", ".egg-info")):
        first = first.partition("-")[0]  # it goes with the package
    scoped = first.startswith("@") and second
    return f"{part}/{first}/{second.partition('/')[0]}" if scoped else f"{part}/{first}"


def parts(files: Iterable[SurveyedFile]) -> tuple[Place, ...]:
    """Return the parts of a slug, the heaviest first."""
    found = (Place(path, weight) for path, weight in weigh(files, lambda file: part_of(file.path + "/")).items())
    return heaviest(found, lambda one: one.weight, lambda one: one.path)


def packages(files: Iterable[SurveyedFile], inventory: Sequence[Package]) -> tuple[PackageWeight, ...]:
    """Return the packages of *inventory* with what their files weigh, the heaviest first."""
    owners = {path: number for number, package in enumerate(inventory) for path in package.paths}
    sums = weigh(files, lambda file: owners.get(file.path))
    found = (
        PackageWeight(one.ecosystem, one.name, one.version, one.location, sums.get(number, NOTHING))
        for number, one in enumerate(inventory)
    )
    return heaviest(found, lambda one: one.weight, lambda one: (one.ecosystem, one.name, one.version, one.location))
