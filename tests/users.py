"""Run a script as root or as an ordinary user, whoever runs the tests."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import Distribution, distribution
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = os.geteuid() == 0
UID = 61000 if ROOT else os.getuid()
BECOME = ("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups") if ROOT else ()
USERS = ("root", "user") if ROOT else ("user",)


@cache
def python() -> str:
    """Return an interpreter that an ordinary user may run, new enough for slugkit."""
    for candidate in ("/usr/bin/python3", sys.executable):
        check = "import sys; sys.exit(sys.version_info < (3, 11))"
        if subprocess.run([*BECOME, candidate, "-c", check], capture_output=True, check=False).returncode == 0:
            return candidate
    raise LookupError("no interpreter >= 3.11 that an ordinary user may run")


@contextmanager
def readable_by_all(*packages: str) -> Iterator[Path]:
    """Yield a directory that everybody may enter, with copies of *packages* in its lib/."""
    place = Path(tempfile.mkdtemp(prefix="slugkit-users-", dir="/tmp"))
    try:
        place.chmod(0o755)
        for package in packages:
            spec = find_spec(package)
            assert spec is not None
            assert spec.origin is not None
            source = Path(spec.origin).parent
            shutil.copytree(source, place / "lib" / package, ignore=shutil.ignore_patterns("__pycache__"))
        _open(place)
        yield place
    finally:
        shutil.rmtree(place)


@contextmanager
def environment_for_all() -> Iterator[Path]:
    """Yield the Python of an environment that everybody may read, with copies of slugkit and of all that it needs."""
    place = Path(tempfile.mkdtemp(prefix="slugkit-users-", dir="/tmp"))
    try:
        place.chmod(0o755)
        quiet = ("--quiet", "--no-download", "--no-periodic-update", "--no-seed", "--app-data", place / "data")
        subprocess.run([sys.executable, "-m", "virtualenv", *quiet, "--python", python(), place / "env"], check=True)
        (site,) = place.glob("env/lib/python3.*/site-packages")
        for name, needed in _needed("slugkit", {}).items():
            for file in (needed.files or ()) if name != "slugkit" else ():  # it may be an editable one
                if ".." not in file.parts and file.suffix != ".pyc":
                    (site / file).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(str(file.locate()), site / file)
        slugkit = find_spec("slugkit")
        assert slugkit is not None
        assert slugkit.origin is not None
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(Path(slugkit.origin).parent, site / "slugkit", ignore=ignore, dirs_exist_ok=True)
        _open(place)
        yield place / "env/bin/python"
    finally:
        shutil.rmtree(place)


def _needed(name: str, found: dict[str, Distribution]) -> dict[str, Distribution]:
    """Return the distributions that *name* needs, itself among them, by name; *found* are those seen before."""
    found[canonicalize_name(name)] = here = distribution(name)
    for requirement in map(Requirement, here.requires or ()):
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if wanted and canonicalize_name(requirement.name) not in found:
            _needed(requirement.name, found)
    return found


def _open(place: Path) -> None:
    """Let everybody read what is in *place*, and run what its owner may run."""
    for path in place.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o111 else 0o644)


def as_user(user: str, place: Path, argv: Sequence[str | Path], timeout: float) -> "subprocess.CompletedProcess[str]":
    """Run the script *argv* as *user*, with a home of that user's below *place*."""
    home = place / f"home-{user}"
    if not home.is_dir():
        home.mkdir()
        if user == "user":
            os.chown(home, UID, -1)
    env = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "PYTHONPATH": str(place / "lib"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LC_ALL": "C.UTF-8",
    }
    become = BECOME if user == "user" else ()
    return subprocess.run(
        [*become, python(), *argv], env=env, cwd=home, capture_output=True, text=True, timeout=timeout, check=False
    )
