"""Make the blobs by which a layout keeps a slug: the file itself, checked, and the documents that describe it."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from ..archive import Slug
from ..errors import CorruptSlugError, SlugNotFoundError
from ._oci import Descriptor, digest_of, entry, referrer, slug_documents


@frozen
class Admitted:
    """The ``blobs`` of a slug, staged files by digest, and what the index is to say: the slug first, then referrers."""

    blobs: Mapping[str, Path]
    entries: tuple[Descriptor, ...]


def admit(slug: Slug, referrers: Mapping[str, bytes], staging: Path) -> Admitted:
    """Copy *slug* into *staging*, read all of the copy, and write beside it what describes it and refers to it.

    Raises:
        CorruptSlugError, UnsafeMemberError, SlugNotFoundError: The slug is damaged, hostile or gone.
        OSError: The disk said no.
    """
    if not slug.path.is_file():
        raise SlugNotFoundError(str(slug.path))
    shutil.copyfile(slug.path, staging / "slug")
    try:
        copy = Slug.open(staging / "slug")
        diff_id = copy.diff_id  # for which every byte is read and checked
    except CorruptSlugError as error:
        raise CorruptSlugError(str(slug.path), error.reason) from error
    if copy.digest != slug.digest:
        raise CorruptSlugError(str(slug.path), f"expected {slug.digest}, it is {copy.digest}")
    config, manifest = slug_documents(copy.manifest, copy.digest, copy.size, diff_id)
    documents, entries = [config, manifest], [entry(manifest)]
    for kind, data in referrers.items():
        empty, about = referrer(kind, data, entries[0])
        documents += [empty, about, data]
        entries.append(entry(about, artifactType=kind))
    blobs = {copy.digest: copy.path} | {digest_of(data): _written(staging, data) for data in documents}
    return Admitted(blobs, tuple(entries))


def _written(staging: Path, data: bytes) -> Path:
    path = staging / digest_of(data).removeprefix("sha256:")
    path.write_bytes(data)
    return path
