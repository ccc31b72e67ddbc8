"""The store: unpacked once, shared by all, never half, whatever dies or fills up."""

import hashlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from slugkit.archive import Slug, pack
from slugkit.errors import CorruptSlugError, OutputError, SlugkitError, SlugNotFoundError, UnsafeMemberError
from slugkit.slug import Manifest
from slugkit.store import DirectoryStore
from support import as_nobody


def _slug(directory: Path, files: dict[str, bytes], name: str = "app") -> Slug:
    """Return a slug of *files* in *directory*."""
    root = Path(tempfile.mkdtemp(dir=directory, prefix="source-"))
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    pack(root, Manifest(process_types={"web": "./run"}), directory / f"{name}.slug.tgz")
    shutil.rmtree(root)
    return Slug.open(directory / f"{name}.slug.tgz")


FILES = {"run": b"#!/bin/sh\n", "lib/a": b"a" * 1000, "lib/deep/b": b"b"}


@pytest.fixture
def slug(tmp_path: Path) -> Slug:
    """Return a small slug."""
    return _slug(tmp_path, FILES)


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    """Return a store whose directory does not exist yet, nor does its parent."""
    return DirectoryStore(tmp_path / "cache" / "store")


def _state(root: Path) -> list[tuple[str, int, int]]:
    """Return every path below *root* with its inode and size; nothing when it is not there."""
    return sorted((str(path), path.lstat().st_ino, path.lstat().st_size) for path in root.rglob("*"))


def _settled(store: DirectoryStore) -> None:
    """Assert that nobody's staging directory is left in *store*."""
    assert not (store.root / "staging").is_dir() or list((store.root / "staging").iterdir()) == []


def _trees(store: DirectoryStore) -> list[str]:
    unpacked = store.root / "unpacked"
    return sorted(path.name for path in unpacked.iterdir()) if unpacked.is_dir() else []


# --- content-addressed -----------------------------------------------------------------------------------------


def test_a_tree_is_the_app(slug: Slug, store: DirectoryStore) -> None:
    """The tree of a slug holds the app's own files, with tmp/ and log/ for a dyno's writable ones."""
    tree = store.tree(slug)
    found = {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if path.is_file()}

    assert found == FILES
    assert sorted(path.name for path in tree.iterdir()) == ["lib", "log", "run", "tmp"]
    _settled(store)


def test_a_tree_is_named_by_its_content(slug: Slug, store: DirectoryStore, tmp_path: Path) -> None:
    """A tree lies under the digest of the slug's index; one of a slug without an index under its diff_id."""
    with tarfile.open(slug.path) as archive:
        index = archive.extractfile("./.slugkit/index.json")
        assert index is not None
        assert store.tree(slug) == store.root / "unpacked" / hashlib.sha256(index.read()).hexdigest()
    plain = _gzipped_again(slug, tmp_path)

    assert store.tree(plain) == store.root / "unpacked" / plain.diff_id.removeprefix("sha256:")


def _gzipped_again(slug: Slug, directory: Path) -> Slug:
    """Return the same tar, in one gzip member."""
    plain = subprocess.run(["gzip", "-dc", str(slug.path)], check=True, capture_output=True).stdout
    again = subprocess.run(["gzip", "-9nc"], input=plain, check=True, capture_output=True).stdout
    (directory / "again.tgz").write_bytes(again)
    return Slug.open(directory / "again.tgz")


def test_the_second_use_does_not_unpack_again(slug: Slug, store: DirectoryStore) -> None:
    """A slug that was used before is there already: nothing in the store is touched."""
    first = store.tree(slug)
    before = _state(store.root)

    assert store.tree(slug) == first
    assert store.tree(Slug.open(slug.path)) == first
    assert _state(store.root) == before


def test_the_second_use_reads_no_payload(slug: Slug, store: DirectoryStore, tmp_path: Path) -> None:
    """A slug that is in the store runs though its file is gone, by the digest that was known."""
    tree = store.tree(slug)
    slug.path.rename(tmp_path / "elsewhere")

    assert store.tree(slug) == tree


def test_a_copy_is_the_same_tree(slug: Slug, store: DirectoryStore, tmp_path: Path) -> None:
    """The same file under another name is the same entry."""
    shutil.copyfile(slug.path, tmp_path / "copy.tgz")

    assert store.tree(Slug.open(tmp_path / "copy.tgz")) == store.tree(slug)
    assert len(_trees(store)) == 1


def test_the_same_app_compressed_otherwise_is_the_same_tree(slug: Slug, store: DirectoryStore, tmp_path: Path) -> None:
    """Two files with the same index, compressed by different libraries, share one tree."""
    other = tmp_path / "other.tgz"
    with _zlib_only():
        pack(_unpacked(slug, tmp_path), slug.manifest, other)
    assert Slug.open(other).digest != slug.digest
    assert Slug.open(other).diff_id == slug.diff_id
    tree = store.tree(slug)
    before = _state(tree)

    assert store.tree(Slug.open(other)) == tree
    assert _state(tree) == before
    _settled(store)


def _unpacked(slug: Slug, directory: Path) -> Path:
    slug.unpack(directory / "unpacked")
    return directory / "unpacked"


@contextmanager
def _zlib_only() -> Iterator[None]:
    """Compress as where there is no libdeflate."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("slugkit.archive._gzip._deflate", None)
        patch.setattr("slugkit.archive._gzip._crc32", zlib.crc32)
        yield


def test_other_content_is_another_tree(slug: Slug, store: DirectoryStore, tmp_path: Path) -> None:
    """Two slugs lie beside each other and do not mix."""
    other = _slug(tmp_path, {"run": b"other"}, "other")

    assert store.tree(other) != store.tree(slug)
    assert (store.tree(other) / "run").read_bytes() == b"other"
    assert (store.tree(slug) / "run").read_bytes() == FILES["run"]


def test_files_bear_the_time_they_arrived(slug: Slug, store: DirectoryStore) -> None:
    """A file's time is when its content first came here, so that no HTTP cache takes it for an older one."""
    before = int(time.time())
    tree = store.tree(slug)

    assert all(before <= path.stat().st_mtime <= time.time() for path in tree.rglob("*") if path.is_file())


def test_a_store_is_as_good_as_another_object(slug: Slug, store: DirectoryStore) -> None:
    """A store's state is its directory and nothing else."""
    assert DirectoryStore(store.root).tree(slug) == store.tree(slug)
    assert DirectoryStore(store.root) == store


# --- mount points ----------------------------------------------------------------------------------------------


def test_mount_points_are_empty_directories(slug: Slug, store: DirectoryStore) -> None:
    """tmp/ and log/ are there, real, empty and 0755, whatever the umask."""
    before = os.umask(0o077)
    try:
        tree = store.tree(slug)
    finally:
        os.umask(before)

    for name in ("tmp", "log"):
        assert (tree / name).is_dir()
        assert not (tree / name).is_symlink()
        assert list((tree / name).iterdir()) == []
        assert (tree / name).stat().st_mode & 0o7777 == 0o755


def test_mount_points_of_the_slug_are_kept(tmp_path: Path, store: DirectoryStore) -> None:
    """A slug that has tmp/ and log/ directories keeps them as they are."""
    tree = store.tree(_slug(tmp_path, {"tmp/pids/.keep": b"", "log/.keep": b"x"}))

    assert (tree / "tmp/pids/.keep").is_file()
    assert (tree / "log/.keep").read_bytes() == b"x"


@pytest.mark.parametrize("name", ["tmp", "log"])
@pytest.mark.parametrize("prior", [True, False], ids=["a used store", "a new store"])
def test_a_slug_with_a_file_there_is_refused(tmp_path: Path, slug: Slug, name: str, prior: bool) -> None:  # noqa: FBT001
    """A slug whose tmp or log is a file cannot run; the store is as it was."""
    store = DirectoryStore(tmp_path / "store")
    if prior:
        store.tree(slug)
    before = _state(store.root / "unpacked"), _state(store.root / "digests")

    with pytest.raises(UnsafeMemberError) as caught:
        store.tree(_slug(tmp_path, {name: b"a file"}, "bad"))
    assert caught.value.name == name
    assert (_state(store.root / "unpacked"), _state(store.root / "digests")) == before
    _settled(store)


@pytest.mark.parametrize("name", ["tmp", "log"])
@pytest.mark.parametrize("target", ["..", "/var/tmp", "lib", "../../../../canary"])
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_slug_with_a_link_there_is_refused(
    tmp_path: Path, store: DirectoryStore, name: str, target: str, kind: bytes
) -> None:
    """A slug whose tmp or log is a link makes nothing on the host: it is refused, the store is unchanged."""
    (tmp_path / "canary").mkdir()
    path = tmp_path / "hostile.tgz"
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo(f"./app/{name}")
        info.type, info.linkname = kind, target
        archive.addfile(tarfile.TarInfo("./app/lib"))
        archive.addfile(info)

    with pytest.raises(UnsafeMemberError):
        store.tree(Slug(path, Manifest(), path.stat().st_size))
    assert _trees(store) == []
    assert list((tmp_path / "canary").iterdir()) == []
    _settled(store)


# --- damage ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "garbage"])
def test_a_damaged_slug_leaves_the_store_unchanged(
    slug: Slug, store: DirectoryStore, tmp_path: Path, damage: str
) -> None:
    """A damaged slug is one error; what was in the store stays, and nothing of it comes in."""
    other = _slug(tmp_path, {"run": b"other"}, "other")
    store.tree(other)
    before = _state(store.root / "unpacked"), _state(store.root / "digests")
    raw = slug.path.read_bytes()
    damaged = {
        "cut": raw[:-20],
        "flipped": raw[:-5] + bytes([raw[-5] ^ 1]) + raw[-4:],
        "empty": b"",
        "garbage": raw + b"x",
    }[damage]
    slug.path.write_bytes(damaged)

    with pytest.raises(CorruptSlugError):
        store.tree(Slug(slug.path, slug.manifest, len(damaged)))
    assert (_state(store.root / "unpacked"), _state(store.root / "digests")) == before
    _settled(store)


def test_a_slug_that_is_gone_is_an_error_that_says_so(slug: Slug, store: DirectoryStore) -> None:
    """A slug whose file vanished before its first use is SlugNotFoundError, and no store appears of it."""
    slug.path.unlink()

    with pytest.raises(SlugNotFoundError):
        store.tree(slug)
    assert _trees(store) == []


@pytest.mark.parametrize("text", ["", "0" * 64, "half"])
def test_a_damaged_name_is_made_again(slug: Slug, store: DirectoryStore, text: str) -> None:
    """A digest file that a power cut left empty or wrong names no tree: the slug is looked at again."""
    tree = store.tree(slug)
    [name] = (store.root / "digests").iterdir()
    name.write_text(text)

    assert store.tree(slug) == tree
    assert name.read_text() == tree.name
    _settled(store)


def test_a_tree_that_is_gone_is_unpacked_again(slug: Slug, store: DirectoryStore) -> None:
    """Who deletes a tree to make room gets it again on the next use."""
    tree = store.tree(slug)
    shutil.rmtree(tree)

    assert store.tree(slug) == tree
    assert (tree / "lib/deep/b").read_bytes() == b"b"
    assert (tree / "tmp").is_dir()


@pytest.mark.parametrize("damage", ["lost", "shorter", "longer"])
def test_a_damaged_tree_is_unpacked_again(slug: Slug, store: DirectoryStore, damage: str) -> None:
    """A tree that lost a file, or has one of another size, is not handed out: it is unpacked again (security.md 5)."""
    tree = DirectoryStore(store.root).tree(slug)  # a process looks once
    if damage == "lost":
        (tree / "lib/a").unlink()
    else:
        os.truncate(tree / "lib/a", 10 if damage == "shorter" else 2000)

    assert (store.tree(slug) / "lib/a").read_bytes() == FILES["lib/a"]
    _settled(store)


def test_a_file_where_the_tree_should_be_is_no_tree(slug: Slug, store: DirectoryStore) -> None:
    """Something else in a tree's place is one error, and is not removed: it is not ours."""
    tree = store.tree(slug)
    shutil.rmtree(tree)
    tree.write_text("mine")

    with pytest.raises(OutputError):
        store.tree(slug)
    assert tree.read_text() == "mine"
    _settled(store)


# --- many at once, and the dead --------------------------------------------------------------------------------

_USE = """
import sys
from pathlib import Path
from slugkit.archive import Slug
from slugkit.store import DirectoryStore
slug, store = Slug.open(sys.argv[1]), DirectoryStore(Path(sys.argv[2]))
print("ready", flush=True)
sys.stdin.readline()
print(store.tree(slug), flush=True)
"""


def _start(script: str, slug: Slug, store: DirectoryStore) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", script, str(slug.path), str(store.root)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_eight_processes_share_one_tree(tmp_path: Path, store: DirectoryStore) -> None:
    """Eight programs that use a new slug at the same moment all get the same whole tree, and it is there once."""
    slug = _slug(tmp_path, {f"d{number % 7}/{number}": bytes([number % 256]) * 99 for number in range(400)})
    users = [_start(_USE, slug, store) for _ in range(8)]
    for user in users:
        assert user.stdout is not None
        assert user.stdout.readline() == "ready\n"
    for user in users:
        assert user.stdin is not None
        user.stdin.write("go\n")
        user.stdin.flush()
    results = [user.communicate(timeout=60) for user in users]

    assert [user.returncode for user in users] == [0] * 8, results
    assert len({out for out, _ in results}) == 1
    [tree] = (store.root / "unpacked").iterdir()
    assert sum(path.is_file() for path in tree.rglob("*")) == 400
    assert {(tree / "tmp").is_dir(), (tree / "log").is_dir()} == {True}
    assert len(list((store.root / "digests").iterdir())) == 1
    _settled(store)


# Stops in the middle of unpacking, with half of the files there and the staging directory's lock held.
_HANG = """
import os, sys, time
from pathlib import Path
from slugkit.archive import Slug
from slugkit.archive._newtree import NewTree
from slugkit.store import DirectoryStore
slug, store = Slug.open(sys.argv[1]), DirectoryStore(Path(sys.argv[2]))
genuine, made = NewTree.add_file, []

def make(*arguments):
    genuine(*arguments)
    made.append(arguments)
    if len(made) == 2:
        print("halfway", flush=True)
        time.sleep(600)

NewTree.add_file = make
store.tree(slug)
"""


@contextmanager
def _halfway(slug: Slug, store: DirectoryStore) -> Iterator["subprocess.Popen[str]"]:
    """Yield a process that has unpacked half of *slug*; it is dead afterwards."""
    process = _start(_HANG, slug, store)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "halfway\n"
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)


def test_a_killed_unpack_is_never_visible(slug: Slug, store: DirectoryStore) -> None:
    """A program killed in the middle of unpacking leaves no tree; the next use makes a whole one."""
    with _halfway(slug, store):
        pass
    assert _trees(store) == []
    assert len(list((store.root / "staging").iterdir())) == 1

    assert {str(path.relative_to(store.tree(slug))) for path in store.tree(slug).rglob("*")} >= set(FILES)


def test_the_dead_ones_leftovers_are_collected(slug: Slug, store: DirectoryStore, tmp_path: Path) -> None:
    """What a killed program left in the store is removed by the next use."""
    other = _slug(tmp_path, {"run": b"other"}, "other")
    with _halfway(slug, store):
        pass
    [leftover] = (store.root / "staging").iterdir()
    store.tree(other)

    assert not leftover.exists()
    _settled(store)


def test_a_living_ones_staging_is_left_alone(slug: Slug, store: DirectoryStore, tmp_path: Path) -> None:
    """The staging directory of a program that lives is never collected, however old it is."""
    other = _slug(tmp_path, {"run": b"other"}, "other")
    with _halfway(slug, store) as living:
        [staging] = (store.root / "staging").iterdir()
        before = _state(staging)
        os.utime(staging, (time.time() - 3600, time.time() - 3600))
        store.tree(other)
        store.gc(max_age=0)

        assert _state(staging) == before
        assert living.poll() is None


def test_who_comes_second_waits_for_the_first(slug: Slug, store: DirectoryStore) -> None:
    """A tree is made once: another user of the slug waits while it is made, and makes it if the first one dies."""
    with _halfway(slug, store) as first:
        second = _start(_USE, slug, store)
        assert second.stdin is not None
        second.stdin.write("go\n")
        second.stdin.flush()
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(timeout=1.5)
        assert len(list((store.root / "staging").iterdir())) == 1
        first.send_signal(signal.SIGKILL)
        out, _ = second.communicate(timeout=60)

    assert out.splitlines()[-1] == str(store.tree(slug))
    _settled(store)


def test_leftovers_that_are_hard_to_remove_are_removed(slug: Slug, store: DirectoryStore) -> None:
    """Leftovers without permissions, very deep, or with links to elsewhere go, and nothing elsewhere does."""
    old = store.root / "staging" / "old"
    (old / "closed").mkdir(parents=True)
    (old / "closed/file").write_text("x")
    (old / "closed").chmod(0o000)
    outside = store.root / "outside"
    outside.mkdir()
    (outside / "canary").write_text("here")
    (old / "link").symlink_to(outside)
    fd = os.open(old, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    os.utime(old, (0, 0))
    store.tree(slug)

    _settled(store)
    assert (outside / "canary").read_text() == "here"


def test_a_stray_file_among_the_staging_directories_does_no_harm(slug: Slug, store: DirectoryStore) -> None:
    """A file that something else put into the store's staging area (.nfs..., .DS_Store) stops nobody."""
    (store.root / "staging").mkdir(parents=True)
    (store.root / "staging" / ".DS_Store").write_text("x")

    assert (store.tree(slug) / "run").read_bytes() == FILES["run"]


# --- disks that say no -----------------------------------------------------------------------------------------


@pytest.fixture
def public() -> Iterator[Path]:
    """Yield a directory that an ordinary user reaches: pytest's own are private to root."""
    directory = Path(tempfile.mkdtemp(prefix="slugkit-test-"))
    directory.chmod(0o755)
    yield directory
    for path in [directory, *directory.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(directory)


@contextmanager
def _small_disk(directory: Path) -> Iterator[None]:
    """Let there be hardly any room in *directory*: a small tmpfs for root, a small file size for others."""
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "slugkit-test", str(directory)]
    if os.geteuid() == 0 and subprocess.run(command, check=False, capture_output=True).returncode == 0:
        try:
            yield
        finally:
            subprocess.run(["umount", str(directory)], check=True)
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**18, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_one_error(slug: Slug, tmp_path: Path) -> None:
    """A slug that does not fit is one OutputError; what was there stays usable, and nothing of it is left."""
    large = _slug(tmp_path, {"a": b"small", "noise": random.Random(1).randbytes(2**20)}, "large")
    store = DirectoryStore(tmp_path / "small")
    with _small_disk(store.root):
        tree = store.tree(slug)
        before = _state(store.root / "unpacked"), _state(store.root / "digests")
        with pytest.raises(OutputError) as caught:
            store.tree(large)

        assert caught.value.hint
        assert (_state(store.root / "unpacked"), _state(store.root / "digests")) == before
        _settled(store)
        assert store.tree(slug) == tree
        store.release()  # or the disk could not be unmounted


def _closed(directory: Path) -> None:
    directory.mkdir()
    directory.chmod(0o555)


def _used_then_closed(directory: Path) -> None:
    for name in ("staging", "unpacked", "digests"):
        (directory / name).mkdir(parents=True)
        (directory / name).chmod(0o555)
    directory.chmod(0o555)


def _unreadable(directory: Path) -> None:
    directory.mkdir()
    directory.chmod(0o000)


UNUSABLE: dict[str, Callable[[Path], object]] = {
    "a read-only directory": _closed,
    "a read-only store": _used_then_closed,
    "an unreadable directory": _unreadable,
    "a file": lambda directory: directory.write_text("mine"),
    "a dangling link": lambda directory: directory.symlink_to("/nonexistent/store"),
}


@pytest.mark.parametrize("spoil", UNUSABLE.values(), ids=list(UNUSABLE))
def test_an_unusable_store_is_one_error(public: Path, spoil: Callable[[Path], object]) -> None:
    """A store that cannot be written, or is no directory, is one OutputError that says where."""
    slug = _slug(public, FILES)
    store = DirectoryStore(public / "store")
    spoil(store.root)

    with as_nobody(), pytest.raises(SlugkitError) as caught:
        store.tree(slug)
    assert isinstance(caught.value, OutputError)
    assert str(store.root) in str(caught.value)


def test_a_read_only_store_still_serves(public: Path) -> None:
    """What is in a store can be used by who may only read it."""
    slug = _slug(public, FILES)
    store = DirectoryStore(public / "store")
    tree = store.tree(slug)
    for path in [store.root, *store.root.iterdir()]:
        path.chmod(0o555)

    with as_nobody():
        assert store.tree(Slug.open(slug.path)) == tree
        assert (tree / "run").read_bytes() == FILES["run"]
