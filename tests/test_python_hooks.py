"""What a build of a Python app runs of the app itself, and what it tells afterwards."""

import os
import subprocess
from pathlib import Path

import pytest

from slugkit import buildpacks
from slugkit.build import SlugBuilder
from slugkit.buildpacks import BuildContext, Buildpack, PythonBuildpack, Reporting
from slugkit.buildpacks.python._hooks import find_manage, has_package
from slugkit.buildpacks.python._interpreters import running
from slugkit.command import Completed
from slugkit.dyno import DynoRunner
from slugkit.errors import BuildpackError, CommandFailedError, CompileFailedError
from slugkit.events import BuildEvent, BuildLine, BuildpackReported
from slugkit.testing import FakeBuildpack, RecordingRunner, fake_context, write_tree

SITE = f".heroku/python/lib/python{running().short}/site-packages"
HOOK = "#!/bin/sh\n"


def compiled(
    root: Path, files: dict[str, str], packages: tuple[str, ...] = (), **config_vars: str
) -> tuple[list[str], list[str], RecordingRunner]:
    """Return the commands of a build of *files*, with *packages* installed, what it said, and who ran it."""
    said: list[str] = []

    def answer(argv: tuple[str | Path, ...]) -> Completed:
        if "restore" in argv:  # check_source has been: now the environment may be there
            write_tree(context.build_dir, {f"{SITE}/{name}/__init__.py": "x" for name in packages})
            return Completed(3, "")
        return Completed(1 if "fail" in argv[-1:] else 0, "why\n")

    run = RecordingRunner(answer)
    context = fake_context(root, run=run, config_vars=config_vars, say=said.append)
    write_tree(context.build_dir, {"requirements.txt": "", **files})
    PythonBuildpack().compile(context)
    lines = [" ".join(word if isinstance(word, str) else word.name for word in call) for call in run.calls]
    return lines, said, run


def test_the_apps_hooks_run_first_and_last(tmp_path: Path) -> None:
    """bin/pre_compile runs before anything is chosen, bin/post_compile before the bytecode is made."""
    lines, said, run = compiled(tmp_path, {"bin/pre_compile": HOOK, "bin/post_compile": HOOK}, LANG="de_DE.UTF-8")
    hooks = [number for number, line in enumerate(lines) if "exec bin/" in line]

    assert hooks[0] == 0
    assert "bin/post_compile" in lines[hooks[1]]
    assert " _inside python app " in lines[hooks[1] + 1]
    assert [line for line in said if "hook" in line] == [
        "-----> Running bin/pre_compile hook",
        "-----> Running bin/post_compile hook",
    ]
    assert run.envs[0]["LANG"] == "de_DE.UTF-8"  # the pack's own are defaults
    assert run.envs[0]["PYTHONHASHSEED"] == "0"
    assert {"BUILD_DIR", "CACHE_DIR", "ENV_DIR"} <= set(run.envs[0])


def test_a_hook_decides_what_is_built(tmp_path: Path) -> None:
    """What bin/pre_compile writes - a lock file, a version - is what the build goes by."""

    def answer(argv: tuple[str | Path, ...]) -> Completed:
        if any("bin/pre_compile" in str(word) for word in argv):
            write_tree(context.build_dir, {".python-version": "nonsense\n"})
        return Completed(0, "")

    context = fake_context(tmp_path, run=RecordingRunner(answer))
    write_tree(context.build_dir, {"requirements.txt": "", "bin/pre_compile": HOOK})
    with pytest.raises(BuildpackError, match="'nonsense'"):
        PythonBuildpack().compile(context)


@pytest.mark.parametrize("name", ["pre_compile", "post_compile"])
def test_a_hook_that_fails_fails_the_build(tmp_path: Path, name: str) -> None:
    """Its status and its last lines are the error's, and a line names the file."""
    said: list[str] = []
    run = RecordingRunner(lambda argv: Completed(7 if f"bin/{name}" in str(argv[-1]) else 0, "one\ntwo\n"))
    context = fake_context(tmp_path, run=run, say=said.append)
    write_tree(context.build_dir, {"requirements.txt": "", f"bin/{name}": HOOK})
    with pytest.raises(CommandFailedError) as caught:
        PythonBuildpack().compile(context)

    assert (caught.value.command, caught.value.status) == (f"bin/{name}", 7)
    assert caught.value.last_lines == ("one", "two")
    assert f" !     bin/{name} exited with status 7" in said


DJANGO = ("django",)


@pytest.mark.parametrize(
    ("files", "packages", "config_vars", "manage"),
    [
        ({"manage.py": "x"}, DJANGO, {}, "manage.py"),
        ({"a/b/manage.py": "x", "z/manage.py": "x"}, DJANGO, {"DISABLE_COLLECTSTATIC": "0"}, "z/manage.py"),
        ({"a/b/manage.py": "x"}, DJANGO, {}, "a/b/manage.py"),
        ({"a/b/c/manage.py": "x"}, DJANGO, {}, None),
        ({"manage.py": "x"}, (), {}, None),
        ({"manage.py": "x"}, DJANGO, {"DISABLE_COLLECTSTATIC": "1"}, None),
        ({"manage.py": "x", ".heroku/collectstatic_disabled": ""}, DJANGO, {}, None),
    ],
)
def test_collectstatic(
    tmp_path: Path, files: dict[str, str], packages: tuple[str, ...], config_vars: dict[str, str], manage: str | None
) -> None:
    """Django collects with the nearest manage.py of the upper three levels, unless it is told not to."""
    lines, said, run = compiled(tmp_path, files, packages, **config_vars)
    found = [(line, env) for line, env in zip(lines, run.envs, strict=True) if "collectstatic" in line]

    assert [f" bin python {manage} collectstatic --noinput --traceback" in line for line, _ in found] == (
        [True] if manage else []
    )
    assert all(env["PYTHONPATH"] == "." for _, env in found)
    assert any("Skipping Django collectstatic" in line for line in said) is bool(
        packages and not manage and "a/b/c/manage.py" not in files
    )


def test_collectstatic_that_fails_names_its_switch(tmp_path: Path) -> None:
    """When it fails, the build does, and says how to do without."""
    said: list[str] = []

    def answer(argv: tuple[str | Path, ...]) -> Completed:
        if "restore" in argv:
            write_tree(context.build_dir, {f"{SITE}/django/__init__.py": "x"})
        return Completed(1 if "collectstatic" in argv else 0, "no STATIC_ROOT\n")

    run = RecordingRunner(answer)
    context = fake_context(tmp_path, run=run, config_vars={"DEBUG_COLLECTSTATIC": "1"}, say=said.append)
    write_tree(context.build_dir, {"requirements.txt": "", "manage.py": "x"})
    with pytest.raises(CommandFailedError) as caught:
        PythonBuildpack().compile(context)

    assert caught.value.last_lines == ("no STATIC_ROOT",)
    assert any("DISABLE_COLLECTSTATIC=1" in line for line in said)
    assert any(call[-1] == "/usr/bin/env" for call in run.calls)


def test_a_link_is_no_manage_py(tmp_path: Path) -> None:
    """Neither a link to a manage.py nor one in a linked directory is run, or looked at."""
    write_tree(tmp_path, {"app/real/manage.py": "x", "app/.heroku/manage.py": "x"})
    (tmp_path / "out").mkdir()
    write_tree(tmp_path / "out", {"manage.py": "x"})
    (tmp_path / "app/linked").symlink_to(tmp_path / "out")
    (tmp_path / "app/manage.py").symlink_to(tmp_path / "out/manage.py")

    assert find_manage(tmp_path / "app") == "real/manage.py"


@pytest.mark.parametrize(
    ("files", "packages", "command", "line"),
    [
        ({"nltk.txt": "city_database\n\nstopwords\n"}, ("nltk",), "city_database stopwords", "city_database stopwords"),
        ({"nltk.txt": " \n"}, ("nltk",), None, "nltk.txt is empty"),
        ({}, ("nltk",), None, "there is no nltk.txt"),
        ({"nltk.txt": "stopwords\n"}, (), None, None),
    ],
)
def test_nltk(
    tmp_path: Path, files: dict[str, str], packages: tuple[str, ...], command: str | None, line: str | None
) -> None:
    """What nltk.txt lists is downloaded into the environment, for an app that has NLTK; without the file, a warning."""
    lines, said, _ = compiled(tmp_path, files, packages)
    found = [text for text in lines if "nltk.downloader" in text]

    assert found == ([f"/bin/sh -c {found[0].split(' ', 2)[2]}"] if command else [])
    assert all(text.endswith(f"-d nltk_data {command}") for text in found)
    assert line is None or any(line in text for text in said)
    assert line is not None or not any("NLTK" in text for text in said)


@pytest.mark.parametrize(
    ("files", "packages", "addons"),
    [
        ({"manage.py": "x"}, ("django", "psycopg2"), ("heroku-postgresql",)),
        ({"manage.py": "x"}, ("django",), ()),
        ({"manage.py": "x"}, ("psycopg2",), ()),
        ({"site/manage.py": "x"}, ("django", "psycopg2"), ()),
    ],
)
def test_release_names_the_database_of_a_django_app(
    tmp_path: Path, files: dict[str, str], packages: tuple[str, ...], addons: tuple[str, ...]
) -> None:
    """An app with manage.py in its root, Django and psycopg2 would get a database on its first deploy."""
    context = fake_context(tmp_path)
    write_tree(context.build_dir, {**files, **{f"{SITE}/{name}/__init__.py": "x" for name in packages}})
    write_tree(context.cache_dir, {"python-version": running().short})
    release = PythonBuildpack().release(context)

    assert release.addons == addons
    assert release.process_types == {}
    assert has_package(context.build_dir, running().short, "django") is ("django" in packages)


@pytest.mark.usefixtures("sandboxed")
def test_later_packs_have_the_apps_python(tmp_path: Path) -> None:
    """The pack after it runs the app's interpreter by name and imports its modules, as its settings are kept."""
    told: list[str] = []
    code = "import sys, ours; print(sys.executable, sys.prefix, ours.__file__, sep='\\n')"

    def compile_(context: BuildContext) -> None:
        told.extend(context.run(["python", "-c", code], capture=True, show="no").output.splitlines())
        told.append(str(context.build_dir.name))
        told.append(context.run(["/usr/bin/python3", "-c", "import json; print(json.__file__)"]).output)

    source = write_tree(tmp_path / "app", {"requirements.txt": "# by pip-compile\n", "ours.py": ""})
    packs: list[Buildpack] = [PythonBuildpack(runtime="stack"), FakeBuildpack(on_compile=compile_)]
    SlugBuilder(buildpacks=packs, cache_dir=tmp_path / "cache", host_env=()).build(source, tmp_path / "o.tgz")
    executable, prefix, ours, build_dir, other = told

    assert prefix == f"/tmp/{build_dir}/.heroku/python"
    assert executable == f"{prefix}/bin/python"
    assert ours == f"/tmp/{build_dir}/ours.py"
    assert other.startswith("/usr/lib/python3")


def test_what_a_pack_before_has_set_is_kept(tmp_path: Path) -> None:
    """The PATH of the packs before stays behind the app's Python, and a PYTHONPATH of theirs is not replaced."""
    run = RecordingRunner(lambda _: Completed(0, "/tmp/build_1/.heroku/python/bin:/shout/bin:/bin\n/theirs\n"))
    context = fake_context(tmp_path, run=run)
    pack = PythonBuildpack()
    assert isinstance(pack, buildpacks.Exporting)
    exported = pack.export(context)
    (argv,) = run.calls
    told = subprocess.run(
        argv, env={"PATH": "/shout/bin:/bin", "PYTHONPATH": "/theirs"}, check=True, capture_output=True, text=True
    )

    assert exported["PATH"] == "/tmp/build_1/.heroku/python/bin:/shout/bin:/bin"
    assert (exported["PYTHONPATH"], exported["PYTHONUNBUFFERED"]) == ("/theirs", "1")
    assert told.stdout == f"{context.build_dir}/.heroku/python/bin:/shout/bin:/bin\n/theirs\n"


def test_report_tells_what_is_known(tmp_path: Path) -> None:
    """The report has the manager and the origin of the version, also when the compile failed before there was more."""
    context = fake_context(tmp_path)
    pack = PythonBuildpack()
    write_tree(context.build_dir, {"uv.lock": "", ".python-version": "3.13"})
    early = pack.report(context)
    write_tree(context.tmp, {"slugkit-python": "cache_status=reused\npython_version=3.13.1\n"})

    assert early == {"package_manager": "uv", "python_version_origin": ".python-version"}
    assert pack.report(context) == {**early, "cache_status": "reused", "python_version": "3.13.1"}
    write_tree(context.build_dir, {"poetry.lock": ""})
    assert "package_manager" not in pack.report(context)
    assert isinstance(pack, Reporting)


def test_tests_have_their_own_requirements(tmp_path: Path) -> None:
    """For Heroku CI requirements-test.txt is resolved together with requirements.txt; a build has no use for it."""
    run = RecordingRunner(lambda argv: Completed(3 if "restore" in argv else 0, ""))
    context = fake_context(tmp_path, run=run)
    write_tree(context.build_dir, {"requirements.txt": "#pip-compile\nsix==1\n", "requirements-test.txt": "pytest\n"})
    pack = PythonBuildpack()
    assert isinstance(pack, buildpacks.Testing)
    pack.test_compile(context)
    compiles = [call[-2:] for call in run.calls if "compile" in call]
    run.calls.clear()
    pack.compile(context)

    assert compiles == [("requirements.txt", "requirements-test.txt")]
    assert not any("requirements-test.txt" in call for call in run.calls)


GOLDEN = Path(__file__).parent / "golden"
FULL = {
    "bin/pre_compile": HOOK,
    "bin/post_compile": HOOK,
    "manage.py": "x",
    "nltk.txt": "stopwords\n",
    ".python-version": f"{running().short}\n",
}


@pytest.mark.usefixtures("no_tools_beside")
@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("python-pip.txt", {"requirements.txt": "django\n"}),
        ("python-uv.txt", {"uv.lock": ""}),
        ("python-poetry.txt", {"poetry.lock": ""}),
        ("python-pipenv.txt", {"Pipfile.lock": "{}", "Pipfile": ""}),
        ("python-full.txt", {"requirements.txt": "#pip-compile\ndjango==5\n", **FULL}),
    ],
)
def test_the_text_of_a_build(tmp_path: Path, name: str, files: dict[str, str]) -> None:
    """What the pack says itself, between the lines of the programs it runs, is what its users know."""
    said: list[str] = []

    def answer(argv: tuple[str | Path, ...]) -> Completed:
        if "restore" in argv and "full" in name:
            write_tree(context.build_dir, {f"{SITE}/{package}/__init__.py": "x" for package in ("django", "nltk")})
        return Completed(3 if "restore" in argv else 0, "")

    context = fake_context(tmp_path, run=RecordingRunner(answer), say=said.append)
    write_tree(context.build_dir, files)
    PythonBuildpack().compile(context)
    text = "".join(f"{line}\n" for line in said).replace(running().version, "X.Y.Z")
    if os.environ.get("UPDATE_GOLDEN") == "1":
        (GOLDEN / name).write_text(text)

    assert text == (GOLDEN / name).read_text()


# -- for real --------------------------------------------------------------------------------------------------

SETTINGS = """
from pathlib import Path
SECRET_KEY = "of a test"
INSTALLED_APPS = ["django.contrib.staticfiles"]
STATIC_URL = "static/"
STATICFILES_DIRS = [Path(__file__).parent / "assets"]
STATIC_ROOT = Path(__file__).parent / "collected"
"""
MANAGE = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.usefixtures("sandboxed")
def test_a_real_django_app(tmp_path: Path) -> None:
    """Hooks run with the config vars, static files are collected, dynos have what gunicorn reads, facts are told."""
    files = {
        "requirements.txt": "django==5.2.8\n",
        "manage.py": MANAGE,
        "settings.py": SETTINGS,
        "assets/style.css": "body {}\n",
        "bin/pre_compile": '#!/bin/sh\necho "it is $COLOUR"\n',
        "bin/post_compile": "#!/bin/sh\npython -c 'import django, sys; print(\"post\", sys.prefix)' > hooked\n",
        "Procfile": "web: true\n",
    }
    events: list[BuildEvent] = []
    source = write_tree(tmp_path / "app", files)
    builder = SlugBuilder(
        buildpacks=[PythonBuildpack(installer="uv")],
        config_vars={"COLOUR": "red"},
        cache_dir=tmp_path / "cache",
        on_event=events.append,
    )
    slug = builder.build(source, tmp_path / "o.tgz")
    said = [event.text.strip() for event in events if isinstance(event, BuildLine)]
    facts = next(event.facts for event in events if isinstance(event, BuildpackReported))
    with DynoRunner(store=tmp_path / "store") as runner:
        done = runner.run(
            slug, 'cat hooked collected/style.css; echo "$FORWARDED_ALLOW_IPS" $GUNICORN_CMD_ARGS $XDG_RUNTIME_DIR'
        )
        own = runner.run(slug, "echo $GUNICORN_CMD_ARGS", config_vars={"GUNICORN_CMD_ARGS": "-w 2"})

    with DynoRunner(store=tmp_path / "store") as runner:
        web = runner.start(slug, "web")
        web.wait()
        messages = [line.message for line in web.logs() if line.source == "app"]

    assert "CPU cores are available" in messages[0]
    assert messages[1].startswith("Python buildpack: WEB_CONCURRENCY defaults to ")
    assert "it is red" in said
    assert "1 static file copied to" in " ".join(said)
    assert done.output.startswith("post /")
    assert done.output.endswith(".heroku/python\nbody {}\n* --access-logfile - /tmp\n")
    assert own.output == "-w 2\n"
    assert facts["package_manager"] == "pip"
    assert facts["cache_status"] == "empty"
    assert facts["python_version"] == running().version
    (source / "settings.py").write_text(SETTINGS.replace("STATIC_ROOT", "NO_ROOT"))
    with pytest.raises(CompileFailedError) as caught:
        builder.build(source, tmp_path / "o.tgz")
    assert any("STATIC_ROOT" in line for line in caught.value.last_lines)
