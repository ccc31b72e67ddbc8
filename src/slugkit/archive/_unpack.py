"""Read a slug: members in order, every byte checked, nothing visible before all of it is right."""

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from attrs import define, field, frozen

from .._tree import remove_tree, writing
from ..errors import CorruptSlugError, SourceUnusableError, UnsafeMemberError
from ..slug import MANIFEST_PATH, Manifest, decode_manifest, sha256_digest
from ._gzip import MAGIC, inflate
from ._rules import MemberTable, check_path
from ._tar import Kind, Member, members, padding

_CHUNK = 2**20
_EARLIEST, _LATEST = 315_532_800, 4_102_444_800  # 1980 and 2100: what every file system can tell
_LARGEST_MANIFEST = 2**24


@frozen
class SlugFile:
    """One entry of a slug's app; ``size`` in bytes, ``target`` of links only."""

    path: str
    kind: Kind
    size: int
    mode: int
    target: str = ""


@frozen
class SurveyedFile(SlugFile):
    """An entry with what its bytes say: their ``sha256`` in hex ("" of what is no regular file).

    ``packed`` is its share, in bytes, of the compressed file: headers and contents are compressed together, so the
    share is in proportion to the uncompressed bytes.
    """

    packed: int = 0
    sha256: str = ""


class TarStream:
    """The uncompressed bytes of an archive, hashed as they are read."""

    def __init__(self, file: IO[bytes], path: str, *, plain: bool = False) -> None:
        chunks = iter(lambda: file.read(_CHUNK), b"") if plain else inflate(file, path)
        self._chunks: Iterator[bytes] = chunks
        self._rest = b""
        self._offset = 0
        self.hash = hashlib.sha256()

    def read(self, size: int) -> bytes:
        """Return exactly *size* bytes, fewer only at the end."""
        while len(self._rest) - self._offset < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self.hash.update(chunk)
            self._rest, self._offset = self._rest[self._offset :] + chunk, 0
        data = self._rest[self._offset : self._offset + size]
        self._offset += len(data)
        return data

    def skip(self, size: int) -> None:
        """Read past *size* bytes."""
        while size:
            size -= len(self.read(min(size, _CHUNK))) or size

    def pieces(self, size: int, path: str) -> Iterator[bytes]:
        """Yield *size* bytes and read past the padding behind them."""
        left = size
        while left:
            data = self.read(min(left, _CHUNK))
            if not data:
                raise CorruptSlugError(path, "it ends in the middle of a file")
            left -= len(data)
            yield data
        self.skip(len(padding(size)))


@define
class Reader:
    """The members of one archive, as the paths below the app they mean, checked one by one.

    ``below`` is where the app lies: "app", or "" for a bare tree; None lets the first member decide (contract.md
    3.3). Below "app", whatever lies beside it is ignored, as Heroku does.
    """

    stream: TarStream
    path: str
    below: str | None = None
    manifest: Manifest | None = field(default=None, init=False)
    _table: MemberTable = field(factory=MemberTable, init=False)
    _unread: int = field(default=0, init=False)
    _root: bool = field(default=False, init=False)

    def app(self) -> Iterator[Member]:
        """Yield the app's members; a file's bytes are to be taken from `content`, or are skipped."""
        for member in members(self.stream, self.path):
            self._unread = member.size + len(padding(member.size))
            name = member.name.removeprefix("./")
            if self.below is None:
                self._decide(name)
            if self.below and name == MANIFEST_PATH and member.kind == "file":
                if self.manifest is not None:
                    raise UnsafeMemberError(name, "it is there twice")
                self.manifest = self._read_manifest(member)
            elif (accepted := self._accept(member, name)) is not None:
                yield accepted
            self.stream.skip(self._unread)

    def content(self, member: Member) -> Iterator[bytes]:
        """Yield the bytes of the file *member*, which `app` has just yielded."""
        self._unread = 0
        return self.stream.pieces(member.size, self.path)

    def _decide(self, name: str) -> None:
        """Tell the layout by the first member that is not the root.

        Heroku's own compiler writes a bare ``./`` and then ``./app/...`` without ``./app/`` itself; a Rails app packed
        bare has an ``./app/`` of its own behind the ``./``.
        """
        first, _, rest = name.partition("/")
        if first in {"", "."} and not rest:
            self._root = True
        elif first == ".slugkit" or (first == "app" and (rest or not self._root)):
            self.below = "app"
        else:
            self.below = ""

    def _accept(self, member: Member, name: str) -> Member | None:
        inner = self._inner(name)
        if inner is None:
            check_path(name)
            return None
        target = self._inner(member.target.removeprefix("./")) if member.kind == "hardlink" else None
        accepted = self._table.accept(member, inner, target)
        return accepted if accepted.name else None

    def _inner(self, name: str) -> str | None:
        if not self.below:
            return name
        first, slash, rest = name.partition("/")
        return rest if first == self.below and (slash or not rest) else None

    def _read_manifest(self, member: Member) -> Manifest:
        if member.size > _LARGEST_MANIFEST:
            raise CorruptSlugError(self.path, "its manifest is larger than 16 MiB")
        return decode_manifest(b"".join(self.content(member)), self.path)


def unpack_slug(file: IO[bytes], path: str, directory: Path, mtime: int | None = None) -> str:
    """Unpack the app of the slug *file* into *directory*, which was absent or empty, and return its diff_id.

    Raises:
        CorruptSlugError: It is damaged; nothing is left.
        UnsafeMemberError: It is hostile; nothing is left.
        OutputError: *directory* is not empty, or the disk said no; nothing is left.
    """
    stream = TarStream(file, path)
    with _staged(directory) as staging:
        _make(Reader(stream, path), staging, mtime)
    return sha256_digest(stream.hash)


def unpack_source(path: Path, directory: Path, *, keep: str = "") -> None:
    """Unpack the tarball *path* into *directory*, which was absent, less its single top-level directory if any.

    A top-level directory called *keep* stays: it belongs to what is in the tarball.

    Raises:
        SourceUnusableError: It is no tar archive, compressed by gzip or not.
        UnsafeMemberError: It is hostile.
    """
    try:
        with path.open("rb") as file, _staged(directory) as staging:
            plain = not file.read(2).startswith(MAGIC)
            file.seek(0)
            _make(Reader(TarStream(file, str(path), plain=plain), str(path), below=""), staging)
    except CorruptSlugError as error:
        raise SourceUnusableError(str(path), f"no whole tarball: {error.reason}") from error
    inside = list(directory.iterdir())
    if len(inside) == 1 and inside[0].is_dir() and not inside[0].is_symlink() and inside[0].name != keep:
        moved = directory.with_name(f".{uuid.uuid4().hex}")
        inside[0].rename(moved)
        directory.rmdir()
        moved.rename(directory)


def _make(reader: Reader, root: Path, mtime: int | None = None) -> None:
    """Make what *reader* yields below *root*; links last, so that nothing is ever written through one."""
    links, made = [], {""}
    for member in reader.app():
        path = root / member.name
        _make_parents(root, member.name if member.kind == "dir" else member.name.rpartition("/")[0], made)
        if member.kind == "link":
            links.append((path, member.target))
        elif member.kind == "hardlink":
            os.link(root / member.target, path, follow_symlinks=False)
        elif member.kind == "file":
            _make_file(reader, member, path, mtime)
    for path, target in links:
        path.symlink_to(target)


def _make_parents(root: Path, name: str, made: set[str]) -> None:
    if name in made:
        return
    _make_parents(root, name.rpartition("/")[0], made)
    made.add(name)
    (root / name).mkdir()
    (root / name).chmod(0o755)  # whatever the umask


def _make_file(reader: Reader, member: Member, path: Path, mtime: int | None) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "wb") as out:
        for piece in reader.content(member):
            out.write(piece)
        out.flush()  # before the time is set, and so that a full disk is seen
        os.fchmod(out.fileno(), member.mode)
        seconds = min(max(member.mtime if mtime is None else mtime, _EARLIEST), _LATEST)
        os.utime(out.fileno(), (seconds, seconds))


@contextmanager
def _staged(directory: Path) -> Iterator[Path]:
    """Yield a staging directory that becomes *directory* by one rename, or is removed with all that is in it."""
    staging = directory.parent / f".{directory.name}.{uuid.uuid4().hex[:8]}.partial"
    try:
        with writing(directory):
            staging.mkdir(mode=0o755)
            staging.chmod(0o755)
            yield staging
            staging.rename(directory)
    except BaseException:
        remove_tree(staging)
        raise
