"""Real Python apps, ten of each manager and framework: built from the real index, and booted wherever a slug may be."""

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen

import expectations
from expectations import Expected
from slugkit.archive import Slug
from slugkit.build import SlugBuilder
from slugkit.dyno import DynoRunner
from slugkit.events import BuildEvent, BuildpackDetected
from slugkit.store import DirectoryStore
from users import as_user, readable_by_all

APPS = Path(__file__).parent / "apps/python"
NAMES = sorted(path.parent.name for path in APPS.glob("*/expect.toml"))
FRAMEWORKS = ("django", "fastapi", "flask", "wsgi")  # with a requirements.txt, or a requirements.in
MANAGERS = ("pipenv", "poetry", "uv")
ONE_WORKER = {"WEB_CONCURRENCY": "1"}  # as many as there are cores would take longer and show nothing more
AS_USER = """
import json, os, sys
import slugkit
from expectations import check_web
slug = slugkit.Slug.open(sys.argv[1])
with slugkit.DynoRunner(store="store", boot_timeout=120) as runner:
    check_web(runner, slug, *json.loads(sys.argv[2]))
print(os.getuid())
"""


def kind(name: str) -> str:
    """Return what *name* is an app of: the first word of it."""
    return name.partition("-")[0]


def test_there_are_ten_of_each() -> None:
    """Each framework with pip, and each other manager, has ten apps: the tests below cannot pass by finding none."""
    counts = Counter(map(kind, NAMES))

    assert set(counts) == {*FRAMEWORKS, *MANAGERS}
    assert min(counts.values()) >= 10


@frozen
class App:
    """An app that was built: what is expected of it, and a directory that is gone after its last test."""

    expected: Expected
    slug: Slug
    directory: Path


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each class its apps, one after another: an app is built once, and removed before the next."""
    if metafunc.cls is not None:
        metafunc.parametrize("app", metafunc.cls.names, indirect=True, scope="class")


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where each kind of app has a build cache: what one has downloaded, the next has not to."""
    return tmp_path_factory.mktemp("python-apps")


@pytest.fixture(scope="class")
def app(request: pytest.FixtureRequest, caches: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """Build the app and hold the build to what is expected of it."""
    source = APPS / request.param
    expected = expectations.read(source)
    events: list[BuildEvent] = []
    builder = SlugBuilder(cache_dir=caches / kind(request.param), on_event=events.append)
    with tempfile.TemporaryDirectory(dir=tmp_path_factory.getbasetemp()) as directory:
        slug = builder.build(source, f"{directory}/app.slug.tgz")

        assert [event.name for event in events if isinstance(event, BuildpackDetected)] == [expected["buildpack"]]
        assert list(slug.process_types) == expected["process_types"]
        assert list(slug.manifest.addons) == expected.get("addons", [])
        yield App(expected, slug, Path(directory))


class Matrix:
    """What holds for every app."""

    def test_at_app(self, app: App) -> None:
        """Isolated, at /app, read-only: it answers, and its commands and other processes do what they are for."""
        with DynoRunner(store=app.directory / "store", sandbox="namespaces", boot_timeout=120) as runner:
            expectations.check(runner, app.slug, app.expected, ONE_WORKER)

    def test_confined(self, app: App) -> None:
        """Confined, at the host's own paths: it answers."""
        with DynoRunner(store=app.directory / "store", sandbox="landlock", boot_timeout=120) as runner:
            expectations.check_web(runner, app.slug, app.expected, ONE_WORKER)

    def test_elsewhere(self, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
        """Moved, at a path with blanks, it answers; where it could write to itself, it adds and changes nothing."""
        place = app.directory / "some where else"
        place.mkdir()
        os.link(app.slug.path, place / "moved.slug.tgz")
        slug = Slug.open(place / "moved.slug.tgz")
        monkeypatch.setattr(tempfile, "tempdir", str(place))  # where dynos live that no sandbox moves to /app
        with DynoRunner(store=place / "store", sandbox="none", boot_timeout=120) as runner:
            expectations.check_web(runner, slug, app.expected, ONE_WORKER)
            [home] = place.glob("slugkit-dyno-*")
            found = files(home)

        assert found == files(DirectoryStore(place / "store").tree(app.slug))

    def test_as_another_user(self, app: App) -> None:
        """Another user, with a store of their own, runs the slug as it is: it answers."""
        with readable_by_all("slugkit", "attrs", "attr", "isal") as place:
            shutil.copy(app.slug.path, place / "app.slug.tgz")
            shutil.copy(expectations.__file__, place / "lib")
            (place / "script.py").write_text(AS_USER)
            asked = json.dumps([app.expected, ONE_WORKER])
            done = as_user("user", place, [place / "script.py", place / "app.slug.tgz", asked], timeout=150)

        assert done.returncode == 0, done.stderr

    def test_all_bytecode_is_there(self, app: App) -> None:
        """Each module that compiles has its bytecode, which no dyno could keep; packages' own tests are no dyno's."""
        home = DirectoryStore(app.directory / "store").tree(app.slug)
        packages = home / ".heroku/python"
        modules = (path for path in home.rglob("*.py") if not (path.is_relative_to(packages) and "tests" in path.parts))
        without = [path for path in modules if not list(path.parent.glob(f"__pycache__/{path.stem}.*.pyc"))]

        assert [path for path in without if compiles(path)] == []


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("sandboxed")
class TestFrameworks(Matrix):
    """What pip installs."""

    names = tuple(name for name in NAMES if kind(name) in FRAMEWORKS)


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("sandboxed")
class TestManagers(Matrix):
    """What the other managers install."""

    names = tuple(name for name in NAMES if kind(name) in MANAGERS)


def files(root: Path) -> dict[str, object]:
    """Return the size and the time of each file below *root*, but in tmp/ and log/, which are a dyno's own."""
    paths = (path for path in root.rglob("*") if path.relative_to(root).parts[0] not in {"tmp", "log"})
    return {str(path.relative_to(root)): look(path) for path in paths if path.is_symlink() or not path.is_dir()}


def look(path: Path) -> object:
    info = path.lstat()
    return path.readlink() if path.is_symlink() else (info.st_size, info.st_mtime_ns)


def compiles(path: Path) -> bool:
    """Return whether *path* is a module at all: packages bring templates and tests of syntax errors along."""
    try:
        compile(path.read_bytes(), path, "exec")
    except (SyntaxError, ValueError):
        return False
    return True
