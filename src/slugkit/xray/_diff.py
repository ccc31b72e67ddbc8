"""What has changed between two slugs, as values."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from attrs import asdict, frozen

from ..archive import Slug, SurveyedFile
from ..slug import Manifest
from ._report import SlugReport, identity, inspect
from ._weights import NOTHING, PackageWeight, Place, Weight, depth, ways_through

Kind = Literal["added", "removed", "changed", "mode"]


@frozen
class Change:
    """Something of a manifest that is not what it was; None where there is nothing of the name."""

    name: str
    old: str | None
    new: str | None


@frozen
class FileChange:
    """A file that is not what it was: ``added``, ``removed``, ``changed`` in content, or only in its ``mode``."""

    path: str
    change: Kind
    old: SurveyedFile | None
    new: SurveyedFile | None

    @property
    def growth(self) -> int:
        """The bytes by which it grew."""
        return (self.new.size if self.new else 0) - (self.old.size if self.old else 0)


@frozen
class PackageChange:
    """A package that came, went, or has other versions: a slug may hold several of one name."""

    ecosystem: str
    name: str
    old: tuple[str, ...]
    new: tuple[str, ...]


@frozen
class Growth:
    """A directory, part or package whose files are not as many bytes as they were."""

    name: str
    old: Weight
    new: Weight

    @property
    def growth(self) -> Weight:
        """By how much it grew."""
        return self.new - self.old


@frozen
class SlugDiff:
    """What differs between the slugs of two reports; what grew most stands first, what changed by its name."""

    old: SlugReport
    new: SlugReport
    facts: tuple[Change, ...]
    process_types: tuple[Change, ...]
    config_vars: tuple[Change, ...]
    buildpacks: tuple[Change, ...]
    packages: tuple[PackageChange, ...]
    files: tuple[FileChange, ...]
    directories: tuple[Growth, ...]
    parts: tuple[Growth, ...]
    package_sizes: tuple[Growth, ...]

    @property
    def growth(self) -> int:
        """The bytes by which the slug's file grew."""
        return self.new.size - self.old.size

    def outline(self, most: int | None = None) -> tuple[Growth, ...]:
        """Return the directories that grew or shrank, without those that are just the way to a single one.

        With *most*, it is every one that is at most so many levels below the app.
        """
        if most is not None:
            return tuple(one for one in self.directories if depth(one.name) <= most)
        ways = ways_through({one.name: one.growth for one in self.directories})
        return tuple(one for one in self.directories if one.name not in ways)

    def to_dict(self, most: int | None = None) -> dict[str, Any]:
        """Return it as plain data (docs/reference/slug-report.md), with the directories of ``outline``."""
        changes = {name: [asdict(one) for one in getattr(self, name)] for name in _CHANGES}
        grown = {name: [asdict(one) for one in getattr(self, name)] for name in ("parts", "package_sizes")}
        return {
            "old": identity(self.old),
            "new": identity(self.new),
            "growth": {
                "size": self.growth,
                "unpacked": self.new.weight.size - self.old.weight.size,
                "files": self.new.weight.files - self.old.weight.files,
            },
            **changes,
            "directories": [asdict(one) for one in self.outline(most)],
            **grown,
        }


_CHANGES = ("facts", "process_types", "config_vars", "buildpacks", "packages", "files")


def diff(old: Slug, new: Slug) -> SlugDiff:
    """Read all of both slugs and return what differs.

    Raises:
        CorruptSlugError: One is damaged.
        UnsafeMemberError: One is hostile.
    """
    return compare(inspect(old), inspect(new))


def compare(old: SlugReport, new: SlugReport) -> SlugDiff:
    """Return what differs between the slugs of two reports."""
    before, after = old.manifest, new.manifest
    return SlugDiff(
        old,
        new,
        facts=_changes(_facts(before), _facts(after)),
        process_types=_changes(before.process_types, after.process_types),
        config_vars=_changes(before.config_vars, after.config_vars),
        buildpacks=_changes(_buildpacks(before), _buildpacks(after)),
        packages=_package_changes(old.packages, new.packages),
        files=_file_changes(old.files, new.files),
        directories=_growth(_by_path(old.directories), _by_path(new.directories)),
        parts=_growth(_by_path(old.parts), _by_path(new.parts)),
        package_sizes=_growth(_by_package(old.packages), _by_package(new.packages)),
    )


def _changes(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[Change, ...]:
    names = sorted({*old, *new})
    return tuple(Change(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name))


def _facts(manifest: Manifest) -> dict[str, str]:
    platform = manifest.platform
    facts = {
        "stack": manifest.stack,
        "architecture": platform.architecture if platform else None,
        "libc": platform.libc if platform else None,
        "interpreter": platform.interpreter if platform else None,
        "commit": manifest.source_commit,
        "builder": manifest.builder,
        "addons": " ".join(manifest.addons),
    }
    return {name: value for name, value in facts.items() if value}


def _buildpacks(manifest: Manifest) -> dict[str, str]:
    return {pack.name: f"{pack.version} {pack.source}".strip() for pack in manifest.buildpacks}


def _package_changes(old: Iterable[PackageWeight], new: Iterable[PackageWeight]) -> tuple[PackageChange, ...]:
    before, after = _versions(old), _versions(new)
    return tuple(
        PackageChange(*key, before.get(key, ()), after.get(key, ()))
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    )


def _versions(packages: Iterable[PackageWeight]) -> dict[tuple[str, str], tuple[str, ...]]:
    found: dict[tuple[str, str], set[str]] = {}
    for one in packages:
        found.setdefault((one.ecosystem, one.name), set()).add(one.version)
    return {key: tuple(sorted(versions)) for key, versions in found.items()}


def _file_changes(old: Iterable[SurveyedFile], new: Iterable[SurveyedFile]) -> tuple[FileChange, ...]:
    before = {file.path: file for file in old if file.kind != "dir"}
    after = {file.path: file for file in new if file.kind != "dir"}
    found = (_file_change(path, before.get(path), after.get(path)) for path in sorted({*before, *after}))
    return tuple(one for one in found if one)


def _file_change(path: str, old: SurveyedFile | None, new: SurveyedFile | None) -> FileChange | None:
    if old is None or new is None:
        return FileChange(path, "added" if old is None else "removed", old, new)
    if (old.kind, old.size, old.sha256, old.target) != (new.kind, new.size, new.sha256, new.target):
        return FileChange(path, "changed", old, new)
    return FileChange(path, "mode", old, new) if old.mode != new.mode else None


def _by_path(places: Iterable[Place]) -> dict[str, Weight]:
    return {place.path: place.weight for place in places}


def _by_package(packages: Iterable[PackageWeight]) -> dict[str, Weight]:
    sums: dict[str, Weight] = {}
    for one in packages:
        name = f"{one.ecosystem}:{one.name}"
        sums[name] = sums.get(name, NOTHING) + one.weight
    return sums


def _growth(old: Mapping[str, Weight], new: Mapping[str, Weight]) -> tuple[Growth, ...]:
    """Return what is not the size it was, what grew most first: by unpacked bytes, since packed ones are shares."""
    found = (Growth(name, old.get(name, NOTHING), new.get(name, NOTHING)) for name in {*old, *new})
    grown = (one for one in found if one.growth.size or one.growth.files)
    return tuple(sorted(grown, key=lambda one: (-one.growth.size, one.name)))
