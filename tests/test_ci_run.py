"""An app's tests, prepared and run as Heroku CI does (contract.md 2.10)."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from slugkit.build import SlugBuilder, TestRun
from slugkit.environ import HOST_ENV
from slugkit.errors import BuildpackError, BuildTimeoutError, CompileFailedError
from slugkit.events import BuildEvent, BuildpackReported, StepStarted
from slugkit.testing import FakeBuildpack, write_tree
from support import OF_BASH, PACKS, leftovers, lines, small

pytestmark = pytest.mark.usefixtures("sandboxed")


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "app", {"file": "content\n"})


def with_scripts(app: Path, **content: object) -> Path:
    """Give *app* an app.json of that *content*."""
    (app / "app.json").write_text(json.dumps(content))
    return app


def run(
    app: Path,
    *packs: str | Path | FakeBuildpack,
    events: list[BuildEvent] | None = None,
    config_vars: Mapping[str, str] | None = None,
    timeout: float = 60.0,
) -> TestRun:
    """Run the tests of *app* with *packs*; the cache is beside it."""
    return SlugBuilder(
        buildpacks=[str(pack) if isinstance(pack, Path) else pack for pack in packs],
        cache_dir=app.parent / "cache",
        config_vars=config_vars or {},
        timeout=timeout,
        on_event=None if events is None else events.append,
    ).test(app)


def said(events: list[BuildEvent]) -> list[str]:
    """Return what the packs printed, without the frame's own line that is always there."""
    return [line for line in lines(events) if line != "-----> No test-setup command provided. Skipping."]


# -- bin/test-compile and bin/test -----------------------------------------------------------------------------


def test_a_testpack(tmp_path: Path) -> None:
    """A pack's test-compile prepares the app and its test runs it: the output is TAP, the status decides."""
    app = write_tree(tmp_path / "app", {"spec/sum.sh": '. "$SPEC_HOME/expect.sh"; expect $((1 + 1)) 2\n'})
    events: list[BuildEvent] = []
    done = run(app, PACKS / "testpack", events=events)

    assert (done.status, done.state) == (0, "succeeded")
    assert done.output == "1..1\nok 1 - sum\n"
    assert said(events) == [
        *("-----> Building", "       .built", "-----> Installing what the specs need", "       .test-deps"),
        *("1..1", "ok 1 - sum"),
    ]
    assert sorted(path.name for path in app.iterdir()) == ["spec"]
    assert leftovers(app) == []


def test_a_testpack_whose_specs_fail(tmp_path: Path) -> None:
    """Tests that fail are an answer, not an error: the run has failed, with the output that says why."""
    app = write_tree(tmp_path / "app", {"spec/sum.sh": '. "$SPEC_HOME/expect.sh"; expect 1 2\n'})
    done = run(app, PACKS / "testpack")

    assert (done.status, done.state) == (1, "failed")
    assert done.output == "1..1\nnot ok 1 - sum\n# expected '2', got '1'\n"
    assert leftovers(app) == []


@pytest.mark.parametrize(
    ("script", "status", "state"),
    [
        ("echo 'not ok 1'", 0, "succeeded"),
        ("echo 'ok 1'; exit 77", 77, "failed"),
        ("kill -KILL $$", 137, "failed"),
    ],
)
def test_the_status_decides(app: Path, tmp_path: Path, script: str, status: int, state: str) -> None:
    """The exit status says whether the tests pass, whatever they print."""
    done = run(app, small(tmp_path, test=script))

    assert (done.status, done.state) == (status, state)


def test_the_build_happens_in_app(app: Path, tmp_path: Path) -> None:
    """BUILD_DIR is /app, which is HOME; test-compile gets CACHE_DIR and ENV_DIR too, test gets ENV_DIR only."""
    events: list[BuildEvent] = []
    told = 'echo "$(basename "$0") $HOME $*" >&2'
    run(
        app,
        small(tmp_path, detect=told, test_compile=f"{told}; echo made >~/made", test=f"{told}; cat ~/made"),
        events=events,
    )
    detect, compile_, test, made = said(events)

    assert detect == "detect /app /app"
    assert compile_.startswith("test-compile /app /app /tmp/build_cache /tmp/env_")
    assert test == f"test /app /app {compile_.split()[-1]}"
    assert made == "made"


def test_environment_of_a_test_run(app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both detect and test-compile see the CI row of contract.md 2.4, and no config var."""
    for name in HOST_ENV:
        monkeypatch.delenv(name, raising=False)
    show = "#!/usr/bin/env python3\nimport json, os, sys\nprint(json.dumps(dict(os.environ)), file=sys.stderr)\n"
    events: list[BuildEvent] = []
    run(app, small(tmp_path, detect=show, test_compile=show, test=""), events=events, config_vars={"SECRET": "s"})

    assert len(said(events)) == 2
    for line in said(events):
        env = json.loads(line)
        ids = {name: env.pop(name) for name in ("REQUEST_ID", "HEROKU_TEST_RUN_ID")}
        assert all(len(value) == 36 for value in ids.values())
        assert {name: value for name, value in env.items() if name not in OF_BASH | {"LC_CTYPE", "PORT", "TERM"}} == {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/app/.sprettur/bin/",
            "HOME": "/app",
            "STACK": "heroku-24",
            "SOURCE_VERSION": "",
            "BUILDPACK_LOG_FILE": "/dev/null",
            "DYNO": env["DYNO"],
            "CI": "true",
            "CI_NODE_INDEX": "0",
            "CI_NODE_TOTAL": "1",
            "HEROKU_TEST_RUN_BRANCH": "",
            "HEROKU_TEST_RUN_COMMIT_VERSION": "",
        }


def test_port_and_term_of_a_test_run(app: Path, tmp_path: Path) -> None:
    """PORT and TERM are set in a test run (contract.md 2.4, CI only)."""
    assert run(app, small(tmp_path, test_compile='[ -n "$PORT" ] && [ -n "$TERM" ]', test="")).status == 0


def test_test_compile_instead_of_compile(app: Path, tmp_path: Path) -> None:
    """A pack with a bin/test-compile is not asked to compile; one without it is."""
    events: list[BuildEvent] = []
    first = small(tmp_path, "first", compile="echo compile first", test_compile="echo test-compile first")
    second = small(tmp_path, "second", compile="echo compile second", test="echo test second")
    run(app, first, second, events=events)

    assert said(events) == ["test-compile first", "compile second", "test second"]


def test_packs_written_in_python_compile(app: Path, tmp_path: Path) -> None:
    """A pack that knows nothing of tests prepares the app by its compile."""
    compiled: list[bool] = []
    fake = FakeBuildpack(on_compile=lambda _: compiled.append(True))

    assert run(app, fake, small(tmp_path, test="echo ok")).output == "ok\n"
    assert compiled == [True]


def test_test_has_profile_and_config_vars(app: Path, tmp_path: Path) -> None:
    """bin/test runs with .profile.d sourced and the config vars in its environment, multi-line values too."""
    prepare = """mkdir -p "$1/.profile.d"
    echo 'export FROM_B="after $FROM_A $SECRET"' >"$1/.profile.d/b.sh"; echo 'export FROM_A=a' >"$1/.profile.d/a.sh"
    echo "compile: ${SECRET-none}" """
    events: list[BuildEvent] = []
    script = 'echo "$FROM_B"; echo "$CI $HOME"; [ "$(<"$2/SECRET")" = "$SECRET" ] && echo same'
    done = run(
        app, small(tmp_path, test_compile=prepare, test=script), events=events, config_vars={"SECRET": "one\ntwo=2"}
    )

    assert done.output.splitlines() == ["after a one", "two=2", "true /app", "same"]
    assert lines(events)[0] == "compile: none"


@pytest.mark.parametrize("body", [b"", b"exit 0\n", b"#!/bin/sh\nexit 0\n"], ids=["empty", "no shebang", "shebang"])
def test_a_test_without_run_bits_or_shebang(app: Path, tmp_path: Path, body: bytes) -> None:
    """bin/test runs without run bits, without a shebang and with 0 bytes, as every other script."""
    pack = Path(small(tmp_path, test=""))
    (pack / "bin/test").write_bytes(body)
    (pack / "bin/test").chmod(0o644)

    assert run(app, pack) == TestRun(0, "")


@pytest.mark.parametrize("script", ["compile", "test_compile"])
def test_a_failed_preparation(app: Path, tmp_path: Path, script: str) -> None:
    """When test-compile fails, or compile in its stead, nothing is tested: it is an error with the last lines."""
    events: list[BuildEvent] = []
    scripts = {script: "echo 'no compiler' >&2; exit 4", "test": "echo tested"}
    with pytest.raises(CompileFailedError) as caught:
        run(app, small(tmp_path, **scripts), events=events)

    assert (caught.value.buildpack, caught.value.status, caught.value.last_lines) == ("Small", 4, ("no compiler",))
    assert lines(events) == ["no compiler"]
    assert leftovers(app) == []


def test_report_and_release_are_not_run(app: Path, tmp_path: Path) -> None:
    """Neither bin/report nor bin/release has a part in a test run, whether it fails or not."""
    events: list[BuildEvent] = []
    noisy = {"release": "echo released >&2", "report": 'echo x >"$2/reported"; echo \'{"a": 1}\''}
    run(app, small(tmp_path, test="exit 1", **noisy), events=events)
    with pytest.raises(CompileFailedError):
        run(app, small(tmp_path, "bad", compile="exit 1", **noisy), events=events)

    assert said(events) == []
    assert not [event for event in events if isinstance(event, BuildpackReported)]
    assert not [e for e in events if isinstance(e, StepStarted) and e.step in {"release", "report"}]
    assert not (tmp_path / "cache/cache/reported").exists()


def test_the_time_limit_holds(app: Path, tmp_path: Path) -> None:
    """Tests that do not end are ended by the time limit, and leave nothing."""
    with pytest.raises(BuildTimeoutError):
        run(app, small(tmp_path, test="sleep 600"), timeout=1.0)

    assert leftovers(app) == []


# -- app.json --------------------------------------------------------------------------------------------------


def test_the_test_script_of_app_json(app: Path, tmp_path: Path) -> None:
    """Without a bin/test, app.json's test script is run as a shell line in /app, in Heroku's frame."""
    events: list[BuildEvent] = []
    pack = small(tmp_path, compile='mkdir "$1/.profile.d"; echo "export P=profile" >"$1/.profile.d/p.sh"')
    line = 'echo "$P $VAR $PWD" && true'
    done = run(with_scripts(app, scripts={"test": line}), pack, events=events, config_vars={"VAR": "config"})

    assert done == TestRun(0, "profile config /app\n")
    assert lines(events) == [
        "-----> No test-setup command provided. Skipping.",
        f"-----> Running test command `{line}`...",
        "profile config /app",
        f"-----> test command `{line}` completed successfully",
    ]


def test_the_test_script_of_app_json_that_fails(app: Path, tmp_path: Path) -> None:
    """A test script's status is the run's, and the frame tells it."""
    events: list[BuildEvent] = []
    done = run(with_scripts(app, scripts={"test": "exit 9"}), small(tmp_path), events=events)

    assert (done.status, done.state) == (9, "failed")
    assert lines(events)[-1] == "-----> test command `exit 9` failed with exit status 9"


def test_the_test_environment_overrides(app: Path, tmp_path: Path) -> None:
    """The scripts of environments.test go over those of the app, one by one; test-setup runs first."""
    events: list[BuildEvent] = []
    scripts = {"test": "echo never", "test-setup": "echo set up >made"}
    content = {"scripts": scripts, "environments": {"test": {"scripts": {"test": "cat made"}}}}
    done = run(with_scripts(app, **content), small(tmp_path), events=events)

    assert done.output == "set up\n"
    assert lines(events) == [
        "-----> Running test-setup command `echo set up >made`...",
        "-----> Running test command `cat made`...",
        "set up",
        "-----> test command `cat made` completed successfully",
    ]


def test_a_failed_test_setup(app: Path, tmp_path: Path) -> None:
    """When test-setup fails, the run does not go on: it is a failure to prepare, with its status and last lines."""
    scripts = {"test-setup": "echo 'no database'; exit 3", "test": "echo tested"}
    events: list[BuildEvent] = []
    with pytest.raises(CompileFailedError) as caught:
        run(with_scripts(app, scripts=scripts), small(tmp_path), events=events)

    assert (caught.value.status, caught.value.last_lines) == (3, ("no database",))
    assert "tested" not in lines(events)
    assert leftovers(app) == []


def test_app_json_goes_before_the_packs_test(app: Path, tmp_path: Path) -> None:
    """An app that says how it is tested is tested so: bin/test is what packs offer to those that do not.

    (devcenter.heroku.com/articles/heroku-ci-technical-detail-on-ci-lifecycle, steps 4 and 5)
    """
    app = with_scripts(app, scripts={"test": "echo of the app", "test-setup": "echo set up"})

    assert run(app, small(tmp_path, test="echo of the pack")).output == "of the app\n"


def test_test_setup_runs_before_the_packs_test(app: Path, tmp_path: Path) -> None:
    """An app's test-setup is run also when the pack runs the tests (step 4, as above)."""
    app = with_scripts(app, scripts={"test-setup": "echo set up >made"})

    assert run(app, small(tmp_path, test="cat ~/made")).output == "set up\n"


def test_nothing_says_how_tests_are_run(app: Path, tmp_path: Path) -> None:
    """Without a bin/test and without a test script there is an error that names both ways out."""
    with pytest.raises(BuildpackError, match="nothing says how the tests are run") as caught:
        run(app, small(tmp_path))

    assert caught.value.hint == "give the buildpack a bin/test, or app.json environments.test.scripts.test"
    assert leftovers(app) == []


@pytest.mark.parametrize("text", ["{", "[]", '{"scripts": 1}', '{"environments": {"test": []}}'])
def test_an_app_json_that_cannot_be_read(app: Path, tmp_path: Path, text: str) -> None:
    """An app.json that is none is named as the reason."""
    (app / "app.json").write_text(text)
    with pytest.raises(BuildpackError, match=r"cannot read app\.json"):
        run(app, small(tmp_path))


def test_the_cache_of_a_test_run_is_kept(app: Path, tmp_path: Path) -> None:
    """What test-compile leaves in CACHE_DIR is there for the next run, also when the tests fail."""
    pack = small(tmp_path, test_compile='echo x >>"$2/runs"; wc -l <"$2/runs"', test="exit 1")
    events: list[BuildEvent] = []
    for _ in range(2):
        run(app, pack, events=events)

    assert said(events) == ["1", "2"]


def test_config_vars_of_app_json(app: Path, tmp_path: Path) -> None:
    """app.json's env and environments.test.env are config vars of the tests; the caller's own come before them."""
    with_scripts(
        app,
        env={"ONE": "app", "TWO": "app", "THREE": {"description": "x", "value": "app"}, "FOUR": {"required": True}},
        environments={"test": {"env": {"TWO": "test"}}},
    )
    pack = small(tmp_path, test_compile='cat "$3/TWO"', test='echo "$ONE $TWO $THREE ${FOUR-none}"')

    assert run(app, pack, config_vars={"ONE": "mine"}).output == "mine test app none\n"


def test_tests_have_a_cache_of_their_own(app: Path, tmp_path: Path) -> None:
    """What a test run caches, with its paths below /app, is not what the next build of a slug finds."""
    pack = small(tmp_path, compile='ls "$2"', test_compile='touch "$2/of-tests"', test="true")
    run(app, pack)
    events: list[BuildEvent] = []
    SlugBuilder(buildpacks=[pack], cache_dir=app.parent / "cache", on_event=events.append).build(
        app, tmp_path / "o.tgz"
    )

    assert lines(events) == []
