"""Bring a buildpack here: a directory as it is, a git commit or an archive into a cache keyed by what it is."""

import hashlib
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from .. import _exec
from ..archive import unpack_source
from ..environ import user_cache
from ..errors import BuildpackFetchError, SlugkitError, SourceUnusableError, UnsafeMemberError
from ._classic import ClassicBuildpack
from ._origin import Origin
from ._repository import Repository
from ._trees import Trees, check_pack

_TIMEOUT = 90.0  # seconds, as the slug compiler's BUILDPACK_FETCH_TIMEOUT (contract.md 2.5)
_PINNED = re.compile(r"sha256[=:]([0-9a-f]{64})", re.IGNORECASE)


@frozen
class Fetcher:
    """Fetches a build's buildpacks into ``cache``, all within 90 seconds.

    ``env`` is how this host reaches the network (proxies, certificates).
    """

    env: Mapping[str, str]
    cache: Path | None = None
    deadline: float = field()

    @deadline.default
    def _deadline(self) -> float:
        return time.monotonic() + _TIMEOUT

    def fetch(self, origin: Origin) -> ClassicBuildpack:
        """Return the buildpack at *origin*.

        Raises:
            BuildpackFetchError: It cannot be had.
            InvalidBuildpackError: What is there is no buildpack.
            OutputError: The disk said no.
        """
        trees = Trees(self.cache or user_cache(os.environ) / "buildpacks")
        try:
            match origin.kind:
                case "path":
                    directory = _directory(origin)
                    return ClassicBuildpack(check_pack(directory, origin), directory.name)
                case "git":
                    key = version = Repository(origin, self.env, self.deadline).check_out(trees)
                case "archive":
                    key = self._archive(origin, trees)
                    version = f"sha256:{key}"
            return ClassicBuildpack(trees.path(origin.key(key)), origin.name, origin.source, version)
        except _exec.StartError:
            raise BuildpackFetchError(
                origin.shown, "git is not installed", "Debian, Ubuntu: apt-get install git"
            ) from None
        except _exec.DeadlineError:
            raise BuildpackFetchError(origin.shown, f"it took longer than {_TIMEOUT:g} seconds") from None
        except SlugkitError:
            raise
        except (OSError, ValueError) as error:  # a path too long, a file that may not be read
            reason = getattr(error, "strerror", None) or str(error)
            raise BuildpackFetchError(origin.shown, reason) from error

    def _archive(self, origin: Origin, trees: Trees) -> str:
        """Return the digest of the archive at *origin*, in hex, its tree in *trees*."""
        pinned = _PINNED.fullmatch(origin.ref or "")
        if origin.ref and not pinned:
            raise BuildpackFetchError(origin.shown, "what follows # of an archive is sha256=<64 hex digits>")
        wanted = pinned[1].lower() if pinned else None
        if wanted is not None and trees.has(origin.key(wanted)):
            return wanted
        if not origin.is_remote:
            return _unpacked(origin, Path(origin.location.removeprefix("file://")), trees, wanted)
        from ._download import download  # noqa: PLC0415 - http and ssl take 40 ms, and few builds need them

        with trees.scratch() as scratch:
            download(origin, scratch / "archive", self.env, self.deadline)
            return _unpacked(origin, scratch / "archive", trees, wanted)


def _unpacked(origin: Origin, archive: Path, trees: Trees, wanted: str | None) -> str:
    """Put the tree of *archive* into *trees* and return the archive's digest, which has to be *wanted* if given."""
    if not archive.is_file():
        raise BuildpackFetchError(origin.shown, "there is no such file")
    digest = _sha256(archive)
    if wanted is not None and digest != wanted:
        raise BuildpackFetchError(origin.shown, f"its sha256 is {digest}", "pin that one if it is right")
    if not trees.has(origin.key(digest)):
        with trees.scratch() as scratch:
            try:
                unpack_source(archive, scratch / "tree", keep="bin")
            except (SourceUnusableError, UnsafeMemberError) as error:
                reason = error.reason if isinstance(error, SourceUnusableError) else str(error)
                raise BuildpackFetchError(origin.shown, reason) from error
            check_pack(scratch / "tree", origin)
            trees.keep(scratch / "tree", origin.key(digest))
    return digest


def _directory(origin: Origin) -> Path:
    directory = Path(origin.location)
    if not directory.is_dir():
        fix = "" if origin.location.startswith((".", "/")) else f"on GitHub: https://github.com/{origin.location}"
        raise BuildpackFetchError(origin.shown, "there is no such directory", fix)
    return directory.resolve()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
