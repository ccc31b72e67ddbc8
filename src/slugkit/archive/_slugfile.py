"""`Slug`: a slug file as a value that reads the manifest when opened and everything else when asked."""

import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from hashlib import file_digest, sha256
from io import BufferedReader
from os import PathLike, fspath
from pathlib import Path
from typing import Self

from attrs import evolve, field, frozen

from ..errors import CorruptSlugError, OutputError, SlugNotFoundError
from ..procfile import parse_procfile
from ..slug import Manifest, api_checksum, sha256_digest
from ._pack import Digests
from ._tar import BLOCK
from ._unpack import Reader, SlugFile, SurveyedFile, TarStream, unpack_slug

_LARGEST_PROCFILE = 2**20


@frozen
class Slug:
    """A slug in a file: what it says of itself (``manifest``), its size in bytes, and its digests."""

    path: Path
    manifest: Manifest
    size: int
    _known: Digests | None = field(default=None, repr=False, eq=False)

    @classmethod
    def open(cls, path: str | PathLike[str]) -> Self:
        """Return the slug in the file *path*, its manifest read and its payload not.

        A tarball made elsewhere has no manifest: its process types come from its Procfile, for which all of it is
        read, and the rest is unknown.

        Raises:
            SlugNotFoundError: Nothing is there.
            CorruptSlugError: It is no slug, or damaged where it was read.
        """
        path = Path(path)
        manifest = _read_manifest(path)
        return cls(path, manifest, path.stat().st_size)

    @property
    def process_types(self) -> Mapping[str, str]:
        """The commands by process type."""
        return self.manifest.process_types

    @cached_property
    def digest(self) -> str:
        """``sha256:...`` of the file."""
        if self._known:
            return self._known.digest
        with _opened(self.path) as file:
            return sha256_digest(file_digest(file, "sha256"))

    @property
    def checksum(self) -> str:
        """``SHA256:...`` of the file, as Heroku's API spells it (contract.md 3.5)."""
        return api_checksum(self.digest)

    @cached_property
    def diff_id(self) -> str:
        """``sha256:...`` of the uncompressed tar: the identity that is the same on every machine."""
        return self._known.diff_id if self._known else self._read_through()

    def verify(self, digest: str | None = None) -> None:
        """Read all of it and check every byte: gzip's sums, tar's headers, every member; and *digest* if given.

        Raises:
            CorruptSlugError: It is damaged, or not the slug that *digest* ("sha256:...") names.
            UnsafeMemberError: It is hostile.
        """
        self._read_through()
        if digest is not None:
            with _opened(self.path) as file:
                actual = sha256_digest(file_digest(file, "sha256"))
            if actual != digest.lower():
                raise CorruptSlugError(fspath(self.path), f"expected {digest}, it is {actual}")

    def files(self) -> Iterator[SlugFile]:
        """Yield the app's entries in the archive's order.

        Raises:
            CorruptSlugError: It is damaged.
            UnsafeMemberError: It is hostile.
        """
        with _opened(self.path) as file:
            for member in Reader(TarStream(file, fspath(self.path)), fspath(self.path)).app():
                yield SlugFile(member.name, member.kind, member.size, member.mode, member.target)

    def survey(self) -> tuple[SurveyedFile, ...]:
        """Return the app's entries in the archive's order, with their digests and their shares of the compressed size.

        Raises:
            CorruptSlugError: It is damaged.
            UnsafeMemberError: It is hostile.
        """
        with _opened(self.path) as file:
            stream = TarStream(file, fspath(self.path))
            reader, found = Reader(stream, fspath(self.path)), list[SurveyedFile]()
            for member in reader.app():
                hasher = sha256()
                for piece in reader.content(member) if member.kind == "file" else ():
                    hasher.update(piece)
                digest = hasher.hexdigest() if member.kind == "file" else ""
                found.append(SurveyedFile(member.name, member.kind, member.size, member.mode, member.target, 0, digest))
        ratio = self.size / (sum(one.size + BLOCK for one in found) or 1)
        return tuple(evolve(one, packed=round((one.size + BLOCK) * ratio)) for one in found)

    def read(self, wanted: Callable[[str], bool], *, limit: int = 2**24) -> dict[str, bytes]:
        """Return the contents of the app's regular files whose paths are *wanted*, at most *limit* bytes of each.

        Raises:
            CorruptSlugError: It is damaged.
            UnsafeMemberError: It is hostile.
        """
        contents = {}
        with _opened(self.path) as file:
            reader = Reader(TarStream(file, fspath(self.path)), fspath(self.path))
            for member in reader.app():
                if member.kind == "file" and wanted(member.name):
                    contents[member.name] = b"".join(reader.content(member))[:limit]
        return contents

    def unpack(self, directory: str | PathLike[str], *, mtime: int | None = None) -> str:
        """Put the app's own files directly into *directory*, which is absent or empty, and return the diff_id.

        The directory appears by rename: whole, or not at all. Files bear *mtime* (seconds), or the archive's times.

        Raises:
            CorruptSlugError: The slug is damaged.
            UnsafeMemberError: The slug is hostile.
            OutputError: *directory* holds something, or the disk said no.
        """
        target = Path(directory)
        if target.is_symlink() or (target.exists() and not target.is_dir()):
            raise OutputError(fspath(target), "it is not a directory")
        if target.is_dir() and any(target.iterdir()):
            raise OutputError(fspath(target), "it is not empty")
        if target.is_dir() and target.samefile(Path.cwd()):  # the rename would leave the shell in a deleted directory
            raise OutputError(fspath(target), "it is the current directory")
        with _opened(self.path) as file:
            return unpack_slug(file, fspath(self.path), target.absolute(), mtime)

    def _read_through(self) -> str:
        with _opened(self.path) as file:
            stream = TarStream(file, fspath(self.path))
            for _ in Reader(stream, fspath(self.path)).app():
                pass
        return sha256_digest(stream.hash)


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise CorruptSlugError(fspath(path), "it is not a regular file")
        file = path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        raise SlugNotFoundError(fspath(path)) from None
    except (OSError, ValueError) as error:
        if isinstance(error, CorruptSlugError):
            raise
        raise CorruptSlugError(fspath(path), str(error)) from error
    with file:
        yield file


def _read_manifest(path: Path) -> Manifest:
    """Return the manifest, which comes first; without one, what the Procfile tells."""
    with _opened(path) as file:
        reader = Reader(TarStream(file, fspath(path)), fspath(path))
        for _ in reader.app():
            if reader.manifest is not None:
                break
            procfile = _read_file(path, "Procfile")
            return Manifest(process_types=dict(parse_procfile(procfile)), schema=0)
    return reader.manifest or Manifest(schema=0)


def _read_file(path: Path, name: str) -> str:
    """Return the text of the app's file *name*, "" when there is none; a hard link is read where it leads."""
    text = ""
    with _opened(path) as file:
        reader = Reader(TarStream(file, fspath(path)), fspath(path))
        for member in reader.app():
            if member.name == name and member.kind == "file" and member.size <= _LARGEST_PROCFILE:
                text = b"".join(reader.content(member)).decode("utf-8", "replace")
            elif member.name == name and member.kind == "hardlink":
                text = _read_file(path, member.target)
    return text
