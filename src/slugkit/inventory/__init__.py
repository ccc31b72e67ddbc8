"""Which packages are installed in a slug, as their own metadata says."""

from collections.abc import Iterable, Sequence

from attrs import evolve

from ..archive import Slug
from . import _gem, _npm, _pypi
from ._package import Contents, Ecosystem, Package

__all__ = ["Ecosystem", "Package", "inventory"]

_LARGEST = 2**22  # bytes of a metadata file that are read; the RECORD of the largest package of PyPI has less
_ECOSYSTEMS = (_pypi, _npm, _gem)


def inventory(slug: Slug, paths: Sequence[str]) -> tuple[Package, ...]:
    """Return the packages in *slug*, whose files have *paths*, by ecosystem, name, version and place.

    A file belongs to one package at most, the deepest of those that claim it. Metadata that means nothing names no
    package, or one after its directory.

    Raises:
        CorruptSlugError: The slug is damaged.
        UnsafeMemberError: The slug is hostile.
    """
    wanted = {path for path in paths if any(ecosystem.is_metadata(path) for ecosystem in _ECOSYSTEMS)}
    texts = slug.read(wanted.__contains__, limit=_LARGEST) if wanted else {}
    contents = Contents.of(paths, texts)
    return _each_file_once(package for ecosystem in _ECOSYSTEMS for package in ecosystem.packages(contents))


def _each_file_once(packages: Iterable[Package]) -> tuple[Package, ...]:
    """Return *packages* in order, each path left to the deepest: a RECORD may list what others own, or all there is."""
    taken = set[str]()
    found = []
    for package in sorted(packages, key=lambda package: (-package.location.count("/"), package.location)):
        own = tuple(sorted({*package.paths} - taken))
        taken.update(own)
        found.append(evolve(package, paths=own))
    return tuple(sorted(found, key=lambda one: (one.ecosystem, one.name, one.version, one.location)))
