"""What happens during a build and to a dyno, as frozen values.

One stream feeds the Heroku-style text, the JSON lines and the live progress.
"""

from collections.abc import Mapping
from typing import Any, Self

import attrs
from attrs import field, frozen

from .errors import CompileFailedError, IncompatibleBuildpackError, SlugkitError


@frozen
class BuildStarted:
    """A build begins, of what the caller named as its source; ``config_vars`` are their names."""

    source: str
    runtime: str = "vendored"
    config_vars: tuple[str, ...] = ()


@frozen
class WorkspaceOpened:
    """Where on this machine the source is and the build happens, until it ends; ``home`` is what it sees as /app."""

    build_dir: str
    cache_dir: str
    home: str


@frozen
class SourceIgnored:
    """``.slugignore`` was applied; ``count`` is what Heroku prints (contract.md 3.2)."""

    count: int


@frozen
class SourceCheckedOut:
    """The source is as buildpacks find it; ``tree`` is the id that git gives it, ``commit`` the one asked for."""

    commit: str | None
    tree: str


@frozen
class BuildpacksChosen:
    """Which buildpacks the caller asked for, none when they are to be detected; packs see ``stack`` in $STACK."""

    stack: str
    names: tuple[str, ...]


@frozen
class BuildpackDetected:
    """A buildpack claims the app; ``name`` is what it calls the app ("Python")."""

    buildpack: str
    name: str


@frozen
class StepStarted:
    """A step of a buildpack begins: detect, compile, export, release, report, test-compile or test."""

    buildpack: str
    step: str


@frozen
class StepEnded:
    """It ends, after so many seconds; ``status`` is an exit status, 1 for a no or a failure that has none.

    ``error`` is why it failed, or "".
    """

    buildpack: str
    step: str
    status: int
    seconds: float
    error: str = ""


@frozen
class BuildpackExported:
    """A buildpack changes the environment of those after it; None takes a variable away (contract.md 2.6)."""

    buildpack: str
    variables: Mapping[str, str | None] = field(repr=False, hash=False)


@frozen
class ReleaseUnread:
    """A buildpack's release printed something that means nothing: ``what``, such as "no YAML mapping"."""

    buildpack: str
    what: str


@frozen
class BuildpackReported:
    """What a buildpack's report says, after a success or a failure (contract.md 2.9)."""

    buildpack: str
    facts: Mapping[str, str | int | float | bool] = field(hash=False)


@frozen
class SeveralBuildpacksDetected:
    """More than one default buildpack claims the app; the first is used (contract.md 2.5)."""

    names: tuple[str, ...]


@frozen
class BuildLine:
    """One line a buildpack or its commands printed, without the newline."""

    text: str


@frozen
class ProcessesLeft:
    """A buildpack's command ended and left processes running, by their command lines; they are dead now."""

    command: str
    processes: tuple[str, ...]


@frozen
class ProcfileWarned:
    """A line of the Procfile does not do what its author may think."""

    code: str
    line: int
    column: int
    message: str
    fix: str


@frozen
class ProcessTypesDiscovered:
    """The process types of the slug, by where they come from, in alphabetical order."""

    declared: tuple[str, ...]
    defaults: tuple[str, ...]
    buildpack: str


@frozen
class ConfigVarFound:
    """The value of a config var is in the app about to be packed: in the files, names or links at ``paths``."""

    name: str
    paths: tuple[str, ...]


@frozen
class PackingStarted:
    """The app tree is about to be packed."""

    files: int
    size: int


@frozen
class PackingProgressed:
    """So many files and bytes (uncompressed) of the tree are packed."""

    files: int
    size: int


@frozen
class SlugPacked:
    """The slug is written; ``size`` is in bytes, compressed."""

    path: str
    size: int
    soft_limit: int


@frozen
class BuildFailed:
    """A build ends without a slug; ``code`` and ``message`` are those of the error raised.

    ``app`` is what the buildpack that failed calls the app, or ""; ``buildpack`` the one that does not apply, and
    ``reason`` what it said.
    """

    code: str
    message: str
    app: str = ""
    buildpack: str = ""
    reason: str = ""

    @classmethod
    def of(cls, error: SlugkitError) -> Self:
        """Return *error* as the event that tells of it."""
        match error:
            case CompileFailedError(app):
                return cls(error.code, str(error), app=app)
            case IncompatibleBuildpackError(buildpack, reason):
                return cls(error.code, str(error), buildpack=buildpack, reason=reason)
            case _:
                return cls(error.code, str(error))


@frozen
class DynoStateChanged:
    """A dyno goes from one state to another; the names are Heroku's (contract.md 4.12)."""

    dyno: str
    old: str
    new: str


@frozen
class DrainFailed:
    """A drain does not take lines; they wait in its buffer and are sent again. Told once until it works again."""

    drain: str
    reason: str


@frozen
class DrainClosed:
    """A drain is closed; of the lines meant for it so many were ``sent`` and so many ``lost``."""

    drain: str
    sent: int
    lost: int


BuildEvent = (
    BuildStarted
    | WorkspaceOpened
    | SourceIgnored
    | SourceCheckedOut
    | BuildpacksChosen
    | BuildpackDetected
    | StepStarted
    | StepEnded
    | BuildpackExported
    | ReleaseUnread
    | BuildpackReported
    | SeveralBuildpacksDetected
    | BuildLine
    | ProcessesLeft
    | ProcfileWarned
    | ProcessTypesDiscovered
    | ConfigVarFound
    | PackingStarted
    | PackingProgressed
    | SlugPacked
    | BuildFailed
)
DynoEvent = DynoStateChanged | DrainFailed | DrainClosed
Event = BuildEvent | DynoEvent


def to_dict(event: Event) -> dict[str, Any]:
    """Return *event* as plain data for JSON, its class name under ``"event"``."""
    return {"event": type(event).__name__, **attrs.asdict(event)}
