"""A small app that is built, rebuilt, run and tested with the buildpack under test; nothing of it is left behind."""

from collections.abc import Collection, Mapping, Sequence
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from attrs import define, evolve, field

from .._exec import Wardens
from .._tree import copy_tree
from ..archive import Slug
from ..build import SlugBuilder
from ..buildpacks import is_left_out, parse_origin
from ..errors import SlugkitError
from ..sandbox import Sandbox, choose
from . import _edit
from ._bench import Bench
from ._checks import Finding, Seen, check_build
from ._evidence import Evidence
from ._expected import NOT_THE_PACKS, as_expected, parse_tap
from ._outcome import ContractError, UnexpectedOutcomeError, in_short
from ._result import Build, Pack, Settings, TestResult
from ._sandboxes import Alter, Altered, Traps


@define(slots=False)
class App:
    """A source tree and what becomes of it. A context manager: leaving its block removes everything.

    Args:
        buildpack: The pack under test: what builds use unless they are told otherwise.
        stack: What packs see in $STACK; None for "heroku-24".
        sandbox: "auto", a name, or a `Sandbox`.
        checks: Whether each build is held to the contract.
        waive: Codes of findings to accept.
        timeout: Seconds a build may take.
    """

    buildpack: Pack
    stack: str | None = None
    sandbox: str | Sandbox = "auto"
    checks: bool = True
    waive: Collection[str] = ()
    timeout: float = 900.0
    _shared: Wardens | None = field(default=None, alias="_wardens", repr=False)
    builds: list[Build] = field(factory=list, init=False, repr=False)
    first: "tuple[Settings, Path] | None" = field(default=None, init=False, repr=False)
    """How the first good build with the pack under test was made, and a copy of its source."""
    bench: Bench = field(init=False, repr=False)

    @bench.default
    def _bench(self) -> Bench:
        return Bench(self.sandbox, self._shared)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def directory(self) -> Path:
        """The source tree, to be edited in place."""
        return self.bench.source

    @property
    def pack_directory(self) -> Path | None:
        """Where the pack under test is, when it is a directory."""
        path = Path(self.buildpack) if isinstance(self.buildpack, str | PathLike) else None
        return path.resolve() if path is not None and path.is_dir() else None

    @property
    def pack_name(self) -> str:
        """What builds call the pack under test."""
        directory = self.pack_directory
        if directory is not None:
            return directory.name
        origin = parse_origin(self.buildpack) if isinstance(self.buildpack, str) else None
        return origin.name if origin else str(getattr(self.buildpack, "name", self.buildpack))

    def freeze(self) -> Pack:
        """Make the pack under test a copy of what it is now, if it is a directory, and return it."""
        directory = self.pack_directory
        if directory is not None:
            self.buildpack = self.bench.copied(None, directory.name)
            copy_tree(directory, self.buildpack, skip=is_left_out(directory))
        return self.buildpack

    def write(self, files: Mapping[str, str | bytes]) -> Self:
        """Write *files*, contents by relative path; one that starts with ``#!`` can be run. Returns the app.

        Raises:
            ValueError: A path leads out of the app's directory.
        """
        _edit.write(self.directory, files)
        return self

    def copy(self, directory: str | PathLike[str]) -> Self:
        """Copy what is in *directory* into the app: directories are added to, files replaced. Returns the app."""
        _edit.copy(Path(directory), self.directory)
        return self

    def remove(self, *paths: str) -> Self:
        """Remove *paths* from the source tree; one that is not there is fine. Returns the app.

        Raises:
            ValueError: A path leads out of the app's directory.
        """
        for path in paths:
            _edit.remove(self.directory, path)
        return self

    def build(
        self,
        *,
        config_vars: Mapping[str, str] | None = None,
        buildpacks: Sequence[Pack] | None = None,
        expect_failure: bool | str = False,
    ) -> Build:
        """Build the app with an empty cache and return what came of it.

        Args:
            config_vars: What packs find in ENV_DIR, and dynos in their environment.
            buildpacks: The packs to use, in order; None for the one under test alone, an empty list to detect one.
            expect_failure: The build is to fail, by what a pack or the app does; or the code of its error, such as
                "build.compile-failed". A pack that cannot be had, or a sandbox that does not work, is no such failure.

        Raises:
            UnexpectedOutcomeError: It failed, or did not; with the transcript.
            ContractError: A pack breaks the contract; with the findings and the transcript.
        """
        __tracebackhide__ = True
        return self._build(self._settings(config_vars, buildpacks, expect_failure=expect_failure), None)

    def _build_again(self, build: Build, changes: Mapping[str, Any]) -> Build:
        __tracebackhide__ = True
        return self._build(evolve(build.settings, **changes), build.cache_after)

    def ci(
        self,
        *,
        config_vars: Mapping[str, str] | None = None,
        buildpacks: Sequence[Pack] | None = None,
        expect_failure: bool = False,
    ) -> TestResult:
        """Run the app's tests as Heroku CI does: test-compile, then test (contract.md 2.10).

        Raises:
            UnexpectedOutcomeError: They failed, or could not be run, or did not fail; with the transcript.
        """
        __tracebackhide__ = True
        evidence = Evidence()
        self.bench.heard.append(evidence)
        settings = self._settings(config_vars, buildpacks)
        builder = self._builder(settings, evidence, self.bench.fresh("cache"), self.sandbox)
        status, output, why = 1, "", ""
        failure: SlugkitError | None = None
        try:
            run = builder.test(self.directory)
            status, output = run.status, run.output
        except SlugkitError as error:
            failure, status, why = error, getattr(error, "status", None) or 1, in_short(error)
        result = TestResult(status, evidence.transcript, parse_tap(output))
        if result.failed is not expect_failure or isinstance(failure, NOT_THE_PACKS):
            verb = "failed" if result.failed else "were to fail and did not"
            raise UnexpectedOutcomeError(f"the tests {verb}{why}", result.output)
        findings = self._findings(evidence, None, settings) if self.checks else ()
        if findings:
            raise ContractError(findings, result.output)
        return result

    def close(self) -> None:
        """Stop the dynos and remove all directories; again is fine."""
        self.bench.close()

    def _settings(
        self, config_vars: Mapping[str, str] | None, buildpacks: Sequence[Pack] | None, **more: bool | str
    ) -> Settings:
        packs = (self.buildpack,) if buildpacks is None else tuple(buildpacks)
        return Settings(dict(config_vars or {}), packs, **more)

    def _build(self, settings: Settings, cache: Path | None) -> Build:
        __tracebackhide__ = True
        build = self.try_build(settings, cache)
        self.builds.append(build)
        if not as_expected(build.error, settings.expect_failure):
            verb = "failed" if build.failed else "was to fail and did not"
            why = in_short(build.error) if build.error else ""
            found = "".join(f"\n  {finding}" for finding in build.findings)
            raise UnexpectedOutcomeError(f"the build {verb}{why}{found}", build.output)
        if build.findings:
            raise ContractError(build.findings, build.output)
        if self.checks and self.first is None and not build.failed and self.buildpack in settings.buildpacks:
            self.first = (settings, self.bench.copied(self.directory, "first"))
        return build

    def try_build(self, settings: Settings, cache: Path | None, alter: Alter | None = None) -> Build:
        """Build with a copy of *cache*, commands as *alter* makes them; return what came of it, whatever that is."""
        traps = Traps(self.bench.fresh("outside"))
        evidence = Evidence(traps.caught)
        self.bench.heard.append(evidence)
        sandbox = choose(self.sandbox)
        if self.checks and sandbox.name != "none" and "compile.writes-outside" not in self.waive:
            sandbox = Altered(sandbox, traps.set)
        if alter is not None:
            sandbox = Altered(sandbox, alter)
        before, after = self.bench.copied(cache, "before"), self.bench.copied(cache, "cache")
        slug, error = None, None
        builder = self._builder(settings, evidence, after.parent, sandbox)
        try:
            slug = builder.build(self.directory, self.bench.fresh("slug").with_suffix(".tgz"))
        except SlugkitError as raised:
            error = raised
        after.mkdir(exist_ok=True)
        findings: tuple[Finding, ...] = ()
        if self.checks:
            findings = self._findings(evidence, slug, settings)
        return Build(self.bench, settings, evidence, error, before, after, findings, slug, self._build_again)

    def _findings(self, evidence: Evidence, slug: Slug | None, settings: Settings) -> tuple[Finding, ...]:
        tree = self.bench.tree(slug) if slug else None
        seen = Seen(self.pack_name, self.pack_directory, evidence, tree, settings.config_vars)
        return tuple(finding for finding in check_build(seen) if finding.code not in self.waive)

    def _builder(self, settings: Settings, evidence: Evidence, cache: Path, sandbox: str | Sandbox) -> SlugBuilder:
        return SlugBuilder(
            buildpacks=settings.buildpacks,
            config_vars=settings.config_vars,
            cache_dir=cache,
            stack=self.stack,
            sandbox=sandbox,
            timeout=self.timeout,
            on_event=evidence,
            _wardens=self.bench.wardens.lent,
        )
