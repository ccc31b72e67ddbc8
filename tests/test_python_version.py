"""Which Python an app gets: what it says, where it says so, and which interpreters this machine has."""

import json
import os
import sys
from pathlib import Path

import pytest

from slugkit.build import SlugBuilder
from slugkit.build._confinement import shown_too
from slugkit.buildpacks import PythonBuildpack
from slugkit.buildpacks.python._interpreters import HOST_VARS, choose_interpreter, interpreters, running
from slugkit.buildpacks.python._version import MISSPELLED, Wanted, wanted_version
from slugkit.dyno import DynoRunner
from slugkit.errors import BuildpackError
from slugkit.sandbox import Bind, SandboxSpec
from slugkit.testing import RecordingRunner, fake_context, write_tree

HERE = ".".join(map(str, sys.version_info[:3]))
SHORT = ".".join(map(str, sys.version_info[:2]))


def pipfile_lock(**requires: str) -> str:
    return json.dumps({"_meta": {"requires": requires}})


@pytest.mark.parametrize(
    ("files", "ranges", "source"),
    [
        ({}, ("",), ""),
        ({"runtime.txt": "python-3.12.4\n", ".python-version": "3.13"}, ("==3.12.4",), "runtime.txt"),
        ({"runtime.txt": " python-3.12 \r\n"}, ("==3.12.*",), "runtime.txt"),
        ({".python-version": "3.13\n"}, ("==3.13.*",), ".python-version"),
        ({".python-version": "\ufeff# ours\r\n\r\n  3.13.2 \r\n"}, ("==3.13.2",), ".python-version"),
        ({".python-version": "3.13", "Pipfile.lock": pipfile_lock(python_version="3.12")}, ("==3.13.*",), None),
        ({"Pipfile.lock": pipfile_lock(python_version="3.12")}, ("==3.12.*",), "Pipfile.lock"),
        (
            {"Pipfile.lock": pipfile_lock(python_version="3.12", python_full_version="3.12.1")},
            ("==3.12.1",),
            "Pipfile.lock",
        ),
        ({"Pipfile.lock": pipfile_lock()}, ("",), ""),
        ({"pyproject.toml": '[project]\nrequires-python = ">=3.11"\n'}, (">=3.11",), "pyproject.toml"),
        ({"pyproject.toml": "[tool.ruff]\n", "uv.lock": ""}, ("",), ""),
        ({".python-version/": ""}, ("",), ""),
    ],
)
def test_the_first_that_says_anything_counts(
    tmp_path: Path, files: dict[str, str], ranges: tuple[str, ...], source: str | None
) -> None:
    """runtime.txt, .python-version, Pipfile.lock, pyproject.toml, in this order; none of them: what runs slugkit."""
    wanted = wanted_version(write_tree(tmp_path, files))

    assert wanted.ranges == ranges
    assert source is None or wanted.source == source


def test_the_last_build_is_kept_to(tmp_path: Path) -> None:
    """An app that names no version stays with the last build's; a range of pyproject.toml is narrowed to it."""
    none = wanted_version(tmp_path, "3.12")
    write_tree(tmp_path, {"pyproject.toml": '[project]\nrequires-python = ">=3.11"\n'})

    assert (none.ranges, none.source) == (("==3.12.*", ""), "the last build")
    assert wanted_version(tmp_path, "3.12").ranges == (">=3.11,==3.12.*", ">=3.11")
    assert wanted_version(write_tree(tmp_path / "none", {"none/": ""}), "rubbish\n").ranges == ("",)


@pytest.mark.parametrize(
    ("files", "reason", "fix"),
    [
        ({"runtime.txt": "3.12"}, "runtime.txt names no version of Python: '3.12'", ".python-version"),
        ({"runtime.txt": "python-3.12.x"}, "'python-3.12.x'", ".python-version"),
        ({".python-version": "python-3.12"}, "names no version of Python: 'python-3.12'", "no prefix"),
        ({".python-version": '"3.12"'}, "'\"3.12\"'", "quotes"),
        ({".python-version": "3"}, "'3'", "such as 3.13"),
        ({".python-version": "3.12.*"}, "'3.12.*'", "wildcards"),
        ({".python-version": "3.12 # ours"}, "'3.12 # ours'", "on one line"),
        ({".python-version": "3.12\x00\x1b[2J"}, r"'3.12\x00\x1b[2J'", "on one line"),
        ({".python-version": "9" * 100000}, "9...'", "on one line"),
        ({".python-version": "# nothing\n\n"}, "names no version", "or remove it"),
        ({".python-version": "3.12\n3.13\n"}, "has 2 versions, and there is one: '3.12', '3.13'", "on one line"),
        ({".python-version": "3.10"}, "Python 3.10, whose life ended in October 2026", "3.11 or newer"),
        ({".python-version": "2.7.18"}, "ended in January 2020", "3.11 or newer"),
        ({".python-version": "1.5"}, "whose life has ended", "3.11 or newer"),
        ({"runtime.txt": "python-3.8.1"}, "runtime.txt asks for Python 3.8.1", "3.11 or newer"),
        ({"Pipfile.lock": "{"}, "cannot read Pipfile.lock", "pipenv lock"),
        ({"Pipfile.lock": "[]"}, "cannot read Pipfile.lock", "pipenv lock"),
        ({"Pipfile.lock": "[" * 100000}, "cannot read Pipfile.lock", "pipenv lock"),
        ({"Pipfile.lock": pipfile_lock(python_version="three")}, "'three'", "[requires]"),
        ({".python-version": "3." + "1" * 5000}, "names no version of Python: '3.111", "on one line"),
        ({".python-version": "\u0663.\u0661\u0661"}, "names no version", "on one line"),
        ({"runtime.txt": "python-3." + "1" * 5000}, "names no version of Python: 'python-3.111", ".python-version"),
        ({"Pipfile.lock": '{"a": ' + "1" * 5000}, "cannot read Pipfile.lock", "pipenv lock"),
        ({"Pipfile.lock": pipfile_lock(python_version="3." + "1" * 5000)}, "'3.111", "[requires]"),
        ({"pyproject.toml": "a = " + "1" * 5000}, "cannot read pyproject.toml", "tomllib"),
        ({"pyproject.toml": f"[project]\nrequires-python = '>={'9' * 5000}'"}, "'>=999", ">=3.11"),
        ({"pyproject.toml": f"[project]\nrequires-python = '>=9{',!=3' * 5000}'"}, "'>=9,!=3", ">=3.11"),
        ({"pyproject.toml": "["}, "cannot read pyproject.toml", "tomllib"),
        ({"pyproject.toml": "[project]\nrequires-python = 'new'"}, "'new'", ">=3.11"),
        ({"pyproject.toml": "[project]\nrequires-python = [1]"}, "'[1]'", ">=3.11"),
    ],
)
def test_what_is_no_version_is_told(tmp_path: Path, files: dict[str, str], reason: str, fix: str) -> None:
    """Each error names the file, shows what is there with nothing invisible, and says what to write instead."""
    write_tree(tmp_path, files)
    with pytest.raises(BuildpackError) as caught:
        wanted_version(tmp_path)

    assert reason in caught.value.reason
    assert fix in caught.value.fix
    assert caught.value.reason.isprintable()
    assert len(caught.value.reason) < 200


@pytest.mark.parametrize("name", MISSPELLED)
def test_a_misspelled_name_is_told(tmp_path: Path, name: str) -> None:
    """A file that somebody meant to be .python-version fails the build, rather than be ignored for ever."""
    write_tree(tmp_path, {name: "3.12\n", ".python-version": "3.12\n"})
    with pytest.raises(BuildpackError) as caught:
        wanted_version(tmp_path)

    assert caught.value.reason == f"there is a {name}, which nothing reads"
    assert caught.value.fix == "rename it to .python-version"
    assert len(set(MISSPELLED)) == 20


def test_the_running_interpreter_comes_first(tmp_path: Path) -> None:
    """What will do with the interpreter that runs slugkit gets it, and nothing is asked or searched."""
    host = {"PATH": str(tmp_path), "SLUGKIT_PYTHONS": "/gone"}

    assert choose_interpreter(Wanted(), host) == running()
    assert choose_interpreter(Wanted((f"=={SHORT}.*",), SHORT, ".python-version"), host) == running()
    assert choose_interpreter(Wanted((f"=={HERE}",), HERE, ".python-version"), host).version == HERE


def test_the_last_builds_python_may_be_gone() -> None:
    """When what the last build had is no longer here, an app that names none gets what runs slugkit."""
    assert choose_interpreter(Wanted(("==3.99.*", ""), "3.99", "the last build"), {}) == running()


def test_what_is_not_here_is_told_with_what_is() -> None:
    """An app that asks for a Python this machine has not learns which it has, and how to name another."""
    with pytest.raises(BuildpackError) as caught:
        choose_interpreter(Wanted(("==3.99.*",), "3.99", ".python-version"), {"PATH": ""})

    assert caught.value.reason.startswith(".python-version asks for Python 3.99, and this machine has ")
    assert HERE in caught.value.reason
    assert "SLUGKIT_PYTHONS" in caught.value.fix


def test_a_python_of_the_stack_is_in_usr() -> None:
    """Where the interpreter stays on the host, one that dynos are not shown does not count, and the error says so."""
    with pytest.raises(BuildpackError) as caught:
        choose_interpreter(Wanted(("==3.99.*",), "3.99", ".python-version"), {"PATH": ""}, shown_to_dynos=True)

    assert 'with runtime="stack" only those in /usr count' in caught.value.reason


def test_slugkit_pythons_names_programs_and_directories(tmp_path: Path) -> None:
    """An entry is a program, a directory of programs or a prefix with bin/; those not there are passed over."""
    real = Path(os.path.realpath(sys.executable))
    entries = [tmp_path / "gone", real.parent.parent, real]
    found = list(interpreters({"SLUGKIT_PYTHONS": os.pathsep.join(map(str, entries)), "PATH": ""}, f"=={HERE}"))

    assert [i.version for i in found] == [HERE]
    assert found[0].prefix.is_dir()


def test_the_build_sees_the_chosen_interpreter(tmp_path: Path) -> None:
    """Commands of the build are shown the prefix of the interpreter, and its steps run on it."""
    run = RecordingRunner()
    context = fake_context(tmp_path, run=run)
    write_tree(context.build_dir, {"requirements.txt": "", ".python-version": f"{SHORT}\n"})
    PythonBuildpack().compile(context)

    assert run.shown == [running().prefix]
    assert {call[0] for call in run.calls} == {running().executable}


def test_runtime_txt_is_deprecated(tmp_path: Path) -> None:
    """Heroku reads it no longer than it must: a warning names the file that takes its place and what to write there."""
    said: list[str] = []
    context = fake_context(tmp_path, say=said.append)
    write_tree(context.build_dir, {"requirements.txt": "", "runtime.txt": f"python-{SHORT}\n"})
    PythonBuildpack().compile(context)

    assert f"-----> Using Python {HERE} specified in runtime.txt" in said
    assert any(f"write {SHORT} to .python-version" in line for line in said)


def test_what_is_shown_too_is_shown_once(tmp_path: Path) -> None:
    """A directory of the host comes into view read-only, with where a link leads; what is in view is not added."""
    real, link = tmp_path / "3.12.1", tmp_path / "3.12"
    real.mkdir()
    link.symlink_to(real)
    spec = SandboxSpec((Bind(Path("/usr"), "/usr"),))
    shown = shown_too(spec, link)

    assert [mount.host for mount in shown.mounts if isinstance(mount, Bind)] == [Path("/usr"), link, real]
    assert not any(mount.writable for mount in shown.mounts if isinstance(mount, Bind))
    assert shown_too(spec, Path("/usr/lib")) == spec
    assert shown_too(shown, real) == shown


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.usefixtures("sandboxed")
def test_another_interpreter_of_the_machine(tmp_path: Path) -> None:
    """An app gets the Python that it asks for, with what its markers mean to that one, and it travels in the slug."""
    host = {name: os.environ[name] for name in HOST_VARS if name in os.environ}
    other = next(i for i in interpreters(host) if i.short != SHORT)
    files = {
        ".python-version": f"{other.short}\n",
        "requirements.in": f"six; python_version == '{other.short}'\npackaging; python_version == '{SHORT}'\n",
        "Procfile": "web: true\n",
    }
    source = write_tree(tmp_path / "app", files)
    slug = SlugBuilder(cache_dir=tmp_path / "cache").build(source, tmp_path / "o.tgz")
    code = "import six, sys, importlib.util as u; print(sys.version_info[:3], sys.prefix, u.find_spec('packaging'))"
    with DynoRunner(store=tmp_path / "store") as runner:
        done = runner.run(slug, f'python -c "{code}"')

    assert done.output == f"({other.version.replace('.', ', ')}) /app/.heroku/python None\n"
