"""Packages that are used where they are, and packages of repositories, in a slug that is somewhere else."""

import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from in_tree import package
from slugkit.archive import Slug
from slugkit.build import SlugBuilder
from slugkit.buildpacks import PythonBuildpack
from slugkit.buildpacks._inside.python.relocate import relocate_paths
from slugkit.buildpacks.python._job import Installer
from slugkit.environ import HOST_ENV
from slugkit.testing import write_tree


class Quiet(SimpleHTTPRequestHandler):
    """Hand out files, and say nothing of it."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Serve a directory on loopback; return its URL and where it is."""
    directory = tmp_path / "served"
    directory.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(directory))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", directory
        server.shutdown()
        thread.join()


def git(*arguments: str | Path, cwd: Path) -> str:
    """Run git with nothing of the host's configuration."""
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    who = ("-c", "user.name=n", "-c", "user.email=e@example.com")
    return subprocess.run(
        ["git", *who, *arguments], cwd=cwd, env=env, check=True, capture_output=True, text=True
    ).stdout.strip()


def repository(name: str, root: Path, served: Path) -> str:
    """Serve a repository with the package *name*, its branch main and tag v1; return its commit."""
    work = write_tree(root / name, package(name))
    git("init", "-q", "-b", "main", cwd=work)
    git("add", "-A", cwd=work)
    git("commit", "-q", "-m", "one", cwd=work)
    git("tag", "v1", cwd=work)
    bare = served / f"{name}.git"
    git("clone", "-q", "--bare", work, bare, cwd=root)
    git("update-server-info", cwd=bare)
    return git("rev-parse", "HEAD", cwd=work)


def build(source: Path, root: Path, installer: Installer = "pip") -> Slug:
    pack = PythonBuildpack(runtime="stack", installer=installer)
    host_env = HOST_ENV if installer == "uv" else ()  # no proxy on the way to loopback
    return SlugBuilder(buildpacks=[pack], cache_dir=root / "cache", host_env=host_env).build(source, root / "o.tgz")


def check_moved(slug: Slug, home: Path, where: dict[str, str]) -> None:
    """Unpacked at *home*, Python finds each module *where* it is; nothing names the build, no repository is left."""
    slug.unpack(home)
    code = f"import {', '.join(where)}; print(*({', '.join(f'{name}.WHERE' for name in where)},), sep='\\n')"
    argv = [str(home / ".heroku/python/bin/python"), "-c", code]
    done = subprocess.run(argv, cwd="/", check=False, capture_output=True, text=True, env={})
    assert done.stdout.splitlines() == [f"{home}/{path}" for path in where.values()], done.stderr
    left = [path for path in home.rglob("*") if path.is_file() and b"/tmp/build_" in path.read_bytes()]
    assert [str(path.relative_to(home)) for path in left] == []
    assert list(home.rglob(".git")) == []


@pytest.mark.usefixtures("sandboxed")
@pytest.mark.parametrize("installer", ["pip", pytest.param("uv", marks=[pytest.mark.slow, pytest.mark.network])])
def test_editable_packages_and_repositories(tmp_path: Path, served: tuple[str, Path], installer: Installer) -> None:
    """`-e .`, `-e ./lib`, a tag and a branch (with pip by `-e`, which uv refuses) work in a slug at another path."""
    url, directory = served
    for name in ("plain", "edited"):
        repository(name, tmp_path, directory)
    branch = f"-e git+{url}/edited.git@main#egg=edited" if installer == "pip" else f"edited @ git+{url}/edited.git@main"
    requirements = f"-e .\n-e ./lib\nplain @ git+{url}/plain.git@v1\n{branch}\n"
    files = {**package("ours"), **package("lib", at="lib/"), "requirements.txt": requirements}
    slug = build(write_tree(tmp_path / "app", files), tmp_path, installer)
    (plain,) = (file.path for file in slug.files() if file.path.endswith("/plain.py"))
    edited = ".heroku/python/src/edited/edited.py" if installer == "pip" else plain.replace("plain.py", "edited.py")
    where = {"ours": "ours.py", "lib": "lib/lib.py", "plain": plain, "edited": edited}

    check_moved(slug, tmp_path / "some where else", where)


@pytest.mark.slow
@pytest.mark.usefixtures("sandboxed")
def test_a_commit_is_fetched_once(tmp_path: Path, served: tuple[str, Path]) -> None:
    """A repository at a commit is part of the cached environment: the next build has no need of a server."""
    url, directory = served
    commit = repository("edited", tmp_path, directory)
    source = write_tree(tmp_path / "app", {"requirements.txt": f"-e git+{url}/edited.git@{commit}#egg=edited\n"})
    first = build(source, tmp_path)
    (directory / "edited.git").rename(tmp_path / "gone")
    again = build(source, tmp_path)

    assert again.diff_id == first.diff_id
    check_moved(again, tmp_path / "else where", {"edited": ".heroku/python/src/edited/edited.py"})


SITE = ".heroku/python/lib/python3.13/site-packages"


def test_finders_of_every_backend_are_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The modules by which setuptools and the package `editables` lead to a tree find it from where they are."""
    here = tmp_path / "app"
    finder = f"from __future__ import annotations\nMAPPING = {{'ours': '{here}/src/ours'}}\n"
    files = {
        f"{SITE}/__editable___ours_1_finder.py": finder,
        f"{SITE}/_editable_impl_theirs.py": f"MAP = ['{here}/theirs/__init__.py', '{here}']\n",
        "src/ours/x.py": "",
    }
    monkeypatch.chdir(write_tree(here, files))
    relocate_paths()
    there = here.rename(tmp_path / "moved")
    moved: list[dict[str, object]] = []
    for path in sorted((there / SITE).iterdir()):
        moved.append({"__file__": str(path)})
        exec(compile(path.read_text(), path, "exec"), moved[-1])

    assert moved[0]["MAPPING"] == {"ours": f"{there}/src/ours"}
    assert moved[1]["MAP"] == [f"{there}/theirs/__init__.py", str(there)]


@pytest.mark.parametrize("name", ["ours.egg-link", "_ours_loader.py", "ours.pth"])
def test_what_cannot_be_moved_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """An editable package that is found by the path of the build in any other way fails the build, with the way out."""
    monkeypatch.chdir(write_tree(tmp_path, {f"{SITE}/{name}": f"import x; x.load({str(tmp_path)!r})\n"}))
    with pytest.raises(SystemExit) as caught:
        relocate_paths()

    assert f"{name} in site-packages names the directory of this build" in str(caught.value)
    assert "without -e" in str(caught.value)


def test_clones_that_are_not_used_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what managers clone to src/, an editable's files stay; what was installed from a clone needs it no more."""
    files = {
        f"{SITE}/_used.pth": f"{tmp_path}/.heroku/python/src/used/lib\n",
        ".heroku/python/src/used/lib/used.py": "",
        ".heroku/python/src/used/.git/HEAD": "",
        ".heroku/python/src/use/setup.py": "",
        ".heroku/python/src/use/.git/HEAD": "",
    }
    monkeypatch.chdir(write_tree(tmp_path, files))
    relocate_paths()

    assert [str(path) for path in Path(".heroku/python/src").rglob("*.*")] == [".heroku/python/src/used/lib/used.py"]
    assert Path(SITE, "_used.pth").read_text() == "../../../src/used/lib\n"
