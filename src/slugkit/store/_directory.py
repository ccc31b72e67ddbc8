"""`DirectoryStore`: slugs and their unpacked trees in a directory that is an OCI image layout as well."""

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from attrs import field, frozen

from .._tree import sync
from .._whole import appearing, writing
from ..archive import Slug
from ..environ import user_cache
from ..errors import CorruptSlugError, CorruptStoreError, InvalidSettingError, SlugkitError, SlugNotFoundError
from ._admit import admit
from ._collect import MONTH, Collected, collect_garbage
from ._layout import Layout
from ._oci import Descriptor, is_tag
from ._record import used
from ._staging import claimed, collect
from ._stored import StoredSlug, set_tag, stored_slugs, take_tag
from ._trees import Trees
from ._verify import Damage, find_damage


def _absolute(path: str | PathLike[str]) -> Path:
    return Path(path).absolute()


def user_store() -> Path:
    """Return where this user's store is if nothing else is said: below the user's cache directory."""
    return user_cache(os.environ) / "store"


@frozen
class DirectoryStore:
    """A store in the directory *root*, which other tools read as an OCI image layout.

    ``blobs/``, ``index.json`` and ``oci-layout`` hold slugs, each an image of one layer; ``unpacked/`` the trees that
    dynos run on, each made once and shared. Safe under concurrent users and processes: whatever appears does so by one
    rename, after it is on the disk. A tree that lost a file, or has one of another size, is put into quarantine and
    unpacked again; one that this process was given is not collected while the process runs.
    """

    root: Path = field(converter=_absolute)
    _trees: Trees = field(init=False, repr=False, eq=False)
    _layout: Layout = field(init=False, repr=False, eq=False)

    @_trees.default
    def _make_trees(self) -> Trees:
        return Trees(self.root)

    @_layout.default
    def _make_layout(self) -> Layout:
        return Layout(self.root)

    def tree(self, slug: Slug) -> Path:
        """Return the directory of *slug*'s app, unpacking it first if it is not there, or damaged.

        Files in segments that the tree of another release has as well are shared with it.

        Raises:
            CorruptSlugError: The slug is damaged; the store is unchanged.
            UnsafeMemberError: The slug is hostile; the store is unchanged.
            OutputError: The disk said no; the store is unchanged.
        """
        with writing(self.root):
            return self._trees.known(slug.digest) or self._trees.unpack(slug)

    def release(self, tree: Path | None = None) -> None:
        """Let `gc` have *tree*, which this store handed out, or all of them, though the process goes on."""
        self._trees.release(tree)

    def put(self, slug: Slug, tag: str | None = None, referrers: Mapping[str, bytes] | None = None) -> StoredSlug:
        """Keep a copy of *slug*, every byte of it checked, and return what is stored; twice is as good as once.

        Args:
            slug: The slug.
            tag: A name for it, taken from the slug that had it.
            referrers: Documents about it by media type, such as its SBOM.

        Raises:
            CorruptSlugError, UnsafeMemberError, SlugNotFoundError: The slug is damaged, hostile or gone.
            InvalidSettingError: *tag* is no name for an image.
            CorruptStoreError: The store's own index cannot be read.
            OutputError: The disk said no; the store is unchanged.
        """
        _check_tag(tag)
        with writing(self.root), self._staged() as staging:
            admitted = admit(slug, referrers or {}, staging)
            sync(staging)
            with self._layout.changing() as manifests:
                self._layout.add(admitted.blobs)
                known = {one["digest"] for one in manifests}
                manifests += [one for one in admitted.entries if one["digest"] not in known]
                if tag is not None:
                    set_tag(manifests, admitted.entries[0]["digest"], tag)
                stored = self._found(admitted.entries[0]["digest"], manifests)
            sync(self.root)
        return stored

    def tag(self, reference: str, tag: str) -> StoredSlug:
        """Name the slug *reference*, a tag or digest, *tag* as well, and return it; the slug that had the tag loses it.

        Raises:
            SlugNotFoundError: There is no such slug.
            InvalidSettingError: *tag* is no name for an image.
            CorruptStoreError, OutputError: The index cannot be read, or written; the store is unchanged.
        """
        _check_tag(tag)
        with writing(self.root), self._layout.changing() as manifests:
            set_tag(manifests, self._found(reference, manifests).manifest, tag)
            return self._found(tag, manifests)

    def untag(self, tag: str) -> None:
        """Take the name *tag* away; the slug stays until `gc` finds that nobody wants it.

        Raises:
            SlugNotFoundError: Nothing has it.
            CorruptStoreError, OutputError: The index cannot be read, or written; the store is unchanged.
        """
        with writing(self.root), self._layout.changing() as manifests:
            if not take_tag(manifests, tag):
                raise SlugNotFoundError(tag)

    def slugs(self) -> tuple[StoredSlug, ...]:
        """Return what is stored, in the order it came.

        Raises:
            CorruptStoreError: The index cannot be read.
        """
        with _reading(self.root):
            return tuple(stored_slugs(self._layout.index()["manifests"], self._layout, self._trees))

    def find(self, reference: str) -> StoredSlug:
        """Return the slug that *reference* names: a tag, a digest of the slug or its manifest, or how only one begins.

        Raises:
            SlugNotFoundError: None does, or several do.
            CorruptStoreError: The index cannot be read.
        """
        with _reading(self.root):
            return self._found(reference, self._layout.index()["manifests"])

    def open(self, reference: str) -> Slug:
        """Return the slug that *reference* names, as `find` does, open for reading.

        Raises:
            SlugNotFoundError, CorruptStoreError: As `find`.
            CorruptSlugError: It is not what was put: `verify` moves it away.
        """
        digest = self.find(reference).digest
        path = self._layout.blob(digest)
        slug = Slug.open(path)
        if slug.digest != digest:
            raise CorruptSlugError(str(path), f"expected {digest}, it is {slug.digest}")
        used(path)
        return slug

    def copy(self, reference: str, output: str | PathLike[str]) -> str:
        """Write the slug that *reference* names, as `find` does, to the file *output*, and return its digest.

        Raises:
            SlugNotFoundError, CorruptStoreError, CorruptSlugError: As `open`.
            OutputError: The disk said no; the file is as it was.
        """
        slug = self.open(reference)
        with writing(output), slug.path.open("rb") as stored, appearing(Path(output)) as file:
            shutil.copyfileobj(stored, file)
        return slug.digest

    def gc(self, *, max_age: float = MONTH, max_size: int | None = None) -> Collected:
        """Remove what nobody wants, and return what that was.

        That is what the dead left and, of trees and of slugs without a tag, what was not used for *max_age* seconds, or
        longest ago when the store has more than *max_size* bytes. Trees that dynos run on stay. What refers to a slug
        goes with it; blobs of nobody go after an hour, for other tools write them before the index.

        Raises:
            CorruptStoreError: The index cannot be read: nothing of the slugs is removed.
            OutputError: The disk said no.
        """
        with writing(self.root):
            return collect_garbage(self._trees, self._layout, max_age, max_size)

    def verify(self) -> tuple[Damage, ...]:
        """Read every byte of the store and return what was damaged; it is in quarantine now.

        Raises:
            CorruptStoreError: The index cannot be read.
            OutputError: The disk said no.
        """
        with writing(self.root):
            return tuple(find_damage(self._trees, self._layout))

    def _found(self, reference: str, manifests: Sequence[Descriptor]) -> StoredSlug:
        slugs = list(stored_slugs(manifests, self._layout, self._trees))
        tagged = [one for one in slugs if reference in one.tags]
        found = tagged or [one for one in slugs if one.is_called(reference)]
        if len({one.digest for one in found}) != 1:
            raise SlugNotFoundError(f"{self.root}: {reference}")
        return found[-1]  # one file may have several manifests, by several releases of slugkit

    @contextmanager
    def _staged(self) -> Iterator[Path]:
        home = self.root / "staging"
        home.mkdir(parents=True, exist_ok=True)
        collect(home)
        staging = home / uuid.uuid4().hex
        with claimed(staging):
            yield staging


@contextmanager
def _reading(root: Path) -> Iterator[None]:
    """Say an OSError of the block as what it is to the caller: the store at *root* could not be read."""
    try:
        yield
    except SlugkitError:
        raise
    except OSError as error:
        raise CorruptStoreError(str(root), f"it cannot be read: {error.strerror or error}") from error


def _check_tag(tag: str | None) -> None:
    if tag is not None and not is_tag(tag):
        raise InvalidSettingError("tag", f"{tag!r} is no name such as shop:v12")
