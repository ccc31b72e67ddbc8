"""One compile of a Python app as a value: what it is given, what was chosen for it, and how its commands are run."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from attrs import frozen

from ...command import Runner
from ...environ import for_build
from .._contract import BuildContext
from .._steps import step_argv
from ._interpreters import Interpreter, running
from ._managers import Manager

Runtime = Literal["vendored", "stack"]
Installer = Literal["pip", "uv"]

ENV = ".heroku/python"
LOCK = ".heroku/requirements.lock"

# What keeps two builds of the same tree the same, and pip quiet.
SETTINGS = {
    "LANG": "C.UTF-8",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PIP_PROGRESS_BAR": "off",
    "PIP_ROOT_USER_ACTION": "ignore",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
    "SOURCE_DATE_EPOCH": "315532800",
}


@frozen
class Job:
    """A compile under way. Its ``run`` shows the chosen interpreter to commands."""

    context: BuildContext
    runtime: Runtime
    installer: Installer
    manager: Manager
    python: Interpreter
    run: Runner
    tests: bool = False

    @property
    def env_dir(self) -> Path:
        """The app's environment, as the host sees it."""
        return self.context.build_dir / ENV

    def cache(self, name: str) -> Path:
        """Return where the cache keeps *name*."""
        return self.context.cache_dir / name

    @property
    def data(self) -> Path:
        """What the package managers keep from build to build, while one installs."""
        return self.context.tmp / "managers"

    def own(self, *arguments: str | Path) -> None:
        """Run the Python of slugkit's environment, where virtualenv and pip-tools are."""
        self.tool([Path(sys.executable), "-P", *arguments])

    def tool(self, argv: Sequence[str | Path], env: Mapping[str, str | Path] | None = None) -> None:
        """Run a program that installs packages: it has the harmless config vars, and its downloads are kept.

        Those written in Python are run with ``-P`` and without PYTHONPATH: an app's modules are not theirs.
        """
        given = {n: v for n, v in for_build(self.context.config_vars).items() if n != "PYTHONPATH"}
        kept = {"PIP_CACHE_DIR": self.data / "pip", "PIP_SRC": self.env_dir / "src"}
        self.run(argv, env={**given, **SETTINGS, **kept, **(env or {})})

    def inside(self, *arguments: str | Path, check: bool = True) -> int:
        """Run one step of `_inside` in the sandbox: the tree is the app's, its links lead anywhere."""
        argv = step_argv("python", *arguments, python=self.python.executable)
        return self.run(argv, env=SETTINGS, check=check).status

    def virtualenv(self, directory: Path, python: Interpreter, *options: str) -> None:
        """Make a virtual environment of *python* with virtualenv.

        Its own data is not kept: each build would copy a thousand files, and it needs them when it installs only.
        """
        quiet = ("--no-download", "--no-periodic-update", "--no-vcs-ignore", "--quiet")
        which = () if python == running() else ("--python", python.executable)
        data = ("--app-data", self.context.tmp / "virtualenv")
        self.own("-m", "virtualenv", *quiet, *options, *which, *data, directory)

    @property
    def is_running(self) -> bool:
        """Whether the app's interpreter is the one that runs slugkit."""
        return os.path.realpath(self.python.executable) == os.path.realpath(sys.executable)
