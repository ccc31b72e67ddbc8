"""Other programs: they read what slugkit writes, and slugkit reads what they write."""

import os
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from slugkit._tree import snapshot
from slugkit.archive import Slug, pack
from slugkit.slug import Manifest

PROCFILE = "web: python app.py\nworker: python worker.py\n"
ENVIRONMENT = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}


def _run(*command: str | Path, stdin: bytes = b"", cwd: Path | None = None) -> bytes:
    """Return what *command* writes; it succeeds and complains of nothing."""
    done = subprocess.run(command, input=stdin, capture_output=True, check=False, env=ENVIRONMENT, cwd=cwd)
    assert (done.returncode, done.stderr.decode()) == (0, ""), command
    return done.stdout


def _plain(root: Path) -> Path:
    """Make an app whose names fit into any tar."""
    (root / "lib").mkdir(parents=True)
    (root / "Procfile").write_text(PROCFILE)
    (root / "lib" / ("n" * 80)).write_text("x = 1\n")
    (root / "lib/large").write_bytes(b"0123456789" * 30_000)
    (root / "lib/current").symlink_to("../Procfile")
    (root / "empty").mkdir()
    (root / "none").touch()
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    return root


def _ustar(root: Path) -> Path:
    """Make an app with names that fit into ustar's prefix and name."""
    _plain(root)
    deep = root / ("p" * 60) / ("q" * 60)
    deep.mkdir(parents=True)
    (deep / ("r" * 90)).write_text("deep")
    return root


def _odd(root: Path) -> Path:
    """Make an app with the names that need more than ustar."""
    _ustar(root)
    for size in (99, 100, 101, 150, 255):
        (root / ("n" * size)).write_text(str(size))
        (root / "lib" / ("d" * (size - 1)) / "empty").mkdir(parents=True)
    for size in range(85, 97):  # wherever a name is cut, a slash may be there
        (root / "lib" / ("s" * size) / ("t" * 20)).mkdir(parents=True)
        (root / "lib" / ("s" * size) / ("t" * 20) / "u").write_text("x")
    deep = root / "/".join(["deep" * 10] * 40)
    deep.mkdir(parents=True)
    (deep / "file").write_text("x")
    (root / "lib/caf\u00e9").write_text("x")
    (root / "lib/long link").symlink_to("t" * 200)
    (root / "lib/caf\u00e9 link").symlink_to("caf\u00e9")
    (root / " blanks ").write_text("x")
    (root / "-dash").write_text("x")
    (root / "line\nfeed").write_text("x")
    return root


# --- slugkit's own, read elsewhere ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return an app with odd names, and its slug."""
    place = tmp_path_factory.mktemp("own")
    pack(_odd(place / "app"), Manifest(process_types={"web": "./run"}), place / "app.slug.tgz")
    return place / "app", place / "app.slug.tgz"


READERS = {
    "GNU tar": ["tar", "-xzf", "{slug}", "-C", "{out}"],
    "bsdtar": ["bsdtar", "-xf", "{slug}", "-C", "{out}"],
    "BusyBox's way": ["sh", "-c", "gzip -dc {slug} | tar -xf - -C {out}"],
    "pigz": ["sh", "-c", "pigz -dc {slug} | tar -xf - -C {out}"],
}


@pytest.mark.parametrize("command", READERS.values(), ids=list(READERS))
def test_others_read_a_slug(own: tuple[Path, Path], tmp_path: Path, command: Sequence[str]) -> None:
    """A slug is a plain tar.gz to whoever unpacks it: the whole app, without a complaint."""
    app, slug = own
    _run(*(part.format(slug=slug, out=tmp_path) for part in command))

    assert snapshot(tmp_path / "app") == snapshot(app)
    assert sorted(path.name for path in (tmp_path / ".slugkit").iterdir()) == ["index.json", "manifest.json"]


def test_python_reads_a_slug(own: tuple[Path, Path], tmp_path: Path) -> None:
    """So it is to Python's tarfile, which finds nothing to filter."""
    app, slug = own
    with tarfile.open(slug) as archive:
        archive.extractall(tmp_path, filter="data" if hasattr(tarfile, "data_filter") else None)

    assert snapshot(tmp_path / "app") == snapshot(app)


@pytest.mark.parametrize("command", [["gzip", "-t"], ["pigz", "-t"], ["bsdtar", "-tf", "-"]], ids=lambda one: one[0])
def test_others_find_no_damage(own: tuple[Path, Path], command: Sequence[str]) -> None:
    """Every member of a slug, the empty one at its end too, is right to other programs."""
    _run(*command, stdin=own[1].read_bytes())


def test_names_that_are_no_utf8_are_read(tmp_path: Path) -> None:
    """GNU tar and Python give such a name back as the bytes it is."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app/caf\udce9").write_text("x")
    pack(tmp_path / "app", Manifest(), tmp_path / "slug.tgz")
    for name in ("gnu", "python"):
        (tmp_path / name).mkdir()
    _run("tar", "-xzf", tmp_path / "slug.tgz", "-C", tmp_path / "gnu")
    with tarfile.open(tmp_path / "slug.tgz") as archive:
        archive.extractall(tmp_path / "python", filter="data" if hasattr(tarfile, "data_filter") else None)

    for name in ("gnu", "python"):
        assert snapshot(tmp_path / name / "app") == snapshot(tmp_path / "app")


# --- made elsewhere, read by slugkit ----------------------------------------------------------------------------

LAYOUTS = {
    "./app": ["-C", "{parent}", "./app"],
    "app": ["-C", "{parent}", "app"],
    "bare ./": ["-C", "{parent}/app", "."],
}
WRITERS = {
    **{f"GNU tar, {form}": ("tar", f"--format={form}") for form in ("gnu", "oldgnu", "ustar", "posix", "v7")},
    **{f"bsdtar, {form}": ("bsdtar", f"--format={form}") for form in ("pax", "ustar", "gnutar", "v7")},
}


def _source(root: Path, writer: str) -> Path:
    """Return the app with the oddest names that *writer* can write."""
    return (_plain if "v7" in writer else _ustar if "ustar" in writer else _odd)(root)


def _is_read(slug: Path, app: Path, out: Path) -> None:
    """Assert that *slug* is *app*, in every way in which it is read."""
    opened = Slug.open(slug)
    opened.verify()
    opened.unpack(out)

    assert snapshot(out) == snapshot(app)
    assert {one.path for one in opened.files()} == set(snapshot(app))
    assert dict(opened.process_types) == {"web": "python app.py", "worker": "python worker.py"}
    assert opened.manifest.schema == 0


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=list(LAYOUTS))
@pytest.mark.parametrize("writer", WRITERS)
def test_archives_of_others_are_read(tmp_path: Path, writer: str, layout: list[str]) -> None:
    """Slugs that another program made, in each of its formats and of the layouts of contract.md 3.3, give the app."""
    app = _source(tmp_path / "app", writer)
    command = WRITERS[writer]
    _run(*command, "-czf", tmp_path / "slug.tgz", *(one.format(parent=tmp_path) for one in layout))

    _is_read(tmp_path / "slug.tgz", app, tmp_path / "out")


def test_the_command_of_herokus_compiler_is_read(tmp_path: Path) -> None:
    """So are slugs in the way Heroku's own compiler makes them, which rewrites the targets of links."""
    app = _odd(tmp_path / "app")
    for link in [path for path in app.rglob("*") if path.is_symlink()]:
        link.unlink()
    flags = ["--format=posix", "--xform", "s,^./,./app/,", "--owner=root", "--hard-dereference"]
    _run("tar", *flags, "-czf", tmp_path / "slug.tgz", "-C", app, ".")

    _is_read(tmp_path / "slug.tgz", app, tmp_path / "out")


FORMS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("arcname", ["./app", "app", "."])
def test_archives_of_python_are_read(tmp_path: Path, form: str, arcname: str) -> None:
    """Slugs that Python's tarfile made, in each of its formats, give the app they hold."""
    app = _source(tmp_path / "app", form)
    with tarfile.open(tmp_path / "slug.tgz", "w:gz", format=FORMS[form]) as archive:
        archive.add(app, arcname)

    _is_read(tmp_path / "slug.tgz", app, tmp_path / "out")


def test_bare_names_are_read(tmp_path: Path) -> None:
    """A tree that is packed name by name, with nothing in front, is a bare one."""
    app = _odd(tmp_path / "app")
    names = sorted(path.name for path in app.iterdir())
    _run("tar", "-czf", tmp_path / "slug.tgz", "-C", app, "--", *names)

    _is_read(tmp_path / "slug.tgz", app, tmp_path / "out")


@pytest.mark.parametrize("level", ["-1", "-9", "-11"])
def test_archives_of_pigz_are_read(tmp_path: Path, level: str) -> None:
    """What pigz compressed in parallel, or as zopfli does, is read; two such files in a row are one stream."""
    app = _plain(tmp_path / "app")
    (app / "lib/large").unlink()  # zopfli takes its time
    plain = _run("tar", "-cf", "-", "-C", tmp_path, "app")
    half = len(plain) // 2
    packed = [_run("pigz", level, "-c", "-p2", stdin=part) for part in (plain, plain[:half], plain[half:])]
    (tmp_path / "whole.tgz").write_bytes(packed[0])
    (tmp_path / "halves.tgz").write_bytes(packed[1] + packed[2])

    _is_read(tmp_path / "whole.tgz", app, tmp_path / "out")
    _is_read(tmp_path / "halves.tgz", app, tmp_path / "again")


@pytest.mark.parametrize("prefix", ["app/", "./app/", ""])
def test_archives_of_git_are_read(tmp_path: Path, prefix: str) -> None:
    """So is what ``git archive`` makes, with the commit in a header for all members."""
    app = _odd(tmp_path / "app")
    for path in sorted(app.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):  # git knows no empty directories
            path.rmdir()
    git: list[str | Path] = ["git", "-C", app, "-c", "user.name=x", "-c", "user.email=x@example.com"]
    _run(*git, "init", "--quiet")
    _run(*git, "add", "--all")
    _run(*git, "commit", "--quiet", "-m", "all")
    _run(*git, "archive", f"--prefix={prefix}", "--output", tmp_path / "slug.tgz", "HEAD")
    shutil.rmtree(app / ".git")

    _is_read(tmp_path / "slug.tgz", app, tmp_path / "out")
