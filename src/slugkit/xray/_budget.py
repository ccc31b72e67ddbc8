"""How large a slug may be: limits from a TOML file, and which of them a slug breaks."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tomli
from attrs import field, frozen

from ..errors import BudgetExceededError, InvalidBudgetError
from ..logline import harmless
from ..units import human_growth, human_size, parse_size
from ._diff import SlugDiff
from ._report import SlugReport
from ._weights import NOTHING, ROOT, group_of, part_of

_LARGEST_FILE = 2**20
_MOST_NAMED = 5  # of what grew, or is largest


@frozen
class Budget:
    """The limits of a budget file, None where there is none; sizes in bytes.

    ``max_size`` and ``growth`` are of the compressed slug; ``max_unpacked``, ``directories`` and ``packages`` of the
    files in it.
    """

    path: str = "budget.toml"
    max_size: int | None = None
    max_unpacked: int | None = None
    max_files: int | None = None
    directories: Mapping[str, int] = field(factory=dict)
    packages: Mapping[str, int] = field(factory=dict)
    growth: int | None = None
    growth_percent: float | None = None


@frozen
class Breach:
    """A limit that a slug breaks: ``rule`` is the key in the budget, ``actual`` and ``limit`` are what they read."""

    rule: str
    actual: str
    limit: str

    def __str__(self) -> str:
        """Say it in one line, the numbers first: a name may be anything."""
        return harmless(f"{self.actual} is more than {self.limit}: {self.rule}")


def read_budget(path: str | Path) -> Budget:
    """Return the budget in the TOML file *path*.

    Raises:
        InvalidBudgetError: It is not there, not TOML, or a key or a value of it means nothing.
    """
    name = str(path)
    try:
        with Path(path).open("rb") as file:
            text = file.read(_LARGEST_FILE).decode("utf-8")
        plain = tomli.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InvalidBudgetError(name, "", reason or "it cannot be read") from error
    return _budget(name, plain)


def _budget(path: str, plain: Mapping[str, Any]) -> Budget:
    slug = _table(path, plain, "slug", {"max_size": _size, "max_unpacked": _size, "max_files": _count})
    growth = _table(path, plain, "growth", {"max": _size, "max_percent": _percent})
    for key in plain:
        if key not in {"slug", "directories", "packages", "growth"}:
            raise InvalidBudgetError(path, harmless(key), "not a key of a budget")
    return Budget(
        path,
        **slug,
        directories={_directory(name): size for name, size in _table(path, plain, "directories", None).items()},
        packages=_table(path, plain, "packages", None),
        growth=growth.get("max"),
        growth_percent=growth.get("max_percent"),
    )


_Read = Callable[[object], Any]


def _table(path: str, plain: Mapping[str, Any], name: str, keys: Mapping[str, _Read] | None) -> dict[str, Any]:
    """Return the values of the table *name*, each read as *keys* says; without *keys*, every key names a size."""
    table = plain.get(name, {})
    if not isinstance(table, dict):
        raise InvalidBudgetError(path, name, "not a table")
    found = {}
    for key, value in table.items():
        read = _size if keys is None else keys.get(key)
        if read is None:
            raise InvalidBudgetError(path, harmless(f"{name}.{key}"), "not a key of a budget")
        try:
            found[key] = read(value)
        except ValueError as error:
            raise InvalidBudgetError(path, harmless(f"{name}.{key}"), str(error)) from error
    return found


def _size(value: object) -> int:
    if isinstance(value, str):
        return parse_size(value)
    return _count(value)


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r}: not a whole number of 0 or more")
    return value


def _percent(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise ValueError(f"{value!r}: not a number of 0 or more")
    return float(value)


def _directory(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in {"", "."}) or "."


def breaches(budget: Budget, found: SlugReport | SlugDiff) -> tuple[Breach, ...]:
    """Return the limits of *budget* that the slug breaks, in the budget's order.

    Those of growth hold for a diff only, whose new slug is held to the others.
    """
    report = found.new if isinstance(found, SlugDiff) else found
    of_growth = _growth(budget, found) if isinstance(found, SlugDiff) else ()
    return (*_slug(budget, report), *_places(budget, report), *of_growth)


def check_budget(budget: Budget, found: SlugReport | SlugDiff) -> None:
    """Raise if the slug of *found* breaks a limit of *budget*; for growth there has to be a diff.

    Raises:
        BudgetExceededError: It does; the error names each limit, and what is largest or grew most.
    """
    broken = breaches(budget, found)
    if broken:
        raise BudgetExceededError(budget.path, tuple(map(str, broken)), growers(found))


def growers(found: SlugReport | SlugDiff) -> tuple[str, ...]:
    """Return the packages and directories that grew most, or of a single slug are largest, one a line."""
    if isinstance(found, SlugReport):
        packages = [(f"{one.ecosystem}:{one.name} {one.version}", one.weight) for one in found.packages[:_MOST_NAMED]]
        places = [(one.path, one.weight) for one in found.outline() if _is_own(one.path)][:_MOST_NAMED]
        return tuple(harmless(f"{human_size(weight.size)} unpacked: {name}") for name, weight in (*packages, *places))
    grown = [*found.package_sizes[:_MOST_NAMED], *[one for one in found.outline() if _is_own(one.name)][:_MOST_NAMED]]
    positive = [one for one in grown if one.growth.size > 0]
    return tuple(harmless(f"{human_growth(one.growth.size)} unpacked: {one.name}") for one in positive)


def _is_own(path: str) -> bool:
    """Return whether the directory *path* is no package: those are named already."""
    return path != ROOT and group_of(f"{path}/") == part_of(f"{path}/")


def _slug(budget: Budget, report: SlugReport) -> Iterator[Breach]:
    if budget.max_size is not None and report.size > budget.max_size:
        yield Breach("slug.max_size", _exact(report.size), _exact(budget.max_size))
    if budget.max_unpacked is not None and report.weight.size > budget.max_unpacked:
        yield Breach("slug.max_unpacked", _exact(report.weight.size), _exact(budget.max_unpacked))
    if budget.max_files is not None and report.weight.files > budget.max_files:
        yield Breach("slug.max_files", f"{report.weight.files} files", f"{budget.max_files}")


def _places(budget: Budget, report: SlugReport) -> Iterator[Breach]:
    directories = {place.path: place.weight for place in report.directories}
    for path, limit in budget.directories.items():
        if (size := directories.get(path, NOTHING).size) > limit:
            yield Breach(f"directories.{path}", _exact(size), _exact(limit))
    for name, limit in budget.packages.items():
        named = [one.weight for one in report.packages if _is_called(name, one.ecosystem, one.name)]
        if (size := sum(named, start=NOTHING).size) > limit:
            yield Breach(f"packages.{name}", _exact(size), _exact(limit))


def _is_called(wanted: str, ecosystem: str, name: str) -> bool:
    """Return whether *wanted* is the package *name*, with or without its ecosystem before it: ``pypi:numpy``."""
    plain = wanted.removeprefix(f"{ecosystem}:")
    return name == (re.sub(r"[-_.]+", "-", plain).lower() if ecosystem == "pypi" else plain)


def _growth(budget: Budget, found: SlugDiff) -> Iterator[Breach]:
    grown, before = found.growth, found.old.size
    if budget.growth is not None and grown > budget.growth:
        yield Breach("growth.max", human_growth(grown), _exact(budget.growth))
    if budget.growth_percent is not None and grown * 100 > budget.growth_percent * before:
        yield Breach("growth.max_percent", f"{grown * 100 / before:+.1f}%", f"{budget.growth_percent:g}%")


def _exact(size: int) -> str:
    """Return *size* as people read it and, since a limit may be broken by a byte, exactly."""
    return human_size(size) if size < 2**10 else f"{human_size(size)} ({size} bytes)"
