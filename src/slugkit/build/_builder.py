"""`SlugBuilder`: detect, compile, package, and the three in one."""

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from attrs import evolve, field, frozen

from .. import _exec
from ..archive import Slug, pack
from ..buildpacks import (
    BuildContext,
    Buildpack,
    Detection,
    Fetcher,
    ReleaseDefaults,
    Runtime,
)
from ..environ import HOST_ENV, check_config_vars, pick
from ..errors import BuildTimeoutError, CompileFailedError, SlugkitError
from ..events import (
    BuildEvent,
    BuildFailed,
    BuildLine,
    BuildpacksChosen,
    BuildStarted,
    PackingProgressed,
    PackingStarted,
    SlugPacked,
    SourceCheckedOut,
    SourceIgnored,
    WorkspaceOpened,
)
from ..sandbox import Sandbox, choose, dyno_uid
from ..slug import BuildpackRecord, Manifest
from ..source import Source, as_source
from ..supply import beside
from ._checkout import checkout
from ._choice import asked_for
from ._ci import TestRun, read_app_json, run_tests
from ._commands import SandboxRunner
from ._confinement import build_env, build_spec, ci_env, trusted_env
from ._describe import announce, describe, empty_writable_directories, read_procfile
from ._git_tree import git_tree
from ._output import checked_output, source_date_epoch
from ._packs import Answers, Packs
from ._secrets import report_secrets
from ._workspace import Workspace, app_cache, open_workspace, scratch_workspace, write_env_dir

_MIB = 2**20
SOFT_LIMIT = 300 * _MIB  # bytes; contract.md 3.4


@frozen
class CompiledApp:
    """A compiled app, alive within the ``with`` block of `SlugBuilder.compile`."""

    root: Path
    process_types: Mapping[str, str]
    buildpacks: tuple[BuildpackRecord, ...]
    config_vars: Mapping[str, str]
    manifest: Manifest = field(repr=False)
    segment_cache: Path | None = field(default=None, repr=False)


@frozen
class _Build:
    """One build under way: where it happens, its packs and what they are given."""

    workspace: Workspace
    packs: Packs
    commit: str | None


class _Reported(threading.local):
    """The error that this thread's listener has heard of."""

    error: SlugkitError | None = None


@frozen(kw_only=True)
class SlugBuilder:
    """Turn source trees into slugs. Thread-safe; keeps no state but the per-app cache.

    Args:
        buildpacks: None to detect one, or names, directories, git URLs, archives and `Buildpack` objects, run in order.
        config_vars: What buildpacks may read; never their environment, never in the slug.
        cache_dir: The app's build cache; None for one under the user's cache directory keyed by the source path.
        stack: What packs see in $STACK; None for "heroku-24".
        sandbox: "auto", a name, or a `Sandbox`.
        timeout: Seconds a build's buildpacks may take.
        max_size: Bytes a slug may have, compressed.
        host_env: Names of host variables that builds may see.
        runtime: Whether interpreters travel in the slug ("vendored") or are the host's ("stack").
        forbid_secrets: Refuse to pack an app that holds the value of a config var of 8 bytes or more.
        not_secret: Names of config vars whose values may be in the slug.
        keep_failed: Keep the workspace of a failed build; the error says where.
        on_event: Called with each event, in order, never concurrently.
    """

    buildpacks: Sequence[str | PathLike[str] | Buildpack] | None = None
    config_vars: Mapping[str, str] = field(factory=dict, converter=check_config_vars, repr=False)
    cache_dir: str | PathLike[str] | None = None
    stack: str | None = None
    sandbox: str | Sandbox = "auto"
    timeout: float = 900.0
    max_size: int = 500 * _MIB
    host_env: Sequence[str] = HOST_ENV
    runtime: Runtime = "vendored"
    forbid_secrets: bool = False
    not_secret: Sequence[str] = ()
    keep_failed: bool = False
    on_event: Callable[[BuildEvent], None] | None = None
    _wardens: _exec.Lender = field(default=_exec.Warden, alias="_wardens", repr=False, eq=False)
    _reported: _Reported = field(factory=_Reported, init=False, repr=False, eq=False)
    _lock: threading.RLock = field(factory=threading.RLock, init=False, repr=False, eq=False)

    def detect(self, source: "Source | str | PathLike[str]") -> Detection:
        """Return what the first buildpack that claims *source* calls it.

        Raises:
            SourceNotFoundError: Nothing is there.
            NoBuildpackError: None claims it; names every pack and why not.
            IncompatibleBuildpackError: The first one that was asked for does not claim it.
            SandboxUnavailableError: Nothing here confines a build.
        """
        with self._reporting(), self._started(source, scratch=True) as build:
            return build.packs.first()[1]

    def explain(self, source: "Source | str | PathLike[str]") -> Answers:
        """Return what every buildpack says of *source*, in the order in which they are asked: the first yes is used.

        Of packs that were asked for, each is asked about the source as it is, before the ones before it have compiled.

        Raises:
            SourceNotFoundError, SandboxUnavailableError: As `detect`.
        """
        with self._reporting(), self._started(source, scratch=True) as build:
            return build.packs.answers()

    @contextmanager
    def compile(self, source: "Source | str | PathLike[str]") -> Iterator[CompiledApp]:
        """Yield the app that *source* compiles to; the cache is written back when the block ends without an error.

        Raises:
            SourceNotFoundError, SourceUnusableError: The source is not there, or cannot be read.
            NoBuildpackError, IncompatibleBuildpackError: No buildpack for it.
            CompileFailedError: A buildpack failed; holds its status and last lines.
            BuildTimeoutError: It took longer than ``timeout``; everything it started is dead.
            ProcfileUnreadableError: The Procfile is no text file.
            SandboxUnavailableError: Nothing here confines a build.
        """
        with self._compiled(source) as app:
            yield app

    @contextmanager
    def _compiled(
        self, source: "Source | str | PathLike[str]", leave_out: tuple[Path, ...] = ()
    ) -> Iterator[CompiledApp]:
        with self._reporting(), self._started(source, leave_out) as build:
            with self._keeping(build.workspace):
                records, defaults = build.packs.run()
                app = self._finish(build, records, defaults)
            yield app

    def package(self, app: CompiledApp, output: str | PathLike[str]) -> Slug:
        """Pack *app* into the file *output* and return it as a slug; the file appears whole or not at all.

        Raises:
            SecretInSlugError: It holds the value of a config var, and ``forbid_secrets`` is set.
            SlugTooLargeError: It is larger than ``max_size``.
            UnsafeMemberError: The tree holds what no slug may.
            OutputError: The file cannot be written.
        """
        with self._reporting():
            path = checked_output(output)
            secrets = {name: self.config_vars[name] for name in self.config_vars.keys() - self.not_secret}
            report_secrets(app.root, secrets, app.manifest, self._emit, forbidden=self.forbid_secrets)
            digests = pack(
                app.root,
                app.manifest,
                path,
                max_size=self.max_size,
                mtime=source_date_epoch(),
                cache=app.segment_cache,
                on_start=lambda files, size: self._emit(PackingStarted(files, size)),
                on_progress=lambda files, size: self._emit(PackingProgressed(files, size)),
            )
            self._emit(SlugPacked(str(path), digests.size, SOFT_LIMIT))
        return Slug(path, app.manifest, digests.size, digests)

    def build(self, source: "Source | str | PathLike[str]", output: str | PathLike[str]) -> Slug:
        """Compile *source* and package it as the slug *output*.

        Raises:
            SlugkitError: Whatever `compile` and `package` raise; *output* is checked before anything is run.
        """
        with self._reporting():
            path = checked_output(output)
        with self._compiled(source, (path, *beside(path).values())) as app:
            return self.package(app, path)

    def test(self, source: "Source | str | PathLike[str]") -> TestRun:
        """Return what came of the app's tests, prepared and run by its buildpacks as Heroku CI does (contract.md 2.10).

        The build happens in /app itself, with ``CI=true``.

        Raises:
            SlugkitError: Whatever `compile` raises.
            BuildpackError: Nothing says how the tests are run.
        """
        with self._reporting(), self._started(source, in_app=True) as build, self._keeping(build.workspace):
            return run_tests(build.packs)

    @contextmanager
    def _started(
        self,
        source: "Source | str | PathLike[str]",
        leave_out: tuple[Path, ...] = (),
        *,
        scratch: bool = False,
        in_app: bool = False,
    ) -> Iterator[_Build]:
        """Yield a build with its source checked out, but for the paths to *leave_out*, and its commands confined.

        It happens in a directory below /tmp, with an /app of its own beside it; or *in_app*, as tests do.
        """
        origin = as_source(source)
        sandbox = choose(self.sandbox)
        named = str(source if isinstance(source, str | PathLike) else origin.path)
        self._emit(BuildStarted(named, self.runtime, tuple(self.config_vars)))
        cache = app_cache(self.cache_dir, origin) / ("ci" if in_app else "")  # tests leave paths below /app in theirs
        uid = None if sandbox.name == "none" else dyno_uid()
        apart = uid is not None and not sandbox.mounts
        opened = scratch_workspace(apart=apart) if scratch else open_workspace(cache, self._on_wait, apart=apart)
        with self._wardens() as warden, opened as workspace:
            commit, ignored = checkout(origin, workspace.build_dir, (cache, *leave_out))
            if ignored is not None:
                self._emit(SourceIgnored(ignored))
            if self.on_event is not None and not scratch:
                self._emit(SourceCheckedOut(commit, git_tree(workspace.build_dir)))
            read_procfile(workspace.build_dir)  # now, rather than after minutes of compiling
            host_env = pick(os.environ, self.host_env)
            packs = asked_for(self.buildpacks, workspace.build_dir, self.runtime, Fetcher(host_env))
            self._emit(BuildpacksChosen(self._stack, tuple(pack.name for pack in packs)))
            runner = evolve(self._runner(workspace, sandbox, uid, commit, host_env, in_app=in_app), warden=warden)
            config_vars = self.config_vars
            if in_app:
                config_vars = check_config_vars({**read_app_json(workspace.build_dir).env, **config_vars})
            context = BuildContext(workspace.build_dir, workspace.cache_dir, config_vars, runner, self._say)
            write_env_dir(context.env_dir, config_vars)
            if uid is not None:
                workspace.give_to(uid)
            self._emit(WorkspaceOpened(str(workspace.build_dir), str(workspace.cache_dir), str(workspace.home)))
            yield _Build(workspace, Packs(packs, self.runtime, context, runner, self._emit), commit)

    def _runner(
        self,
        workspace: Workspace,
        sandbox: Sandbox,
        uid: int | None,
        commit: str | None,
        host_env: Mapping[str, str],
        *,
        in_app: bool,
    ) -> SandboxRunner:
        app = workspace.build_dir if in_app else workspace.home
        spec = build_spec(workspace, app, uid, host_env)
        host_env = trusted_env(sandbox, spec, host_env)
        own = ci_env(commit) if in_app else {}
        env = build_env(self._stack, sandbox.inside(spec, app), commit, host_env) | own
        return SandboxRunner(sandbox, spec, env, workspace.build_dir, self._emit, self.timeout, workspace.note_full)

    def _finish(self, build: _Build, records: tuple[BuildpackRecord, ...], defaults: ReleaseDefaults) -> CompiledApp:
        root = build.workspace.build_dir
        procfile = read_procfile(root)  # after compile, which may have written it (contract.md 2.1)
        manifest = describe(procfile, records, defaults, stack=self._stack, commit=build.commit)
        announce(procfile, manifest, self._emit)
        empty_writable_directories(root)
        segments = build.workspace.segments
        return CompiledApp(root, manifest.process_types, records, manifest.config_vars, manifest, segments)

    @contextmanager
    def _keeping(self, workspace: Workspace) -> Iterator[None]:
        """Keep the workspace of a compile that fails, if that was asked for, and say in the error where it is."""
        try:
            yield
        except (CompileFailedError, BuildTimeoutError) as error:
            if isinstance(error, CompileFailedError):
                error = workspace.explained(error)
            kept = str(workspace.keep()) if self.keep_failed else None
            raise evolve(error, kept=kept) from error.__cause__

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """Tell the listener of an error, once: package() may be called within the block of compile()."""
        try:
            yield
        except SlugkitError as error:
            if self._reported.error is not error:
                self._reported.error = error
                self._emit(BuildFailed.of(error))
            raise

    def _emit(self, event: BuildEvent) -> None:
        if self.on_event is not None:
            with self._lock:
                self.on_event(event)

    def _say(self, text: str) -> None:
        self._emit(BuildLine(text))

    def _on_wait(self) -> None:
        self._say("       Waiting for another build of this app to end")

    @property
    def _stack(self) -> str:
        return self.stack or "heroku-24"
