"""Where a build sees the host's own paths and root runs it as another user: what that user cannot reach is named."""

import sys
from pathlib import Path

import pytest

from slugkit.build._commands import SandboxRunner, closed_to_others
from slugkit.buildpacks import Buildpack, PythonBuildpack
from slugkit.buildpacks.nodejs import NodejsBuildpack
from slugkit.buildpacks.ruby import RubyBuildpack
from slugkit.environ import BUILD_PATH
from slugkit.errors import BuildpackError
from slugkit.sandbox import Namespaces, Sandbox, SandboxSpec, Unconfined
from slugkit.testing import fake_context, write_tree

SOMEBODY = 61500


def runner(root: Path, sandbox: Sandbox, uid: int | None = SOMEBODY) -> SandboxRunner:
    """Return who runs the commands of a build in *root*/build; it stays who it is, whatever *uid* says."""
    (root / "build").mkdir(parents=True, exist_ok=True)
    env = {"PATH": BUILD_PATH, "HOME": str(root), "STACK": "heroku-24"}
    return SandboxRunner(sandbox, SandboxSpec((), uid), env, root / "build", lambda _: None, 60, lambda _: None)


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """Return a directory that only its owner enters, in one that everybody does, as far as that is the test's."""
    directory = tmp_path / "closed"
    directory.mkdir(mode=0o700)
    return directory


@pytest.mark.parametrize(
    ("pack", "files"),
    [
        (PythonBuildpack(), {"requirements.txt": ""}),
        (RubyBuildpack(), {"Gemfile": "", "Gemfile.lock": "GEM\n  specs:\n\nPLATFORMS\n  ruby\n\nDEPENDENCIES\n"}),
        (NodejsBuildpack(), {"package.json": "{}"}),
    ],
    ids=["python", "ruby", "nodejs"],
)
def test_a_closed_interpreter_is_named(
    tmp_path: Path, closed: Path, monkeypatch: pytest.MonkeyPatch, pack: Buildpack, files: dict[str, str]
) -> None:
    """A Python that runs slugkit, and so the packs' own scripts, and that only root can read, is an error."""
    python = closed / "python3"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    context = fake_context(tmp_path / "work", run=runner(tmp_path / "work", Unconfined()))
    write_tree(context.build_dir, files)
    with pytest.raises(BuildpackError) as caught:
        pack.compile(context)

    assert f"cannot reach {python}" in caught.value.reason
    assert f"only its owner enters {closed_to_others(python)}" in caught.value.reason
    assert "apt-get install python3-venv" in caught.value.fix
    assert "SLUGKIT_PYTHONS" in caught.value.fix


def test_a_link_to_a_closed_interpreter_is_followed(tmp_path: Path, closed: Path) -> None:
    """An environment that everybody can read is of no use when the interpreter that it leads to is closed."""
    (closed / "python3").touch()
    link = tmp_path / "work/build/python"
    run = runner(tmp_path / "work", Unconfined())
    link.symlink_to(closed / "python3")
    with pytest.raises(BuildpackError, match="cannot reach"):
        run([link])


def test_what_is_the_builds_own_is_reached(tmp_path: Path) -> None:
    """The build's own directories lie where only its user enters: nothing of theirs is refused."""
    (tmp_path / "work").mkdir(mode=0o700)
    run = runner(tmp_path / "work", Unconfined())
    script = write_tree(tmp_path / "work/build", {"script": "#!/bin/sh\necho ran\n"}) / "script"
    script.chmod(0o755)

    assert run([script]).output == "ran\n"


@pytest.mark.parametrize(("sandbox", "uid"), [(Namespaces(), SOMEBODY), (Unconfined(), None)])
def test_modes_count_only_where_another_user_sees_the_hosts_paths(
    tmp_path: Path, closed: Path, sandbox: Sandbox, uid: int | None
) -> None:
    """Where the interpreter is mounted, or is the user's own, no mode on the way to it matters."""
    run = runner(tmp_path / "work", sandbox, uid)

    run._check_reach([closed / "python3"])


def test_which_directory_is_closed(closed: Path) -> None:
    """The first one that not everybody enters is named; a path that is not there is for others to tell."""
    assert closed_to_others(Path("/usr/bin/env")) is None
    assert closed_to_others(Path("/nowhere/at/all")) is None
    found = closed_to_others(closed / "below/python3")
    assert found is not None
    assert found == closed or closed.is_relative_to(found)
