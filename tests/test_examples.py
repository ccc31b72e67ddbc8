"""Every example app is built for real, booted and asked over HTTP, as its expect.toml says."""

import http.client
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import tomli

from slugkit.archive import Slug
from slugkit.build import SlugBuilder
from slugkit.dyno import Dyno, DynoRunner
from slugkit.events import BuildpackDetected

EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/expect.toml"))


def _get(dyno: Dyno, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", dyno.port, timeout=20)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_there_are_examples() -> None:
    """The examples that the docs name are here, so that the test below cannot pass by finding none."""
    assert set(NAMES) >= {"django", "express", "flask", "procfile-only", "sinatra", "static"}


@pytest.mark.network
@pytest.mark.usefixtures("sandboxed")
@pytest.mark.parametrize("name", NAMES)
def test_example(name: str, tmp_path: Path) -> None:
    """The example builds from the real package index, boots in a read-only dyno and answers as expected."""
    expect = tomli.loads((EXAMPLES / name / "expect.toml").read_text())
    detected = []
    builder = SlugBuilder(
        cache_dir=tmp_path / "cache",
        on_event=lambda e: detected.append(e.name) if isinstance(e, BuildpackDetected) else None,
    )
    source = EXAMPLES / name
    if "prepare" in expect:
        source = Path(shutil.copytree(source, tmp_path / name))
        subprocess.run(expect["prepare"], cwd=source, check=True, capture_output=True)
    slug = builder.build(source, tmp_path / "app.slug.tgz")

    assert detected == [expect["buildpack"]]
    assert list(slug.process_types) == expect["process_types"]
    with DynoRunner(store=tmp_path / "store", boot_timeout=120) as runner:
        _check(runner, slug, expect)


def _check(runner: DynoRunner, slug: Slug, expect: dict[str, Any]) -> None:
    config_vars = expect.get("config_vars", {})
    web = runner.start(slug, "web", config_vars=config_vars)
    web.wait_up()
    for http_check in expect["http"]:
        status, body = _get(web, http_check["path"])
        assert status == http_check.get("status", 200), body
        assert http_check.get("contains", "") in body
    for run in expect["run"]:
        done = runner.run(slug, run["command"], config_vars=config_vars)
        assert done.status == run.get("status", 0), done.output
        assert run["contains"] in done.output
    for start in expect.get("start", ()):
        _check_log(runner.start(slug, start["process_type"], config_vars=config_vars), start["log"])


def _check_log(dyno: Dyno, text: str) -> None:
    dyno.wait_up()
    deadline = time.monotonic() + 20
    while not any(text in line.message for line in dyno.logs() if line.source == "app"):
        assert time.monotonic() < deadline, dyno.logs()
        time.sleep(0.01)
