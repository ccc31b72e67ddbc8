"""What a build did, step by step, as its events tell and as its directories show while it happens."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from attrs import define, field, frozen

from .._tree import snapshot, walk
from ..build import heroku_text
from ..events import (
    BuildEvent,
    BuildLine,
    BuildpackDetected,
    BuildpackExported,
    BuildpackReported,
    ProcessesLeft,
    ReleaseUnread,
    StepEnded,
    StepStarted,
    WorkspaceOpened,
)

Facts = Mapping[str, str | int | float | bool]
Variables = Mapping[str, str | None]
T = TypeVar("T")
_MOST_LINES = 100_000  # of a transcript that are kept, at least


@frozen
class Step:
    """One step of a buildpack: its exit status (1 for a no), how long it took in seconds, and what it showed.

    What detect, release and report print on standard output is an answer, and not shown. ``error`` is why it failed.
    """

    buildpack: str
    name: str
    status: int
    seconds: float
    output: str
    error: str = ""


@frozen
class Left:
    """Processes that a command of a buildpack left running."""

    buildpack: str
    command: str
    processes: tuple[str, ...]


@define
class Evidence:
    """A listener to a build's events that keeps what the contract checks and the results of tests are made of.

    Lists of pairs begin with the name of the buildpack; two packs may bear the same. ``caught`` tells what was written
    outside so far.
    """

    caught: Callable[[], tuple[str, ...]] = tuple
    lines: list[str] = field(factory=list, init=False)
    steps: list[Step] = field(factory=list, init=False)
    exports: list[tuple[str, Variables]] = field(factory=list, init=False)
    reports: list[tuple[str, Facts]] = field(factory=list, init=False)
    left: list[Left] = field(factory=list, init=False)
    unnamed: list[str] = field(factory=list, init=False)
    unread: list[tuple[str, str]] = field(factory=list, init=False)
    detect_changes: list[tuple[str, tuple[str, ...]]] = field(factory=list, init=False)
    outside: list[tuple[str, tuple[str, ...]]] = field(factory=list, init=False)
    stray_exports: list[str] = field(factory=list, init=False)  # packs whose compile wrote `export` to BUILD_DIR
    misplaced_exports: list[tuple[str, str, str]] = field(factory=list, init=False)  # and variable, path in /app
    authors: dict[str, str] = field(factory=dict, init=False)  # files of the app by path: the last pack that wrote each
    _build_dir: Path = field(default=Path(), init=False)
    _home: Path = field(default=Path(), init=False)
    _pack: str = field(default="", init=False)
    _printed: list[str] = field(factory=list, init=False)
    _before: Mapping[str, str] = field(factory=dict, init=False)
    _times: Mapping[str, int] = field(factory=dict, init=False)
    _seen_outside: int = field(default=0, init=False)

    def __call__(self, event: BuildEvent) -> None:
        """Take note of *event*; the build waits meanwhile, so what its directories show is what the step left."""
        self._write(heroku_text(event))
        match event:
            case WorkspaceOpened(build_dir, _, home):
                self._build_dir, self._home = Path(build_dir), Path(home)
            case StepStarted(pack, step):
                self._started(pack, step)
            case BuildLine(text):
                self._printed.append(text)
            case StepEnded():
                self._ended(event)
            case BuildpackDetected(pack, name):
                self.unnamed += [] if name else [pack]
            case BuildpackExported(pack, variables):
                self.exports.append((pack, variables))
                self._look_for(pack, variables)
            case ReleaseUnread(pack, what):
                self.unread.append((pack, what))
            case BuildpackReported(pack, facts):
                self.reports.append((pack, facts))
            case ProcessesLeft(command, processes):
                self.left.append(Left(self._pack, command.partition(" ")[0], processes))

    @property
    def transcript(self) -> str:
        """The build as ``git push heroku`` shows it."""
        return "".join(f"{line}\n" for line in self.lines)

    @property
    def places(self) -> re.Pattern[str]:
        """Paths that exist while this build does and never again: BUILD_DIR, CACHE_DIR, ENV_DIR, a pack's own copy."""
        build, env = self._build_dir.name, self._build_dir.name.replace("build", "env")
        return re.compile(rf"[\w./-]*/({build}|{env}|buildpack_[0-9a-f]{{8}}|build_cache)\b[\w./-]*")

    def _write(self, lines: Sequence[str]) -> None:
        self.lines += lines
        if len(self.lines) > 2 * _MOST_LINES:
            del self.lines[:_MOST_LINES]

    def _started(self, pack: str, step: str) -> None:
        self._pack, self._printed = pack, []
        if step == "detect":
            self._before = _look(snapshot, self._build_dir)
        elif step == "compile":
            self._times = _look(_times, self._build_dir)

    def _ended(self, event: StepEnded) -> None:
        output = "".join(line + "\n" for line in self._printed)
        self.steps.append(Step(event.buildpack, event.step, event.status, event.seconds, output, event.error))
        if event.step == "detect" and (changed := changes(self._before, _look(snapshot, self._build_dir))):
            self.detect_changes.append((event.buildpack, changed))
        elif event.step == "compile":
            times = _look(_times, self._build_dir)
            written = [path for path, time in times.items() if self._times.get(path) != time]
            self.authors.update(dict.fromkeys(written, event.buildpack))
            if "export" in times and "export" not in self._times:
                self.stray_exports.append(event.buildpack)
        if outside := self.caught()[self._seen_outside :]:
            self._seen_outside += len(outside)
            self.outside.append((event.buildpack, outside))

    def _look_for(self, pack: str, variables: Variables) -> None:
        """Note the paths in *variables* that are right in a dyno only: not in /app now, but in BUILD_DIR."""
        for name, value in variables.items():
            for path in (value or "").split(":"):
                below = path.removeprefix("/app/")
                if (
                    below != path
                    and os.path.lexists(self._build_dir / below)
                    and not os.path.lexists(self._home / below)
                ):
                    self.misplaced_exports.append((pack, name, path))


def _look(how: Callable[[Path], Mapping[str, T]], root: Path) -> Mapping[str, T]:
    """Return what *how* sees in *root*: nothing when a script has put something else there, or locked what is in it.

    The build is about to fail for it, and will say so.
    """
    if root.is_symlink() or not root.is_dir():
        return {}
    try:
        return how(root)
    except PermissionError:
        return {}


def _times(root: Path) -> dict[str, int]:
    """Return when each file or link below *root* was last changed: a time that no program can set."""
    return {entry.path: entry.info.st_ctime_ns for entry in walk(root) if not entry.is_dir}


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Return the paths that differ, each with what happened to it.

    >>> changes({"a": "f 1", "b": "f 1"}, {"b": "f 2", "c": "f 1"})
    ('a (gone)', 'b (changed)', 'c (new)')
    """
    paths = sorted({*before, *after})
    words = {path: "gone" if path not in after else "new" if path not in before else "changed" for path in paths}
    return tuple(f"{path} ({words[path]})" for path in paths if before.get(path) != after.get(path))
