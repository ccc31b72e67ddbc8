"""Builds of a Python app with a warm and with no cache, against its installer alone and ``tar czf``.

Every build of ours packs an interpreter besides and makes bytecode, as pip does, and uv when it is asked to.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path

from benchmarks import _corpus
from benchmarks._pair import Row, need, pair
from slugkit import SlugBuilder
from slugkit._tree import remove_tree
from slugkit.buildpacks import PythonBuildpack
from slugkit.buildpacks.python import Installer

Install = Callable[[Path], object]


def measure(runs: int) -> list[Row]:
    """Measure an unchanged app's build, and first builds with uv and with pip-tools."""
    need(["tar", "gzip", "uv"])
    return [
        _warm(runs),
        _cold("uv", "uv pip install", _uv, runs),
        _cold("uv", "uv pip install --compile-bytecode", partial(_uv, more=("--compile-bytecode",)), runs),
        _cold("pip", "pip install", _pip, runs),
    ]


def _warm(runs: int) -> Row:
    """Both have built the app once: nothing is to be installed."""
    source, scratch = _source(), _corpus.scratch()
    builder = SlugBuilder(buildpacks=[PythonBuildpack()], cache_dir=scratch / "rebuild-cache")
    app = _copy(scratch / "rebuild-app")
    _pip(app)
    install = [str(app / ".heroku/python/bin/pip"), "install", "--quiet", "-r", str(app / "requirements.txt")]

    def theirs() -> None:
        subprocess.run(install, check=True)
        _tar(app)

    ours = ("build", lambda: builder.build(source, scratch / "rebuild.tgz"))
    return pair("rebuild", ours, ("pip install + tar czf", theirs), target=0.3, runs=runs)


def _cold(installer: Installer, peer: str, install: Install, runs: int) -> Row:
    """Neither has anything yet, but for uv where slugkit's environment has it; the last run's trees are gone."""
    source, scratch, names = _source(), _corpus.scratch() / "cold", count()
    pack = PythonBuildpack(installer=installer)

    def ours() -> None:
        here = scratch / f"{next(names)}"
        SlugBuilder(buildpacks=[pack], cache_dir=here / "cache").build(source, scratch / "ours.tgz")

    def theirs() -> None:
        app = _copy(scratch / f"{next(names)}")
        install(app)
        _tar(app)

    def clear() -> None:
        remove_tree(scratch)
        scratch.mkdir()

    sides = (f"build with {installer}", ours), (f"{peer} + tar czf", theirs)
    return pair(f"cold {installer}", *sides, target=1.0, runs=runs, before=clear)


def _source() -> Path:
    """Return an app that requires what the others are measured on."""
    return _copy(_corpus.scratch() / "source")


def _copy(app: Path) -> Path:
    app.mkdir(parents=True, exist_ok=True)
    (app / "requirements.txt").write_text("".join(f"{line}\n" for line in _corpus.REQUIREMENTS))
    (app / "app.py").write_text("print('release 1')\n")
    (app / "Procfile").write_text("web: python app.py\n")
    return app


def _pip(app: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", app / ".heroku/python"], check=True)
    pip = (app / ".heroku/python/bin/pip", "install", "--quiet", "--no-cache-dir", "--disable-pip-version-check")
    subprocess.run([*pip, "-r", app / "requirements.txt"], check=True)


def _uv(app: Path, more: Sequence[str] = ()) -> None:
    environment = app / ".heroku/python"
    subprocess.run(["uv", "venv", "--quiet", "--no-cache", "--python", sys.executable, environment], check=True)
    install = ("uv", "pip", "install", "--quiet", "--no-cache", "--python", environment)
    subprocess.run([*install, *more, "-r", app / "requirements.txt"], check=True)


def _tar(app: Path) -> None:
    subprocess.run(["tar", "czf", app.parent / "theirs.tgz", "-C", app, "."], check=True)
