"""The Python buildpack: virtualenv makes the environment, the app's manager fills it, and it works at any path."""

import os
from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from ..._tree import read_beneath
from ...environ import pick
from .._contract import BuildContext, Detection, NotDetected, ReleaseDefaults
from ._detect import REASON, check_source, sign_of_python
from ._install import create
from ._interpreters import HOST_VARS, Interpreter, choose_interpreter
from ._job import Installer, Job, Runtime
from ._key import cache_key
from ._managers import choose_manager
from ._version import Wanted, wanted_version

__all__ = ["Installer", "PythonBuildpack", "Runtime"]

_HERE = Path(__file__).parent
_LAST = "python-version"  # in the cache: what the last build had


def _host_env() -> dict[str, str]:
    return pick(os.environ, HOST_VARS)


@frozen
class PythonBuildpack:
    """Install what requirements.txt, uv.lock, poetry.lock or Pipfile.lock lists.

    ``runtime="vendored"`` puts the interpreter into the slug, which then needs a compatible C library only;
    ``"stack"`` leaves it on the host, and the manifest says which one. ``installer="uv"`` installs a requirements.txt
    with uv instead of pip. ``host_env`` says where interpreters are found (PATH, PYENV_ROOT, SLUGKIT_PYTHONS, ...).
    """

    runtime: Runtime = "vendored"
    name: str = "python"
    installer: Installer = "pip"
    host_env: Mapping[str, str] = field(factory=_host_env, repr=False)

    def detect(self, context: BuildContext) -> Detection | NotDetected:
        """Claim an app with any sign of Python in its root (contract.md 8.2)."""
        return Detection("Python") if sign_of_python(context.build_dir) else NotDetected(REASON)

    def compile(self, context: BuildContext) -> None:
        """Make ``.heroku/python`` and ``.profile.d``; an unchanged environment comes from the cache."""
        self._compile(context)

    def release(self, context: BuildContext) -> ReleaseDefaults:
        """Name the interpreter that the slug needs of its host, if it does."""
        if self.runtime == "vendored":
            return ReleaseDefaults()
        return ReleaseDefaults(interpreter=str(self._python(context)[1].prefix))

    def _compile(self, context: BuildContext, *, tests: bool = False) -> None:
        check_source(context.build_dir)
        manager = choose_manager(context.build_dir)
        wanted, python = self._python(context)
        _tell(context, wanted, python)
        run = context.run.showing(python.prefix)
        job = Job(context, self.runtime, self.installer, manager, python, run, tests)
        _environment(job)
        job.inside("app")
        job.inside("profile", _HERE / "profile.d")
        job.inside("remember", job.cache(_LAST), python.short)

    def _python(self, context: BuildContext) -> tuple[Wanted, Interpreter]:
        last = (read_beneath(context.cache_dir, _LAST, 20) or b"").decode("ascii", "replace")
        wanted = wanted_version(context.build_dir, last or None)
        return wanted, choose_interpreter(wanted, self.host_env, shown_to_dynos=self.runtime == "stack")


def _environment(job: Job) -> None:
    """Bring the environment back from the cache while what it depends on is the same; else make it anew."""
    key = cache_key(job)
    if key is not None and job.inside("restore", job.cache("python"), key, check=False) == 0:
        job.context.say("-----> Restoring the environment from the cache: the requirements are unchanged")
        return
    create(job)
    job.context.say("-----> Making the environment relocatable")
    job.inside("finish", job.runtime)
    if key is not None:
        job.inside("save", job.cache("python"), key)


def _tell(context: BuildContext, wanted: Wanted, python: Interpreter) -> None:
    if not wanted.source:
        context.say(f"-----> No Python version was specified. Using the one that runs slugkit: Python {python.version}")
    elif wanted.source == "the last build":
        context.say(f"-----> No Python version was specified. Using that of the last build: Python {python.version}")
    else:
        context.say(f"-----> Using Python {python.version} specified in {wanted.source}")
    if wanted.deprecated:
        say = f"runtime.txt is deprecated: remove it, and write {wanted.said} to .python-version instead"
        context.say(f" !     Warning: {say}")
