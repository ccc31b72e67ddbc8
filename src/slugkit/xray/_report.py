"""The survey of a slug, as values: how large it is, where its bytes are, and which of them are for nothing."""

from typing import Any

from attrs import asdict, field, frozen

from ..archive import Slug, SurveyedFile
from ..inventory import installed, is_metadata, read_files
from ..slug import Manifest
from ._savings import Savings, savings
from ._waste import Duplicate, Leftover, duplicates, is_bytecode, leftovers, places, stale_bytecode
from ._weights import ROOT, PackageWeight, Place, Weight, depth, directories, flat, packages, parts, ways_through, weigh

_SLUGIGNORE = ".slugignore"
_SHARE = 100  # a directory of less than a hundredth of a slug is no landmark


@frozen
class SlugReport:
    """What a slug holds: ``size`` is its file's, in bytes; ``weight`` that of all its files together.

    Lists have the heaviest first. ``stale`` are the directories with bytecode that is never valid. ``files`` is the
    survey all of it was made of.
    """

    path: str
    size: int
    digest: str
    diff_id: str
    checksum: str
    manifest: Manifest
    weight: Weight
    directories: tuple[Place, ...]
    parts: tuple[Place, ...]
    packages: tuple[PackageWeight, ...]
    duplicates: tuple[Duplicate, ...]
    leftovers: tuple[Leftover, ...]
    stale: tuple[Place, ...]
    savings: Savings
    files: tuple[SurveyedFile, ...] = field(repr=False)

    def outline(self, most: int | None = None) -> tuple[Place, ...]:
        """Return the directories that matter: a hundredth of the slug or more, and not just the way to a single one.

        With *most*, it is every directory that is at most so many levels below the app.
        """
        if most is not None:
            return tuple(place for place in self.directories if depth(place.path) <= most)
        ways = ways_through({place.path: place.weight for place in self.directories})
        least = self.weight.packed / _SHARE
        return tuple(one for one in self.directories if one.weight.packed >= least and one.path not in ways)

    def to_dict(self, most: int | None = None) -> dict[str, Any]:
        """Return it as plain data (docs/reference/slug-report.md), with the directories of ``outline``."""
        return {
            **identity(self),
            "checksum": self.checksum,
            "process_types": dict(self.manifest.process_types),
            "buildpacks": [asdict(pack) for pack in self.manifest.buildpacks],
            "manifest": self.manifest.to_dict(),
            "directories": [flat(place) for place in self.outline(most)],
            "parts": [flat(place) for place in self.parts],
            "packages": [flat(package) for package in self.packages],
            "duplicates": [_duplicate(one) for one in self.duplicates],
            "leftovers": [flat(one) for one in self.leftovers],
            "stale_bytecode": [flat(place) for place in self.stale],
            "slugignore": {
                "lines": [flat(one) for one in self.savings.suggestions],
                "total": asdict(self.savings.weight),
            },
        }


def inspect(slug: Slug) -> SlugReport:
    """Read all of *slug* and return what it holds.

    Raises:
        CorruptSlugError: It is damaged.
        UnsafeMemberError: It is hostile.
    """
    files = slug.survey()
    paths = {file.path for file in files if file.kind != "dir"}
    texts = read_files(slug, files, is_metadata, is_bytecode, _SLUGIGNORE.__eq__)
    stale = stale_bytecode(texts, paths)
    return SlugReport(
        path=str(slug.path),
        size=slug.size,
        digest=slug.digest,
        diff_id=slug.diff_id,
        checksum=slug.checksum,
        manifest=slug.manifest,
        weight=weigh(files, lambda _: ROOT).get(ROOT, Weight()),
        directories=directories(files),
        parts=parts(files),
        packages=packages(files, installed(paths, texts)),
        duplicates=duplicates(files),
        leftovers=leftovers(files, stale),
        stale=places(stale, files),
        savings=savings(
            files, slug.process_types.values(), stale, texts.get(_SLUGIGNORE, b"").decode("utf-8", "replace")
        ),
        files=files,
    )


def identity(report: SlugReport) -> dict[str, Any]:
    """Return which slug *report* is of, and how large that is."""
    return {
        "path": report.path,
        "size": report.size,
        "unpacked": report.weight.size,
        "files": report.weight.files,
        "digest": report.digest,
        "diff_id": report.diff_id,
    }


def _duplicate(one: Duplicate) -> dict[str, Any]:
    return {
        "sha256": one.sha256,
        "size": one.size,
        "paths": list(one.paths),
        "saved": one.weight.size,
        "saved_packed": one.weight.packed,
    }
