"""The contract checks of one build: each a function from what was seen of it to what is wrong with it."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from attrs import frozen

from .. import _exec
from .._tree import read_beneath, walk
from ..buildpacks import SCRIPTS
from ..command import Command
from ..environ import BUILD_PATH
from ._evidence import Evidence, Step

_REFUSED = re.compile(r"Read-only file system|\bEROFS\b", re.IGNORECASE)
_DENIED = re.compile(r"Permission denied|\bEACCES\b", re.IGNORECASE)
_BLAMED = re.compile(r"(?<![\w.])/(?!app\b|tmp\b|dev\b|proc\b)[\w./+-]+")
_READABLE = re.compile(r"(?<![\w.])/(?:etc|usr|bin|sbin|lib\w*)/[\w./+-]+")  # what is denied there is a write
_SHORTEST_SECRET = 8  # bytes; shorter values are found everywhere by chance (security.md 6)
_LARGEST_FILE = 64 * 2**20  # bytes of a file that is looked through for config vars


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
    none; ``outside`` the paths that were written outside of what a build may write to.
    """

    buildpack: str
    directory: Path | None
    evidence: Evidence
    tree: Path | None
    config_vars: Mapping[str, str]
    outside: tuple[str, ...]


def check_build(seen: Seen) -> tuple[Finding, ...]:
    """Return what one build shows to be wrong, in the order of the checks."""
    return tuple(finding for check in _CHECKS for finding in check(seen))


def _run_bits(seen: Seen) -> Iterator[Finding]:
    for script in _scripts(seen):
        if not os.access(script, os.X_OK):
            yield _finding(seen, "bin.not-executable", f"bin/{script.name} has no run bit: chmod +x bin/{script.name}")


def _shebangs(seen: Seen) -> Iterator[Finding]:
    for script in _scripts(seen):
        with script.open("rb") as file:
            start = file.read(4)
        if not start.startswith(b"#!") and start != b"\x7fELF":
            yield _finding(
                seen, "bin.no-shebang", f"bin/{script.name} does not start with #!, so what runs it may vary"
            )


def _detect(seen: Seen) -> Iterator[Finding]:
    for detected in seen.evidence.detected:
        if detected.changed:
            what = _few(detected.changed)
            yield Finding(
                "detect.writes", detected.buildpack, f"bin/detect changes BUILD_DIR: {what}; only compile may"
            )
    for pack in seen.evidence.unnamed:
        yield Finding("detect.no-name", pack, "bin/detect prints no name for the app")


def _outside(seen: Seen) -> Iterator[Finding]:
    where = "BUILD_DIR, CACHE_DIR, /tmp and /app are what it may write to"
    if seen.outside:
        yield _finding(seen, "compile.writes-outside", f"it writes {_few(seen.outside)}: {where}")
    for step in seen.evidence.steps:
        for line in step.output.split("\n"):
            path = _BLAMED.search(line) if _REFUSED.search(line) else None
            path = _READABLE.search(line) if _DENIED.search(line) else path
            if path is not None:
                message = f"bin/{step.name} tries to write {path[0]} ({line.strip()}): {where}"
                yield Finding("compile.writes-outside", step.buildpack, message)
                return


def _left(seen: Seen) -> Iterator[Finding]:
    for left in seen.evidence.left:
        command = left.command.partition(" ")[0]
        message = f"{command} leaves processes running: {_few(left.processes)}; a build ends with its scripts"
        yield _finding(seen, "process.left", message)


def _exports(seen: Seen) -> Iterator[Finding]:
    for pack in seen.evidence.stray_exports:
        message = "compile writes `export` to BUILD_DIR; it belongs into the buildpack's own directory"
        yield Finding("export.in-build-dir", pack, message)
    for pack, variable, path in seen.evidence.misplaced_exports:
        message = f"export sets {variable} to {path}, which is there in a dyno only: export uses $BUILD_DIR"
        yield Finding("export.run-time-path", pack, message)
    for step in _steps(seen, "export"):
        if step.output:
            message = f"export is sourced by later buildpacks and must be silent, but: {step.output.strip()}"
            yield Finding("export.noisy", step.buildpack, message)


def _release(seen: Seen) -> Iterator[Finding]:
    for step in _steps(seen, "release"):
        if step.status != 0 or "no YAML mapping" in step.output:
            message = "bin/release fails, or prints something other than a YAML mapping on standard output"
            yield Finding("release.not-yaml", step.buildpack, message)


def _report(seen: Seen) -> Iterator[Finding]:
    for step in _steps(seen, "report"):
        if step.status != 0:
            yield Finding("report.not-flat", step.buildpack, "bin/report fails, or prints no flat JSON object")


def _profile(seen: Seen) -> Iterator[Finding]:
    for name, text in profile_d(seen.tree).items():
        path = f".profile.d/{name}"
        if not name.endswith(".sh"):
            yield _finding(seen, "profile.not-sourced", f"{path} does not end in .sh, so no dyno sources it")
            continue
        if built := seen.evidence.places.search(text):
            message = f"{path} names {built[0]}, which exists during the build only: it uses $HOME"
            yield _finding(seen, "profile.build-path", message)
        parsed = _exec.run(Command(("bash", "-n", str((seen.tree or Path()) / path)), env={"PATH": BUILD_PATH}))
        if parsed.status != 0:
            yield _finding(seen, "profile.syntax", f"bash cannot read {path}: {parsed.output.strip()}")


def _slug_paths(seen: Seen) -> Iterator[Finding]:
    for entry in walk(seen.tree) if seen.tree else ():
        if entry.is_link:
            text, what = str(((seen.tree or Path()) / entry.path).readlink()), "is a link to"
        elif entry.is_file and entry.info.st_mode & 0o111:
            start = read_beneath(seen.tree or Path(), entry.path, 256) or b""
            text, what = start.partition(b"\n")[0].decode("utf-8", "replace") * start.startswith(b"#!"), "is run by"
        else:
            continue
        if built := seen.evidence.places.search(text):
            yield _finding(
                seen, "slug.build-path", f"{entry.path} {what} {built[0]}, which exists during the build only"
            )


def _secrets(seen: Seen) -> Iterator[Finding]:
    secrets = {name: value for name, value in seen.config_vars.items() if len(value.encode()) >= _SHORTEST_SECRET}
    for name, value in secrets.items():
        if any(value in line for line in seen.evidence.lines):
            yield _finding(seen, "config.leaked", f"the value of config var {name} is printed")
    for entry in walk(seen.tree) if seen.tree and secrets else ():
        content = read_beneath(seen.tree or Path(), entry.path, _LARGEST_FILE) if entry.is_file else None
        for name, value in secrets.items():
            if content is not None and value.encode() in content:
                yield _finding(seen, "config.leaked", f"the value of config var {name} is in the slug, in {entry.path}")


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


def _scripts(seen: Seen) -> list[Path]:
    if seen.directory is None:
        return []
    return [path for name in SCRIPTS if (path := seen.directory / "bin" / name).is_file()]


def _steps(seen: Seen, name: str) -> list[Step]:
    return [step for step in seen.evidence.steps if step.name == name]


def _finding(seen: Seen, code: str, message: str) -> Finding:
    return Finding(code, seen.buildpack, message)


def _few(things: tuple[str, ...], most: int = 5) -> str:
    more = f" and {len(things) - most} more" if len(things) > most else ""
    return ", ".join(things[:most]) + more
