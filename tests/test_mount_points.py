"""Slugs made by hand whose directories are not what they should be: nothing on the host is made or followed."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from slugkit import DynoRunner, Slug, SlugkitError
from slugkit.slug import Manifest

pytestmark = pytest.mark.usefixtures("sandboxed")

CONFIGURED = ("tmp", "log")
Make = Callable[[tarfile.TarFile, str, Path], None]


def link_out(tar: tarfile.TarFile, name: str, target: Path) -> None:
    """Add a link to a directory of the host."""
    _link(tar, name, str(target))


def link_nowhere(tar: tarfile.TarFile, name: str, target: Path) -> None:
    """Add a link to a path of the host where nothing is, yet."""
    _link(tar, name, str(target / "made"))


def link_up(tar: tarfile.TarFile, name: str, target: Path) -> None:
    """Add a link that climbs out."""
    _link(tar, name, "../" * 30 + str(target).lstrip("/"))


def link_within(tar: tarfile.TarFile, name: str, target: Path) -> None:  # noqa: ARG001 - the shape of all
    """Add a link to another directory of the slug."""
    directory = tarfile.TarInfo("./app/other")
    directory.type, directory.mode = tarfile.DIRTYPE, 0o755
    tar.addfile(directory)
    _link(tar, name, "other")


def file(tar: tarfile.TarFile, name: str, target: Path) -> None:  # noqa: ARG001 - the shape of all
    """Add a file."""
    info = tarfile.TarInfo(f"./app/{name}")
    info.size = 4
    tar.addfile(info, io.BytesIO(b"text"))


def fifo(tar: tarfile.TarFile, name: str, target: Path) -> None:  # noqa: ARG001 - the shape of all
    """Add what blocks whoever opens it."""
    info = tarfile.TarInfo(f"./app/{name}")
    info.type = tarfile.FIFOTYPE
    tar.addfile(info)


def _link(tar: tarfile.TarFile, name: str, target: str) -> None:
    info = tarfile.TarInfo(f"./app/{name}")
    info.type, info.linkname = tarfile.SYMTYPE, target
    tar.addfile(info)


MAKES = (link_out, link_nowhere, link_up, link_within, file, fifo)


def run(tmp_path: Path, make: Make, name: str) -> tuple[str, Path]:
    """Run such a slug; return what it printed, or the code of the error, and the directory it aims at."""
    target = tmp_path / "host"
    target.mkdir()
    (target / "file").write_text("of the host")
    root = tarfile.TarInfo("./app")
    root.type, root.mode = tarfile.DIRTYPE, 0o755
    with tarfile.open(tmp_path / "made.tgz", "w:gz") as tar:
        tar.addfile(root)
        make(tar, name, target)
    slug = Slug(tmp_path / "made.tgz", Manifest(process_types={"task": "true"}), 1)
    command = "echo x > tmp/written; echo x > log/written; cat tmp/file log/file .profile.d/file Procfile; echo end"
    try:
        with DynoRunner(store=tmp_path / "store") as runner:
            return runner.run(slug, command).output, target
    except SlugkitError as error:
        return error.code, target


@pytest.mark.parametrize("name", ["tmp", "log", ".profile.d", "Procfile"])
@pytest.mark.parametrize("make", MAKES, ids=lambda make: make.__name__)
def test_what_is_no_directory_makes_nothing_on_the_host(tmp_path: Path, make: Make, name: str) -> None:
    """tmp, log, .profile.d or Procfile may be anything: it is one clear error, or a dyno that reaches nothing."""
    told, target = run(tmp_path, make, name)

    assert "of the host" not in told
    assert [path.name for path in target.iterdir()] == ["file"]
    assert (target / "file").read_text() == "of the host"
    assert told.endswith("end\n") or told in {"slug.unsafe-member", "slug.corrupt"}


@pytest.mark.parametrize("name", CONFIGURED)
@pytest.mark.parametrize("make", MAKES, ids=lambda make: make.__name__)
def test_a_writable_directory_is_a_directory(tmp_path: Path, make: Make, name: str) -> None:
    """Where a dyno writes, a slug has a directory or nothing: a link there, or a file, is refused by name."""
    told, _ = run(tmp_path, make, name)

    assert told in {"slug.unsafe-member", "slug.corrupt"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.REGTYPE, tarfile.FIFOTYPE], ids=["link", "file", "fifo"])
def test_the_app_itself_is_a_directory(tmp_path: Path, kind: bytes) -> None:
    """A slug whose whole app is a link to a directory of the host, or a file, is refused and shows nothing of it."""
    target = tmp_path / "host"
    target.mkdir()
    (target / "secret").write_text("of the host")
    with tarfile.open(tmp_path / "made.tgz", "w:gz") as tar:
        info = tarfile.TarInfo("./app")
        info.type, info.linkname = kind, str(target) if kind == tarfile.SYMTYPE else ""
        tar.addfile(info)
    slug = Slug(tmp_path / "made.tgz", Manifest(process_types={"task": "true"}), 1)

    with DynoRunner(store=tmp_path / "store") as runner, pytest.raises(SlugkitError) as caught:
        runner.run(slug, "cat secret")
    assert caught.value.code in {"slug.unsafe-member", "slug.corrupt"}
    assert [path.name for path in target.iterdir()] == ["secret"]
