"""Read a slug: members in order, every byte checked, nothing visible before all of it is right."""

import hashlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from attrs import define, field, frozen

from ..errors import CorruptSlugError, SourceUnusableError, UnsafeMemberError
from ..slug import MANIFEST_PATH, Manifest, decode_manifest, sha256_digest
from ._gzip import MAGIC, inflate
from ._newtree import NewTree
from ._restore import Wanted
from ._rules import MOST_MANIFEST, MemberTable, check_path
from ._staged import staged
from ._tar import Kind, Member, members, padding

_CHUNK = 2**20


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
        left = len(self._rest) - self._offset
        if left < size:
            chunks = [self._rest[self._offset :]]
            while left < size and (chunk := next(self._chunks, None)) is not None:
                self.hash.update(chunk)
                chunks.append(chunk)
                left += len(chunk)
            self._rest, self._offset = b"".join(chunks), 0
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
    _begun: bool = field(default=False, init=False)

    def app(self) -> Iterator[Member]:
        """Yield the app's members; a file's bytes are to be taken from `content`, or are skipped."""
        for member in members(self.stream, self.path):
            self._unread = member.size + len(padding(member.size))
            name = check_path(member.name.removeprefix("./"))
            if self.below is None:
                self._decide(name)
            if self.below and name == MANIFEST_PATH and member.kind == "file":
                if self.manifest is not None or self._begun:  # who opens a slug looks no further than the first file
                    raise UnsafeMemberError(name, "it is there twice, or not first")
                self._table.ignore(member)
                self.manifest = self._read_manifest(member)
            elif (accepted := self._accept(member, name)) is not None:
                self._begun = True
                yield accepted
            self.stream.skip(self._unread)

    def content(self, member: Member) -> Iterator[bytes]:
        """Yield the bytes of the file *member*, which `app` has just yielded."""
        self._unread = 0
        return self.stream.pieces(member.size, self.path)

    def read(self, wanted: Callable[[str], bool] | None = None) -> Iterator[tuple[Member, bytes | memoryview]]:
        """Yield the members of the app that are *wanted*, in order, each with some of its bytes, again until the last.

        Raises:
            CorruptSlugError: It is damaged.
            UnsafeMemberError: It is hostile.
        """
        for member in self.app():
            if wanted is None or wanted(member.name):
                yield member, b""
                if member.kind == "file":
                    for piece in self.content(member):
                        yield member, piece

    def prove(self) -> str:
        """Read all of it and return its diff_id.

        Raises:
            CorruptSlugError: It is damaged.
            UnsafeMemberError: It is hostile.
        """
        for _ in self.app():
            pass
        return sha256_digest(self.stream.hash)

    def _decide(self, name: str) -> None:
        """Tell the layout by the first member that is not the root.

        Heroku's own compiler writes a bare ``./`` and then ``./app/...`` without ``./app/`` itself; a Rails app packed
        bare has an ``./app/`` of its own behind the ``./``.
        """
        first, _, rest = name.partition("/")
        if not name:
            self._root = True
        elif first == ".slugkit" or (first == "app" and (rest or not self._root)):
            self.below = "app"
        else:
            self.below = ""

    def _accept(self, member: Member, name: str) -> Member | None:
        inner = self._inner(name)
        if inner is None:
            self._table.ignore(member)
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
        if member.size > MOST_MANIFEST:
            raise CorruptSlugError(self.path, "its manifest is larger than 1 MiB")
        return decode_manifest(b"".join(self.content(member)), self.path)


def unpack_stream(reader: Reader, root: Path, wanted: Wanted = None, *, keep_times: bool = True) -> None:
    """Make what *reader* yields, and is *wanted*, in the empty directory *root*."""
    with NewTree(root, keep_times) as tree:
        for member in reader.app():
            if wanted is not None and not wanted(member.name):
                continue
            tree.add_directory(member.name if member.kind == "dir" else member.name.rpartition("/")[0])
            if member.kind == "link":
                tree.add_link(member)
            elif member.kind == "hardlink":
                if wanted is not None and not wanted(member.target):
                    raise UnsafeMemberError(member.name, f"a hard link to {member.target!r}, which is to be left out")
                tree.add_hard_link(member)
            elif member.kind == "file":
                tree.add_file(member, reader.content(member))
        tree.finish()


def unpack_source(path: Path, directory: Path, *, keep: str = "") -> None:
    """Unpack the tarball *path* into *directory*, which was absent, less its single top-level directory if any.

    A top-level directory called *keep* stays: it belongs to what is in the tarball.

    Raises:
        SourceUnusableError: It is no tar archive, compressed by gzip or not.
        UnsafeMemberError: It is hostile.
    """
    try:
        with path.open("rb") as file, staged(directory) as staging:
            plain = not file.read(2).startswith(MAGIC)
            file.seek(0)
            unpack_stream(Reader(TarStream(file, str(path), plain=plain), str(path), below=""), staging)
    except CorruptSlugError as error:
        raise SourceUnusableError(str(path), f"no whole tarball: {error.reason}") from error
    inside = list(directory.iterdir())
    if len(inside) == 1 and inside[0].is_dir() and not inside[0].is_symlink() and inside[0].name != keep:
        moved = directory.with_name(f".{uuid.uuid4().hex}")
        inside[0].rename(moved)
        directory.rmdir()
        moved.rename(directory)
