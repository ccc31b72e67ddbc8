"""How an environment gets into a build cache and out of it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from slugkit.buildpacks._steps import step_argv
from slugkit.testing import write_tree

ENV = ".heroku/python"


def step(root: Path, name: str, *arguments: str | Path) -> int:
    """Run a step on the app in *root*, and return its status."""
    return subprocess.run(step_argv("python", name, *arguments), cwd=root, capture_output=True, check=False).returncode


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """Return an app with an environment, which is in the cache beside it under the key "k"."""
    files = {f"{ENV}/bin/tool": "#!/bin/sh\n", f"{ENV}/lib/mod.py": "x = 1\n", ".heroku/requirements.lock": "six==1\n"}
    root = write_tree(tmp_path / "app", files)
    (root / ENV / "bin/tool").chmod(0o755)
    (root / ENV / "bin/python").symlink_to("tool")
    assert step(root, "save", tmp_path / "cache", "k") == 0
    return root


def restored(app: Path, key: str = "k") -> tuple[int, str]:
    """Restore into the app without its environment; return the status, and what is noted."""
    shutil.rmtree(app / ".heroku")
    status = step(app, "restore", app.parent / "notes", app.parent / "cache", key)
    return status, (app.parent / "notes").read_text()


def test_an_environment_comes_back_as_it_was(app: Path) -> None:
    """Contents, run bits, links and the list of pins are those that were saved."""
    assert restored(app) == (0, "cache_status=reused\n")
    assert (app / ENV / "lib/mod.py").read_text() == "x = 1\n"
    assert (app / ENV / "bin/tool").stat().st_mode & 0o777 == 0o755
    assert (app / ENV / "bin/python").readlink() == Path("tool")
    assert (app / ".heroku/requirements.lock").read_text() == "six==1\n"


def test_another_stack_is_another_environment(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was installed on one stack is not used on another."""
    monkeypatch.setenv("STACK", "heroku-26")

    assert restored(app) == (3, "cache_status=discarded\n")


def test_what_an_app_changes_later_is_not_in_the_cache(app: Path) -> None:
    """A hook that writes into the environment after it was saved writes into this slug's, and no other's."""
    with (app / ENV / "lib/mod.py").open("a") as file:
        file.write("x = 2\n")

    assert restored(app)[0] == 0
    assert (app / ENV / "lib/mod.py").read_text() == "x = 1\n"


def test_another_key_is_another_environment(app: Path) -> None:
    """What was saved under another key stays where it is."""
    assert restored(app, "other") == (3, "cache_status=discarded\n")
    assert not (app / ENV).exists()


@pytest.mark.parametrize("left", [0, 512, 2000, -10240, None])
def test_a_damaged_archive_is_no_environment(app: Path, left: int | None) -> None:
    """Half an environment is none, wherever the half ends: it is made anew, with nothing of the half in the way."""
    archive = app.parent / "cache/env.tar"
    if left is None:
        archive.unlink()
    else:
        archive.write_bytes(archive.read_bytes()[:left])

    assert restored(app) == (3, "cache_status=discarded\n")
    assert not (app / ENV).exists()


def test_the_next_environment_takes_its_place(app: Path) -> None:
    """The cache has one environment, the last; no list of pins is left of the one before."""
    shutil.rmtree(app / ".heroku")
    write_tree(app, {f"{ENV}/lib/new.py": ""})
    assert step(app, "save", app.parent / "cache", "new") == 0

    assert restored(app, "new")[0] == 0
    assert [str(path.relative_to(app)) for path in app.rglob("*.*") if path.is_file()] == [f"{ENV}/lib/new.py"]


def test_what_managers_keep_comes_back(tmp_path: Path) -> None:
    """Programs and downloads of one build are there for the next; a first one, and one after damage, have none."""
    archive, app = tmp_path / "managers.tar", tmp_path / "app"
    write_tree(tmp_path / "data", {"uv/wheel": "w", "tools/uv/bin/uv": "#!/bin/sh\n"})
    app.mkdir()
    assert step(app, "keep", archive, tmp_path / "data") == 0
    assert step(app, "bring", archive, tmp_path / "back") == 0
    archive.write_bytes(b"no archive" * 100)
    assert step(app, "bring", archive, tmp_path / "damaged") == 0
    assert step(app, "bring", tmp_path / "none", tmp_path / "first") == 0

    assert (tmp_path / "back/uv/wheel").read_text() == "w"
    assert [list((tmp_path / name).iterdir()) for name in ("damaged", "first")] == [[], []]
