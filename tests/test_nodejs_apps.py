"""The Node.js buildpack at work: real apps of each package manager, wherever their slugs are, and hostile ones."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from slugkit._tree import copy_tree
from slugkit.archive import Slug
from slugkit.build import SlugBuilder, heroku_text
from slugkit.dyno import DynoRunner
from slugkit.errors import BuildpackError, CompileFailedError
from slugkit.events import BuildEvent, BuildpackReported
from slugkit.testing import check_buildpack, write_tree
from support import lines, small
from test_multi_buildpack import check_golden
from test_nodejs_buildpack import package
from users import BECOME, UID, environment_for_all, readable_by_all

pytestmark = pytest.mark.usefixtures("sandboxed")

APPS = Path(__file__).parent / "apps"
REAL = ("npm", "yarn", "pnpm", "typescript")
LEVELS = ("namespaces", "landlock")
SERVER = """
require("node:http").createServer((request, response) => response.end(`Hello, ${process.env.NODE_ENV}\\n`))
  .listen(process.env.PORT, () => console.log("listening"));
"""
LOCK = json.dumps({"name": "hello", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"name": "hello"}}})
ALONE: dict[str, str | bytes] = {
    "package.json": package(scripts={"start": "node server.js", "build": "echo built >built.txt"}),
    "package-lock.json": LOCK,
    "server.js": SERVER,
}
MANAGERS = {"npm": "", "yarn 1": "yarn@1.22.22", "yarn 4": "yarn@4.18.1", "pnpm": "pnpm@10.34.9"}
OTHERS = [pytest.param(name, marks=(pytest.mark.network, pytest.mark.slow)) for name in MANAGERS if name != "npm"]
Build = Callable[..., Slug]
Told = tuple[Slug, list[BuildEvent]]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Return what builds an app of these files, again and again with one cache."""

    def build(files: dict[str, str | bytes], events: list[BuildEvent] | None = None, **settings: Any) -> Slug:  # noqa: ANN401
        on_event = None if events is None else events.append
        builder = SlugBuilder(cache_dir=tmp_path / "cache", on_event=on_event, **settings)
        return builder.build(write_tree(tmp_path / "app", files), tmp_path / "o.tgz")

    return build


@pytest.fixture(scope="session")
def python() -> Iterator[Path]:
    """Yield a Python with slugkit that every user may run: at level confined, a build of root's is another user."""
    with environment_for_all() as found:
        yield found


BUILD = """
import sys
import slugkit
from slugkit.errors import CompileFailedError
source, level, root = sys.argv[1:]
builder = slugkit.SlugBuilder(cache_dir=f"{root}/cache", sandbox=level, on_event=print)
try:
    builder.build(source, f"{root}/o.tgz")
except CompileFailedError as error:
    print("failed:", error)
"""


def built(python: Path, level: str, source: Path, root: Path) -> tuple[Slug | None, str]:
    """Build *source* at *level*; return the slug, unless that failed, and all that was said."""
    argv: list[str | Path] = [python, "-I", "-c", BUILD, source, level, root]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return None if "failed:" in done.stdout else Slug.open(root / "o.tgz"), done.stdout


def get(url: str) -> str:
    return subprocess.run(["curl", "-fsS", "-m", "20", url], check=True, capture_output=True, text=True).stdout


# -- an app without dependencies needs no registry -----------------------------------------------------------------


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Slug, list[BuildEvent]]:
    """Build such an app, once; return its slug and what was told."""
    root = tmp_path_factory.mktemp("alone")
    events: list[BuildEvent] = []
    builder = SlugBuilder(cache_dir=root / "cache", on_event=events.append)
    return builder.build(write_tree(root / "app", ALONE), root / "o.tgz"), events


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Path], Path]:
    """Return what gives each test a build cache that has the package manager it names, and nothing of another test."""
    made: dict[str, Path] = {}

    def tools(manager: str, place: Path) -> Path:
        if manager not in made:
            root = tmp_path_factory.mktemp("tools")
            files = {"package.json": package(packageManager=MANAGERS[manager])} if MANAGERS[manager] else ALONE
            SlugBuilder(cache_dir=root / "cache").build(write_tree(root / "app", files), root / "o.tgz")
            made[manager] = root / "cache"
        place.mkdir()
        copy_tree(made[manager], place)
        return place

    return tools


def text_of(events: list[BuildEvent]) -> str:
    """Return the transcript, with versions, times and sizes that differ from machine to machine made one."""
    text = "".join(f"{line}\n" for event in events for line in heroku_text(event))
    for pattern, shown in (
        (r"Node\.js \d+\.\d+\.\d+", "Node.js N.N.N"),
        (r"and npm \S+", "and npm N.N.N"),
        (r"in [\d.]+m?s( \d+ms)?", "in Ns"),
        (r"Completed in Ns", "Completed"),
        (r"removed 1 package in", "up to date in"),  # as npm 9 says it
        (r"Done: .*", "Done: 2K"),
    ):
        text = re.sub(pattern, shown, text)
    return text


def test_transcript_and_profile(alone: Told, tmp_path: Path) -> None:
    """The build prints what Heroku's users know; dynos get its variables, and config vars keep priority."""
    slug, events = alone
    line = "echo $NODE_ENV $WEB_MEMORY $((WEB_CONCURRENCY >= 1)) ${PATH#*:/bin}; cat built.txt"
    path = ":/app/bin:/app/node_modules/.bin"
    node = os.path.realpath(shutil.which("node") or "")
    with DynoRunner(store=tmp_path / "store") as runner:
        assert runner.run(slug, line).output == f"production 512 1 {path}\nbuilt\n"
        assert runner.run(slug, "echo $NODE_HOME").output == f"{node.removesuffix('/bin/node')}\n"
        chosen = runner.run(slug, line, config_vars={"NODE_ENV": "x", "WEB_MEMORY": "0", "WEB_CONCURRENCY": "3"})
        assert chosen.output == f"x 0 1 {path}\nbuilt\n"
        odd = runner.run(slug, "echo $WEB_CONCURRENCY", config_vars={"WEB_MEMORY": "0"})
        assert odd.output == "1\n"

    check_golden("nodejs.txt", text_of(events))
    assert slug.process_types == {"web": "npm start"}
    assert slug.manifest.platform is not None
    assert slug.manifest.platform.interpreter == node


@pytest.mark.parametrize("level", LEVELS)
def test_it_builds_and_boots_at_each_level(alone: Told, python: Path, tmp_path: Path, level: str) -> None:
    """An app is built and serves HTTP isolated or confined, the same slug each time; its modules are read-only."""
    slug, said = built(python, level, write_tree(tmp_path / "app", ALONE), tmp_path)
    assert slug is not None, said
    with DynoRunner(store=tmp_path / "store", sandbox=level) as runner:
        web = runner.start(slug, "web")
        web.wait_up()
        assert get(f"{web.url}/") == "Hello, production\n"
        assert runner.run(slug, "touch package.json").status == 1

    assert slug.diff_id == alone[0].diff_id


def test_a_range_that_this_node_is_not_in(build: Build) -> None:
    """The semver of npm itself judges engines: 4.x is refused with both versions, >=4 <5 || >=16 is fine."""
    with pytest.raises(CompileFailedError) as caught:
        build({**ALONE, "package.json": package(engines={"node": "4.x"})})
    assert re.search(r"engines\.node asks for 4\.x, this machine has Node\.js \d+\.", str(caught.value))
    assert len(str(caught.value).splitlines()) + 1 <= 8

    build({**ALONE, "package.json": package(engines={"node": ">=4 <5 || >=16"})})


@pytest.mark.parametrize("manager", ["npm", *OTHERS])
def test_a_registry_out_of_reach_is_named(tools: Callable[[str, Path], Path], tmp_path: Path, manager: str) -> None:
    """Without a network and a cache the error says what cannot be reached, as far as it is told, and the fix."""
    fields: dict[str, Any] = {"packageManager": MANAGERS[manager]} if MANAGERS[manager] else {}
    app = write_tree(tmp_path / "app", {"package.json": package(dependencies={"is-odd": "3.0.1"}, **fields)})
    nowhere = {f"{kind}_PROXY": "http://127.0.0.1:9" for kind in ("HTTP", "HTTPS")}
    once = {"npm_config_fetch_retries": "0", "YARN_HTTP_RETRY": "0", **{f"YARN_{n}": v for n, v in nowhere.items()}}
    builder = SlugBuilder(cache_dir=tools(manager, tmp_path / "cache"), config_vars={**nowhere, **once})
    with pytest.raises(CompileFailedError, match=r"package\.json: \S.* cannot be reached \(ECONNREFUSED\)") as caught:
        builder.build(app, tmp_path / "o.tgz")

    assert "HTTPS_PROXY" in str(caught.value.hint)


def test_modules_of_the_source_are_not_used(build: Build) -> None:
    """node_modules that came with the source is said not to count, and is gone."""
    events: list[BuildEvent] = []
    slug = build({**ALONE, "node_modules/left/index.js": "1"}, events)

    assert " !     node_modules of the source is not used: name it in .slugignore" in lines(events)
    assert not [file for file in slug.files() if "left" in file.path]


# -- the cache -----------------------------------------------------------------------------------------------------


def test_cache_directories_are_kept(build: Build) -> None:
    """Directories that cacheDirectories lists are there again in the next build; one that is missing is named."""
    count = "for d in .next/cache node_modules/.cache; do mkdir -p $d; echo x >>$d/runs; done; cat .next/cache/runs"
    listed = [".next/cache", "node_modules", "./node_modules/.cache/", "none"]
    files = {**ALONE, "package.json": package(cacheDirectories=listed, scripts={"build": f"{count} >runs.txt"})}
    first: list[BuildEvent] = []
    second: list[BuildEvent] = []
    sizes = [next(file.size for file in build(files, e).files() if file.path == "runs.txt") for e in (first, second)]
    said = [line.strip() for line in lines(second)]

    assert sizes == [2, 4]
    assert "Saving 3 from cacheDirectories (package.json):" in [line.strip() for line in lines(first)]
    assert [line for line in said if line.startswith("- ")] == [
        *("- .next/cache", "- none (not cached - skipping)", "- node_modules/.cache"),
        *("- .next/cache", "- node_modules/.cache", "- none (nothing to cache)"),
    ]


def test_what_tools_cache_in_modules_stays_in_no_slug(build: Build) -> None:
    """Without cacheDirectories a warm build starts as a cold one does: node_modules/.cache is empty."""
    script = "cat node_modules/.cache/x >had.txt || true; mkdir -p node_modules/.cache; echo x >node_modules/.cache/x"
    files = {**ALONE, "package.json": package(scripts={"build": script})}
    slugs = [build(files) for _ in range(2)]

    assert slugs[0].diff_id == slugs[1].diff_id
    assert not [file for file in slugs[1].files() if ".cache" in file.path]


# -- other packs, reports, CI --------------------------------------------------------------------------------------

TOOL = {
    "lib/package.json": json.dumps({"name": "greet", "version": "1.0.0", "bin": {"greet": "greet.js"}}),
    "lib/greet.js": "#!/usr/bin/env node\nconsole.log('greetings', process.env.NODE_OPTIONS, process.env.NODE_HOME)\n",
}


def test_later_packs_run_commands_of_the_modules(build: Build, tmp_path: Path) -> None:
    """A pack after this one finds the modules' commands on PATH, and Node's own variables (contract.md 8.4)."""
    files = {**TOOL, "package.json": package(dependencies={"greet": "file:lib"})}
    events: list[BuildEvent] = []
    slug = build(files, events, buildpacks=["nodejs", small(tmp_path, compile="greet")])
    home = os.path.realpath(shutil.which("node") or "").removesuffix("/bin/node")

    assert f"greetings --max_old_space_size=2560 {home}" in lines(events)
    assert [record.name for record in slug.manifest.buildpacks] == ["nodejs", "small"]


def facts_of(events: list[BuildEvent]) -> dict[str, object]:
    (told,) = (event for event in events if isinstance(event, BuildpackReported))
    return dict(told.facts)


def test_reports(build: Build) -> None:
    """What was built with what is reported in Heroku's words; after a failure, what was known by then."""
    first: list[BuildEvent] = []
    second: list[BuildEvent] = []
    failed: list[BuildEvent] = []
    for events in (first, second):
        build(ALONE, events)
    with pytest.raises(CompileFailedError):
        build({**ALONE, "package.json": package(engines={"node": ">1"}, scripts={"build": "false"})}, failed)
    versions = {
        f"{name}_version": subprocess.run([name, "-v"], check=True, capture_output=True, text=True).stdout.strip()
        for name in ("node", "npm")
    }
    known = {"package_manager": "npm", "lock_file": True, **versions}

    assert facts_of(first) == {**known, "cache_status": "not-found"}
    assert facts_of(second) == {**known, "cache_status": "valid"}
    assert facts_of(failed) == {**known, "node_version_request": ">1", "cache_status": "new-signature"}


def test_tests_are_run(tmp_path: Path) -> None:
    """In CI, `npm test` runs with NODE_ENV=test, and its status is that of the tests."""
    scripts = {"test": "node -e 'console.log(process.env.NODE_ENV); process.exit(3)'"}
    files = {"package.json": package(scripts=scripts), "package-lock.json": LOCK}
    ran = SlugBuilder(cache_dir=tmp_path / "cache").test(write_tree(tmp_path / "app", files))

    assert ran.status == 3
    assert "\ntest\n" in ran.output


def test_no_test_script(tmp_path: Path) -> None:
    """An app without a test script says nothing of how it is tested."""
    files = {"package.json": package(), "package-lock.json": LOCK}
    with pytest.raises(BuildpackError, match="nothing says how the tests are run"):
        SlugBuilder(cache_dir=tmp_path / "cache").test(write_tree(tmp_path / "app", files))


# -- wherever a slug is --------------------------------------------------------------------------------------------


def states(root: Path) -> dict[str, tuple[int, int, int]]:
    """Return what tells whether anything below *root* was written."""
    found = {}
    for path in (root, *root.rglob("*")):
        info = path.lstat()
        found[str(path)] = (info.st_mtime_ns, info.st_size, info.st_mode)
    return found


@contextmanager
def started(home: Path, scratch: Path) -> Iterator[str]:
    """Start what ``web`` is, in *home*, with no sandbox that could refuse a write; yield its address."""
    scratch.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "PORT": str(port), "DYNO": "web.1", "TMPDIR": str(scratch)}
    line = ". .profile.d/nodejs.sh; exec npm start"
    process = subprocess.Popen(["bash", "-c", line], cwd=home, env=env, start_new_session=True)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def waited_for(url: str) -> str:
    deadline = time.monotonic() + 30
    while True:
        try:
            return get(url)
        except subprocess.CalledProcessError:
            assert time.monotonic() < deadline, url
            time.sleep(0.05)


def check_moved(slug: Slug, tmp_path: Path) -> str:
    """Unpacked to a place that it could write to, it serves and has written nothing; return what it served."""
    home = tmp_path / "some where else"
    slug.unpack(home)
    before = states(home)
    with started(home, tmp_path / "scratch") as url:
        answer = waited_for(f"{url}/")

    assert states(home) == before
    return answer


def test_a_moved_slug_serves_and_writes_nothing(alone: Told, tmp_path: Path) -> None:
    """At another path, and where nothing forbids it, an app's start writes nothing into the app."""
    assert check_moved(alone[0], tmp_path) == "Hello, production\n"


AS_USER = """
import subprocess, sys
import slugkit
source, level, path = sys.argv[1:]
print(slugkit.SlugBuilder(cache_dir="cache", sandbox=level).build(source, "o.tgz").diff_id)
with slugkit.DynoRunner(store="store", sandbox=level) as runner:
    web = runner.start(slugkit.Slug.open(path), "web")
    web.wait_up()
    print(subprocess.run(["curl", "-fsS", "-m", "20", web.url], capture_output=True, text=True).stdout, end="")
"""


def ran_by_user(python: Path, slug: Slug, level: str) -> list[str]:
    """Return what an ordinary user gets: the diff_id of ALONE, built by that user, and what *slug* serves."""
    with readable_by_all() as place:
        shutil.copyfile(slug.path, place / "slug.tgz")
        home = write_tree(place / "home", {f"app/{name}": text for name, text in ALONE.items()})
        os.chown(home, UID, -1)
        argv = [*BECOME, python, "-I", "-c", AS_USER, "app", level, place / "slug.tgz"]
        env = {"PATH": "/usr/bin:/bin", "HOME": str(home)}
        done = subprocess.run(argv, env=env, cwd=home, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("level", [pytest.param("auto", marks=pytest.mark.slow), "landlock"])
def test_an_ordinary_user_builds_and_runs_the_same(alone: Told, python: Path, level: str) -> None:
    """Who is not root builds the same slug, and serves root's."""
    assert ran_by_user(python, alone[0], level) == [alone[0].diff_id, "Hello, production"]


# -- hostile -------------------------------------------------------------------------------------------------------

# Each of its packages' install hooks and each script of the app runs this, with the name it is called by.
ATTACK = """#!/bin/bash
cache=$(dirname "${NPM_CONFIG_CACHE:-$npm_config_cache}")
for place in PLACES "$cache/../.."; do
  mkdir -p "$place"
  echo escaped >"$place/MARK"
done
echo changed >KEY
touch "$INIT_CWD/ran-$1"
exit 0
"""
SHARED = [Path("/etc"), Path("/usr/lib"), Path("/var/tmp"), Path("/dev/shm"), Path("/tmp"), Path.home()]
HOOKS = ("preinstall", "install", "postinstall")


def hostile(manager: str, attack: str) -> dict[str, str | bytes]:
    """Return an app that runs *attack* whenever its build lets it: its own scripts, and those of what it depends on."""
    own = ("heroku-prebuild", *HOOKS, "build", "heroku-cleanup")
    fields: dict[str, Any] = {"packageManager": MANAGERS[manager]} if MANAGERS[manager] else {}
    fields["pnpm"] = {"onlyBuiltDependencies": ["evil@file:evil"]}  # it runs no others
    evil = {name: f'"$INIT_CWD/attack" evil-{name}' for name in HOOKS}
    return {
        "attack": attack,
        "package.json": package(
            scripts={name: f"./attack {name}" for name in own}, dependencies={"evil": "file:./evil"}, **fields
        ),
        "evil/package.json": json.dumps({"name": "evil", "version": "1.0.0", "scripts": evil}),
        ".yarnrc.yml": "enableScripts: true\n",
    }


@pytest.fixture
def outside() -> Iterator[Path]:
    """Yield a directory that anybody may write to, by its modes."""
    place = Path(tempfile.mkdtemp(prefix="slugkit-outside-", dir="/tmp"))
    try:
        place.chmod(0o777)
        yield place
    finally:
        shutil.rmtree(place)


@pytest.mark.parametrize("manager", ["npm", *OTHERS])
@pytest.mark.parametrize("level", LEVELS)
def test_install_hooks_write_only_where_a_build_may(
    tools: Callable[[str, Path], Path], outside: Path, python: Path, tmp_path: Path, manager: str, level: str
) -> None:
    """Whatever an app's scripts and its packages' hooks try, nothing outside of the build is there or changed."""
    key = write_tree(outside, {"cache/nodejs/modules/key": "k"}) / "cache/nodejs/modules/key"
    for path in outside.rglob("*"):
        path.chmod(0o777)
    mark, places = f"escaped-{uuid.uuid4().hex}", [*SHARED, outside, key.parent, tmp_path]
    attack = ATTACK.replace("PLACES", " ".join(map(str, places))).replace("MARK", mark).replace("KEY", str(key))
    app = write_tree(tmp_path / "app", hostile(manager, attack))
    tools(manager, tmp_path / "cache")
    slug, said = built(python, level, app, tmp_path)
    assert slug is not None, said
    ran = {file.path.removeprefix("ran-") for file in slug.files() if file.path.startswith("ran-")}

    assert ran >= {"heroku-prebuild", "postinstall", "build", "heroku-cleanup", "evil-postinstall"}
    assert [place for place in places if (place / mark).exists()] == []
    assert list(outside.rglob(mark)) == []
    assert key.read_text() == "k"


# What the pack is about to write, made links; the build may fail of it.
LINKS = """#!/bin/bash
cache=$(dirname "${NPM_CONFIG_CACHE:-$npm_config_cache}")
for place in node_modules .profile.d .yarn package.json "$cache/modules" "$cache/directories" "$cache/tools"; do
  rm -rf "$place"
  ln -s OUTSIDE "$place"
done
ln -sfn OUTSIDE/notes "$TMPDIR/slugkit-nodejs"
"""


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("build", "landlock"),
        ("postinstall", "namespaces"),
        *(
            pytest.param(name, level, marks=pytest.mark.slow)
            for name in ("heroku-prebuild", "heroku-cleanup")
            for level in LEVELS
        ),
        pytest.param("build", "namespaces", marks=pytest.mark.slow),
        pytest.param("postinstall", "landlock", marks=pytest.mark.slow),
    ],
)
def test_links_lead_no_step_outside(outside: Path, python: Path, tmp_path: Path, name: str, level: str) -> None:
    """Links that a script puts where the pack or the next build writes lead neither of them out of the build."""
    files = {
        **ALONE,
        "attack": LINKS.replace("OUTSIDE", str(outside)),
        "package.json": package(scripts={name: "./attack"}, cacheDirectories=["node_modules/.cache", "x"]),
    }
    app = write_tree(tmp_path / "app", files)
    write_tree(outside, {"package.json": "{}", "key": "k", "x/y": "1"})
    for path in outside.rglob("*"):
        path.chmod(0o777)
    before = states(outside)
    for _ in range(2):
        _, said = built(python, level, app, tmp_path)
        assert "./attack" in said  # it was run

    assert states(outside) == before


# -- with each package manager -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("manager", ["npm", *OTHERS])
def test_workspaces(tools: Callable[[str, Path], Path], tmp_path: Path, manager: str) -> None:
    """The packages of a workspace are links within the slug, the same in each build; the app finds them."""
    fields: dict[str, Any] = {"packageManager": MANAGERS[manager]} if MANAGERS[manager] else {}
    asked = "workspace:*" if manager in {"yarn 4", "pnpm"} else "1.0.0"
    files: dict[str, str | bytes] = {
        "package.json": package(private=True, workspaces=["packages/*"], dependencies={"one": asked}, **fields),
        "pnpm-workspace.yaml": "packages:\n  - packages/*\n",
        "packages/one/package.json": json.dumps({"name": "one", "version": "1.0.0", "main": "x.js"}),
        "packages/one/x.js": "console.log('one')\n",
    }
    builder = SlugBuilder(cache_dir=tools(manager, tmp_path / "cache"))
    slugs = [builder.build(write_tree(tmp_path / "app", files), tmp_path / f"{n}.tgz") for n in range(2)]
    with DynoRunner(store=tmp_path / "store") as runner:
        done = runner.run(slugs[1], "node -e \"require('one')\"; readlink node_modules/one")

    assert done.output == "one\n../packages/one\n"
    assert slugs[0].diff_id == slugs[1].diff_id


@pytest.mark.slow
@pytest.mark.parametrize("manager", OTHERS)
def test_later_packs_and_tests_have_the_manager(
    tools: Callable[[str, Path], Path], tmp_path: Path, manager: str
) -> None:
    """The app's package manager is on the PATH of the packs after this one, and of its tests."""
    name, _, version = MANAGERS[manager].partition("@")
    scripts = {"test": f"{name} --version"}
    app = write_tree(tmp_path / "app", {"package.json": package(packageManager=f"{name}@{version}", scripts=scripts)})
    events: list[BuildEvent] = []
    cache_dir = tools(manager, tmp_path / "cache")
    packs = ["nodejs", small(tmp_path, compile=f"{name} --version")]
    SlugBuilder(buildpacks=packs, cache_dir=cache_dir, on_event=events.append).build(app, tmp_path / "o.tgz")

    assert version in lines(events)
    assert f"\n{version}\n" in SlugBuilder(cache_dir=cache_dir).test(app).output


@pytest.mark.network
@pytest.mark.slow
def test_pnpm_leaves_out_what_is_not_allowed(tools: Callable[[str, Path], Path], tmp_path: Path) -> None:
    """An install script that package.json does not allow is not run by pnpm, and the build says so."""
    files = hostile("pnpm", "#!/bin/sh\ntouch $INIT_CWD/ran-$1\n")
    files["package.json"] = package(packageManager=MANAGERS["pnpm"], dependencies={"evil": "file:./evil"})
    events: list[BuildEvent] = []
    builder = SlugBuilder(cache_dir=tools("pnpm", tmp_path / "cache"), on_event=events.append)
    slug = builder.build(write_tree(tmp_path / "app", files), tmp_path / "o.tgz")

    assert not [file for file in slug.files() if file.path.startswith("ran-")]
    assert " !     pnpm has not run the install scripts of evil@file:evil" in lines(events)


# -- from the registry ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Told]:
    """Return what builds a real app, once; its source and the cache are beside the slug."""
    built: dict[str, Told] = {}

    def told(name: str) -> Told:
        if name not in built:
            root = tmp_path_factory.mktemp(name)
            source = shutil.copytree(APPS / f"node-{name}", root / "app")
            events: list[BuildEvent] = []
            builder = SlugBuilder(cache_dir=root / "cache", on_event=events.append)
            built[name] = builder.build(source, root / "o.tgz"), events
        return built[name]

    return told


@pytest.fixture
def real(told: Callable[[str], Told]) -> Build:
    """Return what gives the slug of a real app."""
    return lambda name: told(name)[0]


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
class TestReal:
    """Express behind each package manager, with a development dependency that its build needs; one in TypeScript."""

    def test_transcript(self, told: Callable[[str], Told], name: str) -> None:
        """Its build prints what Heroku's users know, and what its package manager says."""
        check_golden(f"nodejs-{name}.txt", text_of(told(name)[1]))

    @pytest.mark.parametrize("level", LEVELS)
    def test_it_serves_at_each_level(self, real: Build, tmp_path: Path, name: str, level: str) -> None:
        """It boots isolated or confined and answers; what only development needs is gone."""
        slug = real(name)
        with DynoRunner(store=tmp_path / "store", sandbox=level) as runner:
            web = runner.start(slug, "web")
            web.wait_up()
            assert get(f"{web.url}/") == "Hello from web.1, production\n"
            assert get(f"{web.url}/built") == "   built"
            assert runner.run(slug, "node -e 'require(\"express\")'").status == 0
            assert runner.run(slug, "node -e 'require(\"left-pad\")'").status == 1

    def test_it_serves_elsewhere_and_writes_nothing(self, real: Build, tmp_path: Path, name: str) -> None:
        """At another path it serves and writes nothing into itself; nothing in it leads or points to its build."""
        assert check_moved(real(name), tmp_path) == "Hello from web.1, production\n"
        home = tmp_path / "some where else"
        for path in home.rglob("*"):
            if path.is_symlink():
                assert path.resolve().is_relative_to(home.resolve())
            elif path.is_file():
                assert not re.search(rb"/tmp/build_|build_cache|slugkit-work", path.read_bytes()), path

    @pytest.mark.parametrize("level", ["auto", "landlock"])
    def test_it_serves_for_another_user(self, real: Build, python: Path, name: str, level: str) -> None:
        """What root has built, an ordinary user runs."""
        assert ran_by_user(python, real(name), level)[1:] == ["Hello from web.1, production"]

    def test_it_is_the_same_cold_and_warm(self, real: Build, tmp_path: Path, name: str) -> None:
        """Another cold build gives the same slug, and a warm one, which installs nothing."""
        slug, source = real(name), real(name).path.parent / "app"
        cold = SlugBuilder(cache_dir=tmp_path / "cold").build(source, tmp_path / "cold.tgz")
        events: list[BuildEvent] = []
        builder = SlugBuilder(cache_dir=source.parent / "cache", on_event=events.append)
        warm = builder.build(source, tmp_path / "warm.tgz")

        assert cold.diff_id == warm.diff_id == slug.diff_id
        assert "-----> Restoring cache: package.json and its lockfile are unchanged" in lines(events)
        assert not any("Installing dependencies" in line or "Downloading" in line for line in lines(events))

    def test_a_changed_app_needs_no_network(self, real: Build, tmp_path: Path, name: str) -> None:
        """With a warm cache, modules are installed anew from what was downloaded before."""
        slug = real(name)
        for part in ("app", "cache"):
            (tmp_path / part).mkdir()
            copy_tree(slug.path.parent / part, tmp_path / part)
        plain = json.loads((tmp_path / "app/package.json").read_text())
        (tmp_path / "app/package.json").write_text(json.dumps({**plain, "description": "changed"}))
        nowhere = {f"{kind}_PROXY": "http://127.0.0.1:9" for kind in ("HTTP", "HTTPS")}
        config_vars = {**nowhere, "npm_config_fetch_retries": "0"}
        events: list[BuildEvent] = []
        builder = SlugBuilder(cache_dir=tmp_path / "cache", config_vars=config_vars, on_event=events.append)
        builder.build(tmp_path / "app", tmp_path / "o.tgz")

        assert any("Installing dependencies" in line for line in lines(events))

    def test_a_lockfile_that_is_behind_is_refused(self, tmp_path: Path, name: str) -> None:
        """A dependency that the lockfile lacks fails the build, which names the file and the fix."""
        source = shutil.copytree(APPS / f"node-{name}", tmp_path / "app")
        plain = json.loads((source / "package.json").read_text())
        plain["dependencies"]["is-odd"] = "3.0.1"
        (source / "package.json").write_text(json.dumps(plain))
        with pytest.raises(CompileFailedError, match=r"lock\S* is not that of package\.json") as caught:
            SlugBuilder(cache_dir=tmp_path / "cache").build(source, tmp_path / "o.tgz")

        assert re.search(r"run (npm|yarn|pnpm) install, and commit the \S*lock\S*", str(caught.value.hint))
        assert len(f"{caught.value}\n{caught.value.hint}".splitlines()) <= 8

    @pytest.mark.timeout(600)
    def test_the_contract_is_kept(self, name: str) -> None:
        """Several builds of it break no rule of the buildpack contract."""
        assert check_buildpack("nodejs", APPS / f"node-{name}", config_vars={"TOKEN": "t0ken-of-many-bytes"}) == ()


@pytest.mark.network
@pytest.mark.slow
def test_a_native_module_is_compiled_the_same_twice(tmp_path: Path) -> None:
    """What node-gyp compiles works in a dyno and is the same each time: its settings and objects are left out."""
    files: dict[str, str | bytes] = {
        "package.json": package(dependencies={"unix-dgram": "2.0.6"}),
        "server.js": 'require("unix-dgram"); console.log("native ok")',
    }
    source = write_tree(tmp_path / "app", files)
    first, second = (SlugBuilder(cache_dir=tmp_path / n).build(source, tmp_path / f"{n}.tgz") for n in "ab")
    with DynoRunner(store=tmp_path / "store") as runner:
        assert "native ok" in runner.run(first, "node server.js").output
    made = [file.path for file in first.files() if "unix-dgram/build/" in file.path and not file.path.endswith("/")]

    assert first.diff_id == second.diff_id
    assert [path for path in made if path.endswith((".node", "Makefile", ".gypi", ".o"))] == [
        "node_modules/unix-dgram/build/Release/unix_dgram.node"
    ]


@pytest.mark.network
@pytest.mark.slow
def test_a_digest_in_package_manager_is_held(build: Build) -> None:
    """A packageManager whose digest is another's fails the build before anything of it is run."""
    wrong = package(packageManager=f"pnpm@10.34.9+sha512.{'0' * 128}")
    with pytest.raises(CompileFailedError, match="is not what the digest in packageManager says"):
        build({"package.json": wrong})
