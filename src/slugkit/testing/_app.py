"""A small app that is built, rebuilt, run and tested with the buildpack under test; nothing of it is left behind."""

import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from attrs import define, evolve, field, frozen

from .._tree import copy_tree, remove_tree
from ..archive import Slug
from ..build import SlugBuilder
from ..buildpacks import Buildpack, is_left_out, parse_origin
from ..dyno import DynoRunner
from ..errors import SlugkitError
from ..sandbox import Sandbox, choose
from . import _edit
from ._checks import Finding, Seen, check_build
from ._evidence import Evidence
from ._expected import NOT_THE_PACKS, as_expected, parse_tap
from ._result import Build, ContractError, TestResult, UnexpectedOutcomeError, WebDyno, in_short
from ._sandboxes import Alter, Altered, Traps

Pack = str | PathLike[str] | Buildpack


@frozen
class Settings:
    """What a build is made with, besides the app."""

    config_vars: Mapping[str, str] = field(factory=dict, repr=False)
    buildpacks: Sequence[Pack] = ()
    expect_failure: bool | str = False


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
    builds: list[Build] = field(factory=list, init=False, repr=False)
    runs: list[tuple[str, str]] = field(factory=list, init=False, repr=False)
    _heard: list[Evidence] = field(factory=list, init=False, repr=False)
    dynos: list[WebDyno] = field(factory=list, init=False, repr=False)
    first: "tuple[Settings, Path] | None" = field(default=None, init=False, repr=False)
    """How the first good build with the pack under test was made, and a copy of its source."""
    _home: Path = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        """Make the directories: the source, and beside it what no build may see."""
        self._home = Path(tempfile.mkdtemp(prefix="slugkit-app-"))
        self._home.chmod(0o755)  # a dyno's own user looks at what is unpacked below
        self.directory.mkdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def directory(self) -> Path:
        """The source tree, to be edited in place."""
        return self._home / "app"

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
            copy = _copied(None, self._fresh("pack") / directory.name)
            copy_tree(directory, copy, skip=is_left_out(directory))
            self.buildpack = copy
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
        packs = (self.buildpack,) if buildpacks is None else tuple(buildpacks)
        return self._build(Settings(dict(config_vars or {}), packs, expect_failure), None)

    def build_again(self, build: Build, changes: Mapping[str, Any]) -> Build:
        """Do what `Build.rebuild` says; *changes* of its settings."""
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
        self._heard.append(evidence)
        packs = (self.buildpack,) if buildpacks is None else tuple(buildpacks)
        settings = Settings(dict(config_vars or {}), packs)
        builder = self._builder(settings, evidence, self._fresh("cache"), self.sandbox)
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

    @property
    def transcripts(self) -> Iterator[tuple[str, str]]:
        """What its builds (``ci`` is one too) and its dynos printed, each under a title."""
        for number, evidence in enumerate(self._heard, start=1):
            yield f"slugkit build {number}", evidence.transcript
        yield from self.runs
        for web in self.dynos:
            yield f"slugkit {web.dyno.name}", web.output

    def unpacked(self, slug: Slug) -> Path:
        """Return a directory with the app's files of *slug*, made when it is first asked for."""
        tree = self._home / "trees" / slug.diff_id.replace(":", "-")
        if not tree.is_dir():
            tree.parent.mkdir(exist_ok=True)
            slug.unpack(tree)
        return tree

    def copied(self, tree: Path) -> Path:
        """Return a copy of *tree* that nothing else uses."""
        return _copied(tree, self._fresh("tree"))

    def tree(self, slug: Slug) -> Path:
        """Be the `SlugStore` of the app's dynos: without the syncs of one that is to survive a power cut."""
        return self.unpacked(slug)

    @cached_property
    def runner(self) -> DynoRunner:
        """The runner of the app's dynos."""
        return DynoRunner(store=self, sandbox=self.sandbox, grace=5.0)

    def close(self) -> None:
        """Stop the dynos and remove all directories; again is fine."""
        if "runner" in self.__dict__:
            self.runner.close()
        remove_tree(self._home)

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
            self.first = (settings, _copied(self.directory, self._fresh("first")))
        return build

    def try_build(self, settings: Settings, cache: Path | None, alter: Alter | None = None) -> Build:
        """Build with a copy of *cache*, commands as *alter* makes them; return what came of it, whatever that is."""
        traps = Traps(self._fresh("outside"))
        evidence = Evidence(traps.caught)
        self._heard.append(evidence)
        sandbox = choose(self.sandbox)
        if self.checks and sandbox.name != "none" and "compile.writes-outside" not in self.waive:
            sandbox = Altered(sandbox, traps.set)
        if alter is not None:
            sandbox = Altered(sandbox, alter)
        before, app_cache = self._fresh("before"), self._fresh("cache")
        _copied(cache, before)
        _copied(cache, app_cache / "cache")
        slug, error = None, None
        builder = self._builder(settings, evidence, app_cache, sandbox)
        try:
            slug = builder.build(self.directory, self._fresh("slug").with_suffix(".tgz"))
        except SlugkitError as raised:
            error = raised
        (app_cache / "cache").mkdir(exist_ok=True, parents=True)
        findings: tuple[Finding, ...] = ()
        if self.checks:
            findings = self._findings(evidence, slug, settings)
        return Build(self, settings, evidence, error, before, app_cache / "cache", findings, slug)

    def _findings(self, evidence: Evidence, slug: Slug | None, settings: Settings) -> tuple[Finding, ...]:
        tree = self.unpacked(slug) if slug else None
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
        )

    def _fresh(self, name: str) -> Path:
        """Return a path of that name that no other build of this app has."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._home)) / name


def _copied(source: Path | None, target: Path) -> Path:
    """Make *target* a copy of *source*, or empty, and return it."""
    target.mkdir(parents=True)
    if source is not None:
        copy_tree(source, target)
    return target
