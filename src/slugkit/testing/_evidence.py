"""What a build did, step by step, as its events tell and as its directories show while it happens."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from attrs import define, field, frozen

from .._tree import snapshot
from ..build import heroku_text
from ..events import (
    BuildEvent,
    BuildLine,
    BuildpackDetected,
    BuildpackExported,
    BuildpackReported,
    ProcessesLeft,
    StepEnded,
    StepStarted,
    WorkspaceOpened,
)

Snapshot = Mapping[str, str]


@frozen
class Step:
    """One step of a buildpack: its exit status (1 for a no), how long it took in seconds, and what it showed.

    What detect, release and report print on standard output is an answer, and not shown.
    """

    buildpack: str
    name: str
    status: int
    seconds: float
    output: str


@frozen
class Detected:
    """What a detect changed in BUILD_DIR, by path; nothing, if it kept its word."""

    buildpack: str
    changed: tuple[str, ...]


@define
class Evidence:
    """A listener to a build's events that keeps what the contract checks and the results of tests are made of."""

    lines: list[str] = field(factory=list)
    steps: list[Step] = field(factory=list)
    exports: dict[str, Mapping[str, str | None]] = field(factory=dict)
    reports: dict[str, Mapping[str, str | int | float | bool]] = field(factory=dict)
    left: list[ProcessesLeft] = field(factory=list)
    detected: list[Detected] = field(factory=list)
    unnamed: list[str] = field(factory=list)  # packs whose detect passed and named nothing
    stray_exports: list[str] = field(factory=list)  # packs whose compile wrote `export` to BUILD_DIR
    misplaced_exports: list[tuple[str, str, str]] = field(factory=list)  # pack, variable, path in /app
    _build_dir: Path = field(default=Path(), init=False)
    _printed: list[str] = field(factory=list, init=False)
    _before: Snapshot = field(factory=dict, init=False)
    _had_export: bool = field(default=False, init=False)

    def __call__(self, event: BuildEvent) -> None:
        """Take note of *event*; the build waits meanwhile, so what its directories show is what the step left."""
        self.lines += heroku_text(event)
        match event:
            case WorkspaceOpened(build_dir):
                self._build_dir = Path(build_dir)
            case StepStarted(_, step):
                self._started(step)
            case BuildLine(text):
                self._printed.append(text)
            case StepEnded():
                self._ended(event)
            case BuildpackDetected(pack, name):
                self.unnamed += [] if name else [pack]
            case BuildpackExported(pack, variables):
                self.exports[pack] = variables
                self._look_for(pack, variables)
            case BuildpackReported(pack, facts):
                self.reports[pack] = facts
            case ProcessesLeft():
                self.left.append(event)

    @property
    def transcript(self) -> str:
        """The build as ``git push heroku`` shows it."""
        return "".join(f"{line}\n" for line in self.lines)

    @property
    def places(self) -> re.Pattern[str]:
        """Paths that exist while this build does and never again: BUILD_DIR, CACHE_DIR, ENV_DIR, a pack's own copy."""
        build, env = self._build_dir.name, self._build_dir.name.replace("build", "env")
        return re.compile(rf"/({build}|{env}|buildpack_[0-9a-f]{{8}})\b|/tmp/cache\b")

    def _started(self, step: str) -> None:
        self._printed = []
        if step == "detect":
            self._before = snapshot(self._build_dir)
        elif step == "compile":
            self._had_export = os.path.lexists(self._build_dir / "export")

    def _ended(self, event: StepEnded) -> None:
        output = "".join(line + "\n" for line in self._printed)
        self.steps.append(Step(event.buildpack, event.step, event.status, event.seconds, output))
        if event.step == "detect":
            self.detected.append(Detected(event.buildpack, changes(self._before, snapshot(self._build_dir))))
        elif event.step == "compile" and not self._had_export and os.path.lexists(self._build_dir / "export"):
            self.stray_exports.append(event.buildpack)

    def _look_for(self, pack: str, variables: Mapping[str, str | None]) -> None:
        """Note the paths in *variables* that are right in a dyno only: not in /app now, but in BUILD_DIR."""
        home = self._build_dir.parent.parent / "app"
        for name, value in variables.items():
            for path in (value or "").split(":"):
                below = path.removeprefix("/app/")
                if below != path and os.path.lexists(self._build_dir / below) and not os.path.lexists(home / below):
                    self.misplaced_exports.append((pack, name, path))


def changes(before: Snapshot, after: Snapshot) -> tuple[str, ...]:
    """Return the paths that differ, each with what happened to it.

    >>> changes({"a": "f 1", "b": "f 1"}, {"b": "f 2", "c": "f 1"})
    ('a (gone)', 'b (changed)', 'c (new)')
    """
    paths = sorted({*before, *after})
    words = {path: "gone" if path not in after else "new" if path not in before else "changed" for path in paths}
    return tuple(f"{path} ({words[path]})" for path in paths if before.get(path) != after.get(path))
