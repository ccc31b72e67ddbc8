"""The pytest plugin for testers of buildpacks: it needs only pytest, and loads slugkit when a test asks for it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ._exec import Wardens
    from .testing import App
    from .testing._bench import Bench

_CHECKED = pytest.StashKey[dict[object, list[Any]]]()  # findings yet to be told, by pack and stack
_PASSED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say where the buildpack under test is, and what to accept of it."""
    group = parser.getgroup("slugkit", "testing a buildpack")
    group.addoption("--buildpack", metavar="PACK", help="the one under test: a directory, git URL, archive or name")
    group.addoption("--no-contract", action="store_true", help="do not hold builds to the buildpack contract")
    parser.addini("slugkit_buildpack", "the buildpack under test, relative to the root directory (that itself)")
    parser.addini("slugkit_waive", "codes of contract findings to accept", type="args")
    parser.addini("slugkit_sandbox", "what confines builds and dynos (auto)", default="auto")
    parser.addini("slugkit_timeout", "seconds a build may take (900)", default="900")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", "waive(code, ...): accept these findings of the buildpack contract")
    config.stash[_CHECKED] = {}


@pytest.fixture
def buildpack(pytestconfig: pytest.Config) -> str | Path:
    """The buildpack under test: ``--buildpack``, else ``slugkit_buildpack``, else the root directory."""
    return _configured(pytestconfig)


@pytest.fixture
def stack() -> str:
    """What buildpacks see in $STACK; parametrise it for a matrix."""
    return "heroku-24"


@pytest.fixture(scope="session")
def _slugkit_wardens() -> Iterator["Wardens"]:
    """The programs that start what the apps of the session run: they take longer to come up than most builds take."""
    from ._exec import Wardens  # noqa: PLC0415 - as in _app

    with Wardens() as wardens:
        yield wardens


@pytest.fixture
def app(
    request: pytest.FixtureRequest,
    buildpack: Any,  # noqa: ANN401 - or an object
    stack: str,
    _slugkit_wardens: "Wardens",
) -> Iterator["App"]:
    """A source tree to fill, build, rebuild and run with the buildpack under test; gone after the test."""
    waived = {code for marker in request.node.iter_markers("waive") for code in marker.args}
    with _app(request.config, buildpack, stack, waived, _slugkit_wardens) as app:
        yield app
        _check_once(request, app)


@pytest.fixture(scope="session")
def make_app(request: pytest.FixtureRequest, _slugkit_wardens: "Wardens") -> Iterator[Callable[..., "App"]]:
    """Make apps that live as long as the session, for builds that tests share: ``make_app(buildpack, stack)``."""
    with ExitStack() as apps:

        def make(buildpack: Any = None, stack: str = "heroku-24") -> "App":  # noqa: ANN401 - or an object
            pack = _configured(request.config) if buildpack is None else buildpack
            return apps.enter_context(_app(request.config, pack, stack, set(), _slugkit_wardens))

        yield make


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show the transcripts beside a failure, but for one that the failure itself shows."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    if report.when == "call":
        item.stash[_PASSED] = report.passed
    if report.failed:
        told = getattr(call.excinfo.value, "output", None) if call.excinfo else None
        for bench in _benches(item):
            report.sections += [section for section in bench.transcripts if section[1] != told]
        crash = getattr(report.longrepr, "reprcrash", None)
        if told is not None and crash is not None:  # under CI=true pytest's summary has the whole of it, once more
            crash.message = crash.message.partition("\n")[0].rpartition("slugkit.testing._outcome.")[2]
    return report  # type: ignore[return-value]


def _configured(config: pytest.Config) -> str | Path:
    named: str | None = config.getoption("--buildpack")
    base = config.invocation_params.dir
    if named is None:
        named, base = config.getini("slugkit_buildpack") or ".", config.rootpath
    place, mark, ref = named.partition("#")
    path = (base / place).resolve()
    if not path.exists():
        return named
    return f"{path}#{ref}" if mark else path


def _app(
    config: pytest.Config,
    buildpack: Any,  # noqa: ANN401 - or an object
    stack: str,
    waived: set[str],
    wardens: "Wardens",
) -> "App":
    from .testing import CODES, App  # noqa: PLC0415 - a pytest run that tests no buildpack must not load it

    waived |= {*config.getini("slugkit_waive")}
    if unknown := waived - CODES:
        raise pytest.UsageError(f"no contract check is called {min(unknown)!r}; there are {', '.join(sorted(CODES))}")
    return App(
        buildpack,
        stack=stack,
        sandbox=config.getini("slugkit_sandbox"),
        checks=not config.getoption("--no-contract"),
        waive=waived,
        timeout=float(config.getini("slugkit_timeout")),
        _wardens=wardens,
    )


def _benches(item: pytest.Item) -> "list[Bench]":
    """Return the benches of the apps, and of the builds, that a test was given."""
    values = getattr(item, "funcargs", {}).values()
    benches: dict[int, Bench] = {}
    for value in values:
        bench: Bench | None = getattr(value, "bench", None)
        if bench is not None and hasattr(bench, "transcripts"):
            benches[id(bench)] = bench
    return list(benches.values())


def _check_once(request: pytest.FixtureRequest, app: "App") -> None:
    """Hold each pack to the checks that take several builds, once a session: with the first app that it builds well.

    Once more with the first app that has config vars. A finding is told once, by the first test that does not waive it.
    """
    from .testing import ContractError, check_buildpack  # noqa: PLC0415

    __tracebackhide__ = True
    if app.first is None or not request.node.stash.get(_PASSED, False):
        return
    checked = request.config.stash[_CHECKED]
    settings, source = app.first
    key = (app.pack_directory or (app.pack_name, type(app.buildpack)), app.stack, bool(settings.config_vars))
    if key not in checked:
        packs, vars_ = settings.buildpacks, settings.config_vars
        found = check_buildpack(
            app.buildpack, source, config_vars=vars_, buildpacks=packs, sandbox=app.sandbox, stack=app.stack
        )
        checked[key] = list(found)
    told = tuple(finding for finding in checked[key] if finding.code not in app.waive)
    if told:
        checked[key] = [finding for finding in checked[key] if finding not in told]
        raise ContractError(told, f"(found by building the app of this test again)\n\n{app.builds[0].output}")
