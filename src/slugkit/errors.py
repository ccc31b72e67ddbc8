"""Every error slugkit raises: one root, one class per decision a caller can make.

Each class has a stable ``code``, plain fields that pickle, a sentence, and most have a ``hint``: the way out.
"""

from typing import ClassVar

from attrs import frozen

from .units import few


class SlugkitError(Exception):
    """Root of every error slugkit raises on purpose."""

    code: ClassVar[str] = "slugkit"

    @property
    def hint(self) -> str | None:
        """The way out in one line, or None where the sentence already says it."""
        return None


@frozen
class ProcfileSyntaxError(SlugkitError, ValueError):
    """A line of a Procfile is not ``type: command`` (raised by ``strict=True`` only)."""

    code: ClassVar[str] = "procfile.syntax"

    reason: str
    line: int
    column: int
    source: str
    fix: str = ""

    def __str__(self) -> str:
        """Name the place, show the line and point at the column."""
        shown = "".join(char if char.isprintable() else " " for char in self.source)
        caret = " " * (self.column - 1) + "^"
        return f"Procfile:{self.line}: {self.reason}\n  {shown}\n  {caret}"

    @property
    def hint(self) -> str | None:
        """How to write the line instead."""
        return self.fix or None


@frozen
class ProcfileUnreadableError(SlugkitError, ValueError):
    """The Procfile is there but cannot be read as text."""

    code: ClassVar[str] = "procfile.unreadable"

    path: str
    reason: str

    def __str__(self) -> str:
        """Name the file and what is wrong with it."""
        return f"cannot read {self.path}: {self.reason}"

    @property
    def hint(self) -> str | None:
        """What a Procfile has to be."""
        return "a Procfile is a regular UTF-8 text file in the root of the app"


@frozen
class InvalidConfigVarError(SlugkitError, ValueError):
    """A config var's name or value cannot be a file of ENV_DIR or a variable of a process."""

    code: ClassVar[str] = "config.invalid"

    name: str
    reason: str

    def __str__(self) -> str:
        """Name the variable, never its value: config vars are secrets."""
        return f"config var {self.name!r}: {self.reason}"

    @property
    def hint(self) -> str | None:
        """The rule for names and values."""
        return "names match [A-Za-z_][A-Za-z0-9_]*, values have no NUL and stay below 128 KiB"


@frozen
class SourceNotFoundError(SlugkitError, FileNotFoundError):
    """There is no source tree where one was named."""

    code: ClassVar[str] = "source.not-found"

    path: str

    def __str__(self) -> str:
        """Name the path as the caller gave it."""
        return f"no source at {self.path!r}"

    @property
    def hint(self) -> str | None:
        """What a source can be."""
        return "a source is a directory, a git repository with --ref, or a tarball"


@frozen
class SourceUnusableError(SlugkitError, ValueError):
    """A source is there but cannot be used: unreadable, no such ref, not a tarball."""

    code: ClassVar[str] = "source.unusable"

    path: str
    reason: str

    def __str__(self) -> str:
        """Name the source and the reason."""
        return f"cannot use the source {self.path!r}: {self.reason}"


@frozen
class NoBuildpackError(SlugkitError, LookupError):
    """No buildpack claims the app; ``reasons`` holds (buildpack, why not) in the order tried."""

    code: ClassVar[str] = "buildpack.none"

    reasons: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        """Say so, with each buildpack's reason on a line of its own."""
        tried = "".join(f"\n  {name}: {reason}" for name, reason in self.reasons)
        return f"no default language could be detected for this app{tried}"

    @property
    def hint(self) -> str | None:
        """How to be detected, or choose."""
        return "add one of the files named above, or name a buildpack with --buildpack"


@frozen
class IncompatibleBuildpackError(SlugkitError, LookupError):
    """A buildpack that was asked for by name does not claim the app."""

    code: ClassVar[str] = "buildpack.incompatible"

    buildpack: str
    reason: str

    def __str__(self) -> str:
        """Name the pack and its reason, if it gave one."""
        reason = f": {self.reason}" if self.reason else ""
        return f"app not compatible with buildpack {self.buildpack}{reason}"


@frozen
class UnknownBuildpackError(SlugkitError, LookupError):
    """A buildpack was named that does not exist here."""

    code: ClassVar[str] = "buildpack.unknown"

    name: str
    known: tuple[str, ...]

    def __str__(self) -> str:
        """Name it."""
        return f"no buildpack is called {self.name!r}"

    @property
    def hint(self) -> str | None:
        """Those there are, and what else may stand there."""
        return f"buildpacks here: {', '.join(self.known)}; or name a directory, a git URL, a .tgz file or URL"


@frozen
class BuildpackFetchError(SlugkitError, OSError):
    """A buildpack that was named by its place could not be brought here."""

    code: ClassVar[str] = "buildpack.fetch-failed"

    buildpack: str
    reason: str
    fix: str = ""

    def __str__(self) -> str:
        """Name the place, without credentials, and why not."""
        return f"error fetching buildpack {self.buildpack}: {self.reason}"

    @property
    def hint(self) -> str | None:
        """The way out of this very failure, or what a place can be."""
        return (
            self.fix
            or "a buildpack is a name, a directory, a git URL with #branch, #tag or #commit, or a .tgz file or URL"
        )


@frozen
class InvalidBuildpackError(SlugkitError, ValueError):
    """What is at a buildpack's place is none."""

    code: ClassVar[str] = "buildpack.invalid"

    buildpack: str
    reason: str

    def __str__(self) -> str:
        """Name the place and what is missing."""
        return f"{self.buildpack} is no buildpack: {self.reason}"

    @property
    def hint(self) -> str | None:
        """What a buildpack has to be."""
        return "a buildpack is a directory with bin/detect and bin/compile, or an object with detect, compile, release"


@frozen
class CommandFailedError(SlugkitError, RuntimeError):
    """A command that a buildpack ran ended with a status other than 0."""

    code: ClassVar[str] = "buildpack.command-failed"

    command: str
    status: int
    last_lines: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Name the command and its status, then its last lines."""
        tail = "".join(f"\n  {line}" for line in self.last_lines)
        return f"{self.command} exited with status {self.status}{tail}"


@frozen
class BuildpackError(SlugkitError, RuntimeError):
    """A buildpack gives up for a reason it can name."""

    code: ClassVar[str] = "buildpack.failed"

    reason: str
    fix: str = ""

    def __str__(self) -> str:
        """Say the reason."""
        return self.reason

    @property
    def hint(self) -> str | None:
        """The pack's own way out."""
        return self.fix or None


@frozen
class CompileFailedError(SlugkitError, RuntimeError):
    """A buildpack did not compile the app; ``kept`` is the workspace when it was to be kept."""

    code: ClassVar[str] = "build.compile-failed"

    buildpack: str
    status: int
    last_lines: tuple[str, ...] = ()
    kept: str | None = None
    fix: str = ""

    def __str__(self) -> str:
        """Name the pack and the status, then what it said last."""
        tail = "".join(f"\n  {line}" for line in self.last_lines)
        return f"failed to compile {self.buildpack} app (status {self.status}){tail}"

    @property
    def hint(self) -> str | None:
        """The pack's way out, and where to look at what it left."""
        where = f"the workspace is kept at {self.kept}" if self.kept else "--keep-failed keeps the workspace for a look"
        return f"{self.fix}; {where}" if self.fix else where


@frozen
class BuildTimeoutError(SlugkitError, TimeoutError):
    """A build took longer than it may; ``limit`` is in seconds."""

    code: ClassVar[str] = "build.timeout"

    limit: float
    kept: str | None = None

    def __str__(self) -> str:
        """Say it as Heroku does (contract.md 2.7)."""
        return f"timed out; must complete in {self.limit:g} seconds"

    @property
    def hint(self) -> str | None:
        """How to allow more."""
        return "SlugBuilder(timeout=...) or --timeout raise the limit"


@frozen
class SecretInSlugError(SlugkitError, ValueError):
    """The values of config vars are in the app, and the slug was not to hold any."""

    code: ClassVar[str] = "build.secret-in-slug"

    config_vars: tuple[str, ...]
    paths: tuple[str, ...]

    def __str__(self) -> str:
        """Name the config vars and the first files, and no value."""
        shown = few([repr(path) for path in self.paths], most=3)
        return f"the slug would hold the value of {', '.join(self.config_vars)}, in {shown}"

    @property
    def hint(self) -> str | None:
        """Where a secret belongs."""
        return (
            "read it from the environment when the app runs; if it is no secret: not_secret=[...] or --not-secret NAME"
        )


@frozen
class SlugTooLargeError(SlugkitError, ValueError):
    """A slug is larger than it may be; sizes are in bytes, compressed."""

    code: ClassVar[str] = "slug.too-large"

    size: int
    limit: int

    def __str__(self) -> str:
        """Say it as Heroku does (contract.md 3.4)."""
        size, limit = self.size / 2**20, self.limit / 2**20
        return f"compiled slug size: {size:.1f}M is too large (max is {limit:g}M)"

    @property
    def hint(self) -> str | None:
        """Where bytes usually go."""
        return "leave large files out with a .slugignore"


@frozen
class SlugNotFoundError(SlugkitError, FileNotFoundError):
    """There is no slug where one was named."""

    code: ClassVar[str] = "slug.not-found"

    path: str

    def __str__(self) -> str:
        """Name the path as the caller gave it."""
        return f"no slug at {self.path!r}"

    @property
    def hint(self) -> str | None:
        """How to get one."""
        return "slugkit build makes one"


@frozen
class CorruptSlugError(SlugkitError, ValueError):
    """A slug's bytes are damaged, cut short or not a slug at all."""

    code: ClassVar[str] = "slug.corrupt"

    path: str
    reason: str

    def __str__(self) -> str:
        """Name the file and what is wrong with it."""
        return f"{self.path}: not a whole slug: {self.reason}"

    @property
    def hint(self) -> str | None:
        """The only cure."""
        return "build it or fetch it again"


@frozen
class CorruptStoreError(SlugkitError, ValueError):
    """A store's own documents are not what an OCI image layout has."""

    code: ClassVar[str] = "store.corrupt"

    path: str
    reason: str

    def __str__(self) -> str:
        """Name the file and what is wrong with it."""
        return f"{self.path}: no store's: {self.reason}"

    @property
    def hint(self) -> str | None:
        """What is not lost."""
        return "the slugs are whole: move the file away, and put them again"


@frozen
class UnsafeMemberError(SlugkitError, ValueError):
    """A member of an archive, or a file to be packed, would reach outside the slug."""

    code: ClassVar[str] = "slug.unsafe-member"

    name: str
    reason: str

    def __str__(self) -> str:
        """Name the member, escaped: it may be hostile."""
        return f"refused member {self.name!r}: {self.reason}"


@frozen
class OutputError(SlugkitError, OSError):
    """The result could not be written; nothing half-written is left."""

    code: ClassVar[str] = "output.failed"

    path: str
    reason: str

    def __str__(self) -> str:
        """Name the path and the system's reason."""
        return f"cannot write {self.path}: {self.reason}"

    @property
    def hint(self) -> str | None:
        """What an output has to be."""
        return "name a place in a directory that exists, is writable and has room"


@frozen
class SandboxUnavailableError(SlugkitError, RuntimeError):
    """No sandbox that keeps its promises works here; ``tried`` holds (back end, reason), ``remedy`` what to change."""

    code: ClassVar[str] = "sandbox.unavailable"

    tried: tuple[tuple[str, str], ...]
    remedy: str = ""

    def __str__(self) -> str:
        """Say so, with every back end's reason on a line of its own."""
        tried = "".join(f"\n  {name}: {reason}" for name, reason in self.tried)
        return f"no sandbox works here{tried}"

    @property
    def hint(self) -> str | None:
        """The explicit way to do without, unless a name was only misspelled."""
        if any(reason.startswith("not one of") for _, reason in self.tried):
            return None
        without = 'to run without confinement, pass sandbox="none" (--sandbox none)'
        return f"{self.remedy}; or, {without}" if self.remedy else without


@frozen
class UnknownProcessTypeError(SlugkitError, LookupError):
    """A slug has no process type of that name."""

    code: ClassVar[str] = "process.unknown"

    process_type: str
    known: tuple[str, ...]

    def __str__(self) -> str:
        """Name it."""
        return f"the slug has no process type {self.process_type!r}"

    @property
    def hint(self) -> str | None:
        """Those there are."""
        if not self.known:
            return "it has none at all: add a Procfile"
        return f"process types of this slug: {', '.join(self.known)}"


@frozen
class InvalidCommandError(SlugkitError, ValueError):
    """A command cannot be handed to a dyno."""

    code: ClassVar[str] = "process.invalid"

    reason: str

    def __str__(self) -> str:
        """Say why; the command itself may be long, or hold anything."""
        return f"the command cannot be run: {self.reason}"

    @property
    def hint(self) -> str | None:
        """What a command has to be."""
        return "a command is one shell line without NUL, below 128 KiB; put longer ones into a script"


@frozen
class DynoStartError(SlugkitError, OSError):
    """The system could not start a dyno's sandbox; nothing of it is left."""

    code: ClassVar[str] = "dyno.start-failed"

    dyno: str
    reason: str

    def __str__(self) -> str:
        """Name the dyno and the system's reason."""
        return f"{self.dyno} could not be started: {self.reason}"


@frozen
class InvalidSettingError(SlugkitError, ValueError):
    """A setting other than a config var cannot be used: a port, a time, a home directory."""

    code: ClassVar[str] = "setting.invalid"

    name: str
    reason: str

    def __str__(self) -> str:
        """Name the setting and what is wrong with it."""
        return f"{self.name}: {self.reason}"


@frozen
class MissingInterpreterError(SlugkitError, RuntimeError):
    """A slug without its interpreter (Ruby, Node.js, ``runtime="stack"``) needs one this machine does not have."""

    code: ClassVar[str] = "dyno.missing-interpreter"

    prefix: str

    def __str__(self) -> str:
        """Name the place the slug expects it."""
        return f"the slug needs the interpreter at {self.prefix}, which is not on this stack"

    @property
    def hint(self) -> str | None:
        """What is missing on the stack; of the built-in packs only Python's names another place, or takes it along."""
        if self.prefix.startswith("/usr/"):
            return "install the version that belongs there, or build the slug again with what this machine has"
        return (
            "run slugkit with that interpreter, or build the slug again: Python travels in it with runtime='vendored'"
        )


@frozen
class PortInUseError(SlugkitError, OSError):
    """The port a dyno was to listen on is taken."""

    code: ClassVar[str] = "dyno.port-in-use"

    port: int

    def __str__(self) -> str:
        """Name the port."""
        return f"port {self.port} is in use"

    @property
    def hint(self) -> str | None:
        """The way that always works."""
        return "leave the port out for a free one"


@frozen
class DynoCrashedError(SlugkitError, RuntimeError):
    """A dyno ended by itself; ``up`` says whether it had been up."""

    code: ClassVar[str] = "dyno.crashed"

    dyno: str
    status: int
    last_lines: tuple[str, ...] = ()
    up: bool = False

    def __str__(self) -> str:
        """Name the dyno and its status, then what it said last."""
        tail = "".join(f"\n  {line}" for line in self.last_lines)
        before = "" if self.up else " before it was up"
        return f"{self.dyno} exited with status {self.status}{before}{tail}"


@frozen
class BootTimeoutError(SlugkitError, TimeoutError):
    """A web dyno did not listen on $PORT in time; ``seconds`` is the limit."""

    code: ClassVar[str] = "dyno.boot-timeout"

    dyno: str
    seconds: float
    last_lines: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say it as Heroku's R10 does (contract.md 4.4)."""
        tail = "".join(f"\n  {line}" for line in self.last_lines)
        return (
            f"{self.dyno}: Error R10 (Boot timeout) -> Web process failed to bind to $PORT"
            f" within {self.seconds:g} seconds of launch{tail}"
        )

    @property
    def hint(self) -> str | None:
        """What web dynos have to do."""
        return "a web process listens on 0.0.0.0:$PORT; boot_timeout= (--boot-timeout) raises the limit"


@frozen
class RunnerClosedError(SlugkitError, RuntimeError):
    """A runner was used after its ``with`` block."""

    code: ClassVar[str] = "dyno.runner-closed"

    def __str__(self) -> str:
        """Say so."""
        return "this DynoRunner is closed: its with block is over"


@frozen
class FormationStoppedError(SlugkitError, RuntimeError):
    """A formation was used after it was stopped, by itself or with its runner."""

    code: ClassVar[str] = "dyno.formation-stopped"

    def __str__(self) -> str:
        """Say so."""
        return "this formation is stopped"

    @property
    def hint(self) -> str | None:
        """How to have one again."""
        return "start another with DynoRunner.formation()"


@frozen
class ReleaseFailedError(SlugkitError, RuntimeError):
    """The release command of a slug did not end with status 0; ``timeout`` in seconds, if that was over."""

    code: ClassVar[str] = "release.failed"

    dyno: str
    status: int
    last_lines: tuple[str, ...] = ()
    timeout: float | None = None

    def __str__(self) -> str:
        """Name the dyno and what became of it, then what it said last."""
        tail = "".join(f"\n  {line}" for line in self.last_lines)
        if self.timeout is not None:
            return f"the release command took longer than {self.timeout:g} seconds, and {self.dyno} was stopped{tail}"
        return f"the release command exited with status {self.status} in {self.dyno}{tail}"

    @property
    def hint(self) -> str | None:
        """What it means for what runs."""
        return "the dynos that run go on with the old release: deploy only what was released"


@frozen
class MissingLibraryError(SlugkitError, ImportError):
    """What was asked for needs a library that is not installed; ``extra`` is the one of slugkit's that brings it."""

    code: ClassVar[str] = "sbom.missing-library"

    library: str
    extra: str

    def __str__(self) -> str:
        """Name the library."""
        return f"{self.library} is not installed"

    @property
    def hint(self) -> str | None:
        """How to install it."""
        return f"pip install 'slugkit[{self.extra}]'"


@frozen
class InvalidBudgetError(SlugkitError, ValueError):
    """A budget file is not there, is not TOML, or ``key`` of it means nothing."""

    code: ClassVar[str] = "budget.invalid"

    path: str
    key: str
    reason: str

    def __str__(self) -> str:
        """Name the file, the key where it is one, and what is wrong."""
        return f"cannot use the budget {self.path}: {f'{self.key}: ' if self.key else ''}{self.reason}"

    @property
    def hint(self) -> str | None:
        """What a budget may hold."""
        return (
            "tables: [slug] max_size, max_unpacked, max_files; [directories] and [packages] name sizes such as"
            ' "40MiB"; [growth] max, max_percent'
        )


@frozen
class BudgetExceededError(SlugkitError, ValueError):
    """A slug breaks limits of its budget; ``growers`` are what is largest in it, or grew most."""

    code: ClassVar[str] = "budget.exceeded"

    path: str
    broken: tuple[str, ...]
    growers: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Count the limits and name each, then what to look at."""
        limits = "1 limit" if len(self.broken) == 1 else f"{len(self.broken)} limits"
        listed = "".join(f"\n  {line}" for line in (*self.broken, *self.growers))
        return f"the slug breaks {limits} of {self.path}{listed}"

    @property
    def hint(self) -> str | None:
        """Where to look."""
        return "slugkit inspect says where the bytes are and what a .slugignore would save; or raise the limit"


@frozen
class NotReproducibleError(SlugkitError, ValueError):
    """Two builds of one source made different slugs; ``paths`` is what differs, ``remedy`` what to do about it."""

    code: ClassVar[str] = "slug.not-reproducible"

    source: str
    paths: tuple[str, ...]
    remedy: str = ""

    def __str__(self) -> str:
        """Name the source and the first few paths, escaped: they may be hostile."""
        shown = few([repr(path) if path else "the archive" for path in self.paths], most=3)
        return f"two builds of {self.source} differ in {shown}"

    @property
    def hint(self) -> str | None:
        """What to do about the cause that shows most often."""
        return self.remedy or "--keep DIR keeps both slugs for a look"


@frozen
class DrainFailedError(SlugkitError, OSError):
    """A drain could not send log lines now; they are sent again."""

    code: ClassVar[str] = "drain.failed"

    reason: str

    def __str__(self) -> str:
        """Say what went wrong."""
        return f"the drain does not take log lines: {self.reason}"


@frozen
class DrainRefusedError(SlugkitError, ValueError):
    """The other end of a drain wants no such log lines; sending them again would not help, so they are lost."""

    code: ClassVar[str] = "drain.refused"

    reason: str

    def __str__(self) -> str:
        """Say what the other end said."""
        return f"the drain refuses log lines: {self.reason}"

    @property
    def hint(self) -> str | None:
        """What is most often wrong."""
        return "look at the URL of the drain, and at the user and password in it"
