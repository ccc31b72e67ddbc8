"""Which trees are Python apps, and which package manager each is for."""

from pathlib import Path

import pytest

from slugkit.buildpacks import Detection, NotDetected, PythonBuildpack
from slugkit.buildpacks.python._detect import MISSPELLED, SIGNS
from slugkit.buildpacks.python._managers import LOOSE, MANAGERS, choose_manager
from slugkit.errors import BuildpackError
from slugkit.testing import fake_context, write_tree

PIPENV, PIP, POETRY, UV = MANAGERS


@pytest.mark.parametrize("name", SIGNS)
def test_each_sign_is_an_app_of_python(tmp_path: Path, name: str) -> None:
    """Any of the names that Heroku goes by makes an app Python, be it a file or a directory (contract.md 8.2)."""
    for number, path in enumerate((name, f"{name}/")):
        context = fake_context(tmp_path / str(number))
        write_tree(context.build_dir, {path: ""})

        assert PythonBuildpack().detect(context) == Detection("Python", name)


@pytest.mark.parametrize("name", ["sub/requirements.txt", "index.js", "Gemfile", "package.json", "python"])
def test_anything_else_is_not(tmp_path: Path, name: str) -> None:
    """A tree without such a name in its root is none, and the answer says what would make it one."""
    context = fake_context(tmp_path)
    write_tree(context.build_dir, {name: ""})
    answer = PythonBuildpack().detect(context)

    assert isinstance(answer, NotDetected)
    assert answer.reason.startswith("no requirements.txt")


@pytest.mark.parametrize(
    ("names", "manager"),
    [
        (["requirements.txt"], PIP),
        (["requirements.txt", "requirements.in", "pyproject.toml", "setup.py"], PIP),
        (["requirements.in"], LOOSE),
        (["requirements.in", "uv.lock"], UV),
        (["uv.lock", "pyproject.toml"], UV),
        (["poetry.lock", "pyproject.toml"], POETRY),
        (["Pipfile.lock", "Pipfile"], PIPENV),
        (["Pipfile.lock"], PIPENV),
    ],
)
def test_the_lock_file_names_the_manager(tmp_path: Path, names: list[str], manager: object) -> None:
    """The one manager whose file is there installs the packages; requirements.in counts when there is no other."""
    write_tree(tmp_path, dict.fromkeys(names, ""))

    assert choose_manager(tmp_path) == manager


@pytest.mark.parametrize(
    ("names", "reason", "fix"),
    [
        (
            ["uv.lock", "poetry.lock", "requirements.txt", "Pipfile.lock"],
            "Pipfile.lock (Pipenv), requirements.txt (pip), poetry.lock (Poetry), uv.lock (uv)",
            "remove the others",
        ),
        (["Pipfile"], "a Pipfile and no Pipfile.lock", "pipenv lock"),
        (["Pipfile", "requirements.txt"], "a Pipfile and no Pipfile.lock", "pipenv lock"),
        (["setup.py"], "a setup.py and no list", "requirements.txt with one line"),
        (["pyproject.toml"], "a pyproject.toml and no lock", "uv lock"),
        (["pdm.lock"], "pdm.lock (PDM)", "pdm export"),
        (["app.py"], "nothing says which packages", "an empty requirements.txt will do"),
        (["requirements.txt/"], "nothing says which packages", "requirements.txt (pip)"),
        *(([name], f"a {name} and no requirements.txt", "rename it") for name in MISSPELLED),
    ],
)
def test_several_or_none_are_told(tmp_path: Path, names: list[str], reason: str, fix: str) -> None:
    """Whatever is not exactly one manager fails the build with the files that were found, in order, and the way out."""
    context = fake_context(tmp_path)
    write_tree(context.build_dir, dict.fromkeys(names, ""))
    with pytest.raises(BuildpackError) as caught:
        PythonBuildpack().compile(context)

    assert reason in caught.value.reason
    assert fix in caught.value.fix
    assert "\n" not in caught.value.reason + caught.value.fix


def test_a_link_is_no_lock_file(tmp_path: Path) -> None:
    """A link in the place of a lock file leads nowhere: the host reads regular files of the app only."""
    (tmp_path / "uv.lock").symlink_to("/etc/passwd")
    write_tree(tmp_path, {"requirements.txt": ""})

    assert choose_manager(tmp_path) == PIP


def test_a_list_that_is_a_link_is_told(tmp_path: Path) -> None:
    """An app whose only list is a link to another file learns why that does not count."""
    write_tree(tmp_path, {"requirements/production.txt": "", "setup.py": ""})
    (tmp_path / "requirements.txt").symlink_to("requirements/production.txt")
    with pytest.raises(BuildpackError) as caught:
        choose_manager(tmp_path)

    assert caught.value.reason == "requirements.txt is a link, and none is followed"
    assert caught.value.fix == "check in the file itself as requirements.txt"


@pytest.mark.parametrize("name", [".venv", "venv"])
def test_an_environment_in_the_source_is_refused(tmp_path: Path, name: str) -> None:
    """A virtual environment that came with the source is refused by name, with .slugignore as a way out."""
    context = fake_context(tmp_path)
    write_tree(context.build_dir, {"requirements.txt": "", f"{name}/pyvenv.cfg": ""})
    with pytest.raises(BuildpackError, match=rf"of its own, {name}/") as caught:
        PythonBuildpack().compile(context)

    assert ".slugignore" in caught.value.fix
