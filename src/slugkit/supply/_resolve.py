"""Which package another one means by a name, in a slug that may hold several of that name. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from ..inventory import Package


def resolved(packages: Iterable[Package]) -> Iterator[tuple[Package, tuple[Package, ...]]]:
    """Yield each package with those it needs that are there, as its ecosystem finds them from where it is."""
    packages = tuple(packages)
    here = {(package.ecosystem, *_key(package)): package for package in packages}
    for package in packages:
        places = tuple(_places(package))
        found = []
        for name in package.dependencies:
            keys = ((package.ecosystem, place, name) for place in places)
            found += [here[key] for key in keys if key in here][:1]
        yield package, tuple(found)


def roots(needs: Mapping[str, AbstractSet[str]]) -> list[str]:
    """Return what no other needs, and one of each circle that none of those leads to: from these all is reached.

    >>> roots({"a": {"b"}, "b": set(), "c": {"d"}, "d": {"c"}})
    ['a', 'c']
    """
    needed = {ref for refs in needs.values() for ref in refs}
    found, seen = list[str](), set[str]()
    for ref in sorted(needs, key=lambda ref: (ref in needed, ref)):
        if ref not in seen:
            found.append(ref)
            _reach(ref, needs, seen)
    return found


def _reach(start: str, needs: Mapping[str, AbstractSet[str]], seen: set[str]) -> None:
    todo = [start]
    while todo:
        ref = todo.pop()
        if ref not in seen:
            seen.add(ref)
            todo += needs[ref]


def _key(package: Package) -> tuple[str, str]:
    """Return where a package is found and by which name: npm goes by the directory, the others by the metadata."""
    if package.ecosystem == "npm":
        place, _, name = package.location.rpartition("node_modules/")
        return place, name
    return package.location.rpartition("/")[0], package.name


def _places(package: Package) -> Iterator[str]:
    """Yield where a package looks for others: Node upwards through every node_modules, the others beside itself."""
    if package.ecosystem != "npm":
        yield _key(package)[0]
        return
    place = f"{package.location}/"
    while True:
        yield place
        if not place:
            return
        place = "".join(place.rstrip("/").rpartition("/")[:2])
