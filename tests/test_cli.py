"""The command: what a person, a script and a terminal get from it."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import termios
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Self
from urllib.request import urlopen

import pytest

from receivers import syslog_receiver
from slugkit._version import __version__
from slugkit.archive import Slug
from slugkit.cli import run
from slugkit.testing import make_slug, write_tree
from slugkit.units import human_size
from support import pids_with

pytestmark = pytest.mark.usefixtures("sandboxed")

SERVE = 'exec python3 -m http.server "$PORT"'
COMMANDS = (
    "detect",
    "build",
    "inspect",
    "diff",
    "files",
    "verify",
    "unpack",
    "exec",
    "start",
    "procfile",
    "reproduce",
    "store",
    "sandbox",
)
LOG_LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00 (app|heroku)\[(api|[a-z]+\.\d+)\]: .*")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOUR = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:3[0-8]|4[0-8]|9[0-7])(?:;[0-9;]*)?m")
PATIENCE = 30.0  # seconds before a test gives up on a process


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty directory with the app ``hello`` beside it."""
    write_tree(
        tmp_path / "hello",
        {
            "Procfile": "web: ./serve.sh\nworker: ./work.sh\n",
            "serve.sh": f"#!/bin/bash\n{SERVE}\n",
            "work.sh": "#!/bin/sh\n",
        },
    )
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def app(here: Path) -> Path:
    return here.parent / "hello"


@pytest.fixture
def slug(tmp_path: Path) -> Slug:
    return make_slug(tmp_path, {"hello.txt": "hello\n"}, web=SERVE, say="echo said", worker="exec sleep 600")


def environment(**extra: str) -> dict[str, str]:
    """Return this program's environment without what decides about colour and encoding, plus *extra*."""
    deciding = {"NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "PYTHONIOENCODING"}
    return {**{n: v for n, v in os.environ.items() if n not in deciding}, "TERM": "xterm-256color", **extra}


def argv(arguments: Sequence[str | Path]) -> list[str]:
    return [sys.executable, "-m", "slugkit", *map(str, arguments)]


def cli(*arguments: str | Path, stdin: bytes = b"", **extra: str) -> "subprocess.CompletedProcess[bytes]":
    """Run the command in a process of its own, not on a terminal."""
    env = environment(**extra)
    return subprocess.run(argv(arguments), input=stdin, capture_output=True, env=env, timeout=PATIENCE, check=False)


@contextmanager
def running(*arguments: str | Path) -> Iterator["subprocess.Popen[str]"]:
    """Start the command, and make sure that neither it nor a test that reads from it stays for ever."""
    process = subprocess.Popen(
        argv(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )
    alarm = threading.Timer(PATIENCE, process.kill)
    alarm.start()
    try:
        yield process
    finally:
        alarm.cancel()
        process.kill()
        process.communicate()


def read_until(stream: IO[str] | None, text: str) -> list[str]:
    """Return the lines of *stream* up to the first that holds *text*."""
    assert stream is not None
    lines: list[str] = []
    for line in stream:
        lines.append(line)
        if text in line:
            return lines
    pytest.fail(f"{text!r} never came: {lines}")


def document(text: str | bytes) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """Return the one JSON document that *text* is."""
    return json.loads(text)


def none_left(text: str) -> bool:
    """Return whether the processes whose command line holds *text* are gone, soon if not yet."""
    deadline = time.monotonic() + 5
    while pids_with(text) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not pids_with(text)


def marked(tmp_path: Path, **process_types: str) -> tuple[Slug, str]:
    """Return a slug and a mark that stands in the command line of each of its processes."""
    mark = f"mark-{uuid.uuid4().hex}"
    commands = {name: command.replace("MARK", mark) for name, command in process_types.items()}
    return make_slug(tmp_path, {}, **commands), mark


SLEEPER = "echo ready; exec -a MARK sleep 600"


# -- usage -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_each_command_explains_itself(command: str | None, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """-h and --help of the command and of each of its verbs print the usage on stdout and exit 0."""
    arguments = [option] if command is None else [command, option]

    assert run(arguments) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"Usage: slugkit{'' if command is None else f' {command}'} [OPTIONS]")
    assert err == ""


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """The first page lists all commands."""
    run(["--help"])
    listed = re.findall(r"^  (\w+)  +\S", capsys.readouterr().out.partition("Commands:")[2], re.MULTILINE)

    assert listed == sorted(COMMANDS)


def test_version() -> None:
    """--version tells the library's version, with and without anything behind it."""
    alone, first = cli("--version"), cli("--version", "build")

    assert (alone.returncode, first.returncode) == (0, 0)
    assert alone.stdout == first.stdout == f"slugkit {__version__}\n".encode()
    assert alone.stderr == first.stderr == b""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Usage: slugkit"),
        (["nope"], "No such command 'nope'"),
        (["run", "ls"], "What is Heroku's run is slugkit exec SLUG -- COMMAND."),
        (["build", "--nope"], "No such option"),
        (
            ["build", "--sandbox", "nope"],
            "'nope' is not one of 'auto', 'namespaces', 'bubblewrap'",
        ),
        (["build", "a", "b"], "unexpected extra argument"),
        (["build", "--runtime", "rust"], "'rust' is not one of"),
        (["build", "--timeout", "soon"], "'soon' is not a valid float"),
        (["build", "--env-file", "missing"], "'missing': No such file or directory"),
        (["build", "-e"], "requires an argument"),
        (["inspect"], "Missing argument 'SLUG'"),
        (["unpack", "x.slug.tgz"], "Missing argument 'DIRECTORY'"),
        (["exec", "x.slug.tgz"], "Missing argument"),
        (["start", "x.slug.tgz", "--port", "0"], "0 is not in the range"),
        (["start", "x.slug.tgz", "--port", "65536"], "65536 is not in the range"),
    ],
)
@pytest.mark.usefixtures("here")
def test_wrong_usage_is_status_2(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What nobody can mean is told on stderr with status 2, and stdout stays empty."""
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert sentence in err
    assert err.startswith(("Usage: slugkit", "Error: "))


@pytest.mark.parametrize("formation", ["web=x", "web", "web=", "=1", "web=-1", "web=1000", "we b=1", "web=1.5"])
def test_bad_formation_is_wrong_usage(slug: Slug, formation: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A formation is TYPE=N; anything else is a usage error that quotes it, before anything is started."""
    assert run(["start", str(slug.path), "--", formation]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"expected TYPE=N, got {formation!r}" in err


# -- build and detect ------------------------------------------------------------------------------------------


def test_build_puts_the_result_on_stdout_and_progress_on_stderr(
    app: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script reads the slug's name from stdout; a person reads Heroku's text on stderr."""
    assert run(["build", str(app)]) == 0
    out, err = capsys.readouterr()

    assert out == "hello.slug.tgz\n"
    assert err.startswith("-----> Building on the Heroku-24 stack\n")
    assert "-----> Procfile app detected\n" in err
    assert "       Procfile declares types -> web, worker\n" in err
    assert dict(Slug.open(here / "hello.slug.tgz").process_types) == {"web": "./serve.sh", "worker": "./work.sh"}


def test_build_without_a_source_builds_the_current_directory(
    app: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """SOURCE is the current directory, and the slug is named for it."""
    monkeypatch.chdir(app)

    assert run(["build"]) == 0
    assert capsys.readouterr().out == "hello.slug.tgz\n"
    assert (app / "hello.slug.tgz").is_file()


@pytest.mark.parametrize("name", ["app.tar.gz", "app.tgz", "app.tar"])
def test_a_tarballs_slug_drops_its_suffix(app: Path, here: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The slug of app.tar.gz is app.slug.tgz."""
    mode = "-cf" if name.endswith(".tar") else "-czf"
    subprocess.run(["tar", mode, here / name, "-C", app.parent, app.name], check=True)

    assert run(["build", name]) == 0
    assert capsys.readouterr().out == "app.slug.tgz\n"
    assert [file.path for file in Slug.open("app.slug.tgz").files()] == [
        "Procfile",
        "log",
        "serve.sh",
        "tmp",
        "work.sh",
    ]


def test_output_goes_where_it_was_asked_to(app: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """-o names the slug's file, and that name is what stdout tells."""
    target = tmp_path / "other.tgz"

    assert run(["build", str(app), "-o", str(target)]) == 0
    assert capsys.readouterr().out == f"{target}\n"
    assert Slug.open(target).process_types["web"] == "./serve.sh"


def test_build_as_json(app: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--json prints one document with what a script needs, and the progress stays on stderr."""
    assert run(["build", str(app), "--json"]) == 0
    out, err = capsys.readouterr()
    told, slug = document(out), Slug.open(here / "hello.slug.tgz")

    assert err.startswith("-----> Building")
    assert set(told) == {
        *("path", "size", "digest", "checksum", "diff_id", "process_types", "buildpacks", "reports", "timings"),
        *("sbom", "provenance"),
    }
    assert (told["path"], told["size"]) == ("hello.slug.tgz", (here / "hello.slug.tgz").stat().st_size)
    assert (told["digest"], told["checksum"], told["diff_id"]) == (slug.digest, slug.checksum, slug.diff_id)
    assert told["process_types"] == {"web": "./serve.sh", "worker": "./work.sh"}
    assert [pack["name"] for pack in told["buildpacks"]] == ["procfile"]
    assert set(told["timings"]) == {"compile", "package", "total"}


def test_detect(app: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Detect prints what the app is and nothing else; as JSON, one document."""
    assert run(["detect", str(app)]) == 0
    assert capsys.readouterr() == ("Procfile\n", "")
    assert run(["detect", str(app), "--json"]) == 0
    assert document(capsys.readouterr().out) == {"name": "Procfile", "because": "Procfile"}


def test_detect_explains_what_every_pack_says(app: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row for each pack in the order they are asked: yes or no, and which file is the reason; a yes is success."""
    (app / "index.html").write_text("")
    assert run(["detect", str(app), "--explain"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[1:] == [
        "buildpacks in the order they are asked",
        "  pack           app       because",
        "  ruby      no             no Gemfile",
        "  nodejs    no             no package.json",
        "  python    no             no requirements.txt, uv.lock, poetry.lock or Pipfile.lock",
        "  procfile  yes  Procfile  Procfile",
        "  static    yes  Static    index.html",
    ]
    assert err == ""


def test_detect_explains_several_yeses_with_a_warning(app: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Several packs that match are told in Heroku's words, but for those that are only a last resort."""
    for name in ("Gemfile", "uv.lock"):
        (app / name).write_text("")
    assert run(["detect", str(app), "--explain", "--json"]) == 0
    out, err = capsys.readouterr()
    assert [(row["buildpack"], row["detected"], row["because"]) for row in json.loads(out)] == [
        ("ruby", "Ruby", "Gemfile"),
        ("nodejs", None, "no package.json"),
        ("python", "Python", "uv.lock"),
        ("procfile", "Procfile", "Procfile"),
        ("static", None, "no index.html"),
    ]
    assert "Multiple default buildpacks" in err
    assert "Ruby,Python" in err


def test_detect_explains_why_nobody_claims_an_app(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table is the answer and the status a failure; of packs that are named, each is asked, and no others."""
    (here / "empty").mkdir()
    assert run(["detect", "empty", "--explain"]) == 1
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()[3:]] == ["no"] * 5
    assert run(["detect", "empty", "--explain", "-b", "python", "-b", "ruby"]) == 1
    out, err = capsys.readouterr()
    assert [line.split()[:2] for line in out.splitlines()[3:]] == [["python", "no"], ["ruby", "no"]]
    assert err == ""


@pytest.mark.parametrize("command", ["detect", "build"])
def test_no_buildpack_names_each_reason(here: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An app that nobody claims is an error with every pack's reason and a way out; no file is made."""
    (here / "empty").mkdir()

    assert run([command, "empty"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "error[buildpack.none]: no default language could be detected for this app\n" in err
    assert "\n  python: no requirements.txt, uv.lock, poetry.lock or Pipfile.lock\n" in err
    assert "\n  procfile: no Procfile\n" in err
    assert err.splitlines()[-1].startswith("hint: add one of the files named above")
    assert [path.name for path in here.iterdir()] == ["empty"]


def test_buildpacks_can_be_named(app: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """-b names a buildpack, again for several, and they run in that order."""
    assert run(["build", str(app), "-b", "procfile", "-b", "procfile"]) == 0
    assert "-----> Using buildpacks:\n       1. procfile\n       2. procfile\n" in capsys.readouterr().err
    assert len(Slug.open(here / "hello.slug.tgz").manifest.buildpacks) == 2


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["-b", "nope"], "buildpack.unknown", "no buildpack is called 'nope'"),
        (["-b", "python"], "buildpack.incompatible", "no requirements.txt"),
        (["-e", "NAME"], "config.invalid", "expected NAME=value"),
        (["-e", "1A=secret"], "config.invalid", "config var "),
        (["-e", "=secret"], "config.invalid", "config var "),
        (["--env-file", "vars"], "config.invalid", "expected NAME=value"),
        (["-o", "missing/x.tgz"], "output.failed", "cannot write missing/x.tgz"),
        (["-o", "."], "output.failed", "cannot write .: it is a directory"),
        (["--ref", "main"], "source.unusable", "no commit 'main'"),
    ],
)
def test_what_a_build_refuses(
    app: Path, here: Path, options: list[str], code: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A build that cannot be ends with one error[CODE] and status 1, tells no value, and leaves no file."""
    (here / "vars").write_text("A=1\na line\n")

    assert run(["build", str(app), *options]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert len(re.findall(r"^error\[", err, re.MULTILINE)) == 1
    assert f"error[{code}]: " in err
    assert sentence in err
    assert "secret" not in err
    assert [path.name for path in here.iterdir()] == ["vars"]


@pytest.mark.parametrize("command", ["detect", "build"])
def test_missing_source(here: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A source that is not there is named as it was written."""
    assert run([command, "nowhere/app"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith(
        "error[source.not-found]: no source at 'nowhere/app'\n"
        "hint: a source is a directory, a git repository with --ref, or a tarball\n"
    )
    assert list(here.iterdir()) == []


def test_config_vars_of_a_build_stay_out_of_the_slug(app: Path, here: Path) -> None:
    """What -e and --env-file say is for buildpacks; no byte of it is in the slug."""
    (here / "vars").write_text("# a comment\n\nTOKEN=fromfile12345\n")

    assert run(["build", str(app), "--env-file", "vars", "-e", "OTHER=fromoption67"]) == 0
    slug = Slug.open("hello.slug.tgz")
    slug.unpack("out")
    told = json.dumps(slug.manifest.to_dict()) + "".join(p.read_text() for p in Path("out").iterdir() if p.is_file())
    assert "fromfile12345" not in told
    assert "fromoption67" not in told


def test_documents_of_a_build_are_beside_the_slug(app: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--sbom and --provenance write two files named after the slug's; --json tells where; neither holds a value."""
    arguments = ["build", str(app), "-e", "TOKEN=fromoption67", "--sbom", "--provenance", "--json"]

    assert run(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["sbom"], told["provenance"]) == ("hello.slug.tgz.cdx.json", "hello.slug.tgz.intoto.json")
    sbom, provenance = (json.loads(Path(told[name]).read_text()) for name in ("sbom", "provenance"))
    assert sbom["metadata"]["component"]["hashes"][0]["content"] == told["digest"].removeprefix("sha256:")
    assert provenance["subject"][0]["digest"]["sha256"] == told["digest"].removeprefix("sha256:")
    assert provenance["predicate"]["buildDefinition"]["externalParameters"]["configVars"] == ["TOKEN"]
    assert "fromoption67" not in json.dumps([sbom, provenance])
    assert len(list(here.iterdir())) == 3


def test_documents_do_not_get_into_the_next_slug(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An app that is built where it lies has the same slug again: what was written beside the first is left out."""
    monkeypatch.chdir(app)
    diff_ids = []
    for _ in range(2):
        assert run(["build", "--sbom", "--provenance"]) == 0
        diff_ids.append(Slug.open("hello.slug.tgz").diff_id)

    assert diff_ids[0] == diff_ids[1]


def test_a_missing_library_is_found_before_the_build(
    app: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--sbom without the extra fails at once, with the way to install it, and builds nothing."""
    monkeypatch.setitem(sys.modules, "cyclonedx.model.component_evidence", None)

    assert run(["build", str(app), "--sbom"]) == 1
    error = "error[sbom.missing-library]: cyclonedx-python-lib is not installed\nhint: pip install 'slugkit[sbom]'\n"
    assert capsys.readouterr().err == error
    assert list(here.iterdir()) == []


def test_a_leak_is_shown_and_can_be_forbidden(app: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A config var's value in the app is a warning, and with --forbid-secrets an error that leaves no slug."""
    (app / ".env").write_text("TOKEN=fromoption67\n")
    arguments = ["build", str(app), "-e", "TOKEN=fromoption67"]

    assert run([*arguments, "--forbid-secrets"]) == 1
    assert "error[build.secret-in-slug]: the slug would hold the value of TOKEN, in '.env'\n" in capsys.readouterr().err
    assert list(here.iterdir()) == []
    assert run([*arguments, "--forbid-secrets", "--not-secret", "TOKEN"]) == 0
    assert "Warning" not in capsys.readouterr().err
    assert run(arguments) == 0
    told = capsys.readouterr()
    assert " !     Warning: the value of config var TOKEN is in the slug: .env\n" in told.err
    assert "fromoption67" not in told.out + told.err


def test_ref_builds_what_is_committed_there(
    app: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--ref builds that commit, tag or branch, whatever the work tree holds, and the slug knows the commit."""
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(name, "a@example.com")
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"], ["tag", "v1"]):
        subprocess.run(["git", *arguments], cwd=app, check=True)
    (app / "Procfile").write_text("changed: later\n")
    commit = subprocess.run(["git", "rev-parse", "v1"], cwd=app, check=True, capture_output=True, text=True)

    assert run(["build", str(app), "--ref", "v1"]) == 0
    assert run(["inspect", "hello.slug.tgz"]) == 0
    out = capsys.readouterr().out
    assert f"commit         {commit.stdout}" in out
    assert "type web       ./serve.sh\n" in out
    assert (here / "hello.slug.tgz").is_file()


def test_cache_dir(app: Path, here: Path, own_cache: Path) -> None:
    """--cache-dir keeps the build cache there and nowhere else."""
    assert run(["build", str(app), "--cache-dir", "mine"]) == 0
    assert sorted(path.name for path in (here / "mine").iterdir()) == ["cache", "lock", "segments"]
    assert not own_cache.exists()


@pytest.mark.parametrize("keep", [False, True])
def test_keep_failed(app: Path, own_cache: Path, capsys: pytest.CaptureFixture[str], *, keep: bool) -> None:
    """A failed build's workspace is gone, or kept where the error says, with --keep-failed."""
    write_tree(app, {"requirements.txt": "", ".python-version": "2.7\n"})

    assert run(["build", str(app), *(["--keep-failed"] if keep else [])]) == 1
    err = capsys.readouterr().err
    assert "error[build.compile-failed]: failed to compile Python app (status 1)\n" in err
    kept = re.findall(r"the workspace is kept at (\S+)$", err, re.MULTILINE)
    assert len(kept) == (1 if keep else 0)
    if keep:
        assert [path.read_text() for path in Path(kept[0]).glob("tmp/build_*/.python-version")] == ["2.7\n"]
    else:
        assert "--keep-failed keeps the workspace" in err
        assert sorted(path.name for path in own_cache.glob("builds/*/*")) == ["lock"]


def test_interrupted_build_leaves_nothing(here: Path, own_cache: Path) -> None:
    """Ctrl-C during a build exits 130, says so in a word, and leaves neither a file nor a workspace."""
    os.mkfifo(here / "slow.tgz")  # a source that never comes
    with running("build", "slow.tgz", "-o", "out.tgz") as process:
        deadline = time.monotonic() + PATIENCE
        while not list(own_cache.glob("builds/*/work-*/tmp")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)

    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "interrupted"
    assert "Traceback" not in err
    assert [path.name for path in here.iterdir()] == ["slow.tgz"]
    assert sorted(path.name for path in own_cache.glob("builds/*/*")) == ["lock"]


# -- procfile --------------------------------------------------------------------------------------------------


def test_procfile(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The types go to stdout in the file's order, what Heroku would not read to stderr."""
    (here / "Procfile").write_text("web: run a\nworker:celery\nclock: tick\n")

    assert run(["procfile"]) == 0
    out, err = capsys.readouterr()
    assert out == "web: run a\nclock: tick\n"
    assert err.startswith("warning[procfile.no-blank]: Procfile:2:8: ")


def test_procfile_as_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON, types and warnings are one document, and stderr is empty."""
    (here / "Other").write_text("web: run a\nworker:celery\n")

    assert run(["procfile", "Other", "--json"]) == 0
    out, err = capsys.readouterr()
    told = document(out)
    assert told["process_types"] == {"web": "run a"}
    assert [(w["code"], w["line"], w["column"]) for w in told["warnings"]] == [("procfile.no-blank", 2, 8)]
    assert err == ""


def test_strict_procfile(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--strict fails at the first line that is not what it seems, and points at the column."""
    (here / "Procfile").write_text("web: run a\nworker:celery\n")

    assert run(["procfile", "--strict"]) == 1
    assert capsys.readouterr() == (
        "",
        (
            "error[procfile.syntax]: Procfile:2: no blank after the colon, Heroku ignores the line\n"
            "  worker:celery\n"
            "         ^\n"
            "hint: write 'worker: celery'\n"
        ),
    )


@pytest.mark.parametrize("content", [None, b"web: \xff\n"])
def test_unreadable_procfile(here: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]) -> None:
    """A Procfile that is missing or no text is one error with a hint."""
    if content is not None:
        (here / "Procfile").write_bytes(content)

    assert run(["procfile"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error[procfile.unreadable]: cannot read Procfile: ")
    assert err.splitlines()[-1] == "hint: a Procfile is a regular UTF-8 text file in the root of the app"


# -- inspect, files, verify, unpack ----------------------------------------------------------------------------


def test_inspect(slug: Slug, capsys: pytest.CaptureFixture[str]) -> None:
    """Inspect shows a slug's digests and process types; as JSON, with the whole manifest."""
    assert run(["inspect", str(slug.path)]) == 0
    out, err = capsys.readouterr()
    facts = dict(re.findall(r"^(\S+(?: \S+)?) +(\S.*)$", out, re.MULTILINE))
    assert err == ""
    assert (facts["digest"], facts["diff_id"], facts["checksum"]) == (slug.digest, slug.diff_id, slug.checksum)
    assert facts["type say"] == "echo said"

    assert run(["inspect", str(slug.path), "--json"]) == 0
    told = document(capsys.readouterr().out)
    assert told["process_types"] == dict(slug.process_types)
    assert told["manifest"] == json.loads(json.dumps(slug.manifest.to_dict()))


def test_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files lists the app's entries as tar tv does; as JSON, one list."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/link").symlink_to("run.sh")
    slug = make_slug(tmp_path, {"run.sh": "#!/bin/sh\n", "a": "12345"})

    assert run(["files", str(slug.path)]) == 0
    assert capsys.readouterr() == (
        (
            "-rw-r--r--          5 a\n"
            "lrwxrwxrwx          0 link -> run.sh\n"
            "drwxr-xr-x          0 log\n"
            "-rwxr-xr-x         10 run.sh\n"
            "drwxr-xr-x          0 tmp\n"
        ),
        "",
    )
    assert run(["files", str(slug.path), "--json"]) == 0
    told = document(capsys.readouterr().out)
    assert [(file["path"], file["kind"], file["size"]) for file in told][:2] == [("a", "file", 5), ("link", "link", 0)]


def test_hostile_names_cannot_reach_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Escapes in file names and commands of a slug are shown, not obeyed."""
    types = {"w": "echo \x1b[2J"}
    slug = make_slug(tmp_path, {"a\x1b[2Jb": ""}, **types)

    assert run(["files", str(slug.path)]) == 0
    assert run(["inspect", str(slug.path)]) == 0
    out = capsys.readouterr().out
    assert r"a\x1b[2Jb" in out
    assert r"echo \x1b[2J" in out
    assert "\x1b" not in out


@pytest.mark.parametrize("encoding", ["utf-8:surrogateescape", "utf-8:strict", "ascii"])
def test_any_file_name_is_listed(tmp_path: Path, encoding: str) -> None:
    """A file name that is no UTF-8 is listed, in text and as JSON that parses, whatever the locale."""
    slug = make_slug(tmp_path, {os.fsdecode(b"bad\xffname"): "", "gr\u00fc\u00df": ""})
    text = cli("files", slug.path, PYTHONIOENCODING=encoding)
    told = cli("files", slug.path, "--json", PYTHONIOENCODING=encoding)

    assert (text.returncode, text.stderr) == (0, b"")
    assert (told.returncode, told.stderr) == (0, b"")
    assert len(text.stdout.splitlines()) == 4
    assert [file["path"] for file in document(told.stdout)] == [
        *(os.fsdecode(b"bad\xffname"), "gr\u00fc\u00df", "log", "tmp"),
    ]


def test_verify(slug: Slug, capsys: pytest.CaptureFixture[str]) -> None:
    """Verify says ok and the digest, and fails for any other digest that was expected."""
    path = str(slug.path)

    assert run(["verify", path]) == 0
    assert capsys.readouterr() == (f"{path}: ok, {slug.digest}\n", "")
    assert run(["verify", path, "--digest", slug.digest, "--json"]) == 0
    assert document(capsys.readouterr().out)["digest"] == slug.digest
    assert run(["verify", path, "--digest", "sha256:" + "0" * 64]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error[slug.corrupt]: {path}: not a whole slug: expected sha256:0000")


def test_unpack(slug: Slug, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unpack puts the app's own files directly into a directory that was absent or empty, and names it."""
    assert run(["unpack", str(slug.path), "out"]) == 0
    assert capsys.readouterr() == ("out\n", "")
    assert sorted(path.name for path in (here / "out").iterdir()) == ["hello.txt", "log", "tmp"]
    (here / "empty").mkdir()
    assert run(["unpack", str(slug.path), "empty", "--json"]) == 0
    assert document(capsys.readouterr().out) == {"directory": "empty"}


def test_unpack_replaces_nothing(slug: Slug, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory that holds something is refused and stays as it is."""
    (here / "mine").write_text("mine")

    assert run(["unpack", str(slug.path), "."]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error[output.failed]: cannot write .: it is not empty\n")
    assert [(path.name, path.read_text()) for path in here.iterdir()] == [("mine", "mine")]


READERS = [
    ["inspect", "S"],
    ["diff", "S", "S"],
    ["files", "S"],
    ["verify", "S"],
    ["unpack", "S", "out"],
    ["exec", "S", "--", "true"],
    ["start", "S"],
]


@pytest.mark.parametrize("damage", ["no slug", "cut short", "a byte changed"])
@pytest.mark.parametrize("command", READERS, ids=lambda command: str(command[0]))
def test_damaged_slugs_are_one_clear_error(
    slug: Slug, here: Path, command: list[str], damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command says that a slug is damaged, which one, and what to do; nothing is made of it."""
    whole = slug.path.read_bytes()
    middle = len(whole) // 2
    broken = {
        "no slug": b"not a slug at all",
        "cut short": whole[:-9],
        "a byte changed": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
    }
    (here / "S").write_bytes(broken[damage])

    assert run(command) == 1
    out, err = capsys.readouterr()
    assert err.startswith("error[slug.corrupt]: S: not a whole slug: ")
    assert err.endswith("\nhint: build it or fetch it again\n")
    assert "Traceback" not in out + err
    assert out == "" or command[0] == "files"  # which lists as it reads
    assert [path.name for path in here.iterdir()] == ["S"]


@pytest.mark.parametrize("command", READERS, ids=lambda command: str(command[0]))
@pytest.mark.usefixtures("here")
def test_missing_slugs_are_named(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Every command says which slug is not there and how to get one."""
    assert run(command) == 1
    assert capsys.readouterr() == ("", "error[slug.not-found]: no slug at 'S'\nhint: slugkit build makes one\n")


# -- errors as JSON --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["build", "missing", "--json"], "source.not-found"),
        (["detect", "--json"], "buildpack.none"),
        (["inspect", "missing", "--json"], "slug.not-found"),
        (["diff", "missing", "missing", "--json"], "slug.not-found"),
        (["files", "missing", "--json"], "slug.not-found"),
        (["verify", "missing", "--json"], "slug.not-found"),
        (["unpack", "missing", "out", "--json"], "slug.not-found"),
        (["exec", "missing", "--json", "--", "true"], "slug.not-found"),
        (["start", "missing", "--json"], "slug.not-found"),
        (["procfile", "--json"], "procfile.unreadable"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
@pytest.mark.usefixtures("here")
def test_errors_as_json(arguments: list[str], code: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json a failure is one document on stdout as well, saying the same as stderr."""
    assert run(arguments) == 1
    out, err = capsys.readouterr()
    error = document(out)["error"]

    assert set(error) == {"code", "message", "hint"}
    assert error["code"] == code
    assert f"error[{code}]: {error['message']}\nhint: {error['hint']}\n" in err


def test_errors_of_start_are_json_lines(slug: Slug, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json, start prints a document a line, the error's included."""
    assert run(["start", str(slug.path), "nope=1", "--json"]) == 1
    lines = capsys.readouterr().out.splitlines()

    assert [document(line)["error"]["code"] for line in lines] == ["process.unknown"]


def test_json_behind_two_dashes_is_the_commands_own(capsys: pytest.CaptureFixture[str]) -> None:
    """What stands after -- says nothing about slugkit's own output, not even when slugkit fails."""
    assert run(["exec", "missing", "--", "tool", "--json"]) == 1
    assert capsys.readouterr().out == ""


# -- exec ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("true", 0),
        ("exit 7", 7),
        ("no-such-program", 127),
        ("/app/hello.txt", 126),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
    ],
)
def test_exec_exits_with_the_commands_own_status(slug: Slug, command: str, status: int) -> None:
    """The status of the command is the status of slugkit exec: 128 + the signal for one that was killed."""
    done = cli("exec", slug.path, "--", command)

    assert done.returncode == status
    assert b"error[" not in done.stderr


def test_exec_passes_the_streams_through(slug: Slug) -> None:
    """Stdin, stdout and stderr are the command's own, byte for byte."""
    done = cli("exec", slug.path, "--", "cat; echo problem >&2", stdin=b"a\n\0\xff\x1b[2J")

    assert (done.stdout, done.stderr) == (b"a\n\0\xff\x1b[2J", b"problem\n")


@pytest.mark.parametrize(
    ("words", "output"),
    [
        (["echo $HOME | tr a-z A-Z"], b"/APP\n"),
        (["echo", "a  b", "$HOME", "*"], b"a  b $HOME *\n"),
        (["printf", "<%s>", "", "a'b", 'c"d', "-e", "--json", "-h"], b"<><a'b><c\"d><-e><--json><-h>"),
        (["say"], b"said\n"),
        (["say", "twice"], b"said twice\n"),
    ],
)
def test_exec_reads_words_as_heroku_run_does(slug: Slug, words: list[str], output: bytes) -> None:
    """One word is a shell line, several stay the words they are, and a process type stands for its command."""
    done = cli("exec", slug.path, "--", *words)

    assert (done.returncode, done.stdout, done.stderr) == (0, output, b"")


def test_exec_sets_config_vars(slug: Slug, here: Path) -> None:
    """--env-file and -e set config vars, the option winning over the file."""
    (here / "vars").write_text("A=file\nB=file\n")
    done = cli("exec", slug.path, "--env-file", "vars", "-e", "B=option=1", "--", "echo $A $B")

    assert done.stdout == b"file option=1\n"


def test_exec_as_json(slug: Slug) -> None:
    """--json prints status and output as one document and exits with the command's status all the same."""
    done = cli("exec", slug.path, "--json", "--", "echo out; echo err >&2; exit 7")

    assert done.returncode == 7
    assert document(done.stdout) == {"status": 7, "output": "out\nerr\n"}
    assert done.stderr == b""


def test_exec_runs_read_only(slug: Slug) -> None:
    """A one-off cannot change the slug, and says so in the words everybody knows."""
    done = cli("exec", slug.path, "--", "echo x > hello.txt")

    assert done.returncode == 1
    assert done.stderr.endswith(b"hello.txt: Read-only file system\n")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_exec_and_its_dyno(tmp_path: Path, signum: int) -> None:
    """Whatever ends slugkit exec ends what it runs."""
    slug, mark = marked(tmp_path, sleeper=SLEEPER)
    with running("exec", slug.path, "sleeper") as process:
        read_until(process.stdout, "ready")
        process.send_signal(signum)
        _, err = process.communicate(timeout=PATIENCE)

    assert process.returncode != 0
    assert "Traceback" not in err
    assert none_left(mark)


# -- start -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_start_stops_gracefully(tmp_path: Path, signum: int) -> None:
    """A formation runs until it is asked to end; every dyno gets SIGTERM and its time, and nothing is left."""
    patient = 'trap "echo tidied; exit 0" TERM; echo ready; exec -a MARK sleep 600 & wait'
    slug, mark = marked(tmp_path, worker=patient)
    with running("start", slug.path, "worker=2") as process:
        lines = read_until(process.stdout, "]: ready")
        lines += read_until(process.stdout, "]: ready")
        process.send_signal(signum)
        out, err = process.communicate(timeout=PATIENCE)
    lines += out.splitlines(keepends=True)

    assert (process.returncode, err) == (0, "")
    assert all(LOG_LINE.fullmatch(line.rstrip("\n")) for line in lines)
    for name in ("worker.1", "worker.2"):
        told = [line.partition(" ")[2].rstrip("\n") for line in lines if f"[{name}]" in line]
        assert f"heroku[{name}]: State changed from starting to up" in told
        assert told[-4:] == [
            f"heroku[{name}]: Stopping all processes with SIGTERM",
            f"app[{name}]: tidied",
            f"heroku[{name}]: Process exited with status 0",
            f"heroku[{name}]: State changed from up to down",
        ]
    assert none_left(mark)


def test_a_second_interrupt_ends_it_at_once(tmp_path: Path) -> None:
    """Who cannot wait for the grace presses Ctrl-C again: status 130, and still nothing is left."""
    slug, mark = marked(tmp_path, worker='trap "" TERM; echo ready; exec -a MARK sleep 600')
    with running("start", slug.path, "worker=1", "--grace", "600") as process:
        read_until(process.stdout, "]: ready")
        process.send_signal(signal.SIGINT)
        read_until(process.stdout, "Stopping all processes with SIGTERM")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)

    assert (process.returncode, err.split()) == (130, ["interrupted"])
    assert none_left(mark)


def test_start_runs_one_web_dyno_by_default(slug: Slug) -> None:
    """Without a formation it is web=1; --port says where, and the log shows it in the command."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with running("start", slug.path, "--port", str(port)) as process:
        lines = read_until(process.stdout, "State changed from starting to up")
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(b"GET /hello.txt HTTP/1.0\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)

    shown = f'heroku[web.1]: Starting process with command `exec python3 -m http.server "{port}"`\n'
    assert [line.partition(" ")[2] for line in lines[:2]] == ["app[api]: Scaled to web@1\n", shown]
    assert answer.endswith(b"\r\n\r\nhello\n")
    assert process.returncode == 0


def test_start_tells_where_its_web_dynos_are(slug: Slug) -> None:
    """Each that is up is named once, with its address, on standard error: standard output is for logs."""
    with running("start", slug.path, "web=2", "worker=1") as process:
        assert process.stderr is not None
        said = process.stderr.readline() + process.stderr.readline()
        told = dict(re.findall(r"^(\S+) is up at (\S+)$", said, re.MULTILINE))
        answers = [urlopen(f"{address}/hello.txt", timeout=10).read() for address in told.values()]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)

    assert (sorted(told), answers) == (["web.1", "web.2"], [b"hello\n"] * 2)
    assert (err, "is up at" in out) == ("", False)


def test_start_goes_on_when_nobody_reads_its_standard_error(slug: Slug) -> None:
    """Where the dynos are is for who wants to know it: their logs have a reader of their own."""
    with running("start", slug.path, "web=1", "worker=1") as process:
        assert process.stderr is not None
        process.stderr.close()
        read_until(process.stdout, "heroku[web.1]: State changed from starting to up")
        time.sleep(0.5)  # what was to be told has been
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        read_until(process.stdout, "heroku[web.1]: State changed from up to down")
        assert process.wait(PATIENCE) == 0


def test_web_dynos_count_up_from_the_port(slug: Slug) -> None:
    """--port is the first web dyno's, the next has the next that is free."""
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        with running("start", slug.path, "web=2", "--port", str(port - 1)) as process:
            lines = read_until(process.stdout, "heroku[web.2]: Starting")
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE)

    told = dict(re.findall(r'heroku\[(web\.\d)\]: Starting .*http.server "(\d+)"', "".join(lines)))
    assert told["web.1"] == str(port - 1)
    assert int(told["web.2"]) > port


def test_a_port_that_is_taken_ends_start(slug: Slug, capsys: pytest.CaptureFixture[str]) -> None:
    """The port that was asked for is the first web dyno's, or none."""
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["start", str(slug.path), "--port", str(port)]) == 1
    out, err = capsys.readouterr()

    assert err == f"error[dyno.port-in-use]: port {port} is in use\nhint: leave the port out for a free one\n"
    assert "heroku[web.1]" not in out


def test_sighup_deploys_what_is_in_the_file_by_then(tmp_path: Path) -> None:
    """A service manager's reload: each dyno is replaced by one of the new slug; a file that is none changes nothing."""
    slug = make_slug(tmp_path, {}, worker="echo one; exec sleep 600")
    with running("start", slug.path, "worker=1") as process:
        read_until(process.stdout, "app[worker.1]: one")
        slug.path.write_bytes(b"no slug")
        process.send_signal(signal.SIGHUP)
        assert process.stderr is not None
        assert process.stderr.readline().startswith("error[slug.corrupt]")
        make_slug(tmp_path / "new", {}, worker="echo two; exec sleep 600").path.replace(slug.path)
        process.send_signal(signal.SIGHUP)
        read_until(process.stdout, "app[worker.1]: two")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)

    assert process.returncode == 0


@pytest.mark.parametrize(
    ("command", "dies"),
    [
        ("echo sorry; exit 3", "web.1 exited with status 3 before it was up\n  sorry\n"),
        ("exit 0", "web.1 exited with status 0 before it was up\n"),
    ],
)
def test_a_crash_before_it_is_up_ends_start(
    tmp_path: Path, command: str, dies: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A web dyno that ends, and again when restarted, ends the formation with status 1 and its last lines."""
    slug = make_slug(tmp_path, {}, web=command)

    assert run(["start", str(slug.path)]) == 1
    out, err = capsys.readouterr()
    assert err.startswith(f"error[dyno.crashed]: {dies}")
    assert out.count("heroku[web.1]: State changed from starting to crashed\n") == 2


def test_a_crash_later_ends_start_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A worker that ends twice after it was up ends the formation, and the others are stopped."""
    slug, mark = marked(tmp_path, worker="echo done; exit 4", other=SLEEPER)

    assert run(["start", str(slug.path), "other=1", "worker=1"]) == 1
    out, err = capsys.readouterr()
    assert err == "error[dyno.crashed]: worker.1 exited with status 4\n  done\n"
    assert "heroku[other.1]: State changed from up to down\n" in out
    assert none_left(mark)


def test_a_web_dyno_that_never_listens_ends_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """R10: who does not listen on $PORT in time is killed, and the error says what to do."""
    slug, mark = marked(tmp_path, web=SLEEPER)

    assert run(["start", str(slug.path), "--boot-timeout", "0.3"]) == 1
    out, err = capsys.readouterr()
    assert err.startswith("error[dyno.boot-timeout]: web.1: Error R10 (Boot timeout) -> Web process failed to bind")
    assert "hint: a web process listens on 0.0.0.0:$PORT; boot_timeout= (--boot-timeout) raises the limit" in err
    assert "Error R10 (Boot timeout)" in out
    assert none_left(mark)


def test_start_of_an_unknown_type(slug: Slug, capsys: pytest.CaptureFixture[str]) -> None:
    """A type that the slug has not is named with those it has."""
    assert run(["start", str(slug.path), "nope=1"]) == 1
    assert capsys.readouterr() == (
        "",
        (
            "error[process.unknown]: the slug has no process type 'nope'\n"
            "hint: process types of this slug: say, web, worker\n"
        ),
    )


def test_start_as_json_lines(tmp_path: Path) -> None:
    """With --json, start tells every log line and every change of state as a document a line."""
    slug, mark = marked(tmp_path, worker=SLEEPER)
    with running("start", slug.path, "worker=1", "--json") as process:
        lines = read_until(process.stdout, '"message": "ready"')
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE)
    told = [document(line) for line in [*lines, *out.splitlines()]]

    assert (process.returncode, err) == (0, "")
    assert [(e["old"], e["new"]) for e in told if e["event"] == "DynoStateChanged"] == [
        *(("created", "starting"), ("starting", "up"), ("up", "down")),
    ]
    ready = next(e for e in told if e.get("message") == "ready")
    assert (ready["event"], ready["source"], ready["process"], ready["stream"]) == (
        "LogLine",
        "app",
        "worker.1",
        "stdout",
    )
    assert none_left(mark)


def test_start_drains_to_files_and_receivers(tmp_path: Path) -> None:
    """--drain, as often as given, takes every line elsewhere, to the last; stdout has them as without."""
    slug = make_slug(tmp_path, {}, worker="echo hello; exec sleep 600")
    file = tmp_path / "app.log"
    with syslog_receiver() as (port, received):
        places = ("--drain", str(file), "--drain", f"syslog+tcp://127.0.0.1:{port}")
        with running("start", slug.path, "worker=1", *places) as process:
            lines = read_until(process.stdout, "app[worker.1]: hello")
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=PATIENCE)
        lines += out.splitlines(keepends=True)
        received.wait_for(lambda it: len(it.messages) == len(lines))

    assert (process.returncode, err) == (0, "")
    assert file.read_text() == "".join(lines)
    assert received.texts == [line.partition("]: ")[2].rstrip("\n") for line in lines]


def test_a_drain_that_fails_is_a_warning_without_its_password(tmp_path: Path) -> None:
    """A receiver that is not there ends nothing: stderr says so once, and at the end how many lines were lost."""
    slug = make_slug(tmp_path, {}, worker="echo hello; exec sleep 600")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    place = f"https://me:hunter2@127.0.0.1:{port}/?key=tok3n"
    with running("start", slug.path, "worker=1", "--drain", place) as process:
        lines = read_until(process.stdout, "app[worker.1]: hello")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE)
    count = len(lines) + len(out.splitlines())
    name = f"warning: HttpDrain('https://127.0.0.1:{port}')"

    assert process.returncode == 0
    assert err.splitlines()[0].startswith(f"{name} takes no lines, which wait: ")
    assert err.splitlines()[1:] == [f"{name} has lost {count} of {count} lines"]
    assert not re.search("hunter2|tok3n", err + out + "".join(lines))


def test_a_drain_that_leads_nowhere_is_refused(slug: Slug, capsys: pytest.CaptureFixture[str]) -> None:
    """A URL of no known scheme is an error before anything is started, with the schemes and without the password."""
    assert run(["start", str(slug.path), "--drain", "app.log", "--drain", "gopher://me:hunter2@host"]) == 1
    out, err = capsys.readouterr()

    assert out == ""
    assert err.startswith(
        "error[setting.invalid]: drain: 'gopher:...' is no file, and no URL of a host: those begin with"
    )
    assert "hunter2" not in err


def test_start_sets_config_vars(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """-e reaches every dyno of the formation."""
    slug = make_slug(tmp_path, {}, worker="echo got $GREETING; exit 1")

    assert run(["start", str(slug.path), "worker=1", "-e", "GREETING=hello world"]) == 1
    assert "app[worker.1]: got hello world\n" in capsys.readouterr().out


# What an app may print to take a terminal over: clear it, set its title, move up, and the one-byte C1 form.
HOSTILE = r"printf '\033[2J\033]0;pwned\007up\033[1A\302\233A\n'; exit 3"
SHOWN = r"\x1b[2J\x1b]0;pwned\x07up\x1b[1A\x9bA"


def test_an_app_cannot_write_escapes_to_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Escapes in an app's output are shown in the log and in the error, not obeyed by the terminal."""
    slug = make_slug(tmp_path, {}, worker=HOSTILE)

    assert run(["start", str(slug.path), "worker=1"]) == 1
    out, err = capsys.readouterr()
    assert f"app[worker.1]: {SHOWN}\n" in out
    assert f"\n  {SHOWN}\n" in err
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", out + err)


def test_no_line_is_lost_to_the_encoding(tmp_path: Path) -> None:
    """A character that standard output cannot encode is replaced; its line is printed."""
    slug = make_slug(tmp_path, {}, worker="echo gr\u00fc\u00df dich; exit 1")
    done = cli("start", slug.path, "worker=1", PYTHONIOENCODING="ascii")

    assert done.returncode == 1
    assert re.search(rb"app\[worker\.1\]: gr.+ dich\n", done.stdout)


# -- pipes and terminals ---------------------------------------------------------------------------------------


def test_a_reader_that_leaves_is_no_error_to_see(tmp_path: Path) -> None:
    """`slugkit files x | head -1` prints a line and no traceback."""
    slug = make_slug(tmp_path, {f"file-{number:04}-{'x' * 100}": "" for number in range(1500)})
    command = f'"{sys.executable}" -m slugkit files "{slug.path}" | head -1'
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, env=environment(), timeout=PATIENCE, check=False
    )

    assert done.stdout.startswith(b"-rw-r--r--          0 file-0000-x")
    assert done.stdout.count(b"\n") == 1
    assert done.stderr == b""


def test_run_returns_when_the_reader_has_left(slug: Slug, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed pipe is a status that run() returns, not an exception out of it."""
    read, write = os.pipe()
    os.close(read)
    pipe = os.fdopen(write, "w", buffering=1)
    monkeypatch.setattr(sys, "stdout", pipe)
    try:
        assert run(["files", str(slug.path)]) == 1
    finally:
        monkeypatch.undo()
        with pytest.raises(BrokenPipeError):
            pipe.close()


def on_terminal(*arguments: str | Path, keep_stdout: bool = False, **extra: str) -> tuple[int, str, str]:
    """Run the command on a pseudo terminal; return its status, what the terminal got, and a piped stdout."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    stdout = subprocess.PIPE if keep_stdout else theirs
    env = {n: v for n, v in environment(**extra).items() if n not in {"COLUMNS", "LINES"}}
    process = subprocess.Popen(argv(arguments), stdin=theirs, stdout=stdout, stderr=theirs, env=env)
    os.close(theirs)
    alarm = threading.Timer(PATIENCE, process.kill)
    alarm.start()
    shown = b""
    try:
        while data := os.read(ours, 65536):
            shown += data
    except OSError:  # how a terminal tells that the last writer has left
        pass
    finally:
        alarm.cancel()
        os.close(ours)
    out, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, shown.decode(), (out or b"").decode()


OF_A_SESSION = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from slugkit.cli import run
sys.exit(run(sys.argv[1:]))
"""


class Sitting:
    """Somebody at the terminal of whose session the command is the first process, as that of a window is."""

    def __init__(self, *arguments: str | Path) -> None:
        self.terminal, theirs = pty.openpty()
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
        command = [sys.executable, "-c", OF_A_SESSION, *map(str, arguments)]
        self.process = subprocess.Popen(command, **streams, env=environment(NO_COLOR="1"), start_new_session=True)  # type: ignore[call-overload]
        os.close(theirs)
        self.shown = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.leave()

    def see(self, text: str) -> None:
        """Read what the terminal shows until *text* is, or nobody writes there any more."""
        with suppress(OSError):
            while text not in self.shown and select.select([self.terminal], [], [], PATIENCE)[0]:
                self.shown += os.read(self.terminal, 65536).decode()

    def press(self, key: bytes) -> None:
        """Press *key*."""
        os.write(self.terminal, key)

    def leave(self) -> None:
        """Close the window."""
        if self.terminal >= 0:
            os.close(self.terminal)
            self.terminal = -1


def test_ctrl_c_at_a_terminal_gives_dynos_their_time(tmp_path: Path) -> None:
    """The key interrupts the command, not its dynos: those get SIGTERM and their time."""
    patient = 'trap "echo interrupted" INT; trap "echo tidied; exit 0" TERM; echo ready; exec -a MARK sleep 600 & wait'
    slug, mark = marked(tmp_path, worker=patient)
    with Sitting("start", slug.path, "worker=1") as person:
        person.see("]: ready")
        person.press(b"\x03")
        person.see("no such text")

        assert person.process.wait(PATIENCE) == 0
    assert "]: tidied" in person.shown
    assert "]: interrupted" not in person.shown
    assert none_left(mark)


def test_ctrl_c_twice_at_a_terminal_ends_all_at_once(tmp_path: Path) -> None:
    """Pressed again within the grace, the key ends it with 130 and nothing is left."""
    slug, mark = marked(tmp_path, worker='trap "" TERM; echo ready; exec -a MARK sleep 600')
    with Sitting("start", slug.path, "worker=1", "--grace", "600") as person:
        person.see("]: ready")
        person.press(b"\x03")
        person.see("Stopping all processes with SIGTERM")
        person.press(b"\x03")
        person.see("no such text")

        assert person.process.wait(PATIENCE) == 130
    assert none_left(mark)


@pytest.mark.parametrize("how", ["window", "signal"])
def test_the_end_of_the_terminal_stops_start(tmp_path: Path, how: str) -> None:
    """With a terminal, SIGHUP is its end, whether the window is closed or somebody says so: every dyno is stopped."""
    slug, mark = marked(tmp_path, worker='trap "exit 0" TERM; echo ready; exec -a MARK sleep 600 & wait')
    with Sitting("start", slug.path, "worker=2") as person:
        person.see("]: ready")
        if how == "window":
            person.leave()
        else:
            person.process.send_signal(signal.SIGHUP)

        assert person.process.wait(PATIENCE) == 0
    assert none_left(mark)


def screen(shown: str) -> list[str]:
    """Return the lines a terminal shows in the end, of the few controls that a build uses."""
    rows, row, column = [""], 0, 0
    for token in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", shown):
        if token == "\r":
            column = 0
        elif token == "\n":
            row += 1
            rows += [""] * (row + 1 - len(rows))
        elif token.endswith("A") and token.startswith("\x1b"):
            row -= int(token[2:-1] or 1)
        elif token == "\x1b[2K":
            rows[row] = ""
        elif not token.startswith("\x1b"):
            rows[row] = rows[row][:column].ljust(column) + token + rows[row][column + len(token) :]
            column += len(token)
    assert column == 0, "the cursor is not at the start of a line"
    assert rows[row] == "", "the cursor is on a line that holds something"
    return rows[:row]


def test_a_build_on_a_terminal_is_alive_and_leaves_a_clean_screen(app: Path) -> None:
    """On a terminal a build shows colour and live progress, then only its text, the cursor shown on a new line."""
    status, shown, out = on_terminal("build", app, keep_stdout=True)

    assert (status, out) == (0, "hello.slug.tgz\n")
    assert COLOUR.search(shown)
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") >= 1
    assert "Compressing\x1b" in shown
    assert screen(shown) == [
        "-----> Building on the Heroku-24 stack",
        "-----> Determining which buildpack to use for this app",
        "-----> Procfile app detected",
        "-----> Nothing to compile: the Procfile says what to run",
        "-----> Discovering process types",
        "       Procfile declares types -> web, worker",
        "",
        "-----> Compressing...",
        f"       Done: {human_size(Path('hello.slug.tgz').stat().st_size)}",
    ]


def test_a_failed_build_on_a_terminal_leaves_a_clean_screen(here: Path) -> None:
    """The progress of a build that fails is gone, and the error is the last that is seen."""
    (here / "empty").mkdir()
    status, shown, _ = on_terminal("build", "empty")

    assert status == 1
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")
    assert screen(shown)[-7:] == [
        "error[buildpack.none]: no default language could be detected for this app",
        "  ruby: no Gemfile",
        "  nodejs: no package.json",
        "  python: no requirements.txt, uv.lock, poetry.lock or Pipfile.lock",
        "  procfile: no Procfile",
        "  static: no index.html",
        "hint: add one of the files named above, or name a buildpack with --buildpack",
    ]


def test_no_color_is_respected(app: Path) -> None:
    """With NO_COLOR a terminal gets no colour; without it, it does."""
    _, coloured, _ = on_terminal("build", app)
    _, plain, _ = on_terminal("build", app, NO_COLOR="1")

    assert COLOUR.search(coloured)
    assert not COLOUR.search(plain)
    assert screen(plain) == screen(coloured)


def test_a_dumb_terminal_gets_no_escapes(app: Path) -> None:
    """A terminal that says it understands nothing gets text."""
    status, shown, _ = on_terminal("build", app, TERM="dumb")

    assert status == 0
    assert "\x1b" not in shown
    assert "-----> Procfile app detected" in shown


def test_start_on_a_terminal_colours_each_process(tmp_path: Path) -> None:
    """On a terminal the name of each process has a colour of its own, and the app's escapes none at all."""
    slug = make_slug(tmp_path, {}, a="sleep 600", b=HOSTILE)
    status, shown, _ = on_terminal("start", slug.path, "a=1", "b=1")
    colours = {name: set(re.findall(rf"(\x1b\[[0-9;]+m)\S+ (?:app|heroku)\[{name}\.1\]:", shown)) for name in "ab"}

    assert status == 1
    assert len(colours["a"]) == len(colours["b"]) == 1
    assert colours["a"] != colours["b"]
    left = ESCAPE.sub("", shown)
    assert f"app[b.1]: {SHOWN}\r\n" in left
    assert "\x1b" not in left
    assert "\x1b[2J" not in shown
    assert "\x9b" not in shown


def test_no_escapes_where_there_is_no_terminal(app: Path) -> None:
    """Piped or redirected, a build is plain lines, whatever TERM says."""
    done = cli("build", app, TERM="xterm-256color", COLORTERM="truecolor")

    assert done.returncode == 0
    assert b"\x1b" not in done.stdout + done.stderr
    assert b"\r" not in done.stderr
    assert done.stderr.splitlines()[2] == b"-----> Procfile app detected"


def test_colours_of_a_build_can_be_logged_when_asked_for(app: Path) -> None:
    """FORCE_COLOR may colour a log that is no terminal, but nothing in it moves a cursor."""
    done = cli("build", app, FORCE_COLOR="1")

    assert done.returncode == 0
    assert not re.search(rb"\x1b\[[0-9;?]*[A-Zhl]|\r", done.stderr)


def test_unpacked_files_are_the_callers(slug: Slug, here: Path) -> None:
    """What unpack makes can be read and removed by who ran it, scripts executable or not as they were."""
    assert run(["unpack", str(slug.path), "out"]) == 0
    info = (here / "out/hello.txt").stat()
    assert (stat.S_IMODE(info.st_mode), info.st_uid) == (0o644, os.geteuid())


# -- buildpacks by their place --------------------------------------------------------------------------------------


def test_a_classic_buildpack_by_its_directory(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """-b takes a directory; --stack is what it sees; its report is in the JSON, and the manifest names no path."""
    pack = write_tree(
        here / "pack",
        {
            "bin/detect": "#!/bin/sh\necho Mine\n",
            "bin/compile": "#!/bin/sh\necho stack $STACK\n",
            "bin/report": "#!/bin/sh\necho '{\"kept\": true}'\n",
        },
    )
    source = write_tree(here / "src", {"Procfile": "web: x\n"})

    assert run(["build", str(source), "-b", str(pack), "--stack", "heroku-22", "--json"]) == 0
    out, err = capsys.readouterr()
    told = document(out)
    assert "stack heroku-22" in err.split("\n")
    assert told["reports"] == {"pack": {"kept": True}}
    (record,) = told["buildpacks"]
    assert (record["name"], record["source"], record["detected"]) == ("pack", "directory", "Mine")


def test_detect_shows_why_not(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a pack says on standard error when it does not apply is shown before the error."""
    pack = write_tree(
        here / "pack", {"bin/detect": "#!/bin/sh\necho no config.tmpl >&2\nexit 1\n", "bin/compile": "#!/bin/sh\n"}
    )
    source = write_tree(here / "src", {"Procfile": "web: x\n"})

    assert run(["detect", str(source), "-b", str(pack)]) == 1
    assert capsys.readouterr().err.startswith("no config.tmpl\nerror[buildpack.incompatible]: ")


@pytest.mark.parametrize(
    ("pack", "code", "hint"),
    [
        ("heroku/python", "buildpack.fetch-failed", "on GitHub: https://github.com/heroku/python"),
        ("cobol", "buildpack.unknown", "python, procfile, static, inline; or name"),
        ("http://127.0.0.1:9/pack.tgz", "buildpack.fetch-failed", "set https_proxy, SSL_CERT_FILE"),
    ],
)
def test_a_buildpack_that_cannot_be_had(
    app: Path, capsys: pytest.CaptureFixture[str], pack: str, code: str, hint: str
) -> None:
    """One error that names the place, and a way out that fits it."""
    assert run(["build", str(app), "-b", pack]) == 1
    err = capsys.readouterr().err

    assert f"error[{code}]: " in err
    assert hint in err.splitlines()[-1]
