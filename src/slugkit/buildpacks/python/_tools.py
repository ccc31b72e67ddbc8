"""The programs that install packages, each at one version, in a virtual environment of its own in the build cache."""

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..._tree import read_beneath
from ._interpreters import Interpreter, running
from ._job import Job

_PINNED = {"uv": "0.13.9", "Poetry": "2.5.1", "Pipenv": "2026.10.3"}


def version_of(name: str) -> str:
    """Return the version of the tool *name* that is used: pip-tools as slugkit has it, the others as pinned here."""
    return _PINNED.get(name) or version(name)


def tool_bin(job: Job, name: str, python: Interpreter | None = None) -> Path:
    """Return the ``bin`` of the tool *name*, which is installed if the cache has it not: never into the app.

    It runs on *python*; None for the interpreter that runs slugkit, which may have that version in its environment.
    """
    python = python or running()
    release = version_of(name)
    if python == running() and _is_beside(name, release):
        return Path(sys.prefix, "bin")
    kind = f"{release}-{python.version}"
    home = job.data / "tools" / name.lower()
    directory = home / kind
    if read_beneath(job.context.tmp, f"{job.data.name}/tools/{name.lower()}/{kind}/pyvenv.cfg", 1) is None:
        job.context.say(f"-----> Installing {name} {release}")
        job.run(["/bin/rm", "-rf", home])  # what there is of it is of another version
        job.virtualenv(directory, python, "--no-seed")
        install = ("install", "--quiet", "--no-compile", f"{name.lower()}=={release}")
        job.own("-m", "pip", "--python", directory / "bin/python", *install)
    return directory / "bin"


def _is_beside(name: str, release: str) -> bool:
    """Return whether the environment of slugkit has the tool *name*, at that version."""
    try:
        return version(name) == release and Path(sys.prefix, "bin", name.lower()).is_file()
    except PackageNotFoundError:
        return False
