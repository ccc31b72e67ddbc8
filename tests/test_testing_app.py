"""`slugkit.testing.App`: an app to edit, build, rebuild, run and test, as who tests a buildpack uses it."""

import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from slugkit.buildpacks import BuildContext, ReleaseDefaults
from slugkit.errors import (
    BuildTimeoutError,
    CompileFailedError,
    IncompatibleBuildpackError,
    InvalidConfigVarError,
    UnknownProcessTypeError,
)
from slugkit.testing import App, ContractError, FakeBuildpack, UnexpectedOutcomeError, check_buildpack, write_tree
from support import PACKS, pids_with

pytestmark = pytest.mark.usefixtures("sandboxed")

HELLO = PACKS / "hello"
BASH = "#!/usr/bin/env bash\n"
NUMBERED = 'n=$(cat "$2/n" 2>/dev/null || echo 0); echo $((n + 1)) >"$2/n"'
needs_node = pytest.mark.skipif(shutil.which("node", path="/usr/bin:/bin") is None, reason="node is not installed")


def small(tmp_path: Path, name: str = "small", **scripts: str) -> Path:
    """Write a pack of bash *scripts* that keeps to the contract by itself; ``test_compile`` is bin/test-compile."""
    texts = {"detect": "echo Small", "compile": "", **scripts}
    files = {f"bin/{script.replace('_', '-')}": f"{BASH}{text}\n" for script, text in texts.items()}
    return write_tree(tmp_path / name, files)


def files_below(directory: Path) -> dict[str, str]:
    """Return the contents of the files below *directory*, by path."""
    return {str(path.relative_to(directory)): path.read_text() for path in directory.rglob("*") if path.is_file()}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let what is temporary be in a directory of the test's own."""
    directory = tmp_path / "private"
    directory.mkdir()
    monkeypatch.setenv("TMPDIR", str(directory))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return directory


# -- the source tree --------------------------------------------------------------------------------------------


def test_the_tree_is_edited_in_place_between_builds() -> None:
    """Each build sees the tree as it is then: what write, remove and plain pathlib have made of it."""
    with App(HELLO) as app:
        one = app.write({"hello.txt": "one\n", "old.txt": "x"}).build()
        two = app.write({"hello.txt": "two\n"}).remove("old.txt").build()
        (app.directory / "hello.txt").write_text("three\n")
        three = app.build()

        greetings = [(build.tree / "greeting/hello.txt").read_text() for build in (one, two, three)]
        assert greetings == ["ONE\n", "TWO\n", "THREE\n"]
        assert (one.tree / "old.txt").is_file()
        assert not (two.tree / "old.txt").exists()


def test_write_takes_text_bytes_scripts_and_directories() -> None:
    """Text is UTF-8, bytes are bytes, a file that starts with a shebang can be run, a name with / is a directory."""
    with App(HELLO) as app:
        assert app.write({"a": "é", "b/c": b"\xff", "run": BASH, "empty/": "", "plain": "no"}) is app

        assert (app.directory / "a").read_bytes() == "é".encode()
        assert (app.directory / "b/c").read_bytes() == b"\xff"
        assert os.access(app.directory / "run", os.X_OK)
        assert (app.directory / "plain").stat().st_mode & 0o111 == 0
        assert (app.directory / "empty").is_dir()


def test_write_replaces_a_script_by_a_plain_file() -> None:
    """A file that is written again has the run bit of its new content, not of its old one."""
    with App(HELLO) as app:
        app.write({"run": BASH}).write({"run": "data"})

        assert (app.directory / "run").stat().st_mode & 0o111 == 0


def test_copy_replaces_the_files_that_are_there(tmp_path: Path) -> None:
    """A file that is copied takes the place of one of its name, with its mode; the others stay."""
    fixture = write_tree(tmp_path / "fixture", {"hello.txt": "new\n", "run": BASH, "deep/er/x": "x"})
    with App(HELLO) as app:
        app.write({"hello.txt": "old\n", "run": "old", "stays": "y"})
        assert app.copy(fixture) is app
        app.copy(str(fixture))

        assert files_below(app.directory) == {"hello.txt": "new\n", "run": BASH, "deep/er/x": "x", "stays": "y"}
        assert os.access(app.directory / "run", os.X_OK)


def test_copy_adds_to_a_directory_that_is_there(tmp_path: Path) -> None:
    """Copying a directory over one of its name adds to it, as cp -R does: files of other names stay."""
    fixture = write_tree(tmp_path / "fixture", {"assets/new.txt": "new"})
    with App(HELLO) as app:
        app.write({"assets/old.txt": "old"}).copy(fixture)

        assert files_below(app.directory) == {"assets/new.txt": "new", "assets/old.txt": "old"}


def test_copy_lets_a_file_replace_a_directory_and_the_other_way_round(tmp_path: Path) -> None:
    """Whatever kind of thing was there, what is copied is there afterwards."""
    fixture = write_tree(tmp_path / "fixture", {"a": "file", "b/c": "in a directory"})
    with App(HELLO) as app:
        app.write({"a/x": "x", "b": "b"}).copy(fixture)

        assert files_below(app.directory) == {"a": "file", "b/c": "in a directory"}


def test_what_is_copied_is_not_shared(tmp_path: Path) -> None:
    """Editing the app changes nothing in the directory that it was copied from."""
    fixture = write_tree(tmp_path / "fixture", {"hello.txt": "fixture\n"})
    with App(HELLO) as app:
        app.copy(fixture)
        with (app.directory / "hello.txt").open("a") as file:
            file.write("edited\n")

    assert (fixture / "hello.txt").read_text() == "fixture\n"


def test_removing_what_is_not_there_is_fine() -> None:
    """A path that is missing is removed already; directories go with what they hold."""
    with App(HELLO) as app:
        app.write({"a/b/c": "x", "d": "y", "e": "z"})
        assert app.remove("missing", "missing/deeper", "d/below-a-file", "a", "e") is app

        assert files_below(app.directory) == {"d": "y"}


@pytest.mark.parametrize("climb", [True, False], ids=["..", "absolute"])
def test_editing_stays_in_the_source_tree(tmp_path: Path, *, climb: bool) -> None:
    """Write and remove never touch what is outside of the source tree: they refuse a path that leads there."""
    precious = tmp_path / "precious"
    precious.write_text("mine")
    with App(HELLO) as app:
        path = os.path.relpath(precious, app.directory) if climb else str(precious)
        with suppress(ValueError, OSError):
            app.write({path: "app's"})
        with suppress(ValueError, OSError):
            app.remove(path)

    assert precious.is_file()
    assert precious.read_text() == "mine"


def test_writing_does_not_follow_a_link(tmp_path: Path) -> None:
    """A file that is written takes the place of a link: what the link leads to is not the app's."""
    precious = tmp_path / "precious"
    precious.write_text("mine")
    with App(HELLO) as app:
        (app.directory / "hello.txt").symlink_to(precious)
        app.write({"hello.txt": "app's\n"})

    assert precious.read_text() == "mine"


def test_odd_things_in_the_tree_build(tmp_path: Path) -> None:
    """Links to anywhere, FIFOs and names that are no UTF-8 stop neither a build nor a rebuild nor a dyno."""
    odd = os.fsdecode(b"caf\xe9 \xff")
    with App(small(tmp_path)) as app:
        app.write(
            {"new\nline": "n", " blank ": "b", "-rf": "r\n", "quote'\"$(x)": "q", "Procfile": "say: cat -- -rf\n"}
        )
        (app.directory / "passwd").symlink_to("/etc/passwd")
        (app.directory / "dangling").symlink_to("nowhere")
        (app.directory / odd).write_text("odd")
        os.mkfifo(app.directory / "fifo")
        build = app.build()
        again = build.rebuild()

        assert (again.tree / odd).read_text() == "odd"
        assert (again.tree / "new\nline").read_text() == "n"
        assert (again.tree / "passwd").readlink() == Path("/etc/passwd")
        assert not (again.tree / "fifo").exists()
        assert again.run("say").output == "r\n"
        assert again.slug.diff_id == build.slug.diff_id


# -- what a build came to ---------------------------------------------------------------------------------------


def test_a_build_tells_what_it_made() -> None:
    """The transcript is that of a push; process types, profile scripts and the slug's tree are there to look at."""
    with App(HELLO) as app:
        build = app.write({"hello.txt": "hi\n", "Procfile": "worker: sleep 9\n"}).build()

        assert build.output.startswith("-----> Building on the Heroku-24 stack\n-----> Using buildpack: hello\n")
        assert "-----> Writing the greeting\n       greeting/hello.txt\n" in build.output
        assert (build.failed, build.error, build.findings) == (False, None, ())
        assert set(build.process_types) == {"web", "greet", "worker"}
        assert build.process_types["worker"] == "sleep 9"
        assert build.profile_d == {"hello.sh": 'export GREETING_FILE="$HOME/greeting/hello.txt"\n'}
        assert (build.tree / "greeting/hello.txt").read_text() == "HI\n"
        assert build.slug.manifest.buildpacks[0].detected == "Hello"
        assert build.slug.path.is_file()
        assert (build.export, build.report) == ({}, {})
        assert app.builds == [build]


def test_steps_say_who_did_what_in_which_order() -> None:
    """Detect, compile and export go pack by pack; each step has its status, its time and what it printed."""
    with App(PACKS / "assets") as app:
        app.write({".tool-version": "1.2\n", "assets/a.txt": "a"})
        steps = app.build(buildpacks=[PACKS / "toolchain", PACKS / "assets"]).steps

        compiles = [f"{step.buildpack} {step.name}" for step in steps if step.name in {"detect", "compile"}]
        assert compiles == ["toolchain detect", "toolchain compile", "assets detect", "assets compile"]
        assert {step.status for step in steps} == {0}
        assert all(step.seconds >= 0 for step in steps)
        outputs = {f"{step.buildpack} {step.name}": step.output for step in steps}
        assert outputs["toolchain compile"] == "-----> Installing shout 1.2\n       READY (shout 1.2)\n"
        assert outputs["assets compile"] == "-----> Compiling assets\n       compiled 1, from cache 0\n"


def test_what_a_failed_build_tells() -> None:
    """An expected failure has its error, its transcript, the failed step's status and the report, but no slug."""
    with App(PACKS / "fails-halfway") as app:
        build = app.write({"broken.txt": ""}).build(expect_failure=True)

        assert build.failed
        assert isinstance(build.error, CompileFailedError)
        assert build.error.status == 3
        assert "Push rejected, failed to compile Broken app." in build.output
        assert [(step.name, step.status) for step in build.steps] == [("detect", 0), ("compile", 3), ("report", 0)]
        assert build.report["failure_reason"] == "download"
        with pytest.raises(UnexpectedOutcomeError, match="there is no slug") as raised:
            _ = build.slug
        assert "Downloading part two" in str(raised.value)


def test_an_app_that_the_pack_is_not_for_is_a_failed_build() -> None:
    """A pack that does not detect the app fails the build, with detect's own reason in the transcript."""
    with App(HELLO) as app:
        build = app.build(expect_failure=True)

        assert isinstance(build.error, IncompatibleBuildpackError)
        assert [(step.name, step.status) for step in build.steps] == [("detect", 1)]
        assert "no hello.txt" in build.output


def test_a_build_that_takes_too_long_fails() -> None:
    """A pack that hangs is ended at the app's timeout: that is a failed build like others."""
    with App(PACKS / "hangs", timeout=1.0) as app:
        build = app.write({"hang.txt": ""}).build(expect_failure=True)

        assert isinstance(build.error, BuildTimeoutError)
        assert "Waiting for a mirror" in build.output


def test_a_pack_that_is_none_is_a_failed_build(tmp_path: Path) -> None:
    """A directory without bin/detect is a failed build that says so, not a crash of the kit."""
    with App(tmp_path) as app, pytest.raises(UnexpectedOutcomeError, match="bin/detect"):
        app.build()


def test_exports_of_all_packs_come_together() -> None:
    """What packs export for later ones is there by variable."""
    with App(PACKS / "toolchain") as app:
        export = app.write({".tool-version": "3\n"}).build().export

        assert export["TOOL_VERSION"] == "3"
        assert (export["PATH"] or "").partition(":")[0].endswith("/.toolchain/bin")


@needs_node
def test_reports_are_by_pack_and_together() -> None:
    """A pack's report is there by its name, and in what all packs report."""
    with App(PACKS / "reporter") as app:
        build = app.write({"package.json": '{"name": "x", "dependencies": {"a": "1"}}'}).build()

        assert build.report == {"cache_status": "empty", "dependency_count": 1}
        assert build.rebuild().report["cache_status"] == "reused"


# -- caches -----------------------------------------------------------------------------------------------------


def test_caches_are_directories_before_and_after(tmp_path: Path) -> None:
    """The first build starts with an empty cache; a rebuild, and one of a rebuild, with what the build before left."""
    with App(small(tmp_path, compile=NUMBERED)) as app:
        one = app.build()
        two = one.rebuild()
        three = two.rebuild()

        assert list(one.cache_before.iterdir()) == []
        found = [(files_below(build.cache_before), files_below(build.cache_after)) for build in (one, two, three)]
        assert [before for before, _ in found] == [{}, {"n": "1\n"}, {"n": "2\n"}]
        assert [after for _, after in found] == [{"n": "1\n"}, {"n": "2\n"}, {"n": "3\n"}]


def test_build_always_starts_with_an_empty_cache(tmp_path: Path) -> None:
    """Only rebuild knows of a cache: build is a first deploy, however many builds there were."""
    with App(small(tmp_path, compile=NUMBERED)) as app:
        app.build().rebuild()
        build = app.build()

        assert list(build.cache_before.iterdir()) == []
        assert files_below(build.cache_after) == {"n": "1\n"}


def test_an_older_result_can_be_rebuilt_again(tmp_path: Path) -> None:
    """Rebuilds leave the cache of the build they start from as it was: several can start there."""
    with App(small(tmp_path, compile=NUMBERED)) as app:
        one = app.build()
        two = one.rebuild()
        two.rebuild()
        other = one.rebuild()

        assert files_below(one.cache_after) == {"n": "1\n"}
        assert files_below(two.cache_after) == files_below(other.cache_after) == {"n": "2\n"}


def test_a_cache_that_is_edited_is_what_the_rebuild_finds() -> None:
    """A test can spoil a cache to see what the pack makes of that; a good one restores the tool all the same."""
    with App(PACKS / "toolchain") as app:
        build = app.write({".tool-version": "1.2\n"}).build()
        shutil.rmtree(build.cache_after / "toolchain/1.2/bin")
        (build.cache_after / "toolchain/0.9").mkdir()
        again = build.rebuild(expect_failure=False)

        assert not (again.cache_before / "toolchain/1.2/bin").exists()
        assert "Installing shout 1.2" in again.output
        assert "Removing shout 0.9 from the cache" in again.output


@pytest.mark.parametrize("fails", [False, True], ids=["built", "failed"])
def test_editing_one_results_cache_leaves_the_others_alone(tmp_path: Path, *, fails: bool) -> None:
    """A result's caches are its own: a file edited in place in one is not edited in another."""
    pack = small(tmp_path, compile='echo kept >"$2/file"; [[ ! -e $1/fail ]]')
    with App(pack) as app:
        one = app.build()
        if fails:
            app.write({"fail": ""})
        two = one.rebuild(expect_failure=fails)
        (two.cache_after / "file").write_text("edited in two")
        assert (one.cache_after / "file").read_text() == "kept\n"

        (one.cache_after / "file").write_text("edited in one")
        assert (two.cache_before / "file").read_text() == "kept\n"


def test_a_failed_build_leaves_the_cache_it_found(tmp_path: Path) -> None:
    """As on the platform, what a failed build did to the cache is thrown away."""
    with App(small(tmp_path, compile=f'{NUMBERED}; [[ ! -e "$1/fail" ]]')) as app:
        one = app.build()
        app.write({"fail": ""})
        failed = one.rebuild(expect_failure=True)
        app.remove("fail")
        mended = failed.rebuild(expect_failure=False)

        assert files_below(failed.cache_before) == files_below(failed.cache_after) == {"n": "1\n"}
        assert files_below(mended.cache_after) == {"n": "2\n"}


def test_a_pack_that_removes_its_cache_leaves_an_empty_one(tmp_path: Path) -> None:
    """A cache directory that is gone after a build is an empty one to the tester."""
    with App(small(tmp_path, compile='rm -rf "$2"')) as app:
        build = app.build()

        assert list(build.cache_after.iterdir()) == []
        assert list(build.rebuild().cache_before.iterdir()) == []


def test_caches_hold_links_and_run_bits(tmp_path: Path) -> None:
    """A rebuild gets links as links and programs that can be run."""
    script = 'if [[ -e $2/run ]]; then "$2/run" && [[ -L $2/link ]]; else printf "#!/bin/sh\\necho ran\\n" >"$2/run"'
    with App(small(tmp_path, compile=f'{script}; chmod 755 "$2/run"; ln -s run "$2/link"; fi')) as app:
        assert "ran" in app.build().rebuild().output


# -- rebuild keeps what it does not change ----------------------------------------------------------------------


def test_rebuild_keeps_the_settings_of_its_build(tmp_path: Path) -> None:
    """Config vars, packs and the expected failure stay, unless the rebuild has its own."""
    fails = small(tmp_path, "fails", compile='cat "$3/MODE" 2>/dev/null; [[ ! -s "$3/FAIL" ]]')
    with App(HELLO) as app:
        app.write({"hello.txt": "x"})
        one = app.build(buildpacks=[HELLO, fails], config_vars={"MODE": "fast", "FAIL": "1"}, expect_failure=True)
        two = one.rebuild()
        three = two.rebuild(config_vars={"MODE": "slow"}, expect_failure=False)
        four = three.rebuild()

        assert [build.failed for build in (one, two, three, four)] == [True, True, False, False]
        assert [("fast" in build.output, "slow" in build.output) for build in (two, four)] == [
            (True, False),
            (False, True),
        ]
        assert "2. fails" in four.output
        assert app.builds == [one, two, three, four]


def test_an_empty_mapping_takes_the_config_vars_away(tmp_path: Path) -> None:
    """config_vars={} is none at all, not "as before"."""
    with App(small(tmp_path, compile='ls "$3"')) as app:
        build = app.build(config_vars={"MODE": "fast"})

        assert "MODE" in build.output
        assert "MODE" not in build.rebuild(config_vars={}).output


def test_an_earlier_result_keeps_its_own_slug() -> None:
    """A result is of its build: later ones and edits of the app do not change what it shows and runs."""
    with App(HELLO) as app:
        one = app.write({"hello.txt": "one\n"}).build()
        app.write({"hello.txt": "two\n"})
        two = one.rebuild()

        assert (one.run("greet").output, two.run("greet").output) == ("ONE\n", "TWO\n")


# -- dynos ------------------------------------------------------------------------------------------------------


def test_run_takes_a_shell_line_or_a_process_type() -> None:
    """A one-off dyno runs either, with profile scripts sourced; its status and output are the result."""
    with App(HELLO) as app:
        build = app.write({"hello.txt": "hi\n"}).build()

        assert (build.run("greet").status, build.run("greet").output) == (0, "HI\n")
        assert build.run('cat "$GREETING_FILE"; echo two >&2; exit 7').output == "HI\ntwo\n"
        assert build.run("exit 7").status == 7
        assert build.run("no-such-command").status == 127


def test_config_vars_reach_the_dynos() -> None:
    """The build's config vars are in the environment of its dynos, or those of the run instead."""
    with App(HELLO) as app:
        build = app.write({"hello.txt": "hi\n"}).build(config_vars={"MODE": "fast", "OTHER": "x"})

        assert build.run("echo $MODE-$OTHER").output == "fast-x\n"
        assert build.run("echo $MODE-$OTHER", config_vars={"MODE": "slow"}).output == "slow-\n"
        assert build.run("echo $MODE-$OTHER", config_vars={}).output == "-\n"


def test_a_dyno_cannot_change_the_slug() -> None:
    """What a dyno writes is its own: the tree of the result stays, and the next dyno does not see it."""
    with App(HELLO) as app:
        build = app.write({"hello.txt": "hi\n"}).build()
        build.run("echo changed >greeting/hello.txt; touch tmp/x; rm -rf greeting")

        assert (build.tree / "greeting/hello.txt").read_text() == "HI\n"
        assert build.run("ls tmp; greet; cat greeting/hello.txt").output.endswith("HI\n")


def test_a_web_dyno_answers() -> None:
    """Starting waits until the dyno listens; get returns status, headers and text, also of a 404 and at the root."""
    with App(HELLO) as app:
        web = app.write({"hello.txt": "hi\n"}).build().start()
        found, missing = web.get("/hello.txt"), web.get("missing")

        assert (found.status, found.text, found.headers["Content-Length"]) == (200, "HI\n", "3")
        assert web.get("hello.txt").text == "HI\n"
        assert missing.status == 404
        assert "hello.txt" in web.get().text
        web.stop()
        assert '"GET /hello.txt HTTP/1.1" 200' in web.output


def test_headers_are_found_in_any_case() -> None:
    """HTTP header names have no case: a test asks for one as it likes."""
    with App(HELLO) as app:
        web = app.write({"hello.txt": "hi\n"}).build().start()

        assert web.get("hello.txt").headers.get("Content-Type") == "text/plain"
        assert web.get("hello.txt").headers.get("content-type") == "text/plain"


def test_several_dynos_at_once() -> None:
    """Each dyno has its own port; other process types and their config vars work too."""
    with App(HELLO) as app:
        app.write(
            {"hello.txt": "hi\n", "Procfile": 'web2: cd tmp && echo $MODE >mode && python3 -m http.server "$PORT"'}
        )
        build = app.build(config_vars={"MODE": "fast"})
        one, two = build.start(), build.start()

        assert one.dyno.url != two.dyno.url
        assert one.get("hello.txt").text == two.get("hello.txt").text == "HI\n"
        with pytest.raises(UnknownProcessTypeError):
            build.start("nothing")


# -- packs around the one under test ----------------------------------------------------------------------------


def test_packs_around_the_one_under_test() -> None:
    """A pack that needs another one is built after it, and finds its tool; alone it fails."""
    with App(PACKS / "assets") as app:
        app.write({".tool-version": "1.2\n", "assets/a.txt": "hi"})
        build = app.build(buildpacks=[PACKS / "toolchain", PACKS / "assets"])

        assert (build.tree / "public/a.txt").read_text() == "HI (shout 1.2)\n"
        assert build.run("shout now").output == "NOW (shout 1.2)\n"
        assert "compiled 0, from cache 1" in build.rebuild().output
        assert "put the toolchain buildpack first" in app.build(expect_failure=True).output


def test_packs_are_given_as_paths_text_and_objects() -> None:
    """buildpacks= mixes paths, text and Python objects, whatever the pack under test is."""
    fake = FakeBuildpack("fake", on_compile=lambda context: context.say("from Python"))
    with App("inline", waive=["detect.no-name"]) as app:
        app.write({"hello.txt": "hi\n"})
        build = app.build(buildpacks=[HELLO, str(PACKS / "odd"), fake])

        assert "from Python\n" in build.output
        assert [record.name for record in build.slug.manifest.buildpacks] == ["hello", "odd", "fake"]


def test_the_app_can_bring_its_own_pack() -> None:
    """The inline pack is the bin/detect and bin/compile of the app itself."""
    with App("inline") as app:
        app.write({"bin/detect": f"{BASH}echo Own", "bin/compile": f'{BASH}echo built >"$1/built"'})
        build = app.build()

        assert "-----> Own app detected" in build.output
        assert (build.tree / "built").read_text() == "built\n"


def test_a_pack_written_in_python() -> None:
    """An object with detect, compile and release is a pack like one in a directory."""

    def compile_(context: BuildContext) -> None:
        context.say("-----> From Python")
        context.run(
            ["bash", "-c", 'echo built >"$1/built"; echo x >"$2/kept"', "-", context.build_dir, context.cache_dir]
        )

    pack = FakeBuildpack("mine", on_compile=compile_, defaults=ReleaseDefaults(process_types={"say": "cat built"}))
    with App(pack) as app:
        build = app.build()

        assert app.pack_name == "mine"
        assert app.pack_directory is None
        assert "-----> From Python" in build.output
        assert build.run("say").output == "built\n"
        assert files_below(build.rebuild().cache_before) == {"kept": "x\n"}


def test_the_pack_is_read_anew_for_each_build(tmp_path: Path) -> None:
    """Who edits the pack between two builds of a test gets what was edited; no build writes to the pack."""
    pack = small(tmp_path, compile='echo one; touch "$(dirname "$0")/../written"')
    with App(pack) as app:
        assert "one\n" in app.build().output
        write_tree(pack, {"bin/compile": f"{BASH}echo two\n"})
        assert "two\n" in app.build().output

    assert sorted(files_below(pack)) == ["bin/compile", "bin/detect"]


def test_the_pack_may_be_named_relative_to_the_working_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path means what it means at the time of the build, text or path object."""
    monkeypatch.chdir(PACKS)
    for pack in ("./hello", "hello", Path("hello")):
        with App(pack) as app:
            assert not app.write({"hello.txt": "x"}).build().failed
            assert app.pack_name == "hello"


# -- expectations -----------------------------------------------------------------------------------------------


def test_a_failure_that_is_not_expected_is_raised_with_the_transcript() -> None:
    """A test need not look at a build's status: one that fails raises, and shows what was printed."""
    with App(PACKS / "fails-halfway") as app:
        app.write({"broken.txt": ""})
        with pytest.raises(UnexpectedOutcomeError, match="the build failed") as raised:
            app.build()

        assert "-----> Downloading part two" in str(raised.value)
        assert "Push rejected" in str(raised.value)
        assert isinstance(raised.value, AssertionError)
        assert [build.failed for build in app.builds] == [True]


def test_a_success_that_is_not_expected_is_raised_with_the_transcript() -> None:
    """A build that was to fail and does not raises, and shows what was printed; so does a rebuild of a failure."""
    with App(HELLO) as app:
        app.write({"hello.txt": "x"})
        with pytest.raises(UnexpectedOutcomeError, match="was to fail and did not") as raised:
            app.build(expect_failure=True)
        assert "-----> Writing the greeting" in str(raised.value)

        failed = app.write({"hello.txt": ""}).build(expect_failure=True)
        app.write({"hello.txt": "x"})
        with pytest.raises(UnexpectedOutcomeError, match="was to fail and did not"):
            failed.rebuild()


def test_a_config_var_that_cannot_be_one_is_the_tests_own_mistake() -> None:
    """A name that is no variable's is refused at once, also where a failure is expected."""
    with App(HELLO) as app, pytest.raises(InvalidConfigVarError):
        app.write({"hello.txt": "x"}).build(config_vars={"A=B": "x"}, expect_failure=True)


# -- the contract -----------------------------------------------------------------------------------------------


def test_findings_are_raised_with_their_codes(tmp_path: Path) -> None:
    """A pack that breaks the contract fails the test, which lists each code, how to accept it, and the transcript."""
    with App(small(tmp_path, detect='touch "$1/x"', compile='echo compiling; touch "$1/export"')) as app:
        with pytest.raises(ContractError) as raised:
            app.build()

        assert {finding.code for finding in raised.value.findings} >= {
            "detect.writes",
            "detect.no-name",
            "export.in-build-dir",
        }
        text = str(raised.value)
        assert all(f"\n  {finding.code} (small): " in text for finding in raised.value.findings)
        assert "waive" in text
        assert "compiling" in text
        assert isinstance(raised.value, AssertionError)
        assert app.builds[0].findings == raised.value.findings


def test_a_waived_code_is_no_finding(tmp_path: Path) -> None:
    """A code that is waived is accepted, in builds and in rebuilds; others are not."""
    pack = small(tmp_path, detect='touch "$1/x"')
    with App(pack, waive=["detect.no-name"]) as app, pytest.raises(ContractError) as raised:
        app.build()
    assert [finding.code for finding in raised.value.findings] == ["detect.writes"]

    with App(pack, waive=["detect.no-name", "detect.writes"]) as app:
        assert app.build().rebuild().findings == ()


def test_without_checks_there_are_no_findings(tmp_path: Path) -> None:
    """checks=False builds what a platform builds, and holds it against no contract."""
    with App(small(tmp_path, detect='touch "$1/x"', compile="mkdir -p /opt/x"), checks=False) as app:
        build = app.build(expect_failure=True)

        assert build.findings == ()
        assert "Read-only file system" in build.output


def test_a_failed_build_that_is_expected_is_held_to_the_contract_too(tmp_path: Path) -> None:
    """A failure is no licence: what a pack breaks before it fails is found."""
    with App(small(tmp_path, detect='touch "$1/x"; echo X', compile="exit 1")) as app, pytest.raises(ContractError):
        app.build(expect_failure=True)


def test_what_packs_around_it_break_is_their_affair(tmp_path: Path) -> None:
    """A finding is about the pack under test; another pack that breaks the contract is no failure of it."""
    noisy = small(
        tmp_path, "other", detect="true", compile="mkdir -p $1/.profile.d; echo x >$1/.profile.d/x; sleep 100 &"
    )
    with App(HELLO) as app:
        app.write({"hello.txt": "x"}).build(buildpacks=[noisy, HELLO])
    with App(noisy) as app, pytest.raises(ContractError) as raised:
        app.write({"hello.txt": "x"}).build(buildpacks=[noisy, HELLO])

    found = [(finding.code, finding.buildpack) for finding in raised.value.findings]
    assert found == [("detect.no-name", "other"), ("process.left", "other"), ("profile.not-sourced", "other")]


# -- Heroku CI --------------------------------------------------------------------------------------------------


def test_ci_that_passes() -> None:
    """test-compile prepares, test runs, and its TAP is there test by test."""
    with App(PACKS / "testpack") as app:
        app.write({"spec/a.sh": '. "$SPEC_HOME/expect.sh"; expect 1 1', "spec/b c.sh": "true"})
        result = app.ci()

        assert (result.status, result.failed) == (0, False)
        assert result.tests == ((True, "a"), (True, "b c"))
        assert "-----> Installing what the specs need" in result.output
        assert "1..2\nok 1 - a\n" in result.output


def test_ci_that_fails() -> None:
    """A failing test is an expected outcome or raises with the transcript; an unexpected pass raises too."""
    with App(PACKS / "testpack") as app:
        app.write({"spec/a.sh": '. "$SPEC_HOME/expect.sh"; expect 1 2', "spec/b.sh": "true"})
        with pytest.raises(UnexpectedOutcomeError, match="the tests failed") as raised:
            app.ci()
        result = app.ci(expect_failure=True)

        assert "# expected '2', got '1'" in str(raised.value)
        assert result.failed
        assert result.tests == ((False, "a"), (True, "b"))
        app.remove("spec/a.sh")
        with pytest.raises(UnexpectedOutcomeError, match="the tests were to fail"):
            app.ci(expect_failure=True)


def test_ci_whose_test_compile_fails(tmp_path: Path) -> None:
    """Tests that cannot be prepared have failed, with the status and the output of what failed."""
    pack = small(tmp_path, test_compile="echo preparing; exit 4", test="echo never")
    with App(pack) as app:
        result = app.ci(expect_failure=True)
        with pytest.raises(UnexpectedOutcomeError, match="preparing"):
            app.ci()

        assert (result.status, result.tests) == (4, ())
        assert "preparing" in result.output
        assert "never" not in result.output


@pytest.mark.parametrize("reason", ["not detected", "no test command", "timeout"])
def test_ci_that_cannot_be_run_has_failed(tmp_path: Path, reason: str) -> None:
    """Whatever keeps the tests from running is a failure of the tests, as it is one of a build."""
    scripts = {
        "not detected": {"detect": "echo no such app; exit 1", "test": "true"},
        "no test command": {},
        "timeout": {"test": "sleep 600"},
    }
    with App(small(tmp_path, **scripts[reason]), timeout=2.0) as app:
        assert app.ci(expect_failure=True).failed
        with pytest.raises(UnexpectedOutcomeError, match="the tests failed"):
            app.ci()


def test_ci_gives_config_vars_and_packs(tmp_path: Path) -> None:
    """config_vars and buildpacks work as in a build; CI is set."""
    pack = small(tmp_path, test='echo "ok 1 - $MODE $CI"')
    with App(HELLO) as app:
        app.write({"hello.txt": "x"})
        result = app.ci(config_vars={"MODE": "fast"}, buildpacks=[HELLO, pack])

        assert result.tests == ((True, "fast true"),)


def test_tap_in_all_its_forms(tmp_path: Path) -> None:
    """Numbers, dashes and descriptions are optional; comments, plans and other output are no tests."""
    others = "TAP version 13\\n1..6\\n# ok 9\\nokay\\n  ok indented\\n"
    tap = f"{others}ok\\nok 2\\nnot ok 3 three\\nok 4 - four - 4\\nok five\\n"
    with App(small(tmp_path, test=f"printf '{tap}'; exit 1")) as app:
        result = app.ci(expect_failure=True)

        assert result.tests == ((True, ""), (True, ""), (False, "three"), (True, "four - 4"), (True, "five"))


# -- what a build runs in ---------------------------------------------------------------------------------------


def test_the_stack_is_what_packs_see(tmp_path: Path) -> None:
    """stack= is $STACK in every script, and the slug's stack; without it there is Heroku's current one."""
    pack = small(tmp_path, compile='echo "on $STACK"', test='echo "ok - $STACK"')
    with App(pack, stack="heroku-22") as app:
        build = app.build()

        assert "on heroku-22\n" in build.output
        assert build.slug.manifest.stack == "heroku-22"
        assert app.ci().tests == ((True, "heroku-22"),)
    with App(pack) as app:
        assert "on heroku-24\n" in app.build().output


def test_without_a_sandbox() -> None:
    """sandbox="none" builds, rebuilds, runs, starts and tests where no sandbox can be had."""
    with App(HELLO, sandbox="none") as app:
        build = app.write({"hello.txt": "hi\n"}).build()

        assert build.rebuild().run("greet").output == "HI\n"
        assert build.start().get("hello.txt").text == "HI\n"
    with App(PACKS / "testpack", sandbox="none") as app:
        assert app.write({"spec/a.sh": "true"}).ci().tests == ((True, "a"),)


def test_secrets_of_the_tester_are_out_of_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the environment nor the home directory of who runs the tests is visible to a pack or a dyno."""
    canary = f"canary-{uuid.uuid4().hex}"
    own_home = write_tree(tmp_path / "own-home", {".netrc": canary})
    monkeypatch.setenv("HOME", str(own_home))
    monkeypatch.setenv("GITHUB_TOKEN", canary)
    look = f'env; cat "$HOME/.netrc" {own_home}/.netrc /proc/[0-9]*/environ 2>/dev/null | tr "\\0" "\\n"'
    pack = small(tmp_path, compile=f"{look}; env >&2", test=f"{look}; true", test_compile=look)
    with App(pack) as app:
        build = app.build()
        outputs = [build.output, build.run(f"{look}; true").output, app.ci().output]

        assert all("PATH=" in output for output in outputs)
        assert not any(canary in output for output in outputs)


# -- the end ----------------------------------------------------------------------------------------------------


def test_leaving_the_block_leaves_nothing(home: Path) -> None:
    """Directories, dynos and what they started are gone; closing again is fine."""
    marker = f"left-{uuid.uuid4().hex}"
    mounts = Path("/proc/self/mountinfo").read_text()
    with App(HELLO) as app:
        app.write(
            {
                "hello.txt": "x",
                "Procfile": f'web: setsid bash -c "exec -a {marker} sleep 600" & exec python3 -m http.server $PORT',
            }
        )
        app.build().rebuild().start()
        assert list(home.iterdir()) != []
        assert pids_with(marker)
    app.close()

    assert list(home.iterdir()) == []
    assert not app.directory.exists()
    assert pids_with(marker) == []
    assert Path("/proc/self/mountinfo").read_text() == mounts


def test_an_exception_in_the_block_leaves_nothing(home: Path) -> None:
    """However the block is left - a failed assert, Ctrl-C - it is cleaned up, and the exception goes on."""
    marker = f"left-{uuid.uuid4().hex}"
    for kind in (AssertionError, KeyboardInterrupt):
        with pytest.raises(kind, match="mine"), App(HELLO) as app:  # noqa: PT012 - the block is what is left
            app.write({"hello.txt": "x", "Procfile": f'web: exec -a {marker} python3 -m http.server "$PORT"'})
            app.build().start()
            raise kind("mine")

    assert list(home.iterdir()) == []
    assert pids_with(marker) == []


def test_what_cannot_be_read_is_removed_too(tmp_path: Path, home: Path) -> None:
    """Caches and trees with any modes, and deep ones, do not outlive the app."""
    script = 'mkdir -p "$2/locked/x"; chmod 0 "$2/locked"; if [ -e "$1/lock" ]; then chmod 0 "$1/lock"; fi'
    deep = 'cd "$2"; for i in {1..150}; do mkdir -p deep-deep-deep; cd deep-deep-deep; done'
    with App(small(tmp_path, compile=f"{script}; {deep}")) as app:
        app.build().rebuild()
        with suppress(UnexpectedOutcomeError):  # who is not root cannot pack what the script has locked
            app.write({"lock/x": ""}).build()

    assert list(home.iterdir()) == []


def test_processes_of_a_failed_build_are_gone(tmp_path: Path, home: Path) -> None:
    """A pack that leaves a server running and fails leaves it for nobody."""
    marker = f"left-{uuid.uuid4().hex}"
    script = f"setsid bash -c 'exec -a {marker} sleep 600' >/dev/null 2>&1 & exit 1"
    with App(small(tmp_path, compile=script), waive=["process.left"]) as app:
        app.build(expect_failure=True)

        assert pids_with(marker) == []
    assert list(home.iterdir()) == []


def test_apps_in_threads_do_not_meet() -> None:
    """Two apps that are built, rebuilt and run at once have a tree, a cache and dynos of their own."""
    found: dict[str, str] = {}

    def try_out(name: str) -> None:
        with App(HELLO) as app:
            build = app.write({"hello.txt": f"{name}\n"}).build(config_vars={"NAME": name})
            found[name] = build.rebuild().run('greet; echo "$NAME $(cat greeting/hello.txt)"').output.splitlines()[-1]

    threads = [threading.Thread(target=try_out, args=(name,)) for name in ("one", "two", "three")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == {name: f"{name} {name.upper()}" for name in ("one", "two", "three")}


def test_one_app_builds_in_threads(tmp_path: Path) -> None:
    """Builds of one app that are made at once have caches of their own; each result is whole."""
    outputs: list[Mapping[str, str]] = []
    with App(small(tmp_path, compile=NUMBERED)) as app:
        first = app.build()

        def rebuild() -> None:
            outputs.append(files_below(first.rebuild().cache_after))

        threads = [threading.Thread(target=rebuild) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert outputs == [{"n": "2\n"}] * 2


def test_the_slugs_of_equal_trees_are_equal(tmp_path: Path) -> None:
    """Two apps with the same files make the same slug, wherever and whenever they are built."""
    slugs = []
    for _ in range(2):
        with App(HELLO) as app:
            slugs.append(app.write({"hello.txt": "x"}).build().slug.diff_id)

    assert all(one == other for one, other in pairwise(slugs))
    assert not (tmp_path / "app").exists()


# -- what must not pass for a failure, or go unseen --------------------------------------------------------------


@pytest.mark.parametrize("pack", ["https://nonexistent.invalid/a.git", "no-such-pack", "{}"])
def test_a_pack_that_was_never_run_is_no_expected_failure(tmp_path: Path, pack: str) -> None:
    """``expect_failure`` is about what packs do: one that cannot be had, or is none, fails the test all the same."""
    with App(pack.format(tmp_path)) as app, pytest.raises(UnexpectedOutcomeError, match="hint: "):
        app.build(expect_failure=True)
    with App(pack.format(tmp_path)) as app, pytest.raises(UnexpectedOutcomeError, match="hint: "):
        app.ci(expect_failure=True)


def test_which_failure_is_expected() -> None:
    """``expect_failure`` may name the error's code; another failure is not the one that was meant."""
    with App(HELLO) as app:
        app.write({"hello.txt": ""}).build(expect_failure="build.compile-failed")
        app.remove("hello.txt")
        app.build(expect_failure="buildpack.incompatible")
        with pytest.raises(UnexpectedOutcomeError):
            app.build(expect_failure="build.compile-failed")


def test_what_a_pack_varies_is_not_blamed_on_config_vars(tmp_path: Path) -> None:
    """A file that differs between any two builds proves nothing about config vars."""
    pack = small(tmp_path, "varies", compile='date +%N >"$1/built"')
    found = check_buildpack(pack, {"file": "x"}, config_vars={"ANY": "thing"})

    assert {finding.code for finding in found} == {"slug.not-reproducible"}


def test_tests_are_held_to_the_contract_too(tmp_path: Path) -> None:
    """A process that test-compile leaves, and a secret that it prints, are findings of ``ci``."""
    pack = small(tmp_path, "leaky", test_compile='sleep 100 & cat "$3/TOKEN"', test="true")
    with App(pack) as app, pytest.raises(ContractError) as raised:
        app.ci(config_vars={"TOKEN": "abcdefgh-1234"})

    assert {finding.code for finding in raised.value.findings} == {"process.left", "config.leaked"}


def test_a_packs_development_files_are_no_part_of_it(tmp_path: Path) -> None:
    """Virtual environments, repositories and caches beside the scripts are neither copied nor recorded."""
    pack = Path(small(tmp_path, "own", compile='ls -A "$(dirname "$0")/.."'))
    with App(pack) as app:
        version = app.build().slug.manifest.buildpacks[0].version
        for name in (".venv/pyvenv.cfg", ".git/HEAD", "lib/__pycache__/x.pyc", ".pytest_cache/x", "lib/kept"):
            (pack / name).parent.mkdir(parents=True, exist_ok=True)
            (pack / name).write_text("")
        result = app.build()

    assert [step.output.split() for step in result.steps if step.name == "compile"] == [["bin", "lib"]]
    (pack / "lib/kept").unlink()
    (pack / "lib/__pycache__/x.pyc").unlink()
    assert version != result.slug.manifest.buildpacks[0].version  # lib/kept is part of it


def test_a_tree_is_the_tests_own() -> None:
    """Changing what ``tree`` shows changes no dyno and no other build."""
    with App(HELLO) as app:
        result = app.write({"hello.txt": "x"}).build()
        (result.tree / "greeting/hello.txt").write_text("changed")

        assert result.run("greet").output == "X\n"
        assert (app.build().tree / "greeting/hello.txt").read_text() == "X"


def test_the_way_out_shows_with_an_error() -> None:
    """An unknown process type lists those there are, where a test's failure is read."""
    with App(HELLO) as app, pytest.raises(UnknownProcessTypeError) as raised:
        app.write({"hello.txt": "x"}).build().start("worker")

    assert raised.value.__notes__ == ["hint: process types of this slug: greet, web"]


def test_a_trap_is_no_way_to_the_host(tmp_path: Path) -> None:
    """A detect that puts a link above a mount of the sandbox is refused; nothing behind the link changes its owner."""
    victim = tmp_path / "victim"
    victim.mkdir()
    owner = victim.stat().st_uid
    script = f"mv /var/lib /var/old && ln -s {victim} /var/lib; echo X"
    with App(small(tmp_path, "hostile", detect=script)) as app, pytest.raises((UnexpectedOutcomeError, ContractError)):
        app.build()

    assert (victim.stat().st_uid, list(victim.iterdir())) == (owner, [])


def test_a_link_in_the_place_of_build_dir_shows_nothing(tmp_path: Path) -> None:
    """A detect that puts a link where BUILD_DIR was shows no name of what is behind it."""
    victim = write_tree(tmp_path / "victim", {"secret-name": "x"})
    script = f'cd /; rm -rf "$1"; ln -s {victim} "$1"; echo X'
    with App(small(tmp_path, "hostile", detect=script)) as app, pytest.raises(UnexpectedOutcomeError) as raised:
        app.build()

    assert "secret-name" not in str(raised.value)
