"""`SlugBuilder`: detect, compile, package, and the three in one."""

import hashlib
import os
import platform
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from attrs import evolve, field, frozen

from .._tree import read_beneath, remove_tree, walk
from .._version import __version__
from ..archive import EPOCH, Slug, pack
from ..buildpacks import (
    LAST_RESORT,
    BuildContext,
    Buildpack,
    Detection,
    ReleaseDefaults,
    Runtime,
    builtin,
    find,
)
from ..environ import HOST_ENV, check_config_vars, pick, user_cache
from ..errors import (
    BuildpackError,
    BuildTimeoutError,
    CommandFailedError,
    CompileFailedError,
    IncompatibleBuildpackError,
    InvalidConfigVarError,
    NoBuildpackError,
    OutputError,
    ProcfileUnreadableError,
    SlugkitError,
)
from ..events import (
    BuildEvent,
    BuildFailed,
    BuildLine,
    BuildpackDetected,
    BuildpacksChosen,
    BuildStarted,
    PackingProgressed,
    PackingStarted,
    ProcessTypesDiscovered,
    ProcfileWarned,
    SeveralBuildpacksDetected,
    SlugPacked,
    SourceIgnored,
)
from ..procfile import Procfile, parse_procfile
from ..sandbox import Sandbox, choose, dyno_uid
from ..slug import BuildpackRecord, Manifest, Platform
from ..source import Source, as_source
from ._checkout import checkout
from ._confinement import SandboxRunner, build_env, build_spec
from ._workspace import Workspace, open_workspace

_MIB = 2**20
SOFT_LIMIT = 300 * _MIB  # bytes; contract.md 3.4
_PROGRESS_EVERY = 256  # files


@frozen
class CompiledApp:
    """A compiled app, alive within the ``with`` block of `SlugBuilder.compile`."""

    root: Path
    process_types: Mapping[str, str]
    buildpacks: tuple[BuildpackRecord, ...]
    config_vars: Mapping[str, str]
    manifest: Manifest = field(repr=False)


@frozen
class _Build:
    """One build under way: where it happens and what its packs are given."""

    workspace: Workspace
    context: BuildContext
    commit: str | None


class _Reported(threading.local):
    """The error that this thread's listener has heard of."""

    error: SlugkitError | None = None


@frozen(kw_only=True)
class SlugBuilder:
    """Turn source trees into slugs. Thread-safe; keeps no state but the per-app cache.

    Attributes:
        buildpacks: None to detect one, or names and `Buildpack` objects, run in order.
        config_vars: What buildpacks may read; never their environment, never in the slug.
        cache_dir: The app's build cache; None for one under the user's cache directory keyed by the source path.
        stack: What packs see in $STACK; None for "heroku-24".
        sandbox: "auto", a name, or a `Sandbox`.
        timeout: Seconds a build's buildpacks may take.
        max_size: Bytes a slug may have, compressed.
        host_env: Names of host variables that builds may see.
        runtime: Whether interpreters travel in the slug ("vendored") or are the host's ("stack").
        keep_failed: Keep the workspace of a failed build; the error says where.
        on_event: Called with each event, in order, never concurrently.
    """

    buildpacks: Sequence[str | Buildpack] | None = None
    config_vars: Mapping[str, str] = field(factory=dict, converter=check_config_vars, repr=False)
    cache_dir: str | PathLike[str] | None = None
    stack: str | None = None
    sandbox: str | Sandbox = "auto"
    timeout: float = 900.0
    max_size: int = 500 * _MIB
    host_env: Sequence[str] = HOST_ENV
    runtime: Runtime = "vendored"
    keep_failed: bool = False
    on_event: Callable[[BuildEvent], None] | None = None
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
        with self._reporting(), self._started(source) as build:
            return self._first(build.context)[1]

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
                detected, defaults = self._run_buildpacks(build.context)
                app = self._finish(build, detected, defaults)
            yield app

    def package(self, app: CompiledApp, output: str | PathLike[str]) -> Slug:
        """Pack *app* into the file *output* and return it as a slug; the file appears whole or not at all.

        Raises:
            SlugTooLargeError: It is larger than ``max_size``.
            UnsafeMemberError: The tree holds what no slug may.
            OutputError: The file cannot be written.
        """
        with self._reporting():
            path = _checked_output(output)
            entries = [entry for entry in walk(app.root) if entry.is_file]
            self._emit(PackingStarted(len(entries), sum(entry.info.st_size for entry in entries)))
            digests = pack(
                app.root,
                app.manifest,
                path,
                max_size=self.max_size,
                mtime=_source_date_epoch(),
                on_progress=self._on_progress,
            )
            self._emit(SlugPacked(str(path), digests.size, SOFT_LIMIT))
        return Slug(path, app.manifest, digests.size, digests)

    def build(self, source: "Source | str | PathLike[str]", output: str | PathLike[str]) -> Slug:
        """Compile *source* and package it as the slug *output*.

        Raises:
            SlugkitError: Whatever `compile` and `package` raise; *output* is checked before anything is run.
        """
        with self._reporting():
            path = _checked_output(output)
        with self._compiled(source, (path,)) as app:
            return self.package(app, path)

    @contextmanager
    def _started(self, source: "Source | str | PathLike[str]", leave_out: tuple[Path, ...] = ()) -> Iterator[_Build]:
        """Yield a build with its source checked out, but for the paths to *leave_out*, and its commands confined."""
        origin = as_source(source)
        sandbox = choose(self.sandbox)
        self._emit(BuildStarted(str(source if isinstance(source, str | PathLike) else origin.path)))
        app_cache = self._app_cache(origin)
        with open_workspace(app_cache, self._on_wait) as workspace:
            own = (app_cache, *leave_out)
            commit = checkout(origin, workspace.build_dir, lambda n: self._emit(SourceIgnored(n)), own)
            _read_procfile(workspace.build_dir)
            context = self._context(workspace, sandbox, commit)
            names = tuple(find(pack, self.runtime).name for pack in self.buildpacks or ())
            self._emit(BuildpacksChosen(self._stack, names))
            yield _Build(workspace, context, commit)

    def _context(self, workspace: Workspace, sandbox: Sandbox, commit: str | None) -> BuildContext:
        uid = dyno_uid() if sandbox.name != "none" else None
        if uid is not None:
            workspace.give_to(uid)
        host_env = pick(os.environ, self.host_env)
        spec = build_spec(workspace, uid, host_env)
        env = build_env(self._stack, sandbox.inside(spec, workspace.home), commit, host_env)
        run = SandboxRunner(sandbox, spec, env, workspace.build_dir, self._say, self.timeout)
        return BuildContext(workspace.build_dir, workspace.cache_dir, self.config_vars, run, self._say)

    def _first(self, context: BuildContext) -> tuple[Buildpack, Detection]:
        """Return the first buildpack that applies: of those asked for, or of the built-in ones."""
        if self.buildpacks:
            pack = find(self.buildpacks[0], self.runtime)
            return pack, self._applies(pack, context)
        found: list[tuple[Buildpack, Detection]] = []
        reasons = []
        for pack in builtin(self.runtime):
            match pack.detect(context):
                case Detection() as detection:
                    found.append((pack, detection))
                case no:
                    reasons.append((pack.name, no.reason))
        if not found:
            match LAST_RESORT.detect(context):
                case Detection() as detection:
                    return LAST_RESORT, detection
                case no:
                    raise NoBuildpackError((*reasons, (LAST_RESORT.name, no.reason)))
        if len(found) > 1:
            self._emit(SeveralBuildpacksDetected(tuple(detection.name for _, detection in found)))
        return found[0]

    def _applies(self, pack: Buildpack, context: BuildContext) -> Detection:
        match pack.detect(context):
            case Detection() as detection:
                return detection
            case no:
                raise IncompatibleBuildpackError(pack.name, no.reason)

    def _run_buildpacks(self, context: BuildContext) -> tuple[tuple[BuildpackRecord, ...], ReleaseDefaults]:
        """Detect and compile each pack before the next is asked (contract.md 2.6); the last one's defaults count."""
        records: list[BuildpackRecord] = []
        defaults = ReleaseDefaults()
        first = self._first(context)
        rest = [find(one, self.runtime) for one in (self.buildpacks or ())[1:]]
        for buildpack in (first[0], *rest):
            detection = first[1] if not records else self._applies(buildpack, context)
            self._emit(BuildpackDetected(buildpack.name, detection.name))
            defaults = _compiled(buildpack, detection, context)
            records.append(BuildpackRecord(buildpack.name, __version__, "builtin", detection.name))
        return tuple(records), defaults

    def _finish(self, build: _Build, records: tuple[BuildpackRecord, ...], defaults: ReleaseDefaults) -> CompiledApp:
        """Read the Procfile that compile left, and describe the app."""
        root = build.workspace.build_dir
        procfile = _read_procfile(root)
        for warning in procfile.warnings:
            where = (warning.code, warning.line, warning.column)
            self._emit(ProcfileWarned(*where, warning.message, warning.fix))
        undeclared = sorted(set(defaults.process_types) - set(procfile))
        names = (tuple(sorted(procfile)), tuple(undeclared))
        self._emit(ProcessTypesDiscovered(*names, records[-1].detected))
        for name in ("tmp", "log"):  # empty, writable in every dyno (contract.md 10.1, 10)
            remove_tree(root / name)
            (root / name).mkdir(mode=0o755)
        manifest = Manifest(
            process_types=dict(sorted({**defaults.process_types, **procfile}.items())),
            buildpacks=records,
            stack=self._stack,
            platform=_platform(defaults.interpreter),
            config_vars=dict(defaults.config_vars),
            source_commit=build.commit,
            builder=f"slugkit {__version__}",
        )
        return CompiledApp(root, manifest.process_types, records, manifest.config_vars, manifest)

    @contextmanager
    def _keeping(self, workspace: Workspace) -> Iterator[None]:
        """Keep the workspace of a compile that fails, if that was asked for, and say in the error where it is."""
        try:
            yield
        except (CompileFailedError, BuildTimeoutError) as error:
            if not self.keep_failed:
                raise
            raise evolve(error, kept=str(workspace.keep())) from error.__cause__

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """Tell the listener of an error, once: package() may be called within the block of compile()."""
        try:
            yield
        except SlugkitError as error:
            if self._reported.error is not error:
                self._reported.error = error
                app = error.buildpack if isinstance(error, CompileFailedError) else ""
                self._emit(BuildFailed(error.code, str(error), app))
            raise

    def _emit(self, event: BuildEvent) -> None:
        if self.on_event is not None:
            with self._lock:
                self.on_event(event)

    def _say(self, text: str) -> None:
        self._emit(BuildLine(text))

    def _on_wait(self) -> None:
        self._say("       Waiting for another build of this app to end")

    def _on_progress(self, files: int, size: int) -> None:
        if files % _PROGRESS_EVERY == 0:
            self._emit(PackingProgressed(files, size))

    @property
    def _stack(self) -> str:
        return self.stack or "heroku-24"

    def _app_cache(self, source: Source) -> Path:
        if self.cache_dir is not None:
            return Path(self.cache_dir).absolute()
        path = source.path.absolute()
        key = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
        return user_cache(os.environ) / "builds" / f"{path.name or 'app'}-{key}"


def _compiled(pack: Buildpack, detection: Detection, context: BuildContext) -> ReleaseDefaults:
    try:
        pack.compile(context)
        return pack.release(context)
    except CommandFailedError as error:
        raise CompileFailedError(detection.name, error.status, error.last_lines) from error
    except BuildpackError as error:
        raise CompileFailedError(detection.name, 1, (error.reason,), fix=error.fix) from error


def _read_procfile(root: Path) -> Procfile:
    path = root / "Procfile"
    if not os.path.lexists(path):
        return Procfile()
    raw = read_beneath(root, "Procfile")
    if raw is None:
        raise ProcfileUnreadableError("Procfile", "it is not a regular file")
    try:
        return parse_procfile(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ProcfileUnreadableError("Procfile", f"it is not UTF-8 ({error.reason})") from error


def _checked_output(output: str | PathLike[str]) -> Path:
    """Return *output* if a file can be put there, before a build spends minutes to find out."""
    path = Path(output)
    if path.is_dir():
        raise OutputError(str(path), "it is a directory")
    if not path.absolute().parent.is_dir():
        raise OutputError(str(path), "its directory does not exist")
    if not os.access(path.absolute().parent, os.W_OK):
        raise OutputError(str(path), "its directory is not writable")
    return path


def _platform(interpreter: str | None) -> Platform:
    return Platform(platform.machine(), "-".join(platform.libc_ver()).strip("-"), interpreter)


def _source_date_epoch() -> int:
    """Return the time every entry bears: SOURCE_DATE_EPOCH (reproducible-builds.org), or 1980."""
    text = os.environ.get("SOURCE_DATE_EPOCH", str(EPOCH))
    if not text.isdecimal() or len(text) > 20:  # noqa: PLR2004 - int() refuses 4 300
        raise InvalidConfigVarError("SOURCE_DATE_EPOCH", "not a number of seconds")
    return int(text)
