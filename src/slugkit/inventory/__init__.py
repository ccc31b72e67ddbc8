"""Which packages are installed in a slug, as their own metadata says."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from attrs import evolve

from ..archive import Slug, SlugFile, SurveyedFile
from . import _gem, _npm, _pypi
from ._package import Contents, Ecosystem, Package

__all__ = ["Ecosystem", "Package", "installed", "inventory", "is_metadata", "read_files"]

_LARGEST = 2**22  # bytes of a metadata file that are read; the RECORD of the largest package of PyPI has less
_MOST = 2**27  # bytes of all metadata that are read: a slug may be made to fill the memory
_ECOSYSTEMS = (_pypi, _npm, _gem)


def inventory(slug: Slug) -> tuple[Package, ...]:
    """Return the packages in *slug* by ecosystem, name, version and place.

    A file belongs to one package at most, the deepest of those that claim it. Metadata that means nothing names no
    package, or one after its directory; what is beyond the first 128 MiB of it is not read.

    Raises:
        CorruptSlugError: The slug is damaged.
        UnsafeMemberError: The slug is hostile.
    """
    files = tuple(slug.files())
    return installed((file.path for file in files if file.kind != "dir"), read_files(slug, files, is_metadata))


def installed(paths: Iterable[str], texts: Mapping[str, bytes]) -> tuple[Package, ...]:
    """Return the packages of `inventory` in an app of *paths* whose metadata files hold *texts*."""
    contents = Contents.of(paths, texts)
    return _each_file_once(package for ecosystem in _ECOSYSTEMS for package in ecosystem.packages(contents))


def is_metadata(path: str) -> bool:
    """Return whether the file *path* tells of packages."""
    return any(ecosystem.is_metadata(path) for ecosystem in _ECOSYSTEMS)


def read_files(slug: Slug, files: Sequence[SlugFile | SurveyedFile], *kinds: Callable[[str], bool]) -> dict[str, bytes]:
    """Return the contents of those of the *slug*'s *files* whose paths are of one of *kinds*, all read at once.

    They are as hostile as the slug: it is 4 MiB of each at most, and of each kind the first that make up 128 MiB.
    """
    wanted = {path for kind in kinds for path in _affordable(files, kind)}
    return slug.read(wanted.__contains__, limit=_LARGEST) if wanted else {}


def _affordable(files: Iterable[SlugFile | SurveyedFile], kind: Callable[[str], bool]) -> Iterator[str]:
    total = 0
    for file in files:
        if file.kind == "file" and kind(file.path):
            total += min(file.size, _LARGEST)
            if total > _MOST:
                return
            yield file.path


def _each_file_once(packages: Iterable[Package]) -> tuple[Package, ...]:
    """Return *packages* in order, each path left to the deepest: a RECORD may list what others own, or all there is."""
    taken = set[str]()
    found = []
    for package in sorted(packages, key=lambda package: (-package.location.count("/"), package.location)):
        own = tuple(sorted({*package.paths} - taken))
        taken.update(own)
        found.append(evolve(package, paths=own))
    return tuple(sorted(found, key=lambda one: (one.ecosystem, one.name, one.version, one.location)))
