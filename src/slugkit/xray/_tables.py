"""Reports as tables of text: the same for a terminal, a log file and a page."""

from collections.abc import Iterable, Sequence

from attrs import frozen

from ..units import human_growth, human_size
from ._diff import Growth, SlugDiff
from ._report import SlugReport
from ._weights import ROOT, PackageWeight, Weight

Row = tuple[str, ...]


@frozen
class Table:
    """Rows of text under a title; the first ``numbers`` columns are numbers, so that no row begins with a name.

    ``bars`` says of each row how much of a whole it is, from 0 to 1, where that means something; ``note`` explains.
    """

    title: str
    columns: Row
    numbers: int
    rows: tuple[Row, ...]
    bars: tuple[float, ...] = ()
    note: str = ""


_NONE = "(none)"
_COPIES = "what all copies but one take"
_STALE = "it names its source's time, which a slug does not keep: compileall --invalidation-mode unchecked-hash"
_WEIGHT = ("compressed", "unpacked", "files")


def facts(report: SlugReport) -> list[tuple[str, str]]:
    """Return what the slug of *report* says of itself, as pairs of a label and a text."""
    manifest = report.manifest
    platform = manifest.platform
    return [
        ("slug", report.path),
        ("size", f"{human_size(report.size)} ({report.size} bytes)"),
        ("digest", report.digest),
        ("diff_id", report.diff_id),
        ("checksum", report.checksum),
        *((f"type {name}", command) for name, command in manifest.process_types.items()),
        *(("buildpack", f"{p.name} {p.version} ({p.detected})") for p in manifest.buildpacks),
        ("stack", manifest.stack or "unknown"),
        ("platform", f"{platform.architecture} {platform.libc}" if platform else "unknown"),
        *([("interpreter", platform.interpreter)] if platform and platform.interpreter else []),
        ("commit", manifest.source_commit or "unknown"),
        ("builder", manifest.builder or "unknown"),
    ]


def report_tables(report: SlugReport, depth: int | None = None) -> tuple[Table, ...]:
    """Return what *report* says, a table for each question that has an answer; directories as in its ``outline``."""
    saved = report.savings
    together = f"together they save {human_size(saved.weight.packed)}, {human_size(saved.weight.size)} unpacked"
    questions: list[tuple[str, Row, list[tuple[Weight, Row]], str]] = [
        ("Parts", ("part",), [(one.weight, (_part(one.path),)) for one in report.parts], ""),
        ("Directories", ("directory",), [(one.weight, (one.path,)) for one in report.outline(depth)], ""),
        ("Packages", ("package", "version", "from"), [(one.weight, _package(one)) for one in report.packages], ""),
        ("Duplicates", ("one of the copies",), [(one.weight, (one.paths[0],)) for one in report.duplicates], _COPIES),
        ("Left behind", ("what", "path"), [(one.weight, (one.kind, one.path)) for one in report.leftovers], ""),
        ("Bytecode that is never valid", ("directory",), [(one.weight, (one.path,)) for one in report.stale], _STALE),
        (
            "Lines for .slugignore",
            ("line", "what"),
            [(one.weight, (one.line, one.reason)) for one in saved.suggestions],
            together,
        ),
    ]
    return tuple(_weighed(*question, whole=report.weight) for question in questions if question[2])


def _package(one: PackageWeight) -> Row:
    return one.name, one.version or "unknown", one.ecosystem


def _part(path: str) -> str:
    return "the app's own files" if path == ROOT else path


def _weighed(title: str, columns: Row, found: Sequence[tuple[Weight, Row]], note: str, *, whole: Weight) -> Table:
    rows = tuple(
        (human_size(weight.packed), human_size(weight.size), str(weight.files), *texts) for weight, texts in found
    )
    bars = tuple(weight.packed / (whole.packed or 1) for weight, _ in found)
    return Table(title, (*_WEIGHT, *columns), len(_WEIGHT), rows, bars, note)


def diff_tables(diff: SlugDiff, depth: int | None = None) -> tuple[Table, ...]:
    """Return what *diff* says, a table for each question that has an answer; directories as in its ``outline``."""
    files = sorted(diff.files, key=lambda one: (-abs(one.growth), one.path))
    tables = (
        _sizes(diff),
        Table("What it says of itself", ("", "old", "new"), 0, tuple(_said(diff))),
        Table(
            "Packages",
            ("from", "package", "old", "new"),
            0,
            tuple((p.ecosystem, p.name, _versions(p.old), _versions(p.new)) for p in diff.packages),
        ),
        _grown("Parts that grew or shrank", "part", diff.parts),
        _grown("Packages that grew or shrank", "package", diff.package_sizes),
        _grown("Directories that grew or shrank", "directory", diff.outline(depth)),
        Table(
            "Files",
            ("growth", "change", "path"),
            1,
            tuple((human_growth(one.growth), one.change, one.path) for one in files),
            note=_counted(diff),
        ),
    )
    return tuple(table for table in tables if table.rows)


def _sizes(diff: SlugDiff) -> Table:
    old, new = diff.old, diff.new
    rows = [
        (human_growth(diff.growth), human_size(old.size), human_size(new.size), "compressed"),
        (*_growth(old.weight, new.weight), "unpacked"),
        (f"{new.weight.files - old.weight.files:+}", str(old.weight.files), str(new.weight.files), "files"),
    ]
    return Table("Size", ("growth", "old", "new", ""), 3, tuple(rows))


def _growth(old: Weight, new: Weight) -> Row:
    return human_growth(new.size - old.size), human_size(old.size), human_size(new.size)


def _grown(title: str, what: str, found: Iterable[Growth]) -> Table:
    largest = sorted(found, key=lambda one: (-abs(one.growth.size), one.name))
    rows = tuple((*_growth(one.old, one.new), _part(one.name) if what == "part" else one.name) for one in largest)
    return Table(title, ("growth", "old", "new", what), 3, rows, note="unpacked bytes")


def _said(diff: SlugDiff) -> Iterable[Row]:
    kinds = (("", diff.facts), ("buildpack ", diff.buildpacks), ("type ", diff.process_types))
    for kind, changes in (*kinds, ("config var ", diff.config_vars)):
        for one in changes:
            yield f"{kind}{one.name}", _NONE if one.old is None else one.old, _NONE if one.new is None else one.new


def _versions(versions: tuple[str, ...]) -> str:
    return ", ".join(version or "unknown" for version in versions) or _NONE


def _counted(diff: SlugDiff) -> str:
    kinds = ("added", "removed", "changed", "mode")
    counts = {kind: sum(one.change == kind for one in diff.files) for kind in kinds}
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
