"""Build a source twice, each time in a process of its own, and compare."""

import json
import os
import pickle
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path

from attrs import evolve

from .. import _exec
from ..archive import Slug
from ..build import SlugBuilder
from ..buildpacks import Runtime
from ..command import LIFELINE_FD, Command, DataFile
from ..environ import HOST_ENV, pick
from ..errors import CommandFailedError, InvalidSettingError, SlugkitError
from ..source import Source, as_source
from ._circumstances import CHANGED, PLAIN, Circumstances, Report, Request, Surroundings, conditions
from ._compare import compare_slugs
from ._staging import checked_directory, placed, put, staging
from ._values import Difference, Reproduction

_BOOT = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from slugkit.reproduction._child import main
sys.exit(main(*sys.argv[2:]))
"""
_HOST = ("PATH", "HOME", "TMPDIR", "SOURCE_DATE_EPOCH")
_PROCESS = "the process of a build"  # as an error names it
_GRACE = 10.0  # seconds an interrupted build has to clear up
_LAST_LINES = 20
_TICK = 2  # seconds; the finest time that zip and FAT tell

Say = Callable[[str], None]


def reproduce(  # noqa: PLR0913 - the settings of `SlugBuilder`
    source: "Source | str | PathLike[str]",
    *,
    buildpacks: Sequence[str | PathLike[str]] | None = None,
    config_vars: Mapping[str, str] | None = None,
    stack: str | None = None,
    runtime: Runtime = "vendored",
    sandbox: str = "auto",
    timeout: float = 900.0,
    host_env: Sequence[str] = HOST_ENV,
    keep: str | PathLike[str] | None = None,
    on_line: Say | None = None,
) -> Reproduction:
    """Build *source* twice, with empty caches and under changed conditions, and return how the slugs differ.

    Each build happens in a process of its own; nothing of this one changes, and no cache of yours is used or filled.
    The settings are those of `SlugBuilder`, but buildpacks and sandboxes are names or places, as objects cannot be
    handed over. *keep* is a directory for both slugs (``first.slug.tgz``, ``second.slug.tgz``), *on_line* is called
    with each line that the builds print. *timeout* is in seconds, for each build.

    Raises:
        SlugkitError: One of the builds fails, as `SlugBuilder.build` would; that they differ is no error.
        InvalidSettingError: A buildpack or a sandbox is an object.
        OutputError: *keep* or the user's cache directory cannot be written.
    """
    origin = as_source(source)
    settings = _settings(
        buildpacks, config_vars or {}, stack=stack, runtime=runtime, sandbox=sandbox, timeout=timeout, host_env=host_env
    )
    say = on_line or (lambda _: None)
    kept = checked_directory(keep)
    with staging() as root:
        say("=====> Building for the first time")
        here = placed(origin, root / "first", root.parent, linked=False)
        one = _build(root / "first", here, settings, PLAIN, say)
        say("=====> Building for the second time, under changed conditions")
        there = placed(origin, root / "another/place/for/the/second", root.parent, linked=True)
        _wait_for_another_time(one.circumstances)
        other = _build(root / "another/place/for/the/second", there, settings, _changed(), say)
        found = _differences(one, other, root)
        slugs = (put(one.slug, kept, "first"), put(other.slug, kept, "second"))
    told = conditions(one.circumstances, other.circumstances, root=os.geteuid() == 0)
    return Reproduction(told, slugs, found)


def _settings(
    buildpacks: Sequence[str | PathLike[str]] | None, config_vars: Mapping[str, str], **others: object
) -> dict[str, object]:
    """Return the settings as another process can take them, refused here if they cannot be used."""
    for one in buildpacks or ():
        if not isinstance(one, str | PathLike):
            raise InvalidSettingError("buildpacks", f"{one!r} is an object: name it, or the directory it is in")
    if not isinstance(others["sandbox"], str):
        raise InvalidSettingError("sandbox", "it is an object: name it")
    if isinstance(buildpacks, str):
        raise InvalidSettingError("buildpacks", f"a list of them, such as [{buildpacks!r}]")
    packs = None if buildpacks is None else [os.fspath(one) for one in buildpacks]
    settings = {"buildpacks": packs, "config_vars": dict(config_vars), **others}
    SlugBuilder(**settings)  # type: ignore[arg-type]
    return settings


def _changed() -> Surroundings:
    """Return the second build's surroundings: one CPU, if there are more."""
    cpus = os.sched_getaffinity(0)
    return evolve(CHANGED, cpus=frozenset({min(cpus)}) if len(cpus) > 1 else frozenset())


def _build(place: Path, source: Source, settings: dict[str, object], around: Surroundings, say: Say) -> Report:
    """Return what the process that builds *source* answers.

    Raises:
        SlugkitError: What it was raised there.
        CommandFailedError: It ended without an answer: killed, perhaps for want of memory.
    """
    request = Request(source, str(place / "app.slug.tgz"), str(place / "cache"), settings, around)
    own = {"LC_ALL": around.locale, "XDG_CACHE_HOME": str(place / "user-cache")}
    path = json.dumps([entry for entry in sys.path if entry.startswith("/")])
    answer = place / "answer"
    argv = (sys.executable, "-I", "-c", _BOOT, path, DataFile(pickle.dumps(request)), LIFELINE_FD, str(answer))
    env = pick(os.environ, (*_HOST, *HOST_ENV, *_names(settings))) | own
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines[:] = [*lines[1 - _LAST_LINES :], line]
        say(line)

    try:
        status = _exec.follow(Command(argv, env), on_line, grace=_GRACE)
    except _exec.StartError as error:
        raise CommandFailedError(_PROCESS, 127, (str(error),)) from error
    if not answer.is_file():
        raise CommandFailedError(_PROCESS, status, tuple(lines))
    told: Report | SlugkitError = pickle.loads(answer.read_bytes())  # noqa: S301 - written by our own child
    if isinstance(told, SlugkitError):
        raise told
    return told


def _names(settings: dict[str, object]) -> tuple[str, ...]:
    return tuple(settings["host_env"])  # type: ignore[arg-type]


def _wait_for_another_time(first: Circumstances) -> None:
    """Wait until no clock tells the same time as during the first build, unless it is put forward anyway."""
    while first.ahead is None and int(time.time()) // _TICK == int(first.ended) // _TICK:
        time.sleep(0.02)


def _differences(one: Report, other: Report, root: Path) -> tuple[Difference, ...]:
    if one.slug.diff_id == other.slug.diff_id:
        return ()
    slugs = [Slug.open(report.slug.path or "") for report in (one, other)]
    trees = (root / "first-tree", root / "second-tree")
    for slug, tree in zip(slugs, trees, strict=True):
        slug.unpack(tree)
    return compare_slugs((slugs[0], slugs[1]), trees, (one.circumstances, other.circumstances))
