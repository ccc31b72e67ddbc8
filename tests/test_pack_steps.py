"""The packs' steps inside the sandbox, where the cache, the tree or the disk is not as they expect."""

import errno
import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from slugkit.buildpacks._inside.run import run
from slugkit.buildpacks._steps import step_argv
from slugkit.testing import write_tree

IN_PLACE = {
    "file": lambda path: path.write_text("x"),
    "directory": lambda path: (path / "x").mkdir(parents=True),
    "link": lambda path: path.symlink_to("/nowhere"),
    "FIFO": os.mkfifo,
    "no text": lambda path: path.write_bytes(b"\xff\xfe"),
}


def step(root: Path, pack: str, name: str, *arguments: str | Path, stack: str = "heroku-24") -> tuple[int, str]:
    """Run a step of *pack* on the app in *root*; return its status and what it printed."""
    env = {**os.environ, "STACK": stack}
    argv = step_argv(pack, name, *arguments)
    done = subprocess.run(argv, cwd=root, env=env, capture_output=True, text=True, timeout=20, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["python", "python/key", "python/env.tar", "managers.tar", "python-version"])
@pytest.mark.parametrize("put", IN_PLACE.values(), ids=IN_PLACE)
def test_pythons_cache_may_be_of_any_shape(tmp_path: Path, name: str, put: Callable[[Path], None]) -> None:
    """What a script of the app has left in the cache is no environment, and fails no later build."""
    app = write_tree(tmp_path / "app", {".heroku/python/x": ""})
    cache = write_tree(tmp_path / "cache", {"python/": "", "data/x": ""})
    shutil.rmtree(cache / name, ignore_errors=True)
    put(cache / name)
    steps = [
        step(app, "python", "restore", tmp_path / "notes", cache / "python", "k"),
        step(app, "python", "keep", cache / "managers.tar", cache / "data"),
        step(app, "python", "save", cache / "python", "k"),
        step(app, "python", "app", tmp_path / "notes", cache / "python-version", "3.11"),
        step(app, "python", "restore", tmp_path / "notes", cache / "python", "k"),
    ]

    assert [status for status, _ in steps] == [3, 0, 0, 0, 0], steps


@pytest.mark.parametrize("name", ["modules", "modules/key", "directories", "directories/key"])
@pytest.mark.parametrize("put", IN_PLACE.values(), ids=IN_PLACE)
def test_nodes_cache_may_be_of_any_shape(tmp_path: Path, name: str, put: Callable[[Path], None]) -> None:
    """What a script of the app has left in the cache is no modules, and fails no later build."""
    app = write_tree(tmp_path / "app", {"node_modules/x": "", "c/x": ""})
    cache = write_tree(tmp_path / "cache", {"modules/": "", "directories/": ""})
    shutil.rmtree(cache / name, ignore_errors=True)
    put(cache / name)
    steps = [
        step(app, "nodejs", "restore", cache / "modules", "k", "copy", tmp_path / "notes"),
        step(app, "nodejs", "bring", cache / "directories", "k", "d"),
        step(app, "nodejs", "save", cache / "modules", "k", "copy"),
        step(app, "nodejs", "keep", cache / "directories", "k", "c"),
        step(app, "nodejs", "restore", cache / "modules", "k", "copy", tmp_path / "notes"),
    ]

    assert [status for status, _ in steps] == [3, 0, 0, 0, 0], steps


@pytest.mark.parametrize("name", ["", "key", "bundle", "assets", "secret_key_base"])
@pytest.mark.parametrize("put", IN_PLACE.values(), ids=IN_PLACE)
@pytest.mark.parametrize("key", ["same", "other"])
def test_rubys_cache_may_be_of_any_shape(tmp_path: Path, name: str, put: Callable[[Path], None], key: str) -> None:
    """What a Gemfile has left in the cache is no bundle, and fails no later build."""
    app = write_tree(tmp_path / "app", {"public/assets/x.css": ""})
    cache = write_tree(tmp_path / "cache", {"key": f"heroku-24 {key}"})
    (tmp_path / "notes").mkdir()
    if name in {"", "key"}:
        shutil.rmtree(cache) if not name else (cache / name).unlink()
    if not (name == "secret_key_base" and put is IN_PLACE["file"]):
        put(cache / name)
    steps = [
        step(app, "ruby", "prepare", cache, tmp_path / "notes", "same"),
        step(app, "ruby", "secret", cache),
        step(app, "ruby", "save-assets", cache),
    ]

    assert [status for status, _ in steps] == [0, 0, 0], steps
    assert (cache / "bundle").is_dir()
    assert (cache / "assets/public/assets/x.css").is_file()


def test_what_no_copy_can_have_is_not_cached(tmp_path: Path) -> None:
    """A FIFO or a socket among modules, in directories to be cached or among assets fails no build."""
    app = write_tree(tmp_path / "app", {f"{name}/x": "" for name in ("node_modules/a", "c", "public/assets")})
    for name in ("node_modules/a", "c", "public/assets"):
        os.mkfifo(app / name / "fifo")
        here = os.open(app / name, os.O_RDONLY)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)

    assert step(app, "nodejs", "save", tmp_path / "modules", "k", "copy")[0] == 0
    assert step(app, "nodejs", "keep", tmp_path / "directories", "k", "c")[0] == 0
    assert step(app, "ruby", "save-assets", tmp_path / "ruby")[0] == 0
    assert sorted(path.name for path in (tmp_path / "modules/node_modules/a").iterdir()) == ["x"]
    assert sorted(path.name for path in (tmp_path / "directories/tree/c").iterdir()) == ["x"]
    assert sorted(path.name for path in (tmp_path / "ruby/assets/public/assets").iterdir()) == ["x"]


@pytest.mark.parametrize("put", [IN_PLACE["link"], IN_PLACE["directory"], os.mkfifo])
def test_a_profile_script_is_a_file_of_its_own(tmp_path: Path, put: Callable[[Path], None]) -> None:
    """What the source has in the place of a profile script is replaced, and nothing is written through a link."""
    app = write_tree(tmp_path / "app", {".profile.d/": ""})
    put(app / ".profile.d/a.sh")
    scripts = write_tree(tmp_path / "scripts", {"a.sh": "true\n"})

    assert step(app, "python", "profile", scripts) == (0, "")
    assert not (app / ".profile.d/a.sh").is_symlink()
    assert (app / ".profile.d/a.sh").read_text() == "true\n"


def test_what_stands_in_the_way_is_one_line(tmp_path: Path) -> None:
    """The disk's no, a tree that is not as expected and a program that fails are told without the step's own source."""
    app = write_tree(tmp_path / "app", {".profile.d": ""})

    assert step(app, "python", "profile", tmp_path) == (1, "[Errno 17] File exists: '.profile.d'\n")
    assert step(app, "python", "keep", tmp_path / "no/x", app)[1].splitlines()[-1].startswith("tar ended with status 2")


def test_a_full_disk_is_told_once() -> None:
    """Of the thousand files that could not be copied one is named."""
    full = OSError(errno.ENOSPC, "No space left on device", "x")

    def copy() -> int:
        raise shutil.Error([(f"a/{number}", f"b/{number}", str(full)) for number in range(1000)])

    assert run(copy) == "[Errno 28] No space left on device: 'x'"
    assert run(lambda: 3) == 3


def test_modules_of_another_stack_are_not_used(tmp_path: Path) -> None:
    """What was installed on one stack does not come back on another."""
    app, cache = write_tree(tmp_path / "app", {"node_modules/x": ""}), tmp_path / "cache"
    assert step(app, "nodejs", "save", cache, "k", "copy") == (0, "")

    assert step(app, "nodejs", "restore", cache, "k", "copy", stack="heroku-26")[0] == 3
    assert step(app, "nodejs", "restore", cache, "k", "copy")[0] == 0
