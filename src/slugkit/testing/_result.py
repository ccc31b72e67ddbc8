"""What an app's build, run or tests came to, as a test asks for it."""

import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from email.message import Message
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import field, frozen

from ..archive import Slug
from ..command import Completed
from ..dyno import Dyno
from ..errors import BuildTimeoutError, CompileFailedError, InvalidBuildpackError, SlugkitError
from ._checks import Finding, profile_d
from ._evidence import Evidence, Step

if TYPE_CHECKING:
    from ._app import App, Pack, Settings


class ContractError(AssertionError):
    """A buildpack breaks the contract in ways that are not waived: ``findings``; ``output`` is the transcript."""

    def __init__(self, findings: tuple[Finding, ...], output: str) -> None:
        self.findings, self.output = findings, output
        listed = "".join(f"\n  {finding}" for finding in findings)
        codes = ", ".join(dict.fromkeys(finding.code for finding in findings))
        waive = "@pytest.mark.waive(CODE), or slugkit_waive in the configuration, accepts one"
        super().__init__(f"the buildpack breaks the contract: {codes}{listed}\n{waive}\n\n{output}")


class UnexpectedOutcomeError(AssertionError):
    """A build failed that was to succeed, or succeeded that was to fail; ``output`` is the transcript."""

    def __init__(self, what: str, output: str) -> None:
        self.output = output
        super().__init__(f"{what}\n\n{output}")


def in_short(error: SlugkitError) -> str:
    """Return what went wrong, to be said behind something: its first line and the way out."""
    hint = error.hint
    if isinstance(error, InvalidBuildpackError):  # pytest was started in a directory that is none, most likely
        hint = "pytest's --buildpack or slugkit_buildpack names the pack under test"
    if isinstance(error, CompileFailedError | BuildTimeoutError):  # that is the pack's affair
        hint = None
    return f": {str(error).partition(chr(10))[0]}" + (f"\nhint: {hint}" if hint else "")


@contextmanager
def _hinting() -> Iterator[None]:
    """Let an error of the block show its hint, which is no part of its sentence."""
    __tracebackhide__ = True
    try:
        yield
    except SlugkitError as error:
        if error.hint:
            error.add_note(f"hint: {error.hint}")
        raise


@frozen
class Response:
    """An HTTP response of a dyno; the names of ``headers`` may be spelled in any case."""

    status: int
    headers: Message
    text: str


@frozen
class WebDyno:
    """A dyno that listens; gone with the test."""

    dyno: Dyno

    def get(self, path: str = "/") -> Response:
        """Return the response to GET *path*, whatever its status; redirects are followed.

        Raises:
            UnexpectedOutcomeError: Nothing answers.
        """
        __tracebackhide__ = True
        request = urllib.request.Request(f"{self.dyno.url}/{path.removeprefix('/')}")  # noqa: S310 - http://127.0.0.1
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as response:
                return Response(response.status, response.headers, response.read().decode("utf-8", "replace"))
        except urllib.error.HTTPError as error:
            with error:
                return Response(error.code, error.headers, error.read().decode("utf-8", "replace"))
        except urllib.error.URLError as error:
            what = f"{self.dyno.name} does not answer on its $PORT: {error.reason}"
            raise UnexpectedOutcomeError(what, self.output) from None

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return "".join(f"{line.message}\n" for line in self.dyno.logs() if line.source == "app")

    def stop(self) -> None:
        """Stop it now rather than at the end of the test."""
        self.dyno.stop()


@frozen(slots=False)
class Build:
    """A build of an `App`, finished.

    ``cache_before`` and ``cache_after`` are directories: the build cache as the build found and left it.
    """

    app: "App" = field(repr=False)
    settings: "Settings" = field(repr=False)
    evidence: Evidence = field(repr=False)
    error: SlugkitError | None
    cache_before: Path = field(repr=False)
    cache_after: Path = field(repr=False)
    findings: tuple[Finding, ...]
    _slug: Slug | None = field(repr=False)

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
        return self.app.copied(self.app.unpacked(self.slug))

    @property
    def profile_d(self) -> Mapping[str, str]:
        """The files of ``.profile.d`` in the slug, by name."""
        __tracebackhide__ = True
        return profile_d(self.tree)

    def rebuild(
        self,
        *,
        config_vars: Mapping[str, str] | None = None,
        buildpacks: "Sequence[Pack] | None" = None,
        expect_failure: bool | str | None = None,
    ) -> "Build":
        """Build the app again, as it is now, with the cache that this build left, and otherwise as this one was."""
        __tracebackhide__ = True
        given = {"config_vars": config_vars, "buildpacks": buildpacks, "expect_failure": expect_failure}
        return self.app.build_again(self, {name: value for name, value in given.items() if value is not None})

    def run(self, command: str, *, config_vars: Mapping[str, str] | None = None) -> Completed:
        """Run *command*, a shell line or a process type, in a one-off dyno; its ``status`` and ``output``.

        The output is made of log lines: it ends with a newline, whether the command wrote one or not.
        """
        __tracebackhide__ = True
        with _hinting():
            done = self.app.runner.run(self.slug, command, config_vars=self._vars(config_vars))
        self.app.runs.append((f"slugkit run: {command} -> status {done.status}", done.output))
        return done

    def start(self, process_type: str = "web", *, config_vars: Mapping[str, str] | None = None) -> WebDyno:
        """Start a dyno of *process_type*, wait until it is up, and return it.

        Raises:
            UnknownProcessTypeError: The slug has none of that name.
            DynoCrashedError, BootTimeoutError: It did not come up; with its last lines.
        """
        __tracebackhide__ = True
        with _hinting():
            web = WebDyno(self.app.runner.start(self.slug, process_type, config_vars=self._vars(config_vars)))
            self.app.dynos.append(web)
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
