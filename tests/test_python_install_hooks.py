"""What a package that is installed runs - its build backend, its .pth lines - writes only where a build may."""

import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from in_tree import hooked_package
from slugkit.archive import Slug
from slugkit.testing import write_tree
from users import environment_for_all

pytestmark = pytest.mark.usefixtures("sandboxed")

LEVELS = ["namespaces", "landlock"]
PROJECT = '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.11"\n'
UV_LOCK = """\
version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "app"
version = "1"
source = { virtual = "." }
dependencies = [{ name = "hook" }]

[package.metadata]
requires-dist = [{ name = "hook", directory = "hook" }]

[[package]]
name = "hook"
version = "1"
source = { directory = "hook" }
"""
POETRY_LOCK = """\
[[package]]
name = "hook"
version = "1"
description = ""
optional = false
python-versions = "*"
groups = ["main"]
files = []
develop = false

[package.source]
type = "directory"
url = "hook"

[metadata]
lock-version = "2.1"
python-versions = ">=3.11"
content-hash = "66d917fccd35ef5c32173d39cfdb89720089baa488ca935b5913110de881a9fa"
"""
PIPFILE = """\
[[source]]
name = "pypi"
url = "https://pypi.org/simple"
verify_ssl = true

[packages]
hook = {path = "./hook"}
"""
PIPFILE_LOCK = """\
{
    "_meta": {
        "hash": {"sha256": "d11170166a18f463e6ef1cf5e828f4b4059def98a7430de46a15f79da21e69a5"},
        "pipfile-spec": 6,
        "requires": {},
        "sources": [{"name": "pypi", "url": "https://pypi.org/simple", "verify_ssl": true}]
    },
    "default": {"hook": {"path": "./hook"}},
    "develop": {}
}
"""
APPS = {
    "uv": {
        "pyproject.toml": f'{PROJECT}dependencies = ["hook"]\n[tool.uv.sources]\nhook = {{ path = "hook" }}\n',
        "uv.lock": UV_LOCK,
    },
    "poetry": {
        "pyproject.toml": f'{PROJECT}[tool.poetry]\npackage-mode = false\ndependencies.hook.path = "hook"\n',
        "poetry.lock": POETRY_LOCK,
    },
    "pipenv": {"Pipfile": PIPFILE, "Pipfile.lock": PIPFILE_LOCK},
}
BUILD = """
import sys
from slugkit import SlugBuilder
from slugkit.buildpacks import PythonBuildpack
source, cache, output, level, installer = sys.argv[1:]
pack = PythonBuildpack(runtime="stack", installer=installer)
SlugBuilder(buildpacks=[pack], cache_dir=cache, sandbox=level).build(source, output)
"""


@pytest.fixture(scope="module")
def python() -> Iterator[Path]:
    """Return a Python with slugkit that every user can read: at level confined a build needs one."""
    with environment_for_all() as found:
        found.parents[1].chmod(0o777)
        yield found


@pytest.fixture
def place() -> Iterator[Path]:
    """Return a directory that everybody may enter."""
    made = Path(tempfile.mkdtemp(prefix="slugkit-hooks-", dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def check(python: Path, place: Path, app: dict[str, str], turn: str, level: str, installer: str = "pip") -> None:
    """Build *app* with a hooked package; at *turn* and at each start it tried everything, and the host has none of it.

    Every user may write to those directories, but for the host's own: only the sandbox is in the way.
    """
    mark = f"escaped-{uuid.uuid4().hex}"
    directories = [place / name for name in ("app", "cache", "outside")]
    for directory in directories:
        directory.mkdir()
        directory.chmod(0o777)
    shared = [Path("/tmp"), Path("/dev/shm"), Path("/var/tmp")]
    homes = [python.parents[1], Path.home(), Path("/usr/local/lib"), Path("/etc"), Path("/")]
    targets = [directory / mark for directory in (*directories, *shared, *homes)]
    write_tree(place / "app", {**app, **hooked_package(targets, "hook/")})
    try:
        argv: list[str | Path] = [python, "-I", "-c", BUILD, *directories[:2], place / "o.tgz", level, installer]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert [target for target in targets if target.exists()] == []
    finally:
        for target in targets:
            target.unlink(missing_ok=True)
    attempts = _attempts(Slug.open(place / "o.tgz"), place / "slug")
    assert {(t, str(p)) for t in (turn, "start") for p in targets} <= {attempt[:2] for attempt in attempts}
    private = {str(path / mark) for path in shared[:2]} if level == "namespaces" else set()
    assert {target for _, target, answer in attempts if answer == "written"} == private


def _attempts(slug: Slug, place: Path) -> set[tuple[str, ...]]:
    slug.unpack(place)
    logs = [path.read_text().splitlines() for path in place.rglob("attempts.txt")]
    return {tuple(line.split("\t")) for log in logs for line in log}


@pytest.mark.parametrize(
    ("level", "requirement", "turn"),
    [("namespaces", "./hook", "build_wheel"), ("landlock", "-e ./hook", "build_editable")],
)
def test_a_build_backend_writes_only_where_a_build_may(
    python: Path, place: Path, level: str, requirement: str, turn: str
) -> None:
    """With pip, neither a local package's backend nor its .pth line reaches the host, isolated or confined."""
    check(python, place, {"requirements.txt": f"{requirement}\n"}, turn, level)


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("manager", ["uv pip", "uv", "poetry", "pipenv"])
def test_with_each_manager(python: Path, place: Path, manager: str, level: str) -> None:
    """With each other manager, too."""
    if manager == "uv pip":
        check(python, place, {"requirements.txt": "./hook\n"}, "build_wheel", level, "uv")
    else:
        check(python, place, APPS[manager], "build_wheel", level)
