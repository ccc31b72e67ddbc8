"""Run a script as root or as an ordinary user, whoever runs the tests."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path

ROOT = os.geteuid() == 0
# One for each worker of a test run: how many processes a user may have is counted over all of that user's.
UID = 61000 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) if ROOT else os.getuid()
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
        for path in place.rglob("*"):
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o111 else 0o644)
        yield place
    finally:
        shutil.rmtree(place)


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
