"""The contract checks that take several builds: what differs, what grows, what only works by accident."""

import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from os import PathLike
from pathlib import Path

from attrs import evolve

from .._tree import snapshot, walk
from ..environ import for_build
from ..sandbox import Sandbox
from ._app import App
from ._checks import Finding
from ._evidence import changes
from ._result import Build, Pack, Settings

_BROKEN_BOOT = re.compile(r"Read-only file system|command not found|No such file or directory|Permission denied")


def check_buildpack(
    buildpack: Pack,
    app: str | PathLike[str] | Mapping[str, str | bytes],
    *,
    config_vars: Mapping[str, str] | None = None,
    buildpacks: Sequence[Pack] | None = None,
    waive: Collection[str] = (),
    sandbox: str | Sandbox = "auto",
    stack: str | None = None,
) -> tuple[Finding, ...]:
    """Return every way in which *buildpack* breaks the contract when it builds *app*; none is the aim.

    The app is a directory, or files by path. It is built four times, five with *config_vars*: twice with an empty
    cache, a second of the clock apart, then twice with the cache of the build before. *buildpacks* are the packs of
    the builds, in order, where the one under test is not alone; *waive* names codes to accept.

    Raises:
        SlugkitError: The build fails, and no finding says why.
    """
    with App(buildpack, stack=stack, sandbox=sandbox, waive=waive) as under_test:
        if isinstance(app, Mapping):
            under_test.write(app)
        else:
            under_test.copy(app)
        frozen = under_test.freeze()  # what runs the tests may write into the pack's directory meanwhile
        packs = [frozen if pack == buildpack else pack for pack in (buildpacks or (buildpack,))]
        return check_app(under_test, Settings(dict(config_vars or {}), packs))


def check_app(app: App, settings: Settings) -> tuple[Finding, ...]:
    """Return every finding of several builds of *app*; raises as `check_buildpack`."""
    cold = app.try_build(settings, None)
    ended = time.time()
    found = list(cold.findings)
    if cold.error is None:
        found += _boot(app, cold)
        while int(time.time()) == int(ended):  # or a date in a file would be the same in both
            time.sleep(0.05)
        again = app.try_build(settings, None)
        warm = app.try_build(settings, again.cache_after)
        warmer = app.try_build(settings, warm.cache_after)
        found += [finding for build in (again, warm, warmer) for finding in build.findings]
        found += _differs(app, cold, again, "two builds of the same source")
        found += _differs(app, again, warm, "a build and a rebuild with its cache")
        found += _grows(app, again, warm, warmer)
        found += _injected(app, settings, cold, _differences(cold, again))
    else:
        found += _injected(app, settings, cold, ())
        if not found:
            raise cold.error
    return tuple(finding for finding in dict.fromkeys(found) if finding.code not in app.waive)


def _injected(app: App, settings: Settings, plain: Build, varying: Collection[str]) -> Iterator[Finding]:
    """Build with the config vars in the environment as well; a pack that then does something else reads them there.

    What is *varying* between builds anyway proves nothing.
    """
    env = for_build(settings.config_vars)
    if not env:
        return
    build = app.try_build(settings, None, lambda command, spec: (evolve(command, env={**env, **command.env}), spec))
    if build.error is not None:
        return
    differs = () if plain.error else [path for path in _differences(plain, build) if path not in varying]
    if plain.error or differs:
        what = ", ".join(differs) or "the build fails"
        message = f"it reads config vars from its environment, where no platform puts them (without them: {what})"
        yield Finding("env.needs-config-vars", app.pack_name, f"{message}: read ENV_DIR/NAME")


def _boot(app: App, build: Build) -> Iterator[Finding]:
    """Boot a dyno that does nothing: what it then prints, or how it ends, is the profile scripts' doing."""
    if not build.profile_d:
        return
    done = build.run("true")
    if done.status != 0 or _BROKEN_BOOT.search(done.output):
        message = f".profile.d breaks the start of dynos (status {done.status}): {done.output.strip()}"
        yield Finding("profile.breaks-boot", app.pack_name, message)


def _differs(app: App, one: Build, other: Build, which: str) -> Iterator[Finding]:
    if other.error is not None:
        yield Finding("slug.not-reproducible", app.pack_name, f"of {which}, the second fails: {other.error}")
    elif what := _differences(one, other):
        yield Finding("slug.not-reproducible", app.pack_name, f"{which} differ: {', '.join(what[:5])}")


def _differences(one: Build, other: Build) -> tuple[str, ...]:
    """Return what differs between two builds' slugs."""
    if other.error is not None or one.slug.diff_id == other.slug.diff_id:
        return ()
    paths = changes(snapshot(one.tree), snapshot(other.tree))
    return paths or ("the manifest (process types, config vars, buildpacks)",)


def _grows(app: App, *builds: Build) -> Iterator[Finding]:
    sizes = [_size(build.cache_after) for build in builds]
    if all(one < other for one, other in pairwise(sizes)):
        told = ", then ".join(f"{size} bytes" for size in sizes)
        yield Finding("cache.grows", app.pack_name, f"each rebuild of the same source leaves a larger cache: {told}")


def _size(cache: Path) -> int:
    """Return the bytes in *cache*; an entry counts for one more, so that empty files count too."""
    return sum(1 + (entry.info.st_size if entry.is_file else 0) for entry in walk(cache))
