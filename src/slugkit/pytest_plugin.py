"""The pytest plugin for testers of buildpacks: it needs only pytest, and loads slugkit when a test asks for it."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .testing import App

_CHECKED = pytest.StashKey[set[str]]()
_APP = pytest.StashKey["App"]()


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
    directory = base / named
    return directory.resolve() if directory.is_dir() else named


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
    """Hold each pack to the checks that take several builds, once a session: with the first app that it builds."""
    from .testing import ContractError  # noqa: PLC0415
    from .testing._rebuilds import check_app  # noqa: PLC0415

    checked = request.config.stash[_CHECKED]
    build = next((build for build in app.builds if not build.failed), None)
    if not app.checks or build is None or app.pack_name in checked:
        return
    checked.add(app.pack_name)
    findings = check_app(app, build.settings)
    if findings:
        raise ContractError(findings, build.output)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the transcript of each build beside a failure."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    app = item.stash.get(_APP, None)
    if app is not None and report.failed:
        for number, build in enumerate(app.builds, start=1):
            report.sections.append((f"slugkit build {number}", build.output))
    return report  # type: ignore[return-value]
