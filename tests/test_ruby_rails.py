"""A Rails app with Debian's gems: built, its assets compiled and kept, booted by its default process type, asked."""

import http.client
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from attrs import frozen

from gems import builds_for_all, from_debian
from slugkit.archive import Slug
from slugkit.build import SlugBuilder, heroku_text
from slugkit.dyno import DynoRunner
from slugkit.events import BuildEvent
from slugkit.testing import check_buildpack, write_tree
from support import lines
from test_multi_buildpack import check_golden
from test_ruby_apps import steady
from users import as_user
from waiting import free_port, listens, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.usefixtures("sandboxed")]

SOURCE = Path(__file__).parent / "apps/ruby-rails"
DATABASE = {"DATABASE_URL": "sqlite3:tmp/visits.sqlite3"}  # the build has none
STYLE = "app/assets/stylesheets/greeting.css"


@frozen
class Page:
    """What came of a request."""

    status: int
    body: str
    cookie: str


def get(port: int, path: str = "/", cookie: str = "") -> Page:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers={"Cookie": cookie} if cookie else {})
        response = connection.getresponse()
        found = (response.headers["Set-Cookie"] or "").partition(";")[0]
        return Page(response.status, response.read().decode(), found)
    finally:
        connection.close()


def check(port: int, color: str, dyno: str = "web.1") -> None:
    """Hold the app at *port* to a page, its stylesheet with *color*, its database, and a session by its secret."""
    first = get(port)
    assert (first.status, f"Hello from {dyno}, visit 1" in first.body) == (200, True), first.body
    again = get(port, cookie=first.cookie).body
    assert ("visit 2" in again, "2 in the database" in again) == (True, True), again
    style = re.search(r'href="(/assets/application-[0-9a-f]{64}\.css)"', first.body)
    assert style is not None, first.body
    assert color in get(port, style[1]).body


def build(app: Path, output: str, events: list[BuildEvent] | None = None) -> Slug:
    """Build *app*; the cache and the slug *output* are beside it."""
    on_event = None if events is None else events.append
    return SlugBuilder(cache_dir=app.parent / "cache", on_event=on_event).build(app, app.parent / output)


def contents(root: Path) -> dict[str, bytes]:
    """Return the files below *root*, but for those in tmp/ and log/."""
    found = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    return {name: content for name, content in found.items() if not name.startswith(("tmp/", "log/"))}


def styles(slug: Slug) -> set[str]:
    return {file.path for file in slug.files() if file.path.endswith(".css") and "public/assets" in file.path}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bring the app's gems, build it, and return its source: the slug and the cache are beside it."""
    app = Path(shutil.copytree(SOURCE, tmp_path_factory.mktemp("rails") / "app"))
    events: list[BuildEvent] = []
    build(from_debian(app), "o.tgz", events)
    (app.parent / "transcript").write_text("".join(f"{line}\n" for event in events for line in heroku_text(event)))
    return app


@pytest.fixture
def slug(app: Path) -> Slug:
    return Slug.open(app.parent / "o.tgz")


def test_what_a_build_prints(app: Path) -> None:
    """A build prints what users of Heroku know; which gems there are is Debian's affair."""
    text = re.sub(r"(?m)^ +(Using|Installing) \S+ \d\S+\n", "", (app.parent / "transcript").read_text())

    check_golden("ruby-rails.txt", re.sub(r"\d+ gems now", "51 gems now", steady(text)))


@pytest.mark.parametrize("level", ["namespaces", "landlock"])
def test_it_boots_at_each_level(slug: Slug, tmp_path: Path, level: str) -> None:
    """The default process type serves pages, compiled assets and sessions, isolated or confined."""
    with DynoRunner(store=tmp_path, sandbox=level, boot_timeout=120) as runner:
        web = runner.start(slug, "web", config_vars=DATABASE)
        web.wait_up()
        check(web.port, "#c9f")


def test_it_writes_to_tmp_and_log_only(slug: Slug, tmp_path: Path) -> None:
    """In another directory, where it might write, it boots and changes nothing but tmp/ and log/."""
    home = tmp_path / "elsewhere"
    slug.unpack(home)
    before = contents(home)
    port = free_port()
    line = f'for script in "$HOME"/.profile.d/*.sh; do . "$script"; done; exec {slug.process_types["web"]}'
    own = {"PATH": "/usr/bin:/bin", "HOME": str(home), "PORT": str(port), "DYNO": "web.9"}
    env = {**own, **slug.manifest.config_vars, **DATABASE}
    with subprocess.Popen(["bash", "-c", line], cwd=home, env=env, stdout=subprocess.PIPE) as server:
        try:
            assert until(lambda: listens(port) or server.poll() is not None)
            check(port, "#c9f", "web.9")
        finally:
            server.terminate()

    assert contents(home) == before
    assert (home / "tmp").is_dir()


def test_assets_are_kept_and_the_secret_stays(app: Path, slug: Slug, tmp_path: Path) -> None:
    """A build with other assets brings those, keeps the old ones for pages that are out, and has the same secret."""
    again = tmp_path / "app"
    shutil.copytree(app, again, symlinks=True)
    shutil.copytree(app.parent / "cache", tmp_path / "cache", symlinks=True)
    events: list[BuildEvent] = []
    same = build(again, "same.tgz", events)
    write_tree(again, {STYLE: "h1 { color: #fc9 }\n"})
    other = build(again, "other.tgz")
    with DynoRunner(store=tmp_path / "store", boot_timeout=120) as runner:
        web = runner.start(other, "web", config_vars=DATABASE)
        web.wait_up()
        check(web.port, "#fc9")

    assert same.diff_id == slug.diff_id
    assert [line.strip() for line in lines(events) if "Running: rake" in line or "assets" in line.lower()] == [
        "Running: rake assets:precompile",
        "Cleaning assets",
        "Running: rake assets:clean",
    ]
    assert not [line for line in lines(events) if line.split()[:1] == ["Installing"] or "Writing" in line]
    assert styles(slug) < styles(other)
    assert len(styles(other)) == len(styles(slug)) + 1
    assert other.manifest.config_vars == slug.manifest.config_vars
    assert re.fullmatch(r"[0-9a-f]{128}", slug.manifest.config_vars["SECRET_KEY_BASE"])


def test_two_builds_from_nothing_differ_in_the_secret_only(app: Path, slug: Slug, tmp_path: Path) -> None:
    """With another cache, and from another directory, the same tree gives the same files."""
    other = build(Path(shutil.copytree(app, tmp_path / "elsewhere", symlinks=True)), "o.tgz")
    for one, name in ((slug, "here"), (other, "there")):
        one.unpack(tmp_path / name)

    assert contents(tmp_path / "here") == contents(tmp_path / "there")
    assert slug.manifest.config_vars != other.manifest.config_vars


def test_the_contract_is_kept(app: Path) -> None:
    """Several builds of the app break no rule of the buildpack contract."""
    config_vars = {"SECRET_KEY_BASE": 32 * "5ecre7", "TOKEN": "t0ken-of-many-bytes"}

    assert check_buildpack("ruby", app, config_vars=config_vars) == ()


AS_USER = """
import http.client, json, sys
import slugkit
database = {"DATABASE_URL": "sqlite3:tmp/visits.sqlite3"}
with slugkit.DynoRunner(store="store", sandbox=sys.argv[2], boot_timeout=120) as runner:
    web = runner.start(slugkit.Slug.open(sys.argv[1]), "web", config_vars=database)
    web.wait_up()
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=30)
    connection.request("GET", "/")
    print(json.dumps(connection.getresponse().read().decode()))
"""


@pytest.mark.parametrize("level", ["auto", "landlock"])
def test_an_ordinary_user_boots_it(app: Path, level: str) -> None:
    """Who is not root boots the slug that root has built."""
    with builds_for_all() as place:
        shutil.copy(app.parent / "o.tgz", place / "o.tgz")
        (place / "o.tgz").chmod(0o644)
        write_tree(place, {"script.py": AS_USER})
        done = as_user("user", place, [place / "script.py", place / "o.tgz", level], timeout=180)

    assert done.returncode == 0, done.stderr
    assert "Hello from web.1, visit 1" in json.loads(done.stdout)
