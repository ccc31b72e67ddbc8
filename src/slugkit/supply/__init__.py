"""What a slug is made of and how it came to be, as other tools read it: an SBOM, and build provenance."""

import importlib
from pathlib import Path

from .._whole import write_whole
from ..archive import Slug
from ..errors import MissingLibraryError
from ._provenance import BUILD_TYPE, BUILDER_ID, provenance

__all__ = [
    "BUILDER_ID",
    "BUILD_TYPE",
    "PROVENANCE_TYPE",
    "SBOM_TYPE",
    "beside",
    "check_sbom_library",
    "provenance",
    "sbom",
    "write_beside",
]

#: Media types of the two documents; a registry keeps them as artifact types of what refers to a slug.
SBOM_TYPE = "application/vnd.cyclonedx+json"
PROVENANCE_TYPE = "application/vnd.in-toto+json"
_SUFFIXES = {SBOM_TYPE: ".cdx.json", PROVENANCE_TYPE: ".intoto.json"}


def sbom(slug: Slug) -> bytes:
    """Return the packages in *slug* as a CycloneDX 1.6 document in JSON; the same file gives the same bytes.

    Raises:
        MissingLibraryError: ``slugkit[sbom]`` is not installed.
        CorruptSlugError: The slug is damaged.
        UnsafeMemberError: The slug is hostile.
    """
    check_sbom_library()
    from ._cyclonedx import document  # noqa: PLC0415 - only those who ask for it have the library

    return document(slug)


def check_sbom_library() -> None:
    """Find out now whether `sbom` can work, rather than after a build.

    Raises:
        MissingLibraryError: ``slugkit[sbom]`` is not installed.
    """
    try:
        importlib.import_module("cyclonedx.model.component_evidence")
    except ImportError as error:
        raise MissingLibraryError("cyclonedx-python-lib", "sbom") from error


def beside(slug: Path) -> dict[str, Path]:
    """Return where the documents about the slug in the file *slug* are, by media type."""
    return {kind: slug.with_name(slug.name + suffix) for kind, suffix in _SUFFIXES.items()}


def write_beside(slug: Slug, kind: str, document: bytes) -> Path:
    """Write *document*, of the media type *kind*, beside *slug* and return where; the file appears whole or not at all.

    Raises:
        OutputError: The disk said no.
    """
    path = beside(slug.path)[kind]
    write_whole(path, document)
    return path
