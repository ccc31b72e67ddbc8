"""``slugkit inspect`` and ``slugkit diff``: what a person, a script and a CI job get from them."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from slugkit.archive import Slug
from slugkit.cli import run
from slugkit.testing import make_slug
from support import HOSTILE, JUNK, npm


@pytest.fixture
def slugs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Slug, Slug]:
    """Two slugs, the second with a package more, in the current directory's neighbourhood."""
    old = make_slug(tmp_path / "old", {"app.js": "x" * 2000}, web="node app.js")
    new = make_slug(tmp_path / "new", {**JUNK, **npm("left-pad", "1.3.0", 9000)}, web="node app.js --fast")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return old, new


def out(capsys: pytest.CaptureFixture[str], *arguments: object, status: int = 0) -> str:
    """Return what the command prints, which must end with *status* and say nothing else."""
    assert run([str(argument) for argument in arguments]) == status
    printed = capsys.readouterr()
    assert status or printed.err == ""
    return printed.out


def test_inspect_shows_where_the_bytes_are(slugs: tuple[Slug, Slug], capsys: pytest.CaptureFixture[str]) -> None:
    """What a slug says of itself comes first, then tables; the same in each run."""
    shown = out(capsys, "inspect", slugs[1].path)

    assert re.search(r"^type web +node app.js --fast$", shown, re.MULTILINE)
    assert re.search(r"^Packages\n  compressed +unpacked +files +package +version +from$", shown, re.MULTILINE)
    assert re.search(r"^ +\S+ +8K +2  left-pad  1\.3\.0    npm$", shown, re.MULTILINE)
    assert re.search(r"^ +\S+ +12K +2  \*\.psd +source of media$", shown, re.MULTILINE)
    assert shown == out(capsys, "inspect", slugs[1].path)
    assert not any(line.endswith(" ") for line in shown.splitlines())


def test_depth_shows_every_directory(slugs: tuple[Slug, Slug], capsys: pytest.CaptureFixture[str]) -> None:
    """With --depth every directory down to that level is told, in text and as JSON."""
    told = json.loads(out(capsys, "inspect", slugs[1].path, "--json", "--depth", "1"))

    assert {place["path"] for place in told["directories"]} >= {".", "docs", "node_modules", "tmp", "log"}
    assert all("/" not in place["path"] for place in told["directories"])
    assert re.search(r"  tmp$", out(capsys, "inspect", slugs[0].path, "--depth", "1"), re.MULTILINE)


def test_diff_shows_what_changed(slugs: tuple[Slug, Slug], capsys: pytest.CaptureFixture[str]) -> None:
    """A diff shows sizes, process types, packages and files; as JSON, the same."""
    old, new = slugs
    shown = out(capsys, "diff", old.path, new.path)
    told = json.loads(out(capsys, "diff", old.path, new.path, "--json"))

    assert re.search(r"^  type web +node app.js +node app.js --fast$", shown, re.MULTILINE)
    assert re.search(r"^  npm   left-pad  \(none\)  1\.3\.0$", shown, re.MULTILINE)
    assert re.search(r"^ +-1K  removed  app\.js$", shown, re.MULTILINE)
    assert (told["old"]["digest"], told["new"]["digest"]) == (old.digest, new.digest)
    assert told["growth"]["size"] == new.size - old.size
    assert told["process_types"] == [{"name": "web", "old": "node app.js", "new": "node app.js --fast"}]


def test_nothing_differs_from_itself(slugs: tuple[Slug, Slug], capsys: pytest.CaptureFixture[str]) -> None:
    """A slug and itself: zero growth, and no other table."""
    shown = out(capsys, "diff", slugs[0].path, slugs[0].path)

    assert shown.split()[:4] == ["Size", "growth", "old", "new"]
    assert "Files" not in shown
    assert re.search(r"^ +0B +\S+ +\S+  compressed$", shown, re.MULTILINE)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("mode", [(), ("--json",)])
def test_no_name_reaches_a_terminal_or_a_runner(
    tmp_path: Path, name: str, mode: tuple[str, ...], capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Names of files, directories, packages and process types are shown, never obeyed: no escape, no command."""
    part = name.replace("/", "_")
    files: dict[str, str | bytes] = {f"{part}/{part}": "x" * 9000, "copy": "x" * 9000, **npm(part, part, 100)}
    slug = make_slug(tmp_path / "new", files, web=f"run {name}")
    limits = tmp_path / "budget.toml"
    limits.write_text(f"[directories]\n{json.dumps('copy')} = 0\n[slug]\nmax_size = 1\n")
    options = ["--budget", str(limits), *mode]

    assert run(["inspect", str(slug.path), *options]) == 1
    assert run(["diff", str(make_slug(tmp_path / "old", {}).path), str(slug.path), *options]) == 1
    printed = capsysbinary.readouterr()
    for line in (printed.out + printed.err).decode().split("\n"):
        assert not re.search("[\x00-\x1f\x7f-\x9f\u202e]", line)
        assert not line.lstrip().startswith("::")
        assert "##[" not in line


def test_html_is_written_whole(slugs: tuple[Slug, Slug], capsys: pytest.CaptureFixture[str]) -> None:
    """--html writes one page beside what is printed, replaces an earlier one, and leaves nothing else."""
    Path("page.html").write_text("old")
    shown = out(capsys, "inspect", slugs[1].path, "--html", "page.html")
    out(capsys, "diff", slugs[0].path, slugs[1].path, "--html", "diff.html", "--json")

    assert shown == out(capsys, "inspect", slugs[1].path)
    assert Path("page.html").read_text().startswith("<!doctype html>")
    assert Path("diff.html").read_text().endswith("</html>\n")
    assert sorted(path.name for path in Path().iterdir()) == ["diff.html", "page.html"]


@pytest.mark.parametrize("place", ["missing/page.html", ".", "/", "", "/dev/null", "file/page.html"])
def test_html_that_cannot_be_written(slugs: tuple[Slug, Slug], place: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A page that cannot be written is one clear error, and nothing is left of it."""
    Path("file").touch()
    assert run(["inspect", str(slugs[0].path), "--html", place]) == 1
    printed = capsys.readouterr()

    assert printed.out == ""
    assert printed.err.startswith("error[output.failed]: cannot write ")
    assert [path.name for path in Path().iterdir()] == ["file"]


def test_a_broken_budget_fails_the_job(slugs: tuple[Slug, Slug], capsys: pytest.CaptureFixture[str]) -> None:
    """A broken limit is status 1 and one error after the report; a kept one is status 0."""
    Path("b.toml").write_text('[packages]\nleft-pad = "1K"\n[growth]\nmax = 10\n')
    old, new = slugs

    assert run(["inspect", str(new.path), "--budget", "b.toml"]) == 1
    printed = capsys.readouterr()
    assert "Packages\n" in printed.out
    assert "::" not in printed.out
    assert printed.err.startswith(
        "error[budget.exceeded]: the slug breaks 1 limit of b.toml\n"
        "  8K (9040 bytes) is more than 1K (1024 bytes): packages.left-pad\n"
    )
    assert run(["diff", str(old.path), str(new.path), "--budget", "b.toml"]) == 1
    assert "2 limits of b.toml" in capsys.readouterr().err
    out(capsys, "inspect", old.path, "--budget", "b.toml")
    out(capsys, "diff", new.path, old.path, "--budget", "b.toml")


def test_annotations_for_github(slugs: tuple[Slug, Slug], capsys: pytest.CaptureFixture[str]) -> None:
    """--github adds a line for each broken limit; with --json standard output stays one document."""
    Path("b.toml").write_text("[slug]\nmax_files = 1\n")
    arguments = ["inspect", str(slugs[1].path), "--budget", "b.toml", "--github"]

    lines = [line for line in out(capsys, *arguments, status=1).splitlines() if line.startswith("::")]
    assert lines[0] == "::error title=Slug over budget (b.toml)::11 files is more than 1: slug.max_files"
    assert lines[1].startswith("::notice title=Where the slug's bytes are::8K unpacked: npm:left-pad 1.3.0%0A")
    assert run([*arguments, "--json"]) == 1
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert told["error"]["code"] == "budget.exceeded"
    assert told["files"] == 11
    assert printed.err.startswith(lines[0])


@pytest.mark.parametrize("command", ["inspect", "diff"])
def test_a_useless_budget_is_found_first(
    slugs: tuple[Slug, Slug], command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A budget that cannot be read fails before any slug is read; --github alone is wrong usage."""
    paths = [str(slug.path) for slug in slugs[: 1 + (command == "diff")]]
    assert run([command, *paths, "--budget", "missing.toml"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error[budget.invalid]: cannot use the budget missing.toml: No such file")

    assert run([command, *paths, "--github"]) == 2
    assert "--github says which limits are broken: it needs --budget FILE" in capsys.readouterr().err


def on_terminal(*arguments: str) -> str:
    """Return what the command prints on a terminal."""
    master, slave = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    process = subprocess.Popen([sys.executable, "-m", "slugkit", *arguments], stdout=slave, env=env)
    os.close(slave)
    shown = b""
    try:
        while piece := os.read(master, 4096):
            shown += piece
    except OSError:  # how a terminal says that nobody writes to it any more
        pass
    os.close(master)
    assert process.wait(30) == 0
    return shown.decode()


def test_tables_on_a_terminal(slugs: tuple[Slug, Slug]) -> None:
    """On a terminal tables are drawn, and the escapes are ours."""
    shown = on_terminal("inspect", str(slugs[1].path))

    assert "\x1b[1mPackages\x1b[0m" in shown
    assert "left-pad" in shown


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_on_a_terminal(tmp_path: Path, name: str) -> None:
    """Drawn tables hold no escape but colours, and no control character, whatever a file is called."""
    slug = make_slug(tmp_path, {f"{name.replace('/', '_')}": "x" * 9000})
    shown = re.sub(r"\x1b\[[0-9;]*m", "", on_terminal("inspect", str(slug.path), "--depth", "9"))

    assert not re.search("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", shown)
