"""The contract checks of one build: each a function from what was seen of it to what is wrong with it."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from attrs import frozen

from .. import _exec
from .._tree import Entry, read_beneath, walk
from ..build import SHORTEST_SECRET, leaked
from ..buildpacks import SCRIPTS
from ..command import Command
from ..environ import BUILD_PATH
from ..units import few
from ._evidence import Evidence, Step

_REFUSED = re.compile(r"Read-only file system|\bEROFS\b", re.IGNORECASE)
_DENIED = re.compile(r"Permission denied|\bEACCES\b", re.IGNORECASE)
_BLAMED = re.compile(r"(?<![\w.])/(?!app\b|tmp\b|dev\b|proc\b)[\w./+-]+")
_READABLE = re.compile(r"(?<![\w.])/(?:etc|usr|bin|sbin|lib\w*)/[\w./+-]+")  # what is denied there is a write


@frozen
class Finding:
    """One way in which a buildpack breaks the contract; ``code`` is stable and can be waived."""

    code: str
    buildpack: str
    message: str

    def __str__(self) -> str:
        """Show the code first: it is what a waiver names."""
        return f"{self.code} ({self.buildpack}): {self.message}"


@frozen
class Seen:
    """All there is to see of one build.

    ``directory`` is the pack under test, None when it is not a directory; ``tree`` the slug's app, None when there is
    none.
    """

    buildpack: str
    directory: Path | None
    evidence: Evidence
    tree: Path | None
    config_vars: Mapping[str, str]


def check_build(seen: Seen) -> tuple[Finding, ...]:
    """Return what one build shows to be wrong with the pack under test, in the order of the checks."""
    found = (finding for check in _CHECKS for finding in check(seen))
    return tuple(finding for finding in found if finding.buildpack == seen.buildpack)


def _run_bits(seen: Seen) -> Iterator[Finding]:
    for script in _scripts(seen):
        if not os.access(script, os.X_OK):
            message = f"bin/{script.name} has no run bit: chmod +x bin/{script.name}"
            yield Finding("bin.not-executable", seen.buildpack, message)


def _shebangs(seen: Seen) -> Iterator[Finding]:
    for script in _scripts(seen):
        with script.open("rb") as file:
            start = file.read(4)
        if not start.startswith(b"#!") and start != b"\x7fELF":
            message = f"bin/{script.name} does not start with #!, so what runs it may vary"
            yield Finding("bin.no-shebang", seen.buildpack, message)


def _detect(seen: Seen) -> Iterator[Finding]:
    for pack, changed in seen.evidence.detect_changes:
        yield Finding("detect.writes", pack, f"bin/detect changes BUILD_DIR: {few(changed)}; only compile may")
    for pack in seen.evidence.unnamed:
        yield Finding("detect.no-name", pack, "bin/detect prints no name for the app")


def _outside(seen: Seen) -> Iterator[Finding]:
    where = "BUILD_DIR, CACHE_DIR, /tmp and /app are what it may write to"
    for pack, paths in seen.evidence.outside:
        yield Finding("compile.writes-outside", pack, f"it writes {few(paths)}: {where}")
    for step in seen.evidence.steps:
        for line in step.output.split("\n"):
            path = _BLAMED.search(line) if _REFUSED.search(line) else None
            path = _READABLE.search(line) if _DENIED.search(line) else path
            if path is not None:
                message = f"bin/{step.name} tries to write {path[0]} ({line.strip()}): {where}"
                yield Finding("compile.writes-outside", step.buildpack, message)


def _left(seen: Seen) -> Iterator[Finding]:
    for left in seen.evidence.left:
        message = f"{left.command} leaves processes running: {few(left.processes)}; a build ends with its scripts"
        yield Finding("process.left", left.buildpack, message)


def _exports(seen: Seen) -> Iterator[Finding]:
    for pack in seen.evidence.stray_exports:
        message = "compile writes `export` to BUILD_DIR; it belongs into the buildpack's own directory"
        yield Finding("export.in-build-dir", pack, message)
    for pack, variable, path in seen.evidence.misplaced_exports:
        message = f"export sets {variable} to {path}, which is there in a dyno only: write $BUILD_DIR"
        yield Finding("export.run-time-path", pack, message)
    for step in _steps(seen, "export"):
        if step.output:
            message = f"export is sourced by later buildpacks and must be silent, but: {step.output.strip()}"
            yield Finding("export.noisy", step.buildpack, message)


def _release(seen: Seen) -> Iterator[Finding]:
    failed = [(step.buildpack, step.error) for step in _steps(seen, "release") if step.status != 0]
    for pack, what in (*failed, *seen.evidence.unread):
        yield Finding("release.not-yaml", pack, f"bin/release fails, or prints what means nothing: {what}")


def _report(seen: Seen) -> Iterator[Finding]:
    for step in _steps(seen, "report"):
        if step.status != 0:
            yield Finding("report.not-flat", step.buildpack, f"bin/report fails, or prints no flat JSON: {step.error}")


def _profile(seen: Seen) -> Iterator[Finding]:
    for name, text in profile_d(seen.tree).items():
        path = f".profile.d/{name}"
        pack = seen.evidence.authors.get(path, "")
        if not pack:  # the app's own
            continue
        if not name.endswith(".sh"):
            yield Finding("profile.not-sourced", pack, f"{path} does not end in .sh, so no dyno sources it")
            continue
        if built := seen.evidence.places.search(text):
            message = f"{path} names {built[0]}, which is gone when dynos run: write $HOME"
            yield Finding("profile.build-path", pack, message)
        parsed = _exec.run(Command(("bash", "-n", str((seen.tree or Path()) / path)), env={"PATH": BUILD_PATH}))
        if parsed.status != 0:
            said = parsed.output.strip().replace(f"{seen.tree}/", "")
            yield Finding("profile.syntax", pack, f"bash cannot read {path}: {said}")


def _slug_paths(seen: Seen) -> Iterator[Finding]:
    for pack, entry in _written(seen):
        if entry.is_link:
            text, what = str(((seen.tree or Path()) / entry.path).readlink()), "is a link to"
        elif entry.is_file and entry.info.st_mode & 0o111:
            start = read_beneath(seen.tree or Path(), entry.path, 256) or b""
            text, what = start.partition(b"\n")[0].decode("utf-8", "replace") * start.startswith(b"#!"), "is run by"
        else:
            continue
        if built := seen.evidence.places.search(text):
            message = f"{entry.path} {what} {built[0]}, which is gone when dynos run"
            yield Finding("slug.build-path", pack, message)


def _secrets(seen: Seen) -> Iterator[Finding]:
    secrets = {name: value for name, value in seen.config_vars.items() if len(value.encode()) >= SHORTEST_SECRET}
    for name, value in secrets.items():
        for step in seen.evidence.steps:
            if value in step.output:
                message = f"the value of config var {name} is printed by bin/{step.name}"
                yield Finding("config.leaked", step.buildpack, message)
    found = leaked(seen.tree, secrets) if seen.tree else {}
    for name, paths in found.items():
        for path in paths:
            if pack := seen.evidence.authors.get(path):  # the source's own files are the app's affair
                yield Finding("config.leaked", pack, f"the value of config var {name} is in the slug, in {path}")


#: What findings are called, here and in `check_buildpack`.
CODES = frozenset(
    {
        *("bin.not-executable", "bin.no-shebang", "detect.writes", "detect.no-name", "compile.writes-outside"),
        *("process.left", "env.needs-config-vars", "config.leaked", "export.in-build-dir", "export.run-time-path"),
        *("export.noisy", "release.not-yaml", "report.not-flat", "profile.build-path", "profile.not-sourced"),
        *("profile.syntax", "profile.breaks-boot", "slug.build-path", "slug.not-reproducible", "cache.grows"),
    }
)

_CHECKS: tuple[Callable[[Seen], Iterator[Finding]], ...] = (
    *(_run_bits, _shebangs, _detect, _outside, _left, _exports),
    *(_release, _report, _profile, _slug_paths, _secrets),
)


def profile_d(tree: Path | None) -> dict[str, str]:
    """Return the files in ``.profile.d`` of a slug's *tree*, by name."""
    directory = tree / ".profile.d" if tree else None
    if directory is None or directory.is_symlink() or not directory.is_dir():
        return {}
    found = {path.name: read_beneath(directory, path.name) for path in sorted(directory.iterdir())}
    return {name: raw.decode("utf-8", "replace") for name, raw in found.items() if raw is not None}


def _written(seen: Seen) -> Iterator[tuple[str, Entry]]:
    """Yield what a pack has written of the slug, with the pack; the source's own files are the app's affair."""
    for entry in walk(seen.tree) if seen.tree else ():
        if pack := seen.evidence.authors.get(entry.path):
            yield pack, entry


def _scripts(seen: Seen) -> list[Path]:
    if seen.directory is None:
        return []
    return [path for name in SCRIPTS if (path := seen.directory / "bin" / name).is_file()]


def _steps(seen: Seen, name: str) -> list[Step]:
    return [step for step in seen.evidence.steps if step.name == name]
