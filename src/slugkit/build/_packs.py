"""Which buildpacks take part in a build, and their turns: detect, compile, release, one pack after the other."""

from collections.abc import Callable, Sequence

from attrs import frozen

from .._version import __version__
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
from ..environ import check_config_vars
from ..errors import (
    BuildpackError,
    CommandFailedError,
    CompileFailedError,
    IncompatibleBuildpackError,
    NoBuildpackError,
)
from ..events import BuildEvent, BuildpackDetected, SeveralBuildpacksDetected
from ..slug import BuildpackRecord, check_process_types

Emit = Callable[[BuildEvent], None]


@frozen
class Packs:
    """The buildpacks a builder was given, in order; none means that one is to be detected."""

    asked_for: tuple[Buildpack, ...]
    runtime: Runtime
    emit: Emit

    @classmethod
    def of(cls, buildpacks: Sequence[str | Buildpack] | None, runtime: Runtime, emit: Emit) -> "Packs":
        """Return the packs that *buildpacks* names or is.

        Raises:
            UnknownBuildpackError: One of them does not exist here.
        """
        return cls(tuple(find(one, runtime) for one in buildpacks or ()), runtime, emit)

    def first(self, context: BuildContext) -> tuple[Buildpack, Detection]:
        """Return the first buildpack that applies: of those asked for, or of the built-in ones (contract.md 2.5).

        Raises:
            IncompatibleBuildpackError: The first one asked for does not apply.
            NoBuildpackError: None of the built-in ones does.
        """
        if self.asked_for:
            return self.asked_for[0], _applies(self.asked_for[0], context)
        tried = [(pack, pack.detect(context)) for pack in builtin(self.runtime)]
        found = [(pack, answer) for pack, answer in tried if isinstance(answer, Detection)]
        if not found:
            tried.append((LAST_RESORT, LAST_RESORT.detect(context)))
            found = [(pack, answer) for pack, answer in tried if isinstance(answer, Detection)]
        if not found:
            raise NoBuildpackError(tuple((p.name, no.reason) for p, no in tried if not isinstance(no, Detection)))
        if len(found) > 1:
            self.emit(SeveralBuildpacksDetected(tuple(detection.name for _, detection in found)))
        return found[0]

    def run(self, context: BuildContext) -> tuple[tuple[BuildpackRecord, ...], ReleaseDefaults]:
        """Detect and compile each pack before the next is asked (contract.md 2.6); the last one's defaults count.

        Raises:
            IncompatibleBuildpackError, NoBuildpackError: As `first`.
            CompileFailedError: One of them failed.
        """
        first, detection = self.first(context)
        records: list[BuildpackRecord] = []
        for pack in (first, *self.asked_for[1:]):
            if records:
                detection = _applies(pack, context)
            self.emit(BuildpackDetected(pack.name, detection.name))
            defaults = _compiled(pack, detection, context)
            records.append(_record(pack, detection))
        return tuple(records), defaults


def _record(pack: Buildpack, detection: Detection) -> BuildpackRecord:
    module = type(pack).__module__
    if module.startswith("slugkit.buildpacks"):
        return BuildpackRecord(pack.name, __version__, "builtin", detection.name)
    return BuildpackRecord(pack.name, str(getattr(pack, "version", "unknown")), f"python:{module}", detection.name)


def _applies(pack: Buildpack, context: BuildContext) -> Detection:
    answer = pack.detect(context)
    if isinstance(answer, Detection):
        return answer
    raise IncompatibleBuildpackError(pack.name, answer.reason)


def _compiled(pack: Buildpack, detection: Detection, context: BuildContext) -> ReleaseDefaults:
    try:
        pack.compile(context)
        defaults = pack.release(context)
        check_process_types(defaults.process_types)
        check_config_vars(defaults.config_vars)
    except ValueError as error:
        raise CompileFailedError(detection.name, 1, (str(error),)) from error
    except CommandFailedError as error:
        raise CompileFailedError(detection.name, error.status, error.last_lines) from error
    except BuildpackError as error:
        raise CompileFailedError(detection.name, 1, (error.reason,), fix=error.fix) from error
    return defaults
