"""The command's standard input and output as slugs, parts of slugs, and its store."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from slugkit.archive import Slug
from slugkit.cli import run
from slugkit.store import DirectoryStore
from slugkit.supply import SBOM_TYPE
from slugkit.testing import make_slug, write_tree

pytestmark = pytest.mark.usefixtures("sandboxed")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty directory, with a store and a cache of its own."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    return place


@pytest.fixture
def slug(tmp_path: Path) -> Slug:
    """Return a slug of a few files."""
    return make_slug(tmp_path, {"hello.txt": "hello\n", "lib/a": "a", "lib/b": "b", "lib2/c": "c"}, say="echo said")


def piped(*arguments: str, stdin: bytes | None = None) -> "subprocess.CompletedProcess[bytes]":
    """Run the command with a pipe on its standard input."""
    command = [sys.executable, "-m", "slugkit", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=60)


def files(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


# --- parts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (["hello.txt"], ["hello.txt"]),
        (["lib"], ["lib/a", "lib/b"]),
        (["lib/", "lib2/c"], ["lib/a", "lib/b", "lib2/c"]),
        (["lib/a", "lib"], ["lib/a", "lib/b"]),
    ],
)
def test_unpack_only_some(slug: Slug, here: Path, only: list[str], expected: list[str]) -> None:
    """--only makes the files and directories it names, with the directories on the way, and nothing else."""
    options = [word for path in only for word in ("--only", path)]

    assert run(["unpack", str(slug.path), "out", *options]) == 0
    assert files(here / "out") == expected


def test_unpack_only_what_is_there(slug: Slug, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A path that no file has is an error that names it, and nothing is made."""
    assert run(["unpack", str(slug.path), "out", "--only", "lib/a", "--only", "li"]) == 1
    assert "the slug has nothing called 'li'" in capsys.readouterr().err
    assert list(here.iterdir()) == []


# --- standard input and output ---------------------------------------------------------------------------------


def test_a_slug_on_standard_input(slug: Slug, here: Path) -> None:
    """Each command that reads a slug reads one from a pipe as well; nothing of it is left."""
    data = slug.path.read_bytes()
    verified, listed, inspected = (piped(name, "-", stdin=data) for name in ("verify", "files", "inspect"))
    unpacked = piped("unpack", "-", "out", "--only", "lib/a", stdin=data)

    assert verified.stdout.decode() == f"/dev/stdin: ok, {slug.digest}\n"
    assert listed.stdout.count(b"\n") == len(list(slug.files()))
    assert slug.digest in inspected.stdout.decode()
    assert unpacked.returncode == 0, unpacked.stderr
    assert files(here / "out") == ["lib/a"]
    assert sorted(path.name for path in here.iterdir()) == ["out"]


def test_a_file_on_standard_input(slug: Slug, here: Path) -> None:
    """A slug that is redirected is read where it is, also beside another one."""
    assert list(here.iterdir()) == []
    command = [sys.executable, "-m", "slugkit", "diff", str(slug.path), "-", "--json"]
    with slug.path.open("rb") as file:
        done = subprocess.run(command, stdin=file, capture_output=True, check=True, timeout=60)

    assert json.loads(done.stdout)["files"] == []


@pytest.mark.parametrize("data", [b"", b"no slug", b"\x1f\x8b\x08"])
def test_no_slug_on_standard_input(here: Path, data: bytes) -> None:
    """What is no slug is one clear error."""
    done = piped("unpack", "-", "out", stdin=data)

    assert done.returncode == 1
    assert done.stderr.startswith(b"error[slug.corrupt]: /dev/stdin: not a whole slug: ")
    assert list(here.iterdir()) == []


def test_a_terminal_is_no_slug(here: Path) -> None:
    """Who names - at a terminal is told at once what is expected there, and that no slug is printed on one."""
    write_tree(here / "app", {"Procfile": "web: run\n"})
    ours, theirs = pty.openpty()
    try:
        for arguments, said in ((["verify", "-"], b"on standard input"), (["build", "app", "-o", "-"], b"redirect")):
            command = [sys.executable, "-m", "slugkit", *arguments]
            done = subprocess.run(command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, check=False, timeout=60)

            assert done.returncode == 2
            assert said in done.stderr
    finally:
        os.close(ours)
        os.close(theirs)


def test_build_to_standard_output(here: Path) -> None:
    """``build -o -`` prints the slug and nothing else; what it says goes to standard error, and no file is left."""
    app = write_tree(here.parent / "app", {"Procfile": "web: ./run\n", "run": "#!/bin/sh\n", "requirements.txt": ""})
    done = piped("build", str(app), "-o", "-", "--runtime", "stack")
    (here.parent / "got.tgz").write_bytes(done.stdout)

    assert done.returncode == 0, done.stderr
    assert b"-----> Compressing..." in done.stderr
    assert dict(Slug.open(here.parent / "got.tgz").process_types) == {"web": "./run"}
    Slug.open(here.parent / "got.tgz").verify()
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("option", ["--json", "--sbom", "--provenance"])
def test_nothing_beside_standard_output(here: Path, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What has no place beside a slug on standard output is refused before anything is built."""
    write_tree(here / "app", {"Procfile": "web: run\n"})

    assert run(["build", "app", "-o", "-", option]) == 2
    assert "nothing beside it" in capsys.readouterr().err


# --- the store -------------------------------------------------------------------------------------------------


def test_the_store_keeps_slugs(slug: Slug, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A slug is put, listed, named, written out again as the same file, and goes when it has no name and is old."""
    assert run(["store", "put", str(slug.path), "--tag", "shop:v1"]) == 0
    assert capsys.readouterr().out == f"{slug.digest}\n"
    assert run(["store", "tag", "shop:v1", "shop:latest", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tags"] == ["shop:latest", "shop:v1"]
    assert run(["store", "list"]) == 0
    listing = capsys.readouterr().out
    assert slug.digest[:19] in listing
    assert "shop:latest, shop:v1" in listing
    assert run(["store", "get", "shop:latest", "again.tgz"]) == 0
    assert capsys.readouterr().out == "again.tgz\n"
    assert (here / "again.tgz").read_bytes() == slug.path.read_bytes()
    for tag in ("shop:v1", "shop:latest"):
        assert run(["store", "untag", tag]) == 0
    assert run(["store", "gc"]) == 0
    assert run(["store", "gc", "--max-age", "0", "--json"]) == 0
    lines = capsys.readouterr().out.splitlines(keepends=True)
    assert lines[:3] == ["shop:v1\n", "shop:latest\n", "0B: trees 0, slugs 0, blobs 0, leftovers 0\n"]
    assert json.loads("".join(lines[3:]))["slugs"] == 1
    assert run(["store", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_an_empty_store_is_an_empty_list(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A store that nobody used lists nothing, has no damage, and is not made by asking."""
    assert run(["store", "list"]) == 0
    assert run(["store", "list", "--json"]) == 0
    assert run(["store", "verify"]) == 0
    assert capsys.readouterr() == ("[]\nok\n", "")
    assert not (here.parent / "user").exists()


def test_documents_go_along(slug: Slug, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The SBOM that lies beside a slug is kept with it."""
    slug.path.with_name(f"{slug.path.name}.cdx.json").write_text("{}")
    assert run(["store", "put", str(slug.path), "--store", "mine", "--json"]) == 0

    [(kind, digest)] = json.loads(capsys.readouterr().out)["referrers"].items()
    assert kind == SBOM_TYPE
    assert (here / "mine/blobs/sha256" / digest.removeprefix("sha256:")).read_text() == "{}"


def test_damage_is_told(slug: Slug, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``verify`` names what is damaged, puts it away, and fails; the next time all is well."""
    tree = DirectoryStore(here / "mine").tree(slug)
    (tree / "hello.txt").write_text("hullo\n")
    assert run(["store", "verify", "--store", "mine"]) == 1
    assert "hello.txt" in capsys.readouterr().out
    assert run(["store", "verify", "--store", "mine", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["get", "nothing", "out.tgz"], 1, "error[slug.not-found]"),
        (["tag", "nothing", "x"], 1, "error[slug.not-found]"),
        (["untag", "nothing"], 1, "error[slug.not-found]"),
        (["put", "nothing.tgz"], 1, "error[slug.not-found]"),
        (["gc", "--max-size", "lots"], 2, "not a size"),
        (["get", "nothing", "-", "--json"], 2, "cannot both"),
        (["list", "--store", "/dev/null"], 1, "error["),
    ],
)
def test_store_errors(
    here: Path, arguments: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is wrong is one clear error, and no file appears."""
    assert run(["store", *arguments]) == status
    out, err = capsys.readouterr()
    assert (out, said in err) == ("", True), err
    assert list(here.iterdir()) == []
