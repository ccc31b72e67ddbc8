"""Which buildpacks take part in a build, and their turns: detect, compile, export, pack by pack; release; report."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from attrs import define, evolve, frozen

from .. import _log
from .._version import __version__
from ..buildpacks import (
    LAST_RESORTS,
    BuildContext,
    Buildpack,
    Detection,
    Exporting,
    NotDetected,
    Offering,
    ReleaseDefaults,
    Reporting,
    Runtime,
    detectable,
)
from ..environ import check_config_vars
from ..errors import (
    BuildpackError,
    CommandFailedError,
    CompileFailedError,
    IncompatibleBuildpackError,
    NoBuildpackError,
    SlugkitError,
)
from ..events import (
    BuildEvent,
    BuildpackDetected,
    BuildpackExported,
    BuildpackReported,
    ReleaseUnread,
    SeveralBuildpacksDetected,
    StepEnded,
    StepStarted,
)
from ..slug import BuildpackRecord, check_process_types
from ._commands import SandboxRunner

Emit = Callable[[BuildEvent], None]
_REPORT_TIME = 10.0  # seconds, also when the build's own time is up


Taken = list[tuple[Buildpack, Detection]]
#: What each buildpack, by its name, says of an app; in the order in which they are asked.
Answers = tuple[tuple[str, Detection | NotDetected], ...]
_LAST = {pack.name for pack in LAST_RESORTS}


@frozen
class Packs:
    """The buildpacks of a build and what each is given; none asked for means that one is to be detected."""

    asked_for: tuple[Buildpack, ...]
    runtime: Runtime
    context: BuildContext
    runner: SandboxRunner
    emit: Emit

    def first(self) -> tuple[Buildpack, Detection]:
        """Return the first buildpack that applies: of those asked for, or of those detection tries (contract.md 2.5).

        Raises:
            IncompatibleBuildpackError: The first one asked for does not apply.
            NoBuildpackError: None that detection tries does.
        """
        if self.asked_for:
            return self.asked_for[0], self._applies(self.asked_for[0], self.context)
        tried = [(pack, self._detect(pack, self.context)) for pack in detectable(self.runtime)]
        found = [(pack, answer) for pack, answer in tried if isinstance(answer, Detection)]
        for pack in () if found else LAST_RESORTS:
            answer = self._detect(pack, self.context)
            tried.append((pack, answer))
            if isinstance(answer, Detection):
                return pack, answer
        if not found:
            noes = ((pack, answer) for pack, answer in tried if not isinstance(answer, Detection))
            raise NoBuildpackError(tuple((pack.name, no.reason or "it does not apply") for pack, no in noes))
        if len(found) > 1:
            self.emit(SeveralBuildpacksDetected(tuple(detection.name for _, detection in found)))
        return found[0]

    def answers(self) -> Answers:
        """Return what each buildpack says of the source, the last resorts too, whoever has claimed it before."""
        packs = self.asked_for or (*detectable(self.runtime), *LAST_RESORTS)
        answers = tuple((pack.name, self._detect(pack, self.context)) for pack in packs)
        found = [answer.name for name, answer in answers if isinstance(answer, Detection) and name not in _LAST]
        if len(found) > 1 and not self.asked_for:
            self.emit(SeveralBuildpacksDetected(tuple(found)))
        return answers

    def run(self) -> tuple[tuple[BuildpackRecord, ...], ReleaseDefaults]:
        """Detect and compile each pack before the next is asked, then release and report (contract.md 2.6, 2.9).

        Of the packs that say anything of releases the last one counts.

        Raises:
            IncompatibleBuildpackError, NoBuildpackError: As `first`; and for a later pack, after all that work.
            CompileFailedError: One of them failed.
        """
        taken: Taken = []
        try:
            self.prepare("compile", _compile, taken)
            answers = [self._release(pack, detection) for pack, detection in taken]
        except SlugkitError:
            self._report(taken)
            raise
        self._report(taken)
        defaults = next((answer for answer in reversed(answers) if answer is not None), ReleaseDefaults())
        return tuple(_record(pack, detection) for pack, detection in taken), defaults

    def prepare(self, step: str, do: Callable[[Buildpack, BuildContext], None], taken: Taken) -> None:
        """Detect each pack, *do* its *step*, and hand what it exports to the packs after it.

        Each pack that detects the app joins *taken*, also when its step then fails.
        """
        context, runner = self.context, self.runner
        first = self.first()
        for pack in (first[0], *self.asked_for[1:]):
            detection = self._applies(pack, context) if taken else first[1]
            self.emit(BuildpackDetected(pack.name, detection.name))
            taken.append((pack, detection))
            with self.step(pack, step), compiling(pack, detection):
                do(pack, context)
            runner = runner.exporting(self._exports(pack, detection, context))
            context = evolve(context, run=runner)

    def _applies(self, pack: Buildpack, context: BuildContext) -> Detection:
        answer = self._detect(pack, context)
        if isinstance(answer, Detection):
            return answer
        raise IncompatibleBuildpackError(pack.name, answer.reason)

    def _detect(self, pack: Buildpack, context: BuildContext) -> Detection | NotDetected:
        with self.step(pack, "detect") as step:
            answer = pack.detect(context)
            if not isinstance(answer, Detection | NotDetected):
                raise BuildpackError(f"{pack.name}.detect returned {answer!r}, neither Detection nor NotDetected")
            step.status = 0 if isinstance(answer, Detection) else 1
        return answer

    def _exports(self, pack: Buildpack, detection: Detection, context: BuildContext) -> Mapping[str, str | None]:
        """Return what *pack* changes in the environment of the packs after it (contract.md 2.6)."""
        if not isinstance(pack, Exporting) or not offers(pack, "export", context):
            return {}
        with self.step(pack, "export"), compiling(pack, detection):
            changes = pack.export(context)
        if changes:
            self.emit(BuildpackExported(pack.name, changes))
        return changes

    def _release(self, pack: Buildpack, detection: Detection) -> ReleaseDefaults | None:
        if not offers(pack, "release", self.context):
            return None
        with self.step(pack, "release"), compiling(pack, detection):
            defaults = pack.release(self.context)
            if defaults is not None:
                if defaults.unread:
                    self.emit(ReleaseUnread(pack.name, defaults.unread))
                check_process_types(defaults.process_types)
                check_config_vars(defaults.config_vars)
        return defaults

    def _report(self, taken: Taken) -> None:
        """Tell what the packs report; whatever goes wrong with that is nobody's concern (contract.md 2.9)."""
        context = evolve(self.context, run=self.runner.extended(_REPORT_TIME))
        for pack, _ in taken:
            if not isinstance(pack, Reporting) or not offers(pack, "report", context):
                continue
            try:
                with self.step(pack, "report"):
                    facts = pack.report(context)
                    if not all(map(_is_flat, facts.values())):
                        raise BuildpackError("a report is flat: text, numbers, true and false")
            except Exception as error:  # noqa: BLE001 - never fatal
                _log.debug("a buildpack's report failed", buildpack=pack.name, error=repr(error))
            else:
                self.emit(BuildpackReported(pack.name, facts))

    @contextmanager
    def step(self, pack: Buildpack, name: str) -> Iterator["Step"]:
        """Tell when a step of *pack* starts and ends, with its exit status: 1 for a failure that has none."""
        under_way, started = Step(), time.monotonic()
        self.emit(StepStarted(pack.name, name))
        try:
            yield under_way
        except BaseException as error:
            under_way.status, under_way.error = _status(error), str(error)
            raise
        finally:
            self.emit(
                StepEnded(pack.name, name, under_way.status, round(time.monotonic() - started, 4), under_way.error)
            )


@define
class Step:
    """A step under way, and the status it is about to end with."""

    status: int = 0
    error: str = ""


def offers(pack: Buildpack, step: str, context: BuildContext) -> bool:
    """Return whether *pack* does anything in *step*: a classic one may have no script for it."""
    return not isinstance(pack, Offering) or pack.offers(step, context)


def _is_flat(fact: object) -> bool:
    return isinstance(fact, str | int | bool) or (isinstance(fact, float) and math.isfinite(fact))


def _compile(pack: Buildpack, context: BuildContext) -> None:
    pack.compile(context)


def _status(error: BaseException) -> int:
    return error.status if isinstance(error, CommandFailedError | CompileFailedError) else 1


@contextmanager
def compiling(pack: Buildpack, detection: Detection) -> Iterator[None]:
    """Say a failure of the block as what it is to the caller: the app could not be compiled."""
    app = detection.name or pack.name
    try:
        yield
    except CommandFailedError as error:
        raise CompileFailedError(app, error.status, error.last_lines) from error
    except BuildpackError as error:
        raise CompileFailedError(app, 1, (error.reason,), fix=error.fix) from error
    except ValueError as error:
        raise CompileFailedError(app, 1, (str(error),)) from error


def _record(pack: Buildpack, detection: Detection) -> BuildpackRecord:
    module = type(pack).__module__
    ours = module.startswith("slugkit.buildpacks")
    version = getattr(pack, "version", __version__ if ours else "unknown")
    source = getattr(pack, "source", "builtin" if ours else f"python:{module}")
    return BuildpackRecord(pack.name, str(version), str(source), detection.name)
