"""What an app promises in its expect.toml, asked of its dynos. Any user may run it: nothing but slugkit is needed."""

import http.client
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slugkit.archive import Slug
from slugkit.dyno import Dyno, DynoRunner

Expected = Mapping[str, Any]
PATIENCE = 20  # seconds


def read(app: Path) -> Expected:
    """Return what the expect.toml of *app* says.

    ``buildpack``, ``process_types``, ``config_vars``; ``http``: each a path, with the method, headers, body, status and
    words of the answer where they are others; ``run``: a command, its status, words of its output; ``start``: a
    process type and words of its log.
    """
    return tomllib.loads((app / "expect.toml").read_text())


def check(runner: DynoRunner, slug: Slug, expected: Expected, config_vars: Mapping[str, str] | None = None) -> None:
    """Hold dynos of *slug* to all that is *expected*; *config_vars* beside its own."""
    chosen = {**(config_vars or {}), **expected.get("config_vars", {})}
    check_web(runner, slug, expected, config_vars)
    for run in expected.get("run", ()):
        done = runner.run(slug, run["command"], config_vars=chosen)
        assert done.status == run.get("status", 0), done.output
        assert run["contains"] in done.output, done.output
    for start in expected.get("start", ()):
        _check_log(runner.start(slug, start["process_type"], config_vars=chosen), start["log"])


def check_web(runner: DynoRunner, slug: Slug, expected: Expected, config_vars: Mapping[str, str] | None = None) -> None:
    """Start a web dyno and hold its answers to what is *expected*."""
    web = runner.start(slug, "web", config_vars={**(config_vars or {}), **expected.get("config_vars", {})})
    web.wait_up()
    for asked in expected["http"]:
        status, body = answer(web, asked)
        assert status == asked.get("status", 200), (asked, body, web.logs())
        assert asked.get("contains", "") in body, (asked, body, web.logs())


def answer(web: Dyno, asked: Expected) -> tuple[int, str]:
    """Return the status and the body that *web* answers."""
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=PATIENCE)
    try:
        body = asked.get("body")
        connection.request(asked.get("method", "GET"), asked["path"], body and body.encode(), asked.get("headers", {}))
        response = connection.getresponse()
        return response.status, response.read().decode("utf-8", "replace")
    finally:
        connection.close()


def _check_log(dyno: Dyno, text: str) -> None:
    dyno.wait_up()
    deadline = time.monotonic() + PATIENCE
    while not any(text in line.message for line in dyno.logs() if line.source == "app"):
        assert time.monotonic() < deadline, dyno.logs()
        time.sleep(0.01)
