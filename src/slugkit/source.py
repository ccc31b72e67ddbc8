"""What a build can start from: a directory, a git repository at a ref, or a tarball. Values only."""

from os import PathLike, fspath
from pathlib import Path

from attrs import field, frozen

from .errors import SourceNotFoundError


@frozen
class DirectorySource:
    """A directory; its ``.git`` never reaches a build."""

    path: Path = field(converter=Path)


@frozen
class GitSource:
    """A git repository, bare or with a work tree, at *ref*: a branch, a tag or a commit.

    Only what is committed is built. Submodules are not resolved, as for Heroku's API builds (contract.md 3.5).
    """

    path: Path = field(converter=Path)
    ref: str = "HEAD"


@frozen
class TarballSource:
    """A tar archive, compressed by gzip or not; a single top-level directory is stripped (contract.md 3.5)."""

    path: Path = field(converter=Path)


Source = DirectorySource | GitSource | TarballSource


def as_source(source: "Source | str | PathLike[str]") -> Source:
    """Return the source that *source* means: what it is already, a directory, or a tarball by being a file.

    Raises:
        SourceNotFoundError: Nothing is there.
    """
    given = fspath(source if isinstance(source, str | PathLike) else source.path)
    try:
        if isinstance(source, str | PathLike):
            source = DirectorySource(given) if Path(given).is_dir() else TarballSource(given)
        found = source.path.exists()
    except (OSError, ValueError):  # a name longer than any file's, or with a NUL
        found = False
    if not found or isinstance(source, str | PathLike):
        raise SourceNotFoundError(given)
    return source
