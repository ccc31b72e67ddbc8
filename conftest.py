"""Run the code of README.md and docs/ as tests: what a reader copies works."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from sybil import Example, Sybil
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser

ROOT = Path(__file__).parent


def run_shell(example: Example) -> None:
    """Run a ``bash`` block as a reader would: in the page's own directory, with slugkit on PATH."""
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "CHECKOUT": str(ROOT)}
    done = subprocess.run(  # noqa: S603 - our own documentation
        ["bash", "-euo", "pipefail", "-c", example.parsed],  # noqa: S607 - the bash of whoever reads it
        check=False,
        capture_output=True,
        text=True,
        env=env,
    )
    if done.returncode != 0:
        raise AssertionError(f"status {done.returncode}\n{done.stdout}\n{done.stderr}")


def setup(namespace: dict[str, Any]) -> None:
    """Give each page an empty directory, with the examples beside it, and caches of its own."""
    home = Path(mkdtemp(prefix="slugkit-docs-"))
    shutil.copytree(ROOT / "examples", home / "examples")
    namespace["_back"], namespace["_home"] = Path.cwd(), home
    namespace["_cache"] = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(home / "cache")
    os.chdir(home)


def teardown(namespace: dict[str, Any]) -> None:
    """Remove the page's directory."""
    os.chdir(namespace["_back"])
    if namespace["_cache"] is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = namespace["_cache"]
    shutil.rmtree(namespace["_home"])


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), CodeBlockParser(language="bash", evaluator=run_shell)],
    patterns=["README.md", "docs/**/*.md"],
    excludes=["docs/_build/**"],
    setup=setup,
    teardown=teardown,
).pytest()
