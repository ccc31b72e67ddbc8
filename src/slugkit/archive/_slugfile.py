"""`Slug`: a slug file as a value that reads the manifest when opened and everything else when asked."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from hashlib import file_digest, sha256
from io import BufferedReader
from os import PathLike, fspath, fstat
from pathlib import Path
from time import time_ns
from typing import Any, Self

from attrs import field, frozen

from .._whole import writing
from ..errors import CorruptSlugError, InvalidSettingError, OutputError
from ..procfile import parse_procfile
from ..slug import Manifest, api_checksum, sha256_digest
from ._index import read_index
from ._indexed import Segments
from ._opened import opened, reading
from ._pack import Digests
from ._restore import Base, Restored, nearest, restore
from ._staged import staged
from ._tar import BLOCK, Member
from ._unpack import Reader, SlugFile, SurveyedFile, TarStream, unpack_stream

_LARGEST_PROCFILE = 2**20
_TICK = 50_000_000  # nanoseconds: more than a file system's clock takes from one time to the next

_State = tuple[int, int, int, int, int]


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
        with reading(path):
            return cls(path, manifest, path.stat().st_size)

    @property
    def process_types(self) -> Mapping[str, str]:
        """The commands by process type."""
        return self.manifest.process_types

    @cached_property
    def digest(self) -> str:
        """``sha256:...`` of the file."""
        return self._known.digest if self._known else self._hashed[0]

    @cached_property
    def _hashed(self) -> tuple[str, _State | None]:
        """The file's digest, and by what it can be told that it is the same file still."""
        with opened(self.path) as file:
            state = _state(file)
            return sha256_digest(file_digest(file, "sha256")), state

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
            with opened(self.path) as file:
                actual = sha256_digest(file_digest(file, "sha256"))
            if actual != digest.lower():
                raise CorruptSlugError(fspath(self.path), f"expected {digest}, it is {actual}")

    def files(self) -> Iterator[SlugFile]:
        """Yield the app's entries in the archive's order.

        Raises:
            CorruptSlugError: It is damaged.
            UnsafeMemberError: It is hostile.
        """
        last = None
        with self._reading() as reader:
            for member, _ in reader.read():
                if member is not last:
                    yield SlugFile(member.name, member.kind, member.size, member.mode, member.target)
                last = member

    def survey(self) -> tuple[SurveyedFile, ...]:
        """Return the app's entries in the archive's order, with their digests and their shares of the compressed size.

        Raises:
            CorruptSlugError: It is damaged.
            UnsafeMemberError: It is hostile.
        """
        hashers: dict[Member, Any] = {}
        with self._reading() as reader:
            for member, data in reader.read():
                hashers.setdefault(member, sha256()).update(data)
            if isinstance(reader, Segments):
                shares = dict(reader.shares())
            else:
                ratio = self.size / (sum(one.size + BLOCK for one in hashers) or 1)
                shares = {one: round((one.size + BLOCK) * ratio) for one in hashers}
        return tuple(
            SurveyedFile(
                *(one.name, one.kind, one.size, one.mode, one.target),
                packed=shares[one],
                sha256=hasher.hexdigest() if one.kind == "file" else "",
            )
            for one, hasher in hashers.items()
        )

    def read(self, wanted: Callable[[str], bool], *, limit: int = 2**24) -> dict[str, bytes]:
        """Return the contents of the app's regular files whose paths are *wanted*, at most *limit* bytes of each.

        Where the slug has an index, what holds none of them is not read, nor proven to be what the index says.

        Raises:
            CorruptSlugError: It is damaged.
            UnsafeMemberError: It is hostile.
        """
        contents: dict[str, bytearray] = {}
        with self._reading() as reader:
            for member, data in reader.read(wanted):
                if member.kind == "file":
                    content = contents.setdefault(member.name, bytearray())
                    content += data[: limit - len(content)]
        return {name: bytes(content) for name, content in contents.items()}

    def unpack(self, directory: str | PathLike[str], *, only: Sequence[str] = ()) -> None:
        """Put the app's own files directly into *directory*, which is absent or empty.

        The directory appears by rename: whole, or not at all. *only* names files and directories of the app, to have
        no others; where the slug has an index, the rest of it is not even read, nor proven to be what the index says.

        Raises:
            CorruptSlugError: The slug is damaged.
            UnsafeMemberError: The slug is hostile.
            OutputError: *directory* holds something, or the disk said no.
            InvalidSettingError: The app has nothing called as one of *only*.
        """
        target = Path(directory)
        with writing(target):
            _check_free(target)
        selection = Selection(tuple(only))
        with self._reading() as reader, staged(target.absolute()) as staging:
            wanted = selection.has if only else None
            restore(reader, staging, wanted) if isinstance(reader, Segments) else unpack_stream(reader, staging, wanted)
            selection.check()

    def unpack_tree(self, root: Path, bases: Sequence[Base] = ()) -> "UnpackedTree":
        """Put the app's files into the empty directory *root*, sharing what one of *bases* has; return what was proven.

        They bear the time when their content arrived; what is there after an error is the caller's to remove.

        Raises:
            CorruptSlugError: The slug is damaged.
            UnsafeMemberError: The slug is hostile.
            OSError: The disk said no, or the base did.
        """
        with opened(self.path) as file:
            if self._known or _state(file) is None or _state(file) != self._hashed[1]:
                found = sha256_digest(file_digest(file, "sha256"))
                if found != self.digest:  # what was asked for when the file was another one
                    raise CorruptSlugError(fspath(self.path), f"expected {self.digest}, it is {found}")
            reader = _reader(file, fspath(self.path))
            if isinstance(reader, Segments):
                made = restore(reader, root, keep_times=False, base=nearest(reader, bases))
                return UnpackedTree(reader.index.identity, made, reader.index.end)
            unpack_stream(reader, root, keep_times=False)
            return UnpackedTree(reader.stream.hash.hexdigest())

    @contextmanager
    def _reading(self) -> Iterator[Segments | Reader]:
        with opened(self.path) as file:
            yield _reader(file, fspath(self.path))

    def _read_through(self) -> str:
        with self._reading() as reader:
            return reader.prove()


@frozen
class UnpackedTree:
    """What an unpacked tree is called, in hex: by the ``identity`` of the slug's index, or else by the diff_id.

    ``index`` tells `damaged` what is in it, and ``restored`` what was made; b"" and None where the slug has none.
    """

    identity: str
    restored: Restored | None = None
    index: bytes = field(default=b"", repr=False)


@frozen
class Selection:
    """Paths of an app that are asked for; each must be there."""

    paths: tuple[str, ...]
    _seen: set[str] = field(factory=set, init=False)

    def has(self, path: str) -> bool:
        """Return whether *path* is one of them, or lies below one."""
        found = [one for one in self.paths if path == one.strip("/") or path.startswith(f"{one.strip('/')}/")]
        self._seen.update(found)
        return bool(found)

    def check(self) -> None:
        """Raise InvalidSettingError for the first that was not there."""
        for path in self.paths:
            if path not in self._seen:
                raise InvalidSettingError("only", f"the slug has nothing called {path!r}")


def _check_free(target: Path) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise OutputError(fspath(target), "it is not a directory")
    if target.is_dir() and any(target.iterdir()):
        raise OutputError(fspath(target), "it is not empty")
    if target.is_dir() and target.samefile(Path.cwd()):  # the rename would leave the shell in a deleted directory
        raise OutputError(fspath(target), "it is the current directory")


def _reader(file: BufferedReader, path: str) -> Segments | Reader:
    """Return what reads the slug *file*: through its index, or as a stream where it has none."""
    index = read_index(file, path)
    if index is not None:
        return Segments(file.fileno(), path, index)
    file.seek(0)
    return Reader(TarStream(file, path), path)


def _state(file: BufferedReader) -> _State | None:
    """Return what changes when *file* does; None where it was written a moment ago, and again would not show."""
    with reading(file.name):
        info = fstat(file.fileno())
    if abs(time_ns() - info.st_ctime_ns) < _TICK:
        return None
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns


def _read_manifest(path: Path) -> Manifest:
    """Return the manifest, which comes first; without one, what the Procfile tells."""
    with opened(path) as file:
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
    with opened(path) as file:
        reader = Reader(TarStream(file, fspath(path)), fspath(path))
        for member in reader.app():
            if member.name == name and member.kind == "file" and member.size <= _LARGEST_PROCFILE:
                text = b"".join(reader.content(member)).decode("utf-8", "replace")
            elif member.name == name and member.kind == "hardlink":
                text = _read_file(path, member.target)
    return text
