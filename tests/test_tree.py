import contextlib
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from slugkit._tree import Entry, copy_tree, give_to, open_beneath, read_beneath, remove_tree, walk
from slugkit._whole import write_whole
from slugkit.errors import OutputError

TOO_LONG = "n" * 300  # no file can have this name: the one failure root gets too


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Return a directory beside the tree, with a file that no link may lead to."""
    place = tmp_path / "outside"
    place.mkdir()
    (place / "secret").write_text("hunter2")
    return place


@pytest.fixture
def root(tmp_path: Path, outside: Path) -> Path:
    """Return a tree with files, directories, and links of every kind."""
    root = tmp_path / "root"
    (root / "lib" / "deep").mkdir(parents=True)
    (root / "Procfile").write_text("web: a\n")
    (root / "lib" / "deep" / "x.py").write_text("x")
    (root / "file-link").symlink_to(outside / "secret")
    (root / "dir-link").symlink_to(outside)
    (root / "inner-link").symlink_to("Procfile")
    (root / "dangling").symlink_to("gone")
    (root / "lib" / "loop").symlink_to("..")
    return root


def deepen(top: Path, name: str, depth: int) -> None:
    """Make *depth* directories inside each other, by descriptor: their path may be too long to have."""
    here = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """Return a tree 1 500 deep whose longest path the kernel does not take; it goes whatever the test does."""
    top = tmp_path / "deep"
    top.mkdir()
    deepen(top, "directory", 1500)
    yield top
    remove_tree(top)


def names(entries: Iterator[Entry]) -> list[str]:
    return [entry.path for entry in entries]


def test_walk_never_follows_a_link(root: Path) -> None:
    """A link is an entry, never a way: nothing outside is seen and a loop is no loop."""
    found = {entry.path: entry for entry in walk(root)}

    assert not any("secret" in path or path.startswith("lib/loop/") for path in found)
    assert {path for path, entry in found.items() if entry.is_link} == {
        *("file-link", "dir-link", "inner-link", "dangling", "lib/loop"),
    }
    assert {path for path, entry in found.items() if entry.is_dir} == {"lib", "lib/deep"}
    assert {path for path, entry in found.items() if entry.is_file} == {"Procfile", "lib/deep/x.py"}


def test_walk_is_in_bytewise_order(tmp_path: Path) -> None:
    """Parents come first and names are sorted as bytes, whatever the locale, undecodable ones too."""
    wanted = [b"B", b"a", b"a-b", b"a.b", b"a_b", b"ab", b"\xc3\xa9", b"\xef\xbf\xbd", b"\xf0\x9f\x98\x80", b"\xff"]
    for name in reversed(wanted):
        (tmp_path / os.fsdecode(name)).touch()
    (tmp_path / "a-b").unlink()
    (tmp_path / "a-b" / "z").mkdir(parents=True)
    found = names(walk(tmp_path))

    assert [os.fsencode(path) for path in found if "/" not in path] == wanted
    assert found.index("a-b") < found.index("a-b/z")


def test_walk_leaves_out_what_is_skipped(root: Path) -> None:
    """What is skipped is left out with everything below it, and is not even looked into."""
    assert names(walk(root, skip=lambda path: path == "lib" or path.endswith("-link"))) == ["Procfile", "dangling"]


def test_walk_loses_nothing_without_a_word(tmp_path: Path) -> None:
    """A directory that cannot be read is an error, not an empty one, also where its path is too long for the system."""
    deepen(tmp_path, "n" * 200, 30)

    with pytest.raises(OSError, match="File name too long"):
        names(walk(tmp_path))
    with pytest.raises(FileNotFoundError):
        names(walk(tmp_path / "gone"))
    remove_tree(tmp_path / ("n" * 200))


@contextlib.contextmanager
def ordinary_user() -> Iterator[None]:
    """Let root be nobody for a while: it reads everything otherwise."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(was)


def test_what_permissions_hide_is_an_error() -> None:
    """A directory or a file without permission is an error for whoever walks, reads or copies, not nothing."""
    with tempfile.TemporaryDirectory() as place, tempfile.TemporaryDirectory() as target:
        root = Path(place)
        (root / "lib" / "deep").mkdir(parents=True)
        (root / "file").write_text("x")
        (root / "lib" / "deep").chmod(0)
        (root / "file").chmod(0)
        root.chmod(0o755)
        Path(target).chmod(0o777)
        with ordinary_user():
            with pytest.raises(PermissionError):
                names(walk(root))
            for path in ("file", "lib/deep/x"):
                with pytest.raises(PermissionError):
                    read_beneath(root, path)
            with pytest.raises(PermissionError):
                copy_tree(root, Path(target))
        remove_tree(root / "lib")


def test_reads_a_regular_file(root: Path) -> None:
    """A regular file's first bytes are read, as many as asked for."""
    assert read_beneath(root, "Procfile") == b"web: a\n"
    assert read_beneath(root, "lib/deep/x.py") == b"x"
    assert read_beneath(root, "Procfile", limit=3) == b"web"


@pytest.mark.parametrize(
    "path",
    [
        *("gone", "gone/x", "lib", "Procfile/x", "file-link", "inner-link", "dangling"),
        *("dir-link/secret", "lib/loop/Procfile", "lib/loop/dir-link/secret"),
    ],
)
def test_reading_never_follows_a_link(root: Path, path: str) -> None:
    """A missing file, a directory and a link at any place on the way are all no file."""
    assert read_beneath(root, path) is None
    assert open_beneath(root, path) is None


def test_special_files_are_none(root: Path) -> None:
    """A FIFO does not block, a socket is not connected to and a device is not opened for its data."""
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        listener.bind(f"/proc/self/fd/{here}/socket")  # the path itself may be too long for a socket
        os.close(here)

    assert read_beneath(root, "fifo") is None
    assert read_beneath(root, "fifo/x") is None
    assert read_beneath(root, "socket") is None
    assert read_beneath(Path("/dev"), "zero") is None


def test_what_cannot_be_read_is_an_error(root: Path) -> None:
    """A failure other than there being no file is raised, not taken for none."""
    with pytest.raises(OSError, match="File name too long"):
        read_beneath(root, TOO_LONG)
    with pytest.raises(OSError, match="File name too long"):
        read_beneath(root, f"{TOO_LONG}/x")
    with pytest.raises(FileNotFoundError):
        read_beneath(root / "gone", "Procfile")


@pytest.mark.parametrize("path", ["../outside/secret", "lib/../../outside/secret"])
def test_nothing_above_the_root_is_read(root: Path, path: str) -> None:
    """A path that climbs out of the root finds no file there, however it is refused."""
    with contextlib.suppress(OSError, ValueError):  # refusing it outright is as good
        assert read_beneath(root, path) is None


def test_no_descriptor_is_left_open(root: Path) -> None:
    """Found or not, reading leaves no descriptor behind."""
    before = set(os.listdir("/proc/self/fd"))
    for path in ("Procfile", "lib/deep/x.py", "lib", "gone/x", "dir-link/secret", "file-link"):
        read_beneath(root, path)

    assert set(os.listdir("/proc/self/fd")) == before


def test_copies_a_tree_as_it_is(root: Path, tmp_path: Path) -> None:
    """A copy has the same files, modes, times and links; a link is copied, not what it points to."""
    (root / "run").write_text("#!/bin/sh\n")
    (root / "run").chmod(0o4755)
    (root / "lib").chmod(0o555)
    os.utime(root / "Procfile", ns=(1, 1_234_567_890_123_456_789))
    os.utime(root / "lib", ns=(1, 987_654_321_000_000_000))
    target = tmp_path / "copy"
    target.mkdir()
    copy_tree(root, target)

    assert names(walk(target)) == names(walk(root))
    assert (target / "dir-link").readlink() == tmp_path / "outside"
    assert (target / "lib" / "loop").readlink() == Path("..")
    assert (target / "lib" / "deep" / "x.py").read_text() == "x"
    assert (target / "Procfile").stat().st_mtime_ns == 1_234_567_890_123_456_789
    assert (target / "lib").stat().st_mtime_ns == 987_654_321_000_000_000
    assert stat.S_IMODE((target / "run").stat().st_mode) == 0o755  # set-uid does not travel
    assert stat.S_IMODE((target / "lib").stat().st_mode) == 0o755  # its owner can always clean it up


def test_a_copy_leaves_out_special_files_and_what_is_skipped(root: Path, tmp_path: Path) -> None:
    """FIFOs are left out without a word, as no slug can hold them; so is what the caller skips."""
    os.mkfifo(root / "fifo")
    target = tmp_path / "copy"
    target.mkdir()
    copy_tree(root, target, skip=lambda path: path == "lib")

    assert names(walk(target)) == ["Procfile", "dangling", "dir-link", "file-link", "inner-link"]


def test_removes_a_tree_without_following_links(root: Path, outside: Path) -> None:
    """What links point to stays; the tree is gone."""
    remove_tree(root)

    assert not root.exists()
    assert (outside / "secret").read_text() == "hunter2"


def test_removes_the_link_not_its_target(root: Path, outside: Path) -> None:
    """Asked to remove a link or a file, it removes that; asked to remove nothing, it is content."""
    for path in (root / "dir-link", root / "dangling", root / "Procfile", root / "gone"):
        remove_tree(path)
        assert not path.is_symlink()
        assert not path.exists()

    assert (outside / "secret").exists()


def test_removes_a_tree_of_any_depth(deep: Path) -> None:
    """A tree 1 500 directories deep, whose innermost path no system call takes, is removed like any other."""
    remove_tree(deep)

    assert not deep.exists()


def test_removes_a_tree_whatever_its_modes(root: Path) -> None:
    """Directories without any permission, read-only ones and files without any do not stop it."""
    (root / "lib" / "deep" / "x.py").chmod(0)
    for directory in (root / "lib" / "deep", root / "lib", root):
        directory.chmod(0)
    remove_tree(root)

    assert not root.exists()


def test_gives_a_tree_to_a_user(root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything in a tree changes hands, links themselves included, and nothing they point to."""
    given: dict[str, tuple[int, int, bool]] = {}

    def chown(path: Path, uid: int, gid: int, *, follow_symlinks: bool = True) -> None:
        given[str(path.relative_to(root))] = (uid, gid, follow_symlinks)

    monkeypatch.setattr(os, "chown", chown)
    give_to(root, 12_345, 54_321)

    assert set(given) == {".", *names(walk(root))}
    assert set(given.values()) == {(12_345, 54_321, False)}
    assert outside.exists()


def test_a_file_is_written_whole_or_stays(tmp_path: Path) -> None:
    """A file that is written anew is the new one, or the old one when it cannot be; no half one is left."""
    page, directory = tmp_path / "page", tmp_path / "directory"
    directory.mkdir()
    write_whole(page, b"old")
    write_whole(page, b"new")

    assert page.read_bytes() == b"new"
    for place in (directory, tmp_path / "missing/page", page / "below", Path()):
        with pytest.raises(OutputError):
            write_whole(place, b"x")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["directory", "page"]
