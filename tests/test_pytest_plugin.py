"""The pytest plugin as the tests of a buildpack's own repository see it: each test here is a pytest run of its own."""

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from slugkit.testing import write_tree
from support import PACKS, pids_with

pytest_plugins = "pytester"
pytestmark = pytest.mark.usefixtures("sandboxed")

BASH = "#!/usr/bin/env bash\n"
PASSES = """
    def test_it(app):
        assert app.write({"hello.txt": "x"}).build().tree.is_dir()
"""


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest in a process of its own, as a buildpack's author does."""
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)


def add_pack(pytester: pytest.Pytester, name: str = "hello", where: str = "") -> Path:
    """Copy the sample pack *name* below the root directory."""
    return Path(shutil.copytree(PACKS / name, pytester.path / (where or name), dirs_exist_ok=True))


def small(pytester: pytest.Pytester, name: str = "small", **scripts: str) -> Path:
    """Write a pack of bash *scripts* below the root directory."""
    texts = {"detect": "echo Small", "compile": "", **scripts}
    return write_tree(pytester.path / name, {f"bin/{script}": f"{BASH}{text}\n" for script, text in texts.items()})


def ini(pytester: pytest.Pytester, *lines: str) -> None:
    """Write the configuration of the root directory."""
    pytester.makefile(".ini", pytest="\n".join(["[pytest]", *lines]) + "\n")


@pytest.fixture
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be the TMPDIR of the pytest runs; their own temporary directories (tmp_path) are elsewhere."""
    directory = tmp_path / "private-tmp"
    directory.mkdir()
    monkeypatch.setenv("TMPDIR", str(directory))
    return directory


def processes_of(private: Path) -> list[int]:
    """Return the processes whose environment or command line names the directory *private*."""
    found = pids_with(str(private))
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                if f"={private}\0".encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until *condition* holds; the test's own timeout is the limit."""
    while not condition():
        time.sleep(0.02)


def mounts() -> str:
    return Path("/proc/self/mountinfo").read_text()


# -- which pack is tested ---------------------------------------------------------------------------------------


def test_the_root_directory_is_the_buildpack(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository that is a buildpack needs no configuration, wherever in it pytest is started."""
    ini(pytester)
    shutil.copytree(PACKS / "hello/bin", pytester.path / "bin")
    pytester.makepyfile(PASSES)
    run(pytester).assert_outcomes(passed=1)

    monkeypatch.chdir(pytester.mkdir("deeper"))
    run(pytester, "..").assert_outcomes(passed=1)


def test_a_root_directory_that_is_no_buildpack_says_so(pytester: pytest.Pytester) -> None:
    """Who forgot to say where the pack is reads what is missing, and in which directory."""
    pytester.makepyfile(PASSES)
    result = run(pytester)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*{pytester.path.name}*bin/detect*"])


@pytest.mark.parametrize("kind", ["directory", "archive"])
def test_the_configured_pack_is_relative_to_the_root_directory(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """slugkit_buildpack means the same wherever pytest is started, for a directory and for an archive."""
    pack = add_pack(pytester, where="packs/hello")
    if kind == "archive":
        with tarfile.open(pytester.path / "packs/hello.tgz", "w:gz") as tar:
            tar.add(pack, "hello")
    ini(pytester, f"slugkit_buildpack = packs/{'hello' if kind == 'directory' else 'hello.tgz'}")
    pytester.makepyfile(PASSES)
    run(pytester).assert_outcomes(passed=1)

    monkeypatch.chdir(pytester.mkdir("deeper"))
    run(pytester, "..").assert_outcomes(passed=1)


def test_the_command_line_names_another_pack(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """--buildpack is relative to where pytest is started, and wins over the configuration."""
    ini(pytester, "slugkit_buildpack = missing")
    add_pack(pytester, where="elsewhere/hello")
    pytester.makepyfile(PASSES)
    run(pytester).assert_outcomes(failed=1)
    run(pytester, "--buildpack", "elsewhere/hello").assert_outcomes(passed=1)
    run(pytester, "--buildpack", "elsewhere/hello", "-n", "1").assert_outcomes(passed=1)

    monkeypatch.chdir(pytester.path / "elsewhere")
    run(pytester, "--buildpack=hello", "..").assert_outcomes(passed=1)
    run(pytester, "--buildpack", str(pytester.path / "elsewhere/hello"), "..").assert_outcomes(passed=1)


def test_a_test_that_changes_directory_keeps_its_pack(pytester: pytest.Pytester) -> None:
    """Where a test is while it builds does not matter."""
    add_pack(pytester)
    pytester.makepyfile("""
        def test_it(app, monkeypatch, tmp_path):
            monkeypatch.chdir(tmp_path)
            app.write({"hello.txt": "x"}).build()
    """)

    run(pytester, "--buildpack", "hello").assert_outcomes(passed=1)


def test_a_pack_by_name(pytester: pytest.Pytester) -> None:
    """A text that is no directory is a name, as everywhere: "inline" is the app's own pack."""
    pytester.makepyfile("""
        def test_it(app, buildpack):
            assert buildpack == "inline"
            app.write({"bin/detect": "#!/bin/sh\\necho Own", "bin/compile": "#!/bin/sh\\n"}).build()
    """)

    run(pytester, "--buildpack", "inline").assert_outcomes(passed=1)


def test_the_fixture_can_be_a_python_object(pytester: pytest.Pytester) -> None:
    """A project overrides `buildpack` to test a pack that is written in Python, or several."""
    add_pack(pytester)
    pytester.makepyfile("""
        from pathlib import Path
        import pytest
        from slugkit.testing import FakeBuildpack

        PACKS = [FakeBuildpack("mine", on_compile=lambda context: context.say("-----> Mine")), Path("hello")]

        @pytest.fixture(params=PACKS)
        def buildpack(request):
            return request.param

        def test_it(app, buildpack):
            output = app.write({"hello.txt": "x"}).build().output
            assert ("-----> Mine" in output) == (app.pack_name == "mine")
    """)

    run(pytester).assert_outcomes(passed=2)


def test_a_matrix_of_stacks(pytester: pytest.Pytester) -> None:
    """`stack` parametrised is $STACK in each test; without, it is Heroku's current one."""
    small(pytester, compile='echo "on $STACK"')
    pytester.makepyfile("""
        import pytest

        @pytest.mark.parametrize("stack", ["heroku-22", "heroku-26"])
        def test_matrix(app, stack):
            assert f"on {stack}\\n" in app.build().output

        def test_default(app, stack):
            assert stack == "heroku-24"
            assert "on heroku-24\\n" in app.build().output
    """)

    run(pytester, "--buildpack", "small").assert_outcomes(passed=3)


def test_each_test_has_an_app_of_its_own(pytester: pytest.Pytester) -> None:
    """No test sees files or caches of another; an app that is never built costs nothing."""
    add_pack(pytester)
    pytester.makepyfile("""
        import pytest

        @pytest.mark.parametrize("number", range(3))
        def test_it(app, number):
            assert list(app.directory.iterdir()) == []
            build = app.write({"hello.txt": "x", f"{number}": ""}).build()
            assert list(build.cache_before.iterdir()) == []

        def test_unused(app):
            assert app.builds == []
    """)

    run(pytester, "--buildpack", "hello").assert_outcomes(passed=4)


# -- what a failure shows ---------------------------------------------------------------------------------------


def test_a_failing_assert_shows_the_transcripts(pytester: pytest.Pytester) -> None:
    """Beside a failed assert stand the transcripts of the test's builds, in order."""
    add_pack(pytester)
    pytester.makepyfile("""
        def test_it(app):
            build = app.write({"hello.txt": "x"}).build()
            app.write({"hello.txt": ""}) and build.rebuild(expect_failure=True)
            app.write({"hello.txt": "x"})
            assert "Installing" in build.output.partition(" ")[0]
    """)
    result = run(pytester, "--buildpack", "hello")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*- slugkit build 1 -*",
            "-----> Using buildpack: hello",
            "       greeting/hello.txt",
            "*- slugkit build 2 -*",
            " !     hello.txt is empty",
        ]
    )
    result.stdout.no_fnmatch_line("*slugkit build 3*")


def test_a_passing_test_shows_nothing(pytester: pytest.Pytester) -> None:
    """Transcripts are for failures: a run that passes stays quiet."""
    add_pack(pytester)
    pytester.makepyfile(PASSES)
    result = run(pytester, "--buildpack", "hello", "-rA")

    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*-----> *")


UNEXPECTED = {
    "build": 'app.write({"hello.txt": ""}).build()',
    "rebuild": 'app.write({"hello.txt": ""}).build(expect_failure=True).rebuild(expect_failure=False)',
    "slug": 'app.write({"hello.txt": ""}).build(expect_failure=True).slug',
    "run": 'app.write({"hello.txt": ""}).build(expect_failure=True).run("greet")',
    "ci": 'app.write({"hello.txt": ""}).ci()',
}


@pytest.mark.parametrize("how", UNEXPECTED)
def test_an_unexpected_outcome_hides_the_kit(pytester: pytest.Pytester, how: str) -> None:
    """The traceback of an unexpected outcome ends in the test: the kit's own code is of no interest."""
    add_pack(pytester)
    pytester.makepyfile(f"""
        def test_it(app):
            {UNEXPECTED[how]}
    """)
    result = run(pytester, "--buildpack", "hello")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([">*app.write(*", "E*UnexpectedOutcomeError: *"])
    result.stdout.no_fnmatch_line("*slugkit/testing/*.py:*")


@pytest.mark.parametrize("xdist", [(), ("-n", "1")], ids=["here", "xdist"])
def test_an_unexpected_failure_shows_its_transcript_once(pytester: pytest.Pytester, xdist: tuple[str, ...]) -> None:
    """Nobody scrolls past the same transcript twice: it is in the error, or beside it."""
    add_pack(pytester)
    pytester.makepyfile("""
        def test_it(app):
            app.write({"hello.txt": ""}).build()
    """)
    result = run(pytester, "--buildpack", "hello", *xdist)

    result.assert_outcomes(failed=1)
    assert result.stdout.str().count("-----> Using buildpack: hello") == 1


def test_a_broken_contract_shows_its_transcript_once(pytester: pytest.Pytester) -> None:
    """A finding fails the test once - no error at its end repeats it - and shows one transcript."""
    small(pytester, detect="true")
    pytester.makepyfile("""
        def test_it(app):
            app.build()
    """)
    result = run(pytester, "--buildpack", "small")

    result.assert_outcomes(failed=1)
    assert result.stdout.str().count("-----> Using buildpack: small") == 1
    result.stdout.fnmatch_lines(["E*detect.no-name (small): *"])
    result.stdout.no_fnmatch_line("*slugkit/testing/*.py:*")


# -- the contract -----------------------------------------------------------------------------------------------


def test_the_marker_waives_findings(pytester: pytest.Pytester) -> None:
    """@pytest.mark.waive accepts the codes it names, for a test, a class or a module; --strict-markers knows it."""
    small(pytester, detect='touch "$1/x"')
    pytester.makepyfile("""
        import pytest

        pytestmark = pytest.mark.waive("detect.no-name")

        @pytest.mark.waive("detect.writes")
        def test_accepted(app):
            app.build()

        @pytest.mark.waive("detect.writes", "slug.build-path")
        class TestClass:
            def test_accepted(self, app):
                app.build()

        def test_not_accepted(app):
            app.build()
    """)
    result = run(pytester, "--buildpack", "small", "--strict-markers")

    assert result.parseoutcomes()["passed"] == 2
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.fnmatch_lines(["E*detect.writes (small): *"])
    result.stdout.no_fnmatch_line("*detect.no-name (small)*")


def test_the_configuration_waives_findings(pytester: pytest.Pytester) -> None:
    """slugkit_waive accepts codes in all tests."""
    small(pytester, detect='touch "$1/x"')
    ini(pytester, "slugkit_waive = detect.writes detect.no-name", "slugkit_buildpack = small")
    pytester.makepyfile("""
        def test_it(app):
            app.build()
    """)

    run(pytester).assert_outcomes(passed=1)


def test_no_contract(pytester: pytest.Pytester) -> None:
    """--no-contract builds as a platform does, and neither looks closer nor builds more often."""
    small(pytester, detect='touch "$1/x"', compile='date +%s%N >"$1/now"; echo x >>builds')
    pytester.makepyfile("""
        def test_it(app):
            app.build()
    """)

    run(pytester, "--buildpack", "small", "--no-contract").assert_outcomes(passed=1)


THREE = """
    import pytest

    @pytest.mark.parametrize("number", range(3))
    def test_it(app, number):
        app.build()
"""


def test_a_pack_that_is_not_reproducible_is_said_once(pytester: pytest.Pytester) -> None:
    """The checks that take several builds are made with the first test that builds: one error, three passes."""
    small(pytester, compile='date +%s%N >"$1/now"')
    pytester.makepyfile(THREE)
    result = run(pytester, "--buildpack", "small", "-v")

    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["*::test_it?0? ERROR*", "E*slug.not-reproducible (small): *now (changed)*"])


def test_a_growing_cache_is_found(pytester: pytest.Pytester) -> None:
    """A cache that grows with each rebuild is found without a test that rebuilds."""
    small(pytester, compile='date +%s%N >"$2/$(date +%s%N)"')
    pytester.makepyfile(THREE)
    result = run(pytester, "--buildpack", "small")

    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["E*cache.grows (small): *"])


def test_the_checks_of_several_builds_can_be_waived(pytester: pytest.Pytester) -> None:
    """They are waived like the others."""
    small(pytester, compile='date +%s%N >"$1/now"')
    ini(pytester, "slugkit_waive = slug.not-reproducible", "slugkit_buildpack = small")
    pytester.makepyfile(THREE)

    run(pytester).assert_outcomes(passed=3)


def test_the_checks_are_made_once_for_each_pack(pytester: pytest.Pytester) -> None:
    """Two packs are two to check, also when their directories have the same name."""
    small(pytester, "good/pack")
    small(pytester, "bad/pack", compile='date +%s%N >"$1/now"')
    pytester.makepyfile("""
        from pathlib import Path
        import pytest

        @pytest.fixture(params=["good/pack", "bad/pack"])
        def buildpack(request):
            return Path(request.param)

        def test_it(app):
            app.build()
    """)

    run(pytester).assert_outcomes(passed=2, errors=1)


def test_a_test_that_ends_with_a_broken_app_passes(pytester: pytest.Pytester) -> None:
    """A test whose last build is to fail is no finding: what it made of the app in the end is its own business."""
    add_pack(pytester)
    pytester.makepyfile("""
        def test_it(app):
            build = app.write({"hello.txt": "x"}).build()
            app.write({"hello.txt": ""})
            assert build.rebuild(expect_failure=True).failed
    """)

    run(pytester, "--buildpack", "hello").assert_outcomes(passed=1)


def test_a_build_of_other_packs_is_not_the_packs_check(pytester: pytest.Pytester) -> None:
    """A build without the pack under test says nothing of it: the next one that has it is the one to check."""
    small(pytester, "other")
    small(pytester, compile='date +%s%N >"$1/now"')
    pytester.makepyfile("""
        from pathlib import Path

        def test_other(app):
            app.build(buildpacks=[Path("other")])

        def test_pack(app):
            app.build()
    """)
    result = run(pytester, "--buildpack", "small", "-v")

    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*::test_pack ERROR*"])


# -- a good neighbour in pytest ---------------------------------------------------------------------------------


def test_the_help_describes_the_plugin(pytester: pytest.Pytester) -> None:
    """Fixtures, options and the marker are documented where pytest's users look for them."""
    result = run(pytester, "--fixtures", "-v")
    for name in ("app", "buildpack", "stack"):
        result.stdout.fnmatch_lines([f"{name} -- *slugkit/pytest_plugin.py*", "    ?*"], consecutive=True)
    run(pytester, "--markers").stdout.fnmatch_lines(["@pytest.mark.waive(code, ...): *"])
    run(pytester, "--help").stdout.fnmatch_lines(["testing a buildpack:", "*--buildpack=PACK*", "*--no-contract*"])


def test_with_xdist(pytester: pytest.Pytester) -> None:
    """Tests run in parallel processes as they do in one."""
    add_pack(pytester)
    pytester.makepyfile("""
        import pytest

        @pytest.mark.parametrize("number", range(12))
        def test_it(app, number):
            build = app.write({"hello.txt": f"{number}\\n"}).build()
            assert build.run("greet").output == f"{number}\\n"
    """)

    run(pytester, "--buildpack", "hello", "-n", "2").assert_outcomes(passed=12)


def test_runs_without_buildpacks_load_nothing(pytester: pytest.Pytester) -> None:
    """Whoever has slugkit installed pays nothing for it in the tests of another project."""
    pytester.makepyfile("""
        import sys

        def test_it():
            own = {name for name in sys.modules if name.partition(".")[0] == "slugkit"}
            assert own == {"slugkit", "slugkit._version", "slugkit.pytest_plugin"}
            assert not {"attr", "attrs", "yaml", "structlog", "click", "rich"} & set(sys.modules)
    """)

    run(pytester).assert_outcomes(passed=1)


def test_the_plugin_can_be_switched_off(pytester: pytest.Pytester) -> None:
    """-p no:slugkit leaves a pytest without our fixtures, options and marker, for projects that use these names."""
    pytester.makepyfile("""
        import pytest

        @pytest.fixture
        def app():
            return "mine"

        def test_it(app):
            assert app == "mine"
    """)

    run(pytester, "-p", "no:slugkit").assert_outcomes(passed=1)
    run(pytester).assert_outcomes(passed=1)
    assert run(pytester, "-p", "no:slugkit", "--no-contract").ret == pytest.ExitCode.USAGE_ERROR


# -- nothing is left --------------------------------------------------------------------------------------------


def test_nothing_is_left_however_tests_end(pytester: pytest.Pytester, private: Path) -> None:
    """Passed, failed, in error or skipped: no temporary directory, no process, no mount outlives the run."""
    before = mounts()
    add_pack(pytester)
    small(pytester, compile='date +%s%N >"$1/now"')
    pytester.makepyfile("""
        from pathlib import Path
        import pytest

        @pytest.fixture
        def broken(app):
            app.write({"hello.txt": "x"}).build().start()
            raise RuntimeError("mine")

        def test_passes(app):
            assert app.write({"hello.txt": "x"}).build().start().get("hello.txt").status == 200

        def test_fails(app):
            app.write({"hello.txt": "x"}).build().start()
            assert False

        def test_build_fails(app):
            app.build()

        def test_in_error(app, broken):
            pass

        def test_skipped(app):
            app.write({"hello.txt": "x"}).build().start()
            pytest.skip("mine")

        class TestOther:
            @pytest.fixture
            def buildpack(self):
                return Path("small")

            def test_not_reproducible(self, app):
                app.build()
    """)
    result = run(pytester, "--buildpack", "hello")

    result.assert_outcomes(passed=2, failed=2, errors=2, skipped=1)
    assert list(private.iterdir()) == []
    assert processes_of(private) == []
    assert mounts() == before


CHILDREN = """
        import os, time
        from pathlib import Path

        def children():
            return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
"""


def test_the_tests_of_a_session_share_what_starts_their_commands(pytester: pytest.Pytester) -> None:
    """No test waits for it but the first; it is one program for the build and one for the dynos, gone at the end."""
    add_pack(pytester)
    pytester.makepyfile(f"""{CHILDREN}
        def builds_and_runs(app):
            build = app.write({{"hello.txt": "x"}}).build()
            assert build.run("greet").status == build.rebuild().run("greet").status == 0
            return children()

        def test_first(app):
            Path("seen").write_text(" ".join(builds_and_runs(app)))

        def test_second(app, make_app):
            assert builds_and_runs(app) == Path("seen").read_text().split()
            builds_and_runs(make_app())
    """)
    run(pytester, "--buildpack", "hello").assert_outcomes(passed=2)

    seen = (pytester.path / "seen").read_text().split()
    assert len(seen) == 2
    assert not any(Path("/proc", pid).exists() for pid in seen)


@pytest.mark.parametrize("xdist", [False, True])
def test_no_process_outlives_a_session_that_is_killed(pytester: pytest.Pytester, *, xdist: bool) -> None:
    """SIGKILL of pytest, of a worker too, is the end of its dynos and of what started them."""
    add_pack(pytester)
    marker = f"hangs-{uuid.uuid4().hex}"
    pytester.makepyfile(f"""{CHILDREN}
        def test_it(app):
            build = app.write({{"hello.txt": "x"}}).build()
            app.bench.runner.detach(build.slug, "exec -a {marker} sleep 600")
            build.rebuild()
            Path("started").write_text(" ".join([str(os.getpid()), *children()]))
            Path("started").rename("seen")
            time.sleep(600)
    """)
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--buildpack", "hello", *["-n1"] * xdist]
    process = subprocess.Popen(argv, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: (pytester.path / "seen").exists() and pids_with(marker))
        tester, *seen = map(int, (pytester.path / "seen").read_text().split())
        assert len(seen) == 2
        os.kill(tester, signal.SIGKILL)
        wait_for(lambda: not pids_with(marker))
        wait_for(lambda: not any(map(runs, seen)))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def runs(pid: int) -> bool:
    """Return whether *pid* is a process, and no dead one that nobody has asked about."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


HANGING = """
    def test_it(app):
        app.write({"hang.txt": ""}).build()
"""
HANGING_LATER = """
    def test_it(app):
        build = app.write({"fine.txt": ""}).build()
        app.remove("fine.txt") and build.rebuild()
"""
HANGING_DYNO = """
    def test_it(app):
        build = app.write({"fine.txt": ""}).build(config_vars={})
        build.run("exec -a $(cat marker) sleep 600")
"""


@pytest.mark.parametrize("whom", ["process", "group"])
@pytest.mark.parametrize(
    ("test", "xdist"),
    [
        pytest.param(HANGING, False, id="build"),
        pytest.param(HANGING, True, id="xdist"),
        pytest.param(HANGING_LATER, False, id="rebuild"),
        pytest.param(HANGING_DYNO, False, id="dyno"),
    ],
)
def test_nothing_is_left_after_ctrl_c(
    pytester: pytest.Pytester, private: Path, whom: str, test: str, *, xdist: bool
) -> None:
    """Ctrl-C while a build or a dyno hangs ends the run at once: no directory, process or mount is left.

    A terminal sends the signal to the whole process group; kill sends it to pytest alone.
    """
    before, marker = mounts(), f"hangs-{uuid.uuid4().hex}"
    sleep = f"exec -a {marker} sleep 600"
    hang = f'echo {marker} >"$1/marker"; [[ -e $1/fine.txt ]] || {{ ({sleep}) & {sleep}; }}'
    small(pytester, compile=hang)
    pytester.makepyfile(test)
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--buildpack", "small", *["-n1"] * xdist]
    process = subprocess.Popen(argv, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: pids_with(marker) or process.poll() is not None)
        if whom == "group":
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    assert process.returncode == pytest.ExitCode.INTERRUPTED, output.decode()
    assert b"KeyboardInterrupt" in output
    assert pids_with(marker) == []
    assert processes_of(private) == []
    assert [path.name for path in private.iterdir()] == []
    assert mounts() == before


def test_a_waiver_names_a_check_that_exists(pytester: pytest.Pytester) -> None:
    """A misspelt code is an error that lists the codes, not a waiver of nothing."""
    add_pack(pytester)
    ini(pytester, "slugkit_buildpack = hello")
    pytester.makepyfile('import pytest\n@pytest.mark.waive("slug.not-reproducable")\n' + PASSES.replace("\n    ", "\n"))
    result = run(pytester)

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*no contract check is called 'slug.not-reproducable'; there are *slug.not-rep*"])


def test_a_session_shares_a_build(pytester: pytest.Pytester) -> None:
    """``make_app`` makes apps for fixtures of any scope, with the configured pack; their transcripts show as well."""
    add_pack(pytester)
    ini(pytester, "slugkit_buildpack = hello")
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture(scope="session")
        def built(make_app):
            return make_app().write({"hello.txt": "x"}).build()

        def test_one(built):
            assert built.tree.is_dir()

        def test_two(built):
            assert built.run("greet").output == "nothing"
        """
    )
    result = run(pytester)

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*- slugkit build 1 -*", "*- slugkit run: greet -> status 0 -*", "X"])


def test_a_build_has_the_time_that_is_configured(pytester: pytest.Pytester) -> None:
    """slugkit_timeout ends a build that hangs, and the test says so."""
    add_pack(pytester, "hangs")
    ini(pytester, "slugkit_buildpack = hangs", "slugkit_timeout = 1")
    pytester.makepyfile('def test_it(app):\n    app.write({"hang.txt": ""}).build()\n')
    result = run(pytester)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*timed out; must complete in 1 seconds*"])


def test_config_vars_are_checked_with_the_first_app_that_has_some(pytester: pytest.Pytester) -> None:
    """Whichever test comes first, a pack that reads its environment is found once an app has config vars."""
    small(pytester, compile='echo "${THEME-none}" >"$1/theme"')
    ini(pytester, "slugkit_buildpack = small")
    pytester.makepyfile(
        """
        def test_one(app):
            app.build()

        def test_two(app):
            app.build(config_vars={"THEME": "dark"})
        """
    )
    result = run(pytester)

    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*env.needs-config-vars*", "*(found by building the app of this test again)*"])
