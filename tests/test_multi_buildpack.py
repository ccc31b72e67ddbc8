"""Several buildpacks in one build (contract.md 2.6), and the text of builds as golden files (2.5, 2.7)."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from attrs import evolve

from slugkit.archive import Slug
from slugkit.build import SlugBuilder, heroku_text
from slugkit.buildpacks import BuildContext, Buildpack, Detection
from slugkit.errors import CompileFailedError, IncompatibleBuildpackError, NoBuildpackError, SlugkitError
from slugkit.events import BuildEvent, BuildpackExported, BuildpackReported, SlugPacked, StepStarted
from slugkit.testing import FakeBuildpack, write_tree
from support import PACKS, lines, small

pytestmark = pytest.mark.usefixtures("sandboxed")

GOLDEN = Path(__file__).parent / "golden"
SEEN = 'echo "$(basename "$0"): ${FOO-none}" >&2'


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "app", {"file": "content\n"})


def exporting(tmp_path: Path, export: str, name: str = "first") -> str:
    """Write a pack that compiles to an ``export`` of that text."""
    return str(write_tree(Path(small(tmp_path, name, compile="cp exported export")), {"exported": export}).absolute())


def build(app: Path, *packs: str | Path | Buildpack, events: list[BuildEvent] | None = None) -> Slug:
    """Build *app* with *packs*; the slug and the cache are beside it."""
    return SlugBuilder(
        buildpacks=[str(pack) if isinstance(pack, Path) else pack for pack in packs],
        cache_dir=app.parent / "cache",
        timeout=60.0,
        on_event=None if events is None else events.append,
    ).build(app, app.parent / "o.tgz")


def output(app: Path, *packs: str | Path | Buildpack) -> list[str]:
    """Return the lines that a build of *app* with *packs* prints."""
    events: list[BuildEvent] = []
    build(app, *packs, events=events)
    return lines(events)


def exports(events: list[BuildEvent]) -> list[Mapping[str, str | None]]:
    return [event.variables for event in events if isinstance(event, BuildpackExported)]


def text_of(events: list[BuildEvent]) -> str:
    """Return what Heroku would print; the size of the slug, which a compression library decides, is 2 KiB."""
    told = (evolve(event, size=2048) if isinstance(event, SlugPacked) else event for event in events)
    return "".join(f"{line}\n" for event in told for line in heroku_text(event))


def check_golden(name: str, text: str) -> None:
    """Compare *text* with the golden file *name*, or write it there when UPDATE_GOLDEN=1."""
    file = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN") == "1":
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(text.encode())
    assert text == file.read_bytes().decode()


# -- one after the other ---------------------------------------------------------------------------------------


def test_strict_order(app: Path, tmp_path: Path) -> None:
    """A pack is asked when the one before it has compiled and exported; release and report come when all have."""
    packs = []
    for name in ("one", "two", "three"):
        told = f'echo "$(basename "$0") {name}" >&2'
        script = f"{told}; echo 'echo export {name}' >export"
        packs.append(small(tmp_path, name, detect=f"{told}; echo x", compile=script, release=told, report="echo {}"))
    events: list[BuildEvent] = []
    build(app, *packs, events=events)

    assert lines(events) == [
        *(f"{step} {name}" for name in ("one", "two", "three") for step in ("detect", "compile", "export")),
        *("release one", "release two", "release three"),
    ]
    steps = [(event.step, event.buildpack) for event in events if isinstance(event, StepStarted)]
    assert steps[-3:] == [("report", "one"), ("report", "two"), ("report", "three")]


def test_packs_share_the_build(app: Path, tmp_path: Path) -> None:
    """All packs of a build have one BUILD_DIR, one CACHE_DIR, one ENV_DIR and one HOME."""
    first = small(tmp_path, "first", compile='for d in "$@" ~; do echo "$d" >"$d/.left"; done')
    second = small(tmp_path, "second", detect='cat "$1/.left" ~/.left >&2', compile='cat "$2/.left" "$3/.left"')
    build_dir, home, cache_dir, env_dir = output(app, first, second)

    assert (cache_dir, home) == ("/tmp/build_cache", "/app")
    assert env_dir == build_dir.replace("build", "env")
    assert (tmp_path / "cache/cache/.left").read_text() == "/tmp/build_cache\n"


def test_a_pack_is_not_there_before_its_turn(app: Path, tmp_path: Path) -> None:
    """A pack can neither read nor change the scripts of one after it: they come when it is their turn."""
    first = small(
        tmp_path, "first", compile="find / -name 'only-in-second' 2>/dev/null; ls -d /tmp/buildpack_* | wc -l"
    )
    second = small(tmp_path, "second", compile="ls; ls -d /tmp/buildpack_* | wc -l")
    write_tree(Path(second), {"only-in-second": ""})

    assert output(app, first, second) == ["1", "bin", "only-in-second", "2"]


def test_a_pack_may_be_listed_twice(tmp_path: Path) -> None:
    """A pack that is listed twice runs twice, each time as it was."""
    app = write_tree(tmp_path / "app", {".tool-version": "1"})

    assert output(app, PACKS / "toolchain", PACKS / "toolchain") == [
        *("-----> Installing shout 1", "       READY (shout 1)"),
        *("-----> Restoring shout 1 from the cache", "       READY (shout 1)"),
    ]


def test_a_later_pack_that_says_no(app: Path, tmp_path: Path) -> None:
    """A listed pack that does not apply fails the build after all that work: Heroku's text, no slug, no cache."""
    events: list[BuildEvent] = []
    first = small(tmp_path, "first", compile='echo compiled; echo x >"$2/x"')
    second = small(tmp_path, "second", detect="echo 'Needs a Gemfile.'; echo 'See the docs.'; echo aside >&2; exit 1")
    with pytest.raises(IncompatibleBuildpackError):
        build(app, first, second, events=events)

    assert lines(events) == ["compiled", "aside"]
    assert heroku_text(events[-1]) == (
        "-----> App not compatible with buildpack: second",
        "       Needs a Gemfile.",
        "       See the docs.",
        "       More info: https://devcenter.heroku.com/articles/buildpacks#detection-failure",
        "",
        " !     Push failed",
    )
    assert not (tmp_path / "o.tgz").exists()
    assert not (tmp_path / "cache/cache").exists()


def test_reports_of_all_that_compiled(app: Path, tmp_path: Path) -> None:
    """When a later pack fails, those before it and the one that failed still report."""
    packs = [small(tmp_path, name, report=f'echo \'{{"is": "{name}"}}\'') for name in ("one", "two", "three")]
    Path(packs[1], "bin/compile").write_text("exit 5\n")
    events: list[BuildEvent] = []
    with pytest.raises(CompileFailedError):
        build(app, *packs, events=events)

    assert [event.facts for event in events if isinstance(event, BuildpackReported)] == [{"is": "one"}, {"is": "two"}]


@pytest.mark.parametrize(
    ("releases", "expected"),
    [
        (("web: a", "web: b"), {"web": "b"}),
        (("web: a", None), {"web": "a"}),
        (("web: a", None, "worker: c", None), {"worker": "c"}),
        (("web: a", ""), {}),
        ((None, None), {}),
    ],
)
def test_the_last_release_counts(
    app: Path, tmp_path: Path, releases: tuple[str | None, ...], expected: dict[str, str]
) -> None:
    """The last pack that has a bin/release decides, also when that prints nothing; packs without one do not count."""
    packs = []
    for number, said in enumerate(releases):
        yaml = f"default_process_types: {{{said}}}" if said else ""
        scripts = {} if said is None else {"release": f"echo '{yaml}'"}
        packs.append(small(tmp_path, f"pack{number}", **scripts))

    assert dict(build(app, *packs).process_types) == expected


# -- export ----------------------------------------------------------------------------------------------------


def test_export_reaches_the_packs_after(app: Path, tmp_path: Path) -> None:
    """What a pack exports is in the environment of later detects and compiles, also of packs written in Python."""
    told: list[str] = []

    def look(context: BuildContext) -> None:
        told.append(context.run(["bash", "-c", 'echo "$FOO"'], show="no").output)

    scripts = {"detect": SEEN, "compile": SEEN, "release": SEEN, "report": f'{{ {SEEN}; }} 2>"$2/report"'}
    second = small(tmp_path, "second", **scripts)

    assert output(app, exporting(tmp_path, "export FOO=bar\n"), FakeBuildpack(on_compile=look), second) == [
        *("detect: bar", "compile: bar", "release: none")
    ]
    assert told == ["bar\n"]
    assert (tmp_path / "cache/cache/report").read_text() == "report: none\n"


def test_exports_add_up(app: Path, tmp_path: Path) -> None:
    """A later export sees the earlier ones, and may build on them."""
    first = exporting(tmp_path, 'export FOO="a:$FOO" PATH="/first:$PATH"\n')
    second = exporting(tmp_path, 'export FOO="b:$FOO" PATH="/second:$PATH"\n', "second")
    third = small(tmp_path, "third", compile='echo "$FOO $PATH"')

    assert output(app, first, second, third) == [
        "b:a: /second:/first:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    ]


def test_export_may_unset(app: Path, tmp_path: Path) -> None:
    """A variable that export unsets is gone for the packs after."""
    events: list[BuildEvent] = []
    second = small(tmp_path, "second", compile='echo "${BUILDPACK_LOG_FILE-unset} ${DYNO}"')
    build(app, exporting(tmp_path, "unset BUILDPACK_LOG_FILE\n"), second, events=events)

    assert exports(events) == [{"BUILDPACK_LOG_FILE": None}]
    assert lines(events) == ["unset build.1"]


def test_export_passes_values_on_as_they_are(app: Path, tmp_path: Path) -> None:
    """Values with several lines, `=`, quotes and trailing newlines arrive unchanged; what is not exported does not."""
    export = "export LINES_='one\ntwo\n' EQUAL='a=b=c' QUOTE='\"x\" $HOME' EMPTY=\nlocal_only=1\n"
    events: list[BuildEvent] = []
    second = small(
        tmp_path,
        "second",
        compile="env -0 | grep -zE '^(LINES_|EQUAL|QUOTE|EMPTY|local_only)=' | sort -z | tr '\\0' '|'",
    )
    build(app, exporting(tmp_path, export), second, events=events)

    assert exports(events) == [{"LINES_": "one\ntwo\n", "EQUAL": "a=b=c", "QUOTE": '"x" $HOME', "EMPTY": ""}]
    assert lines(events) == ["EMPTY=|EQUAL=a=b=c|LINES_=one", "two", '|QUOTE="x" $HOME|']


def test_export_may_print(app: Path, tmp_path: Path) -> None:
    """What export prints reaches the user, and is no variable."""
    second = small(tmp_path, "second", compile=SEEN)

    assert output(app, exporting(tmp_path, "echo FOO=printed; echo warning >&2; export FOO=real\n"), second) == [
        *("FOO=printed", "warning", "compile: real")
    ]


@pytest.mark.parametrize("ending", ["exit 0", "exit 3", "exec true", "set -e; false", "kill -KILL $$"])
def test_export_that_ends_its_shell(app: Path, tmp_path: Path, ending: str) -> None:
    """An export that ends the shell fails nothing: later packs see none of it, and the user is told."""
    printed = output(app, exporting(tmp_path, f"export FOO=lost\n{ending}\n"), small(tmp_path, "second", compile=SEEN))

    assert printed[-1] == "compile: none"
    assert [line for line in printed if "Warning: export ended the shell" in line]


def test_export_with_a_syntax_error(app: Path, tmp_path: Path) -> None:
    """What bash says of an export reaches the user; what stood before the error counts, and the build goes on."""
    second = small(tmp_path, "second", compile=SEEN)
    printed = output(app, exporting(tmp_path, "export FOO=before\nif then\n"), second)

    assert "syntax error" in printed[0]
    assert printed[-1] == "compile: before"


@pytest.mark.parametrize(
    "export",
    [
        "PATH=/nowhere",
        "PATH=",
        "LD_PRELOAD=/no/such.so",
        "BASH_ENV=/no/such",
        "SHELLOPTS=noexec",
        "ENV=/no/such",
        "POSIXLY_CORRECT=1",
        "IFS=/",
    ],
)
def test_export_does_not_reach_slugkits_own_shell(app: Path, tmp_path: Path, export: str) -> None:
    """Whatever a pack exports, the scripts of the next one are started, and its own export is taken."""
    name = export.partition("=")[0]
    second = small(
        tmp_path,
        "second",
        detect="#!/bin/bash\necho Second",
        compile='#!/bin/bash\n/bin/cp exported export; echo "ran $1"',
    )
    write_tree(Path(second), {"exported": "export FOO=bar\n"})
    third = small(tmp_path, "third", detect="#!/bin/bash\necho Third", compile="#!/bin/bash\necho $FOO")
    first = exporting(tmp_path, f"export {export}\n" if name != "SHELLOPTS" else f"export {name}\n")
    printed = [line for line in output(app, first, second, third) if "ld.so" not in line]

    assert printed[0].startswith("ran /tmp/build_")
    assert printed[1:] == ["bar"]


def test_an_export_for_the_programs_is_not_for_the_shell(app: Path, tmp_path: Path) -> None:
    """An exported LD_PRELOAD acts on the pack's programs, once each: slugkit's own shells print nothing of it."""
    first = exporting(tmp_path, "export LD_PRELOAD=/no/such.so\n")
    second = small(tmp_path, "second", detect="#!/bin/bash\n", compile="#!/bin/bash\necho ran")
    printed = output(app, first, second)

    assert printed[-1] == "ran"
    assert len([line for line in printed if "ld.so" in line]) == 2  # the bash of detect, and of compile


# -- the inline pack -------------------------------------------------------------------------------------------


def test_the_inline_pack(tmp_path: Path) -> None:
    """`inline` runs the app's own bin/, after toolchain with its PATH; its lines start in column 0."""
    app = write_tree(
        tmp_path / "app",
        {
            ".tool-version": "2.0",
            "bin/detect": "echo Inline",
            "bin/compile": 'shout hi >"$1/out"; cat "$1/out"; echo "$#"; [ "$PWD" = "$1" ] && echo here',
            "bin/release": "echo 'default_process_types: {web: inline}'",
        },
    )
    events: list[BuildEvent] = []
    slug = build(app, PACKS / "toolchain", "inline", events=events)

    assert lines(events)[2:] == ["HI (shout 2.0)", "3", "here"]
    assert dict(slug.process_types) == {"web": "inline"}
    assert [record.detected for record in slug.manifest.buildpacks] == ["Toolchain", "Inline"]
    assert (app / "bin/compile").stat().st_mode & 0o111 == 0


@pytest.mark.parametrize("files", [{}, {"bin/detect": ""}, {"bin/compile": ""}])
def test_an_app_without_inline_scripts(tmp_path: Path, files: dict[str, str]) -> None:
    """An app without bin/detect or bin/compile is not one for `inline`."""
    app = write_tree(tmp_path / "app", {"file": "", **files})
    with pytest.raises(IncompatibleBuildpackError, match="inline: the app has no bin/detect and bin/compile"):
        build(app, "inline")


# -- golden text -----------------------------------------------------------------------------------------------


def test_text_of_three_packs(tmp_path: Path) -> None:
    """The output of a build with three packs is what a push to Heroku shows, to the byte."""
    app = write_tree(
        tmp_path / "app",
        {
            ".tool-version": "1.2.0\n",
            "assets/a.txt": "one\n",
            "assets/b.txt": "two\n",
            "hello.txt": "Hello\n",
            "Procfile": "worker: python3 work.py\n",
        },
    )
    events: list[BuildEvent] = []
    build(app, *(PACKS / name for name in ("toolchain", "assets", "hello")), events=events)

    check_golden("three-packs.txt", text_of(events))


def failing(app: Path, *packs: Path, error: type[SlugkitError]) -> str:
    """Return the text of a build that ends with *error*; no packs means that one is to be detected."""
    events: list[BuildEvent] = []
    with pytest.raises(error):
        build(app, *packs, events=events)
    return text_of(events)


def test_text_of_a_compile_that_fails(tmp_path: Path) -> None:
    """A push that does not compile is rejected by the name that detect gave the app."""
    app = write_tree(tmp_path / "app", {"broken.txt": ""})

    check_golden("compile-fails.txt", failing(app, PACKS / "fails-halfway", error=CompileFailedError))


def test_text_of_a_pack_that_is_not_compatible(app: Path) -> None:
    """A listed pack that does not apply is named, with what its detect wrote to standard error before."""
    check_golden("not-compatible.txt", failing(app, PACKS / "assets", error=IncompatibleBuildpackError))


def test_text_when_no_pack_detects(app: Path) -> None:
    """An app that no default pack knows gets Heroku's hint."""
    check_golden("no-pack.txt", failing(app, error=NoBuildpackError))


def test_text_when_several_packs_detect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When several default packs know the app, the first is used, and a warning names all."""
    packs = [FakeBuildpack("ruby", Detection("Ruby")), FakeBuildpack("nodejs", Detection("Node.js"))]
    monkeypatch.setattr("slugkit.build._packs.detectable", lambda _: iter(packs))
    app = write_tree(tmp_path / "app", {"Procfile": "web: a\n"})
    events: list[BuildEvent] = []
    slug = build(app, events=events)

    assert [record.name for record in slug.manifest.buildpacks] == ["ruby"]
    check_golden("several-packs.txt", text_of(events))
