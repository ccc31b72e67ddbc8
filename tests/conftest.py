"""What every test gets: caches of its own, and a skip that counts as a failure where nothing may be missing."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from slugkit.buildpacks.python import _tools
from slugkit.sandbox import Namespaces

collect_ignore = ["apps", "attackers"]  # apps and scripts that run in dynos
IN_CI = os.environ.get("CI") == "true"
for _signal, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_signal) == signal.SIG_IGN:  # nohup and a shell's & do so, and whatever is started inherits it
        signal.signal(_signal, _handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Iterator[None]:
    """Turn a skip into a failure under CI=true: there, whatever a test needs has to be installed."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: skipped under CI=true: {report.longrepr}"
    return report  # type: ignore[return-value]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the caches of the user who runs the tests out of them."""
    cache = tmp_path_factory.mktemp("xdg-cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    return cache / "slugkit"


@pytest.fixture(scope="session")
def sandboxed() -> None:
    """Skip where namespaces do not work, and say why."""
    reason = Namespaces().check()
    if reason is not None:
        pytest.skip(f"namespaces do not work here: {reason}")


@pytest.fixture
def no_tools_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have slugkit's own environment hold no uv, Poetry or Pipenv, whatever is installed where the tests run."""
    monkeypatch.setattr(_tools, "_is_beside", lambda *_: False)
