"""Each package manager of Python: its commands as values, and real apps that are built, moved and asked over HTTP."""

import http.client
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from slugkit.archive import Slug
from slugkit.build import SlugBuilder
from slugkit.buildpacks import PythonBuildpack
from slugkit.buildpacks.python import _tools
from slugkit.buildpacks.python._tools import version_of
from slugkit.command import Completed
from slugkit.dyno import DynoRunner
from slugkit.errors import CompileFailedError
from slugkit.events import BuildEvent, BuildLine
from slugkit.testing import RecordingRunner, fake_context, write_tree

APPS = Path(__file__).parent / "apps/python"
MANAGERS = ["uv", "poetry", "pipenv"]
LOCKS = {"uv": "uv.lock", "poetry": "poetry.lock", "pipenv": "Pipfile.lock"}


def cold(argv: tuple[str | Path, ...]) -> Completed:
    return Completed(3 if "restore" in argv else 0, "")


def commands(root: Path, files: dict[str, str], pack: PythonBuildpack | None = None) -> list[str]:
    """Return the commands of a build of *files*, with the directories of programs and files left out."""
    run = RecordingRunner(cold)
    context = fake_context(root, run=run)
    write_tree(context.build_dir, files)
    (pack or PythonBuildpack()).compile(context)
    return [" ".join(word if isinstance(word, str) else word.name for word in call) for call in run.calls]


def key(root: Path, files: dict[str, str], pack: PythonBuildpack | None = None) -> str | None:
    restores = [line for line in commands(root, files, pack) if " restore " in line]
    return restores[0].split()[-1] if restores else None


@pytest.mark.usefixtures("no_tools_beside")
@pytest.mark.parametrize(
    ("lock", "tool", "command"),
    [
        ("uv.lock", "uv", "uv sync --locked --no-default-groups"),
        ("poetry.lock", "poetry", "python -P -m poetry sync --only main"),
        ("Pipfile.lock", "pipenv", "python -P -m pipenv install --deploy"),
    ],
)
def test_each_lock_file_is_installed_by_its_own_manager(tmp_path: Path, lock: str, tool: str, command: str) -> None:
    """The manager is installed at one version beside the app, never into it, and installs exactly the lock file."""
    lines = commands(tmp_path, {lock: "{}", "Pipfile": ""} if tool == "pipenv" else {lock: ""})
    version = version_of({"uv": "uv", "poetry": "Poetry", "pipenv": "Pipenv"}[tool])

    assert any(
        line.endswith(f"-m pip --python python install --quiet --no-compile {tool}=={version}") for line in lines
    )
    assert lines[lines.index(command) + 1].endswith("finish vendored")
    assert any("virtualenv" in line and "--no-seed" in line and line.endswith(" python") for line in lines)


@pytest.mark.usefixtures("no_tools_beside")
def test_a_manager_in_the_cache_is_not_installed_again(tmp_path: Path) -> None:
    """A build that finds the pinned manager in its cache runs it, and downloads none."""
    first = commands(tmp_path, {"uv.lock": ""})
    made = next(line for line in first if "--app-data" in line and not line.endswith(" python")).split()[-1]
    write_tree(tmp_path / "managers/tools/uv" / made, {"pyvenv.cfg": "x"})
    shutil.rmtree(tmp_path / "build")

    assert not any("pip install" in line for line in commands(tmp_path, {"uv.lock": ""}))


@pytest.mark.parametrize(("here", "installed"), [("0.1", True), (version_of("uv"), False)])
def test_a_manager_beside_slugkit_is_used_at_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: str, *, installed: bool
) -> None:
    """A uv in the environment that slugkit runs in spares the download, if it is the one that would come."""
    write_tree(tmp_path / "slugkits", {"bin/uv": ""})
    monkeypatch.setattr(_tools, "version", lambda _: here)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "slugkits"))
    lines = commands(tmp_path, {"uv.lock": ""})

    assert any("pip --python" in line for line in lines) is installed
    assert any("uv sync" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "text", "cached"),
    [
        ("uv.lock", 'source = { registry = "https://index/simple" }', True),
        ("uv.lock", 'source = { virtual = "." }', True),
        ("uv.lock", 'source = { git = "https://forge/lib?rev=1#c0ffee" }', True),
        ("uv.lock", 'source = { editable = "." }', False),
        ("uv.lock", 'source = { directory = "lib" }', False),
        ("poetry.lock", '[package.source]\ntype = "git"\n', True),
        ("poetry.lock", '[package.source]\ntype = "directory"\n', False),
        ("Pipfile.lock", '{"default": {"a": {"version": "==1"}}, "_meta": {}}', True),
        ("Pipfile.lock", '{"default": {"a": {"editable": true, "path": "."}}, "_meta": {}}', False),
    ],
)
def test_an_environment_is_cached_unless_it_holds_files_of_the_app(
    tmp_path: Path, name: str, text: str, *, cached: bool
) -> None:
    """What comes of the lock file alone is used again; what is made of the app's own files is made anew."""
    assert (key(tmp_path, {name: text}) is not None) is cached


def test_a_change_of_the_lock_file_or_its_project_makes_the_environment_anew(tmp_path: Path) -> None:
    """Another lock, another pyproject.toml, another manager or another installer is another environment."""
    trees = [
        {"uv.lock": "a", "pyproject.toml": ""},
        {"uv.lock": "b", "pyproject.toml": ""},
        {"uv.lock": "a", "pyproject.toml": "[tool]"},
        {"poetry.lock": "a", "pyproject.toml": ""},
        {"requirements.txt": "a"},
    ]
    keys = [key(tmp_path / str(number), tree) for number, tree in enumerate(trees)]
    keys.append(key(tmp_path / "uv", trees[-1], PythonBuildpack(installer="uv")))

    assert None not in keys
    assert len(set(keys)) == len(keys)
    assert key(tmp_path / "again", trees[0]) == keys[0]


def test_uv_installs_requirements_when_asked_to(tmp_path: Path) -> None:
    """installer="uv" resolves and installs a requirements.txt with uv, with pip's indexes and no order among them."""
    run = RecordingRunner(cold)
    config_vars = {"PIP_INDEX_URL": "https://index/simple", "PIP_EXTRA_INDEX_URL": "https://more/simple"}
    context = fake_context(tmp_path, run=run, config_vars=config_vars)
    write_tree(context.build_dir, {"requirements.txt": "six\n"})
    PythonBuildpack(installer="uv").compile(context)
    ran = [(call[1:3], env) for call, env in zip(run.calls, run.envs, strict=True) if call[1] == "pip"]

    assert [verb for verb, _ in ran] == [("pip", "compile"), ("pip", "install")]
    for _, env in ran:
        assert (env["UV_DEFAULT_INDEX"], env["UV_INDEX"]) == ("https://index/simple", "https://more/simple")
        assert env["UV_INDEX_STRATEGY"] == "unsafe-best-match"


# -- for real --------------------------------------------------------------------------------------------------


def build(source: Path, directory: Path, **settings: str) -> tuple[Slug, list[str]]:
    """Return the slug of *source*, built in *directory*, and the lines of its build."""
    directory.mkdir(exist_ok=True)
    lines: list[str] = []

    def listen(event: BuildEvent) -> None:
        if isinstance(event, BuildLine):
            lines.append(event.text)

    pack = PythonBuildpack(**settings)  # type: ignore[arg-type]
    builder = SlugBuilder(buildpacks=[pack], cache_dir=directory / "cache", on_event=listen)
    return builder.build(source, directory / "app.slug.tgz"), lines


def answer(slug: Slug, store: Path) -> str:
    """Return what the web dyno of *slug* says."""
    with DynoRunner(store=store, boot_timeout=120) as runner:
        web = runner.start(slug, "web")
        web.wait_up()
        connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=20)
        connection.request("GET", "/")
        return connection.getresponse().read().decode()


@pytest.mark.network
@pytest.mark.usefixtures("sandboxed")
@pytest.mark.parametrize("manager", ["uv", *(pytest.param(name, marks=pytest.mark.slow) for name in MANAGERS[1:])])
def test_a_real_app_of_each_manager(manager: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It builds from the real index, answers over HTTP, works where it is moved; the next build needs no network."""
    slug, lines = build(APPS / manager, tmp_path)
    home = tmp_path / "some where else"
    slug.unpack(home)
    code = "import app; print(app.index())"
    moved = subprocess.run(
        [str(home / ".heroku/python/bin/python"), "-c", code],
        cwd=home,
        check=True,
        capture_output=True,
        text=True,
        env={},
    )
    installed = {path.name for path in home.glob(".heroku/python/lib/python3.*/site-packages/*")}
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    again, warm = build(APPS / manager, tmp_path)

    assert answer(slug, tmp_path / "store") == "hello from /app/.heroku/python\n"
    assert moved.stdout == f"hello from {home}/.heroku/python\n\n"
    assert "flask" in installed
    assert not {"six.py", "pip", "poetry", "pipenv", "uv"} & installed
    assert any(LOCKS[manager] in line for line in lines)
    assert not any("Installing" in line for line in warm)
    assert again.diff_id == slug.diff_id


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.usefixtures("sandboxed")
def test_uv_installs_what_pip_does(tmp_path: Path) -> None:
    """The same requirements give the same set of packages, files and scripts with uv as with pip."""
    requirements = "flask[async]==3.1.2\nrequests\nuvicorn[standard]; python_version >= '3.10'\n"
    source = write_tree(tmp_path / "app", {"requirements.txt": requirements, "Procfile": "web: true\n"})
    trees = {}
    for installer in ("pip", "uv"):
        slug, _ = build(source, tmp_path / installer, installer=installer)
        paths = {file.path for file in slug.files() if "/python/" in file.path}
        own = ("/INSTALLER", "/REQUESTED", "/RECORD", "/uv_build.json", "/uv_cache.json")
        trees[installer] = {path for path in paths if not path.endswith(own)}

    assert trees["pip"] == trees["uv"]
    assert any("site-packages/asgiref/" in path for path in trees["uv"])


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.usefixtures("sandboxed")
@pytest.mark.parametrize("files", [{}, {"src/": ""}])
def test_an_editable_install_works_where_it_is_moved(tmp_path: Path, files: dict[str, str]) -> None:
    """`-e .` finds the app's own package at any path, whether setuptools leads there by a path or by a finder."""
    at = "src/ours" if files else "ours"
    layout = 'package-dir = {"" = "src"}\n' if files else 'packages = ["ours"]\n'
    project = (
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        f'[project]\nname = "ours"\nversion = "1"\n[tool.setuptools]\n{layout}'
    )
    tree = {
        "requirements.txt": "-e .\n",
        "pyproject.toml": project,
        f"{at}/__init__.py": "WHERE = __file__\n",
        "Procfile": "web: true\n",
    }
    slug, _ = build(write_tree(tmp_path / "app", tree), tmp_path)
    home = tmp_path / "else where"
    slug.unpack(home)
    argv = [str(home / ".heroku/python/bin/python"), "-c", "import ours; print(ours.WHERE)"]
    done = subprocess.run(argv, cwd="/", check=True, capture_output=True, text=True, env={})

    assert done.stdout == f"{home}/{at}/__init__.py\n"
    left = (path for path in home.rglob("*") if path.is_file() and b"/tmp/build_" in path.read_bytes())
    assert [str(path.relative_to(home)) for path in left] == []


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.usefixtures("sandboxed")
@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_install_hooks_write_only_where_a_build_may(tmp_path: Path, installer: str) -> None:
    """A package whose setup.py writes elsewhere fails the build, and nothing is there."""
    outside = tmp_path / "outside"
    outside.mkdir()
    setup = f"open('{outside}/escaped', 'w'); from setuptools import setup; setup(name='evil')"
    source = write_tree(tmp_path / "app", {"requirements.txt": "./evil\n", "evil/setup.py": setup})
    with pytest.raises(CompileFailedError):
        build(source, tmp_path / "build", installer=installer)

    assert list(outside.iterdir()) == []
