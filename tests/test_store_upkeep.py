"""What a store shares between releases, gives up, and finds damaged."""

import errno
import os
import random
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from oci import age, blob_path, checked_layout, flip, index_of, put_blob, put_image, small_slug, write_index
from slugkit._tree import snapshot, walk
from slugkit.archive import Slug
from slugkit.store import Collected, DirectoryStore, StoredSlug
from slugkit.supply import PROVENANCE_TYPE, SBOM_TYPE
from slugkit.testing import make_slug

SBOM = b'{"bomFormat":"CycloneDX"}'
MIB = 2**20
DAY = 86_400.0


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    """Return a store whose directory does not exist yet."""
    return DirectoryStore(tmp_path / "store")


def _noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


#: Of more than a segment each, but for the last; "large" is in three of its own.
RELEASE: dict[str, str | bytes] = {
    "Procfile": "web: ./run\n",
    "run": b"#!/bin/sh\n" + _noise(1, MIB),
    "lib/a": _noise(2, MIB),
    "lib/b": _noise(3, MIB),
    "lib/large": _noise(4, 17 * MIB),
    "z": _noise(5, MIB),
}


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Slug, Slug]:
    """Return two releases of an app; the second has another lib/b, and a file more."""
    home = tmp_path_factory.mktemp("releases")
    new = RELEASE | {"lib/b": _noise(6, MIB), "lib/b.more": "new"}
    return make_slug(home / "1", RELEASE, web="./run"), make_slug(home / "2", new, web="./run")


def _inodes(tree: Path) -> dict[str, int]:
    return {entry.path: entry.info.st_ino for entry in walk(tree) if entry.is_file}


def _assert_fresh(tree: Path, slug: Slug, scratch: Path) -> None:
    """Assert that *tree* has the content, links and modes of *slug* as it is unpacked anywhere else."""
    slug.unpack(scratch)
    assert snapshot(tree) == snapshot(scratch)
    modes = [[(entry.path, entry.info.st_mode) for entry in walk(root)] for root in (tree, scratch)]
    assert modes[0] == modes[1]


def _bytes_of(*trees: Path) -> int:
    """Return the bytes of the files below *trees*, each file counted once."""
    return sum(
        {entry.info.st_ino: entry.info.st_size for tree in trees for entry in walk(tree) if entry.is_file}.values()
    )


# --- the next release ------------------------------------------------------------------------------------------


def test_a_release_shares_what_it_has_of_the_last(
    store: DirectoryStore, releases: tuple[Slug, Slug], tmp_path: Path
) -> None:
    """Files in segments that did not change are the same files, times and all; others are not; the content is exact."""
    old = store.tree(releases[0])
    for path in old.rglob("*"):
        if path.is_file():
            os.utime(path, (10**9, 10**9))
    new = store.tree(releases[1])
    was, now = _inodes(old), _inodes(new)

    assert {path for path in was if was[path] == now[path]} >= {"run", "lib/a", "lib/large"}
    assert was["lib/b"] != now["lib/b"]
    assert {path: (new / path).stat().st_mtime == 10**9 for path in now} == {
        path: now[path] == was.get(path) for path in now
    }
    _assert_fresh(new, releases[1], tmp_path / "fresh")
    _assert_fresh(old, releases[0], tmp_path / "old")
    assert store.verify() == ()


def test_mount_points_are_not_shared(store: DirectoryStore, releases: tuple[Slug, Slug]) -> None:
    """Each tree has directories of its own: a file that is added to one is in no other."""
    old, new = map(store.tree, releases)
    (old / "tmp/x").write_text("x")

    assert not (new / "tmp/x").exists()


def _lose(path: Path) -> None:
    path.unlink()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])  # the same inode


def _replace_by_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("a")


def _replace_by_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _close(path: Path) -> None:
    path.chmod(0o600)


@pytest.mark.parametrize("name", ["lib/a", "lib/large", "run"])
@pytest.mark.parametrize("harm", [_lose, _cut, _replace_by_link, _replace_by_directory, _close])
def test_a_damaged_last_release_does_no_harm(
    store: DirectoryStore, releases: tuple[Slug, Slug], tmp_path: Path, name: str, harm: Callable[[Path], None]
) -> None:
    """A last release that lost a file, or has one of another size, kind or mode, is none to take that file from."""
    old = store.tree(releases[0])
    harm(old / name)
    new = store.tree(releases[1])

    _assert_fresh(new, releases[1], tmp_path / "fresh")
    assert list((store.root / "staging").iterdir()) == []


def test_a_last_release_without_its_record_is_not_used(
    store: DirectoryStore, releases: tuple[Slug, Slug], tmp_path: Path
) -> None:
    """A tree of which nothing is known any more is no base: the new one is made of the slug alone."""
    old = store.tree(releases[0])
    (store.root / "records" / old.name).write_bytes(b'{"entries":')
    new = store.tree(releases[1])

    assert not set(_inodes(new).values()) & set(_inodes(old).values())
    _assert_fresh(new, releases[1], tmp_path / "fresh")


@pytest.mark.parametrize("code", [errno.EMLINK, errno.EXDEV, errno.EPERM])
def test_a_file_system_that_makes_no_more_links(
    store: DirectoryStore,
    releases: tuple[Slug, Slug],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
) -> None:
    """Where a file has as many names as it can have (65 000 on ext4), the new tree is made of the slug alone."""
    old = store.tree(releases[0])
    genuine, made = os.link, list[str]()

    def link(source: bytes, target: bytes, **more: int) -> None:
        if len(made) == 2:
            raise OSError(code, os.strerror(code))
        made.append(os.fsdecode(target))
        genuine(source, target, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "link", link)
    new = store.tree(releases[1])

    assert len(made) == 2
    assert not set(_inodes(new).values()) & set(_inodes(old).values())
    _assert_fresh(new, releases[1], tmp_path / "fresh")
    assert list((store.root / "staging").iterdir()) == []


# --- what gc takes ---------------------------------------------------------------------------------------------


def test_trees_go_by_age(store: DirectoryStore, tmp_path: Path) -> None:
    """A tree that was not used for max_age goes, with all that is told of it; one that was used stays."""
    old, new = (store.tree(small_slug(tmp_path, name)) for name in ("old", "new"))
    store.release()
    age(store.root / "records" / old.name, 20)
    assert store.gc() == Collected()

    assert store.gc(max_age=10 * DAY) == Collected(trees=1, size=_SMALL)
    assert (old.exists(), new.exists()) == (False, True)
    assert [path.name for path in (store.root / "records").iterdir()] == [new.name]
    assert [path.read_text() for path in (store.root / "digests").iterdir()] == [new.name]
    assert list((store.root / "staging").iterdir()) == []


_SMALL = len("web: ./run\n" + "#!/bin/sh\n" + "old")


@pytest.mark.parametrize("released", [True, False])
def test_using_a_tree_keeps_it(store: DirectoryStore, tmp_path: Path, released: bool) -> None:  # noqa: FBT001
    """Handing out a tree counts as its use, the second time in a process too."""
    slug = small_slug(tmp_path)
    tree = store.tree(slug)
    if released:
        store.release()
    age(store.root / "records" / tree.name, 90)
    store.tree(slug)
    store.release()

    assert store.gc() == Collected()


@pytest.mark.parametrize("first", [True, False], ids=["just made", "made before"])
def test_a_tree_that_was_handed_out_stays(tmp_path: Path, first: bool) -> None:  # noqa: FBT001
    """A tree is kept, however old and large, by whom it was given to, until that one lets it go or is gone."""
    slug = small_slug(tmp_path)
    user, other = DirectoryStore(tmp_path / "store"), DirectoryStore(tmp_path / "store")
    if not first:
        other.tree(slug)
        other.release()
    tree = user.tree(slug)
    age(user.root / "records" / tree.name, 90)

    assert other.gc(max_age=0, max_size=0) == Collected()
    assert user.gc(max_age=0, max_size=0) == Collected()
    user.release(tree)
    user.release(tree)
    assert other.gc(max_age=0).trees == 1
    assert not tree.exists()


def test_a_store_that_nobody_has_holds_nothing(tmp_path: Path) -> None:
    """With the last reference to a store go its holds: a host program need not close anything."""
    tree = DirectoryStore(tmp_path / "store").tree(small_slug(tmp_path))

    assert DirectoryStore(tmp_path / "store").gc(max_age=0).trees == 1
    assert not tree.exists()


def test_a_damaged_tree_that_was_replaced_is_let_go(store: DirectoryStore, tmp_path: Path) -> None:
    """A process that got a tree again, for the first was damaged, holds the one that it has now and no other."""
    slug = small_slug(tmp_path)
    first = store.tree(slug)
    (first / "name").write_text("???")
    assert len(store.verify()) == 1
    open_before = len(list(Path("/proc/self/fd").iterdir()))

    assert (store.tree(slug) / "name").read_text() == "app"
    assert len(list(Path("/proc/self/fd").iterdir())) == open_before
    assert store.gc(max_age=0, max_size=0).trees == 0


def test_releases_that_share_are_counted_once(store: DirectoryStore, releases: tuple[Slug, Slug]) -> None:
    """max_size is of bytes on the disk: what two trees share counts once, and is freed when the last of them goes."""
    old, new = map(store.tree, releases)
    store.release()
    both, one = _bytes_of(old, new), _bytes_of(new)
    age(store.root / "records" / old.name, 1)
    assert both < one + 2 * MIB

    assert store.gc(max_size=both) == Collected()
    assert store.gc(max_size=both - 1) == Collected(trees=1, size=both - one)
    assert (old.exists(), new.exists()) == (False, True)
    assert store.gc(max_size=one - 1) == Collected(trees=1, size=one)


def test_a_held_tree_takes_its_room(tmp_path: Path) -> None:
    """What may not go counts as well: for it, something else goes that would fit by itself."""
    store, user = DirectoryStore(tmp_path / "store"), DirectoryStore(tmp_path / "store")
    held = user.tree(small_slug(tmp_path, "held", noise=_noise(1, 5000)))
    store.tree(small_slug(tmp_path, "free"))
    store.release()

    assert store.gc(max_size=4000).trees == 1
    assert [path.name for path in (store.root / "unpacked").iterdir()] == [held.name]


def test_what_a_held_tree_shares_is_not_freed(tmp_path: Path, releases: tuple[Slug, Slug]) -> None:
    """A tree that goes while another with the same files is held frees only its own; the held one counts as used."""
    store, user = DirectoryStore(tmp_path / "store"), DirectoryStore(tmp_path / "store")
    old = user.tree(releases[0])
    new = store.tree(releases[1])
    store.release()
    age(store.root / "records" / old.name, 90)
    own = _bytes_of(old, new) - _bytes_of(old)

    assert store.gc(max_age=0) == Collected(trees=1, size=own)
    assert (old.exists(), new.exists()) == (True, False)


def test_tagged_slugs_stay(store: DirectoryStore, tmp_path: Path) -> None:
    """A slug with a tag stays, whatever its age and the size of the store; without one it goes, with its documents."""
    kept = store.put(small_slug(tmp_path, "kept"), "shop:v2", {SBOM_TYPE: SBOM})
    gone = store.put(small_slug(tmp_path, "gone"), "shop:v1", {SBOM_TYPE: SBOM, PROVENANCE_TYPE: b"{}"})
    for path in (store.root / "blobs/sha256").iterdir():
        age(path, 90)
    assert store.gc(max_age=0, max_size=0) == Collected()
    store.untag("shop:v1")

    found = store.gc()
    assert (found.slugs, found.trees) == (1, 0)
    assert store.slugs() == (kept,)
    assert len(checked_layout(store.root)) == 2
    assert not blob_path(store, gone.digest).exists()
    assert not blob_path(store, gone.referrers[PROVENANCE_TYPE]).exists() or gone.referrers[PROVENANCE_TYPE] == EMPTY
    assert blob_path(store, kept.referrers[SBOM_TYPE]).read_bytes() == SBOM


EMPTY = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_what_refers_to_a_referrer_goes_too(store: DirectoryStore, tmp_path: Path) -> None:
    """A signature of the SBOM of a slug, by another tool, goes with the slug; one of another image stays."""
    store.put(small_slug(tmp_path), referrers={SBOM_TYPE: SBOM})
    _, about = index_of(store)["manifests"]
    image = put_image(store)
    signatures = [put_image(store, 2, artifactType="application/x-sig", subject=subject) for subject in (about, image)]
    write_index(store, signatures[0], *index_of(store)["manifests"], image, signatures[1])
    store.gc(max_age=0)

    assert index_of(store)["manifests"] == [image, signatures[1]]
    assert not blob_path(store, signatures[0]["digest"]).exists()
    assert blob_path(store, signatures[1]["digest"]).exists()


def test_slugs_go_by_age(store: DirectoryStore, tmp_path: Path) -> None:
    """A slug without a tag that nobody put or opened for max_age goes; one that was opened lately stays."""
    slugs = [small_slug(tmp_path, name) for name in ("unused", "opened", "put")]
    stored = [store.put(slug) for slug in slugs]
    for one in stored:
        age(blob_path(store, one.digest), 90)
    store.open(stored[1].digest)
    store.put(slugs[2])

    assert store.gc().slugs == 1
    assert store.slugs() == tuple(stored[1:])


def test_slugs_go_by_size(store: DirectoryStore, tmp_path: Path) -> None:
    """Beyond max_size goes what was used longest ago, at once and with all its blobs, and no more than must."""
    stored = [store.put(small_slug(tmp_path, name, noise=_noise(1, 50_000))) for name in ("old", "middle", "new")]
    for days, one in zip((3, 2, 1), stored, strict=True):
        age(blob_path(store, one.digest), days)
    size = sum(path.stat().st_size for path in (store.root / "blobs/sha256").iterdir())
    assert store.gc(max_size=size) == Collected()

    found = store.gc(max_size=size - 1)
    assert (found.slugs, found.blobs) == (1, 3)
    assert found.size > 50_000
    assert store.slugs() == tuple(stored[1:])
    assert store.verify() == ()
    checked_layout(store.root)


def test_a_slug_that_lost_its_blob_can_go(store: DirectoryStore, tmp_path: Path) -> None:
    """A slug without a tag whose file is gone is not listed for ever."""
    stored = store.put(small_slug(tmp_path))
    blob_path(store, stored.digest).unlink()

    assert store.gc().slugs == 1
    assert store.slugs() == ()


def test_blobs_of_nobody_go_when_they_are_old(store: DirectoryStore, tmp_path: Path) -> None:
    """A blob that no manifest needs stays for an hour: other tools write it before they write the index."""
    store.put(small_slug(tmp_path), "shop:v1")
    new, old = (blob_path(store, put_blob(store, data)["digest"]) for data in (b"new", b"old!"))
    partial = store.root / "blobs/sha256" / "0123abc.partial"
    partial.write_bytes(b"half")
    age(old, 0.1)
    age(partial, 0.1)

    assert store.gc() == Collected(blobs=2, size=8)
    assert (new.exists(), old.exists(), partial.exists()) == (True, False, False)
    assert store.verify() == ()


@pytest.mark.parametrize("harm", [os.unlink, lambda path: flip(path, 200)], ids=["gone", "flipped"])
def test_a_damaged_manifest_costs_no_slug(store: DirectoryStore, tmp_path: Path, harm: Callable[[Path], None]) -> None:
    """While a manifest is damaged, nobody knows what it needs: no blob is taken for nobody's."""
    stored = store.put(small_slug(tmp_path), "shop:v1")
    for path in (store.root / "blobs/sha256").iterdir():
        age(path, 90)
    harm(blob_path(store, stored.manifest))

    assert store.gc(max_age=0, max_size=0) == Collected()
    assert Slug.open(blob_path(store, stored.digest)).digest == stored.digest


def test_leftovers_go(store: DirectoryStore, tmp_path: Path) -> None:
    """What the dead left goes at once; what was put into quarantine stays as long as a tree that nobody uses."""
    slug = small_slug(tmp_path)
    tree = store.tree(slug)
    (tree / "name").unlink()
    store.verify()
    (store.root / "staging/dead/tree").mkdir(parents=True)
    quarantine = store.root / "quarantine"

    assert store.gc() == Collected(leftovers=1)
    assert len(list(quarantine.iterdir())) == 1
    time.sleep(0.01)  # its time is the kernel's coarse one
    assert store.gc(max_age=0) == Collected(leftovers=1)
    assert list(quarantine.iterdir()) == []


def test_what_is_told_of_trees_that_are_gone_goes(store: DirectoryStore, tmp_path: Path) -> None:
    """Records and names of a tree that somebody removed by hand do not pile up."""
    tree = store.tree(small_slug(tmp_path))
    shutil.rmtree(tree)
    store.gc()

    assert list((store.root / "records").iterdir()) == []
    assert list((store.root / "digests").iterdir()) == []


# --- what verify finds -----------------------------------------------------------------------------------------


def _flip_file(tree: Path) -> None:
    flip(tree / "lib/a", 5)


def _add(tree: Path) -> None:
    (tree / "lib/more").write_bytes(b"")


def _add_to_mount_point(tree: Path) -> None:
    (tree / "tmp/x").write_text("x")


def _remove(tree: Path) -> None:
    (tree / "lib/a").unlink()


def _retarget(tree: Path) -> None:
    (tree / "link").unlink()
    (tree / "link").symlink_to("lib/b")


def _set_mode(tree: Path) -> None:
    (tree / "lib/a").chmod(0o755)


def _set_directory_mode(tree: Path) -> None:
    (tree / "lib").chmod(0o700)


def _rename(tree: Path) -> None:
    (tree / "lib/a").rename(tree / "lib/c")


def _swap(tree: Path) -> None:
    (tree / "lib/a").rename(tree / "lib/c")
    (tree / "lib/b").rename(tree / "lib/a")
    (tree / "lib/c").rename(tree / "lib/b")


def _make_fifo(tree: Path) -> None:
    (tree / "lib/empty").unlink()
    os.mkfifo(tree / "lib/empty")


def _remove_mount_point(tree: Path) -> None:
    (tree / "log").rmdir()


def _lose_record(tree: Path) -> None:
    (tree.parent.parent / "records" / tree.name).unlink()


def _cut_record(tree: Path) -> None:
    os.truncate(tree.parent.parent / "records" / tree.name, 30)


def _flip_record(tree: Path) -> None:
    record = tree.parent.parent / "records" / tree.name
    flip(record, record.stat().st_size // 2)


HARM = [
    *(_flip_file, _add, _add_to_mount_point, _remove, _retarget, _set_mode, _set_directory_mode, _rename, _swap),
    *(_make_fifo, _remove_mount_point, _lose_record, _cut_record, _flip_record),
]


@pytest.fixture
def app(tmp_path: Path) -> Slug:
    """Return a slug with two files of one size, an empty one and a link."""
    root = tmp_path / "app/tree"
    root.mkdir(parents=True)
    (root / "link").symlink_to("lib/a")
    return make_slug(
        tmp_path / "app", {"lib/a": "a" * 99, "lib/b": "b" * 99, "lib/empty": "", "run": "#!"}, web="./run"
    )


@pytest.mark.parametrize("harm", HARM)
def test_a_tree_that_changed_is_found(
    store: DirectoryStore, app: Slug, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    """Whatever changed in a tree, or in its record, verify says so; the tree is in quarantine and made again."""
    other = store.tree(small_slug(tmp_path, "other"))
    tree = store.tree(app)
    assert store.verify() == ()
    harm(tree)
    [damage] = store.verify()

    assert damage.path.parent == store.root / "quarantine"
    assert damage.path.name.startswith(tree.name)
    assert damage.path.is_dir()
    assert damage.reason
    assert (tree.exists(), other.exists()) == (False, True)
    assert store.verify() == ()
    assert store.tree(app) == tree
    _assert_fresh(tree, app, tmp_path / "fresh")
    assert store.verify() == ()


def test_a_changed_tree_of_a_slug_without_an_index_is_found(store: DirectoryStore, app: Slug, tmp_path: Path) -> None:
    """A slug that another tool packed is verified as well: by the digest of its tree."""
    app.unpack(tmp_path / "bare")
    shutil.make_archive(str(tmp_path / "bare"), "gztar", tmp_path / "bare")
    bare = Slug.open(tmp_path / "bare.tar.gz")
    tree = store.tree(bare)
    assert store.verify() == ()
    _flip_file(tree)

    assert [damage.reason for damage in store.verify()] == ["its files are not what they were"]
    assert (store.tree(bare) / "lib/a").read_text() == "a" * 99


def test_a_bit_in_a_shared_file_damages_both_releases(
    store: DirectoryStore, releases: tuple[Slug, Slug], tmp_path: Path
) -> None:
    """A file that two releases share is damaged in both: both are told, put away and made again."""
    trees = [store.tree(slug) for slug in releases]
    flip(trees[0] / "lib/large", 12 * MIB)

    assert sorted(damage.path.name[:64] for damage in store.verify()) == sorted(tree.name for tree in trees)
    for number, slug in enumerate(releases):
        _assert_fresh(store.tree(slug), slug, tmp_path / str(number))
    assert store.verify() == ()


@pytest.mark.parametrize("harm", ["flipped", "cut", "gone", "emptied"])
def test_a_blob_that_changed_is_found(store: DirectoryStore, tmp_path: Path, harm: str) -> None:
    """Any blob that changed or is gone - layer, config, manifest, document - is told; putting it again heals it."""
    slug = small_slug(tmp_path)
    store.put(slug, "shop:v1", {SBOM_TYPE: SBOM})
    for path in sorted((store.root / "blobs/sha256").iterdir()):
        if harm == "gone":
            path.unlink()
        elif harm == "flipped":
            flip(path, 0)
        else:
            os.truncate(path, 0 if harm == "emptied" else path.stat().st_size - 1)
        [damage, *more] = store.verify()

        # Of what a manifest that is gone listed, nothing is known any more.
        assert more == []
        moved = store.root / "quarantine"
        assert damage.path == path if harm == "gone" else damage.path.parent == moved
        assert damage.path.name.startswith(path.name)
        assert not path.exists()
        store.put(slug, "shop:v1", {SBOM_TYPE: SBOM})
        assert store.verify() == ()
        checked_layout(store.root)


def test_all_damage_is_found_at_once(store: DirectoryStore, tmp_path: Path, app: Slug) -> None:
    """Verify does not stop at the first: manifest, layer and tree are all told."""
    store.put(app, "shop:v1")
    tree = store.tree(app)
    for path in (store.root / "blobs/sha256").iterdir():
        flip(path, 0)
    _flip_file(tree)

    assert len(store.verify()) == 4
    assert store.slugs() == ()
    store.put(app, "shop:v1")
    assert store.find("shop:v1").unpacked is False
    _assert_fresh(store.tree(store.open("shop:v1")), app, tmp_path / "fresh")


# --- many threads of one process -------------------------------------------------------------------------------


def test_threads_share_a_store(store: DirectoryStore, tmp_path: Path) -> None:
    """Threads that put, tag, unpack, list, verify and collect at once lose nothing of each other's."""
    slugs = [small_slug(tmp_path, f"app{number}") for number in range(6)]
    errors, done = list[BaseException](), list[StoredSlug]()

    def work(number: int) -> None:
        try:
            for turn in range(5):
                stored = store.put(slugs[number], f"app{number}:{turn}", {SBOM_TYPE: b"%d" % number})
                store.tag(stored.digest, "newest")
                tree = store.tree(slugs[(number + turn) % 6])
                assert (tree / "name").read_text() == f"app{(number + turn) % 6}"
                store.untag(f"app{number}:{turn - 1}") if turn else store.slugs()
                store.gc()
            done.append(stored)
        except BaseException as error:  # noqa: BLE001 - told below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert len(done) == 6
    tags = {tag for one in store.slugs() for tag in one.tags}
    assert tags == {"newest", *(f"app{number}:4" for number in range(6))}
    assert len(store.slugs()) == 6
    assert store.verify() == ()
    assert store.gc(max_age=0, max_size=0) == Collected()
    checked_layout(store.root)


def test_threads_that_want_one_tree_get_one(store: DirectoryStore, releases: tuple[Slug, Slug]) -> None:
    """Eight threads that need a slug at the same moment get the same tree, which is made once."""
    trees: list[Path] = []
    start = threading.Barrier(8)

    def use() -> None:
        start.wait()
        trees.append(store.tree(Slug.open(releases[0].path)))

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(trees) == 8
    assert len(set(trees)) == 1
    assert len(list((store.root / "unpacked").iterdir())) == 1
    assert list((store.root / "staging").iterdir()) == []
