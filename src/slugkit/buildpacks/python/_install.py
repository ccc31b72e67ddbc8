"""How each package manager fills the app's environment (contract.md 8.3)."""

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from ._job import LOCK, Job
from ._lists import read_list
from ._tools import tool_bin

_COMPILED = re.compile(r"^#.*\b(pip-compile|uv pip compile)\b|^(?:[^#\n]*\s)?--hash=", re.MULTILINE)
_TESTS = "requirements-test.txt"


def create(job: Job) -> None:
    """Make the app's environment: virtualenv makes it, the app's package manager fills it."""
    job.context.say(f"-----> Creating a virtual environment for {job.manager.file}")
    seeds = () if job.manager.name == "pip" else ("--no-seed",)
    job.virtualenv(job.env_dir, job.python, "--copies" if job.runtime == "vendored" else "--symlinks", *seeds)
    _INSTALL[job.manager.name](job)


def _pip(job: Job) -> None:
    """Resolve to a full list of pins what is none yet, and install that."""
    name = job.manager.file
    resolve, install = (_uv_compile, _uv_install) if job.installer == "uv" else (_pip_compile, _pip_sync)
    tests = (_TESTS,) if job.tests and read_list(job.context.build_dir, _TESTS) is not None else ()
    lock = name
    if not _COMPILED.search(read_list(job.context.build_dir, name) or "") or tests:
        tool = "uv pip compile" if job.installer == "uv" else "pip-compile"
        job.context.say(f"-----> Resolving {' and '.join((name, *tests))} with {tool}")
        lock = LOCK
        resolve(job, (name, *tests))
    job.context.say(f"-----> Installing {lock} with {'uv' if job.installer == 'uv' else 'pip-sync'}")
    install(job, lock)


def _piptools_python(job: Job) -> Path:
    """Return a Python of the app's version that has pip-tools: what to install depends on who asks."""
    return Path(sys.executable) if job.is_running else tool_bin(job, "pip-tools", job.python) / "python"


def _pip_compile(job: Job, names: tuple[str, ...]) -> None:
    """Resolve to a list in the slug, for the record; made of the requirements alone."""
    options: tuple[str | Path, ...] = (
        *("--quiet", "--no-header", "--no-annotate", "--strip-extras", "--allow-unsafe", "--no-config"),
        *("--no-emit-index-url", "--no-emit-trusted-host", "--no-emit-find-links"),
        *("--resolver", "backtracking", "--cache-dir", job.data / "pip-tools"),
        *("--output-file", job.context.build_dir / LOCK),
    )
    job.tool([_piptools_python(job), "-P", "-m", "piptools", "compile", *options, *names])


def _pip_sync(job: Job, lock: str) -> None:
    options = ("--no-config", "--python-executable", job.env_dir / "bin/python", "--pip-args", "--no-compile")
    job.tool([_piptools_python(job), "-P", "-m", "piptools", "sync", *options, lock])


def _uv_compile(job: Job, names: tuple[str, ...]) -> None:
    options: tuple[str | Path, ...] = (
        *("--quiet", "--no-header", "--no-annotate", "--strip-extras"),
        *("--python", job.env_dir / "bin/python", "--output-file", job.context.build_dir / LOCK),
    )
    job.tool([tool_bin(job, "uv") / "uv", "pip", "compile", *options, *names], _uv_env(job))


def _uv_install(job: Job, lock: str) -> None:
    options: tuple[str | Path, ...] = ("--python", job.env_dir / "bin/python", "--strict")
    job.tool([tool_bin(job, "uv") / "uv", "pip", "install", *options, "-r", lock], _uv_env(job))


def _uv_env(job: Job) -> dict[str, str | Path]:
    """Return what makes uv do as pip does: pip's indexes, all of them of the same rank; no download of a Python."""
    indexes = {"PIP_INDEX_URL": "UV_DEFAULT_INDEX", "PIP_EXTRA_INDEX_URL": "UV_INDEX"}
    config_vars = job.context.config_vars
    return {
        **{uv: config_vars[pip] for pip, uv in indexes.items() if pip in config_vars and uv not in config_vars},
        "UV_CACHE_DIR": job.data / "uv",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }


def _uv(job: Job) -> None:
    program = tool_bin(job, "uv") / "uv"
    job.context.say("-----> Installing uv.lock with uv sync")
    groups = () if job.tests else ("--no-default-groups",)
    env = _uv_env(job)
    del env["UV_INDEX_STRATEGY"]  # the lock file says where from
    env |= {"UV_PROJECT_ENVIRONMENT": job.env_dir, "UV_PYTHON": job.env_dir / "bin/python"}
    job.tool([program, "sync", "--locked", *groups], env)


def _poetry(job: Job) -> None:
    program = tool_bin(job, "Poetry") / "python"
    job.context.say("-----> Installing poetry.lock with poetry sync")
    groups = () if job.tests else ("--only", "main")
    env: Mapping[str, str | Path] = {
        "NO_COLOR": "1",
        "POETRY_CACHE_DIR": job.data / "poetry",
        "POETRY_KEYRING_ENABLED": "false",
        "POETRY_NO_INTERACTION": "1",
        "VIRTUAL_ENV": job.env_dir,
    }
    job.tool([program, "-P", "-m", "poetry", "sync", *groups], env)


def _pipenv(job: Job) -> None:
    program = tool_bin(job, "Pipenv") / "python"
    job.context.say("-----> Installing Pipfile.lock with pipenv install --deploy")
    env: Mapping[str, str | Path] = {
        "NO_COLOR": "1",
        "PIPENV_CACHE_DIR": job.data / "pipenv",
        "PIPENV_NOSPIN": "1",
        "PIPENV_VERBOSITY": "-1",  # no word about the environment it is to use
        "PIP_NO_COMPILE": "1",
        "VIRTUAL_ENV": job.env_dir,
    }
    job.tool([program, "-P", "-m", "pipenv", "install", "--deploy", *(("--dev",) if job.tests else ())], env)


_INSTALL: dict[str, Callable[[Job], None]] = {"pip": _pip, "uv": _uv, "Poetry": _poetry, "Pipenv": _pipenv}
