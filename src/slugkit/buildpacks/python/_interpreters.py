"""The interpreters of this machine: the one that runs slugkit, then those that python-discovery finds."""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import frozen

from ...errors import BuildpackError
from ...logline import harmless
from ._version import OLDEST, Wanted

#: The host variables that say where interpreters are; `SLUGKIT_PYTHONS` lists programs and directories, ``:`` between.
HOST_VARS = ("HOME", "PATH", "PYENV_ROOT", "SLUGKIT_PYTHONS", "UV_PYTHON_INSTALL_DIR", "XDG_DATA_HOME")
_SUPPORTED = "cpython>=" + ".".join(map(str, OLDEST))


@frozen
class Interpreter:
    """A CPython of this machine: its version, its program and its prefix, of no virtual environment."""

    version: str
    executable: Path
    prefix: Path

    @property
    def short(self) -> str:
        """Its version as ``N.N``."""
        return ".".join(self.version.split(".")[:2])


def running() -> Interpreter:
    """Return the interpreter that runs slugkit."""
    version = ".".join(map(str, sys.version_info[:3]))
    return Interpreter(version, Path(os.path.realpath(sys.executable)), Path(sys.base_prefix))


def choose_interpreter(wanted: Wanted, host: Mapping[str, str], *, shown_to_dynos: bool = False) -> Interpreter:
    """Return the interpreter for what is *wanted*: the one that runs slugkit if it will do, else the first that does.

    *host* are the `HOST_VARS` there are. *shown_to_dynos*: only one that dynos see, which is one in /usr or our own.

    Raises:
        BuildpackError: There is none; names those there are.
    """
    for range_ in wanted.ranges:
        if _within(range_, running().version):
            return running()
        found = (i for i in interpreters(host, range_) if not shown_to_dynos or i.prefix.is_relative_to("/usr"))
        chosen = next(found, None)
        if chosen is not None:
            return chosen
    raise _not_here(wanted, host, shown_to_dynos=shown_to_dynos)


def interpreters(host: Mapping[str, str], range_: str = "") -> Iterator[Interpreter]:
    """Yield the interpreters of this machine in *range_*: of SLUGKIT_PYTHONS, pyenv, PATH and uv, in this order."""
    from python_discovery import iter_interpreters  # noqa: PLC0415 - for apps that want another Python only

    first = [*_listed(host), *_pyenv(host, range_)]
    for info in iter_interpreters(_SUPPORTED, first, env=host):
        version = ".".join(map(str, info.version_info[:3]))
        final = info.version_info.releaselevel == "final" and not info.free_threaded
        if final and info.system_executable and _within(range_, version):
            executable = Path(os.path.realpath(info.system_executable))
            yield Interpreter(version, executable, Path(info.system_prefix))


def _listed(host: Mapping[str, str]) -> list[str]:
    """Return the programs that SLUGKIT_PYTHONS names; of a directory, those in it or in its bin/."""
    paths = [Path(entry) for entry in host.get("SLUGKIT_PYTHONS", "").split(os.pathsep) if entry]
    return [str(program) for path in paths for program in (_programs(path) if path.is_dir() else [path])]


def _programs(directory: Path) -> list[Path]:
    found = [path for where in (directory, directory / "bin") for path in where.glob("python3.*")]
    return sorted(path for path in found if re.fullmatch(r"python3\.\d+", path.name))


def _pyenv(host: Mapping[str, str], range_: str) -> list[str]:
    """Return pyenv's programs, newest first, without asking those whose directory already says another version."""
    root = host.get("PYENV_ROOT") or (f"{host['HOME']}/.pyenv" if host.get("HOME") else "")
    versions = [path for path in Path(root, "versions").glob("3.*") if root and re.fullmatch(r"\d+(\.\d+)+", path.name)]
    fitting = (path for path in versions if _within(range_, path.name))
    return [str(path / "bin/python3") for path in sorted(fitting, key=lambda path: _numbers(path.name), reverse=True)]


def _within(range_: str, version: str) -> bool:
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415 - 15 ms that no other pack needs

    return SpecifierSet(range_).contains(version, prereleases=True)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _not_here(wanted: Wanted, host: Mapping[str, str], *, shown_to_dynos: bool) -> BuildpackError:
    here = {running().version, *(interpreter.version for interpreter in interpreters(host))}
    listed = ", ".join(sorted(here, key=_numbers))
    reason = f"{wanted.source} asks for Python {harmless(wanted.said):.100}, and this machine has {listed}"
    if shown_to_dynos:
        reason += '; with runtime="stack" only those in /usr count, and the one that runs slugkit'
    return BuildpackError(reason, f"change {wanted.source}, or name where that Python is in SLUGKIT_PYTHONS")
