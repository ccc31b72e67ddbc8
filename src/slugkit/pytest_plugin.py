"""The pytest plugin for testers of buildpacks: it needs only pytest, and loads slugkit when a test asks for it."""

from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .testing import App

_CHECKED = pytest.StashKey[set[Hashable]]()
_APP = pytest.StashKey["App"]()
_PASSED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say where the buildpack under test is, and what to accept of it."""
    group = parser.getgroup("slugkit", "testing a buildpack")
    group.addoption(
        "--buildpack", metavar="PACK", help="the buildpack under test: a directory, git URL, archive or name"
    )
    group.addoption("--no-contract", action="store_true", help="do not hold builds to the buildpack contract")
    parser.addini(
        "slugkit_buildpack", "the buildpack under test, relative to the root directory (default: that itself)"
    )
    parser.addini("slugkit_waive", "codes of contract findings to accept", type="args")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", "waive(code, ...): accept these findings of the buildpack contract")
    config.stash[_CHECKED] = set()


@pytest.fixture
def buildpack(pytestconfig: pytest.Config) -> str | Path:
    """The buildpack under test: ``--buildpack``, else ``slugkit_buildpack``, else the root directory."""
    named: str | None = pytestconfig.getoption("--buildpack")
    base = pytestconfig.invocation_params.dir
    if named is None:
        named, base = pytestconfig.getini("slugkit_buildpack") or ".", pytestconfig.rootpath
    path = base / named
    return path.resolve() if path.exists() else named


@pytest.fixture
def stack() -> str:
    """What buildpacks see in $STACK; parametrise it for a matrix."""
    return "heroku-24"


@pytest.fixture
def app(request: pytest.FixtureRequest, buildpack: str | Path, stack: str) -> Iterator["App"]:
    """A source tree to fill, build, rebuild and run with the buildpack under test; gone after the test."""
    from .testing import App  # noqa: PLC0415 - a pytest run that tests no buildpack must not load it

    waived = {*request.config.getini("slugkit_waive")}
    for marker in request.node.iter_markers("waive"):
        waived |= set(marker.args)
    with App(buildpack, stack=stack, checks=not request.config.getoption("--no-contract"), waive=waived) as app:
        request.node.stash[_APP] = app
        yield app
        _check_once(request, app)


def _check_once(request: pytest.FixtureRequest, app: "App") -> None:
    """Hold each pack to the checks that take several builds, once a session: with the first app that it builds well."""
    from .testing import ContractError, check_buildpack  # noqa: PLC0415

    if app.first is None or not request.node.stash.get(_PASSED, False):
        return
    key = (app.pack_directory or id(app.buildpack), frozenset(app.waive))
    if key in request.config.stash[_CHECKED]:
        return
    request.config.stash[_CHECKED].add(key)
    settings, source = app.first
    findings = check_buildpack(
        app.buildpack,
        source,
        config_vars=settings.config_vars,
        buildpacks=settings.buildpacks,
        waive=app.waive,
        sandbox=app.sandbox,
        stack=app.stack,
    )
    if findings:
        raise ContractError(findings, app.builds[0].output)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show the transcripts beside a failure, but for one that the failure itself shows."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    if report.when == "call":
        item.stash[_PASSED] = report.passed
    app = item.stash.get(_APP, None)
    if app is not None and report.failed:
        told = getattr(call.excinfo.value, "output", None) if call.excinfo else None
        report.sections += [section for section in app.transcripts if section[1] != told]
        crash = getattr(report.longrepr, "reprcrash", None)
        if told is not None and crash is not None:  # under CI=true pytest's summary has the whole of it, once more
            crash.message = crash.message.partition("\n")[0]
    return report  # type: ignore[return-value]
