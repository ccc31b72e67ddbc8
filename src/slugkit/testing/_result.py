"""What an app's build or tests came to, as a test asks for it."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

from attrs import field, frozen

from ..archive import Slug
from ..buildpacks import Buildpack
from ..command import Completed
from ..errors import SlugkitError
from ._bench import Bench
from ._checks import Finding, profile_d
from ._evidence import Evidence, Step
from ._outcome import UnexpectedOutcomeError, hinting
from ._web import WebDyno

Pack = str | PathLike[str] | Buildpack


@frozen
class Settings:
    """What a build is made with, besides the app."""

    config_vars: Mapping[str, str] = field(factory=dict, repr=False)
    buildpacks: Sequence[Pack] = ()
    expect_failure: bool | str = False


@frozen(slots=False)
class Build:
    """A build of an `App`, finished.

    ``cache_before`` and ``cache_after`` are directories: the build cache as the build found and left it.
    """

    bench: Bench = field(repr=False)
    settings: Settings = field(repr=False)
    evidence: Evidence = field(repr=False)
    error: SlugkitError | None
    cache_before: Path = field(repr=False)
    cache_after: Path = field(repr=False)
    findings: tuple[Finding, ...]
    _slug: Slug | None = field(repr=False)
    _again: "Callable[[Build, Mapping[str, Any]], Build]" = field(repr=False)

    @property
    def output(self) -> str:
        """The transcript, as ``git push heroku`` shows it."""
        return self.evidence.transcript

    @property
    def failed(self) -> bool:
        """Whether it ended without a slug; ``error`` says why."""
        return self.error is not None

    @property
    def steps(self) -> tuple[Step, ...]:
        """Each step of each buildpack, in the order they ran."""
        return tuple(self.evidence.steps)

    @property
    def slug(self) -> Slug:
        """The slug.

        Raises:
            UnexpectedOutcomeError: There is none.
        """
        __tracebackhide__ = True
        if self._slug is None:
            raise UnexpectedOutcomeError("the build failed, so there is no slug", self.output)
        return self._slug

    @property
    def process_types(self) -> Mapping[str, str]:
        """Commands by process type: the packs' defaults overlaid by the Procfile."""
        __tracebackhide__ = True
        return self.slug.process_types

    @property
    def export(self) -> Mapping[str, str | None]:
        """What the packs' ``export`` files change for later packs, together; None takes a variable away."""
        return {name: value for _, changes in self.evidence.exports for name, value in changes.items()}

    @property
    def report(self) -> Mapping[str, str | int | float | bool]:
        """What the packs' bin/report printed, together."""
        return {name: value for _, facts in self.evidence.reports for name, value in facts.items()}

    @cached_property
    def tree(self) -> Path:
        """The slug's app, unpacked: a copy of the test's own."""
        __tracebackhide__ = True
        return self.bench.copied(self.bench.tree(self.slug), "tree")

    @property
    def profile_d(self) -> Mapping[str, str]:
        """The files of ``.profile.d`` in the slug, by name."""
        __tracebackhide__ = True
        return profile_d(self.tree)

    def rebuild(
        self,
        *,
        config_vars: Mapping[str, str] | None = None,
        buildpacks: Sequence[Pack] | None = None,
        expect_failure: bool | str | None = None,
    ) -> "Build":
        """Build the app again, as it is now, with the cache that this build left, and otherwise as this one was."""
        __tracebackhide__ = True
        given = {"config_vars": config_vars, "buildpacks": buildpacks, "expect_failure": expect_failure}
        return self._again(self, {name: value for name, value in given.items() if value is not None})

    def run(self, command: str, *, config_vars: Mapping[str, str] | None = None) -> Completed:
        """Run *command*, a shell line or a process type, in a one-off dyno; its ``status`` and ``output``.

        The output is made of log lines: it ends with a newline, whether the command wrote one or not.
        """
        __tracebackhide__ = True
        with hinting():
            done = self.bench.runner.run(self.slug, command, config_vars=self._vars(config_vars))
        self.bench.runs.append((f"slugkit run: {command} -> status {done.status}", done.output))
        return done

    def start(self, process_type: str = "web", *, config_vars: Mapping[str, str] | None = None) -> WebDyno:
        """Start a dyno of *process_type*, wait until it is up, and return it.

        Raises:
            UnknownProcessTypeError: The slug has none of that name.
            DynoCrashedError, BootTimeoutError: It did not come up; with its last lines.
        """
        __tracebackhide__ = True
        with hinting():
            web = WebDyno(self.bench.runner.start(self.slug, process_type, config_vars=self._vars(config_vars)))
            self.bench.dynos.append(web)
            web.dyno.wait_up()
        return web

    def _vars(self, config_vars: Mapping[str, str] | None) -> Mapping[str, str]:
        return self.settings.config_vars if config_vars is None else config_vars


@frozen
class TestResult:
    """What came of an app's tests in Heroku CI's way; ``output`` is the whole transcript."""

    __test__ = False  # not one of pytest's, whatever its name

    status: int
    output: str
    tests: tuple[tuple[bool, str], ...]
    """What TAP there was: whether each test passed (or is to do, or was skipped), and its description."""

    @property
    def failed(self) -> bool:
        """Whether the tests failed, or could not be prepared."""
        return self.status != 0
