"""The Python buildpack: virtualenv makes the environment, the app's manager fills it, and it works at any path."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from attrs import field, frozen

from ..._tree import read_beneath
from ...environ import pick
from ...errors import BuildpackError
from .._contract import BuildContext, Detection, NotDetected, ReleaseDefaults
from ._detect import REASON, check_source, sign_of_python
from ._hooks import collect_static, download_nltk, has_package, run_hook
from ._install import create
from ._interpreters import HOST_VARS, Interpreter, choose_interpreter
from ._job import ENV, Installer, Job, Runtime
from ._key import cache_key
from ._lists import check_lists
from ._managers import choose_manager
from ._version import Wanted, wanted_version

__all__ = ["Installer", "PythonBuildpack", "Runtime"]

_HERE = Path(__file__).parent
_LAST = "python-version"  # in the cache: what the last build had
_MANAGERS = "managers.tar"  # there, too: their programs and downloads, one file of thousands that each build copies
_NOTES = "slugkit-python"  # in the build's /tmp: what the steps tell of themselves
# What a later pack's commands are told, as they would spell it; $1 is BUILD_DIR.
_EXPORT = 'printf "%s\\n" "$1/$2/bin:$PATH" "${PYTHONPATH:-$1}"'


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
        sign = sign_of_python(context.build_dir)
        return Detection("Python", sign) if sign else NotDetected(REASON)

    def compile(self, context: BuildContext) -> None:
        """Make ``.heroku/python`` and ``.profile.d``; an unchanged environment comes from the cache."""
        self._compile(context)

    def export(self, context: BuildContext) -> Mapping[str, str | None]:
        """Put the app's Python first on the PATH of later packs, and its modules on PYTHONPATH (contract.md 2.6).

        Not PYTHONHOME, which Heroku's pack has besides: this Python finds itself, and another one would not.
        """
        argv = ("/bin/sh", "-c", _EXPORT, "sh", context.build_dir, ENV)
        path, modules = context.run(argv, capture=True, show="no").output.splitlines()
        return {"PATH": path, "PYTHONPATH": modules, "PYTHONUNBUFFERED": "1"}

    def release(self, context: BuildContext) -> ReleaseDefaults:
        """Name the interpreter that the slug needs of its host, if it does."""
        interpreter = str(self._python(context)[1].prefix) if self.runtime == "stack" else None
        return ReleaseDefaults(addons=_addons(context), interpreter=interpreter)

    def report(self, context: BuildContext) -> Mapping[str, str | int | float | bool]:
        """Return what is known of the compile, also after a failure: names and values as Heroku's pack has them.

        ``package_manager``, ``python_version``, ``python_version_origin``, ``cache_status`` (empty, reused, discarded).
        """
        facts: dict[str, str | int | float | bool] = {}
        with suppress(BuildpackError):
            facts["package_manager"] = choose_manager(context.build_dir).name.lower()
            facts["python_version_origin"] = wanted_version(context.build_dir).source or "default"
        noted = (read_beneath(context.tmp, _NOTES) or b"").decode("utf-8", "replace")
        return facts | dict(line.split("=", 1) for line in noted.splitlines() if "=" in line)

    def test_compile(self, context: BuildContext) -> None:
        """Do as compile does, with what the tests need: requirements-test.txt, or the manager's own groups for it."""
        self._compile(context, tests=True)

    def test(self, context: BuildContext) -> None:
        """Run nothing: app.json says how a Python app is tested (contract.md 2.10)."""

    def _compile(self, context: BuildContext, *, tests: bool = False) -> None:
        check_source(context.build_dir)
        run_hook(context, "pre_compile")
        check_source(context.build_dir)
        manager = choose_manager(context.build_dir)
        if manager.name == "pip":
            check_lists(context.build_dir, manager.file)
        wanted, python = self._python(context)
        _tell(context, wanted, python)
        run = context.run.showing(python.prefix)
        job = Job(context, self.runtime, self.installer, manager, python, run, tests)
        _environment(job)
        collect_static(job)
        job.inside("profile", _HERE / "profile.d")
        run_hook(context, "post_compile")
        job.inside("app", context.tmp / _NOTES, job.cache(_LAST), python.short)

    def _python(self, context: BuildContext) -> tuple[Wanted, Interpreter]:
        last = (read_beneath(context.cache_dir, _LAST, 20) or b"").decode("ascii", "replace")
        wanted = wanted_version(context.build_dir, last or None)
        return wanted, choose_interpreter(wanted, self.host_env, shown_to_dynos=self.runtime == "stack")


def _environment(job: Job) -> None:
    """Bring the environment back from the cache while what it depends on is the same; else make it anew."""
    key = cache_key(job)
    notes = job.context.tmp / _NOTES
    if key is not None and job.inside("restore", notes, job.cache("python"), key, check=False) == 0:
        job.context.say("-----> Restoring the environment from the cache: the requirements are unchanged")
        return
    job.inside("bring", job.cache(_MANAGERS), job.data)
    create(job)
    download_nltk(job)
    job.context.say("-----> Making the environment relocatable")
    job.inside("finish", job.runtime)
    job.inside("keep", job.cache(_MANAGERS), job.data)
    if key is not None:
        job.inside("save", job.cache("python"), key)


def _addons(context: BuildContext) -> tuple[str, ...]:
    """Return the database that Heroku gives a Django app with psycopg2 (contract.md 8.3)."""
    version = (read_beneath(context.cache_dir, _LAST, 20) or b"").decode("ascii", "replace")
    django = all(has_package(context.build_dir, version, name) for name in ("django", "psycopg2"))
    has_manage = read_beneath(context.build_dir, "manage.py", 1) is not None
    return ("heroku-postgresql",) if django and has_manage else ()


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
