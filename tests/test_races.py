"""Many at once on one store: nobody sees what is half made, and nothing goes away under who uses it."""

import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from slugkit._tree import snapshot
from slugkit.archive import Slug, pack
from slugkit.archive._staged import staged
from slugkit.errors import SlugNotFoundError
from slugkit.slug import Manifest
from slugkit.store import DirectoryStore, _directory, _staging, _trees, _verify
from slugkit.testing import write_tree
from support import Files

LARGE = 1_150_000  # bytes: a segment of its own, which releases share
ONE: Files = {"Procfile": "web: ./run", "a.bin": "a" * LARGE, "lib/b.bin": "b" * LARGE, "run": "one"}
RELEASES: dict[str, Files] = {
    "one": ONE,
    "two": {**ONE, "run": "two", "lib/new": "new"},
    "three": {**ONE, "a.bin": "c" * LARGE, "run": "three"},
}
TAGS = ("app:latest", "app:stable", "app:v1")


@pytest.fixture
def slugs(tmp_path: Path) -> dict[str, Slug]:
    """Return three releases of an app."""
    found = {}
    for name, files in RELEASES.items():
        write_tree(tmp_path / name, files)
        pack(tmp_path / name, Manifest(), tmp_path / f"{name}.tgz")
        found[name] = Slug.open(tmp_path / f"{name}.tgz")
        (tmp_path / f"{name}.json").write_text(
            json.dumps(snapshot(tmp_path / name) | {"log": "directory", "tmp": "directory"})
        )
    return found


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    """Return an empty store."""
    return DirectoryStore(tmp_path / "store")


# --- a crowd ---------------------------------------------------------------------------------------------------


def crowd(directory: Path, seed: int, rounds: int, kills: int) -> None:
    """Let eight processes use the store in *directory*, kill some in the middle, and have others take their places."""
    chance = random.Random(seed)
    living = {_user(directory, f"{seed}-{number}", rounds): number for number in range(8)}
    for kill in range(kills):
        time.sleep(chance.random() * 0.3)
        victim = chance.choice(list(living))
        os.kill(victim, signal.SIGKILL)
        os.waitpid(victim, 0)
        del living[victim]
        living[_user(directory, f"{seed}-again-{kill}", rounds)] = kill
    for pid in living:
        os.waitpid(pid, 0)


def _user(directory: Path, seed: str, rounds: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        _use(directory, random.Random(seed), rounds)
    except BaseException:  # noqa: BLE001 - told by the test
        (directory / f"{os.getpid()}.error").write_text(traceback.format_exc())
    os._exit(0)


def _use(directory: Path, chance: random.Random, rounds: int) -> None:
    """Do *rounds* things that one may do with a store, and look at what is in use after each."""
    store = DirectoryStore(directory / "store")
    slugs = {name: Slug.open(directory / f"{name}.tgz") for name in RELEASES}
    expected = {name: json.loads((directory / f"{name}.json").read_bytes()) for name in RELEASES}
    digests = {slug.digest for slug in slugs.values()}
    in_use = dict[Path, str]()
    for _ in range(rounds):
        name, tag = chance.choice(list(RELEASES)), chance.choice(TAGS)
        match chance.randrange(4):
            case 0:
                in_use[store.tree(slugs[name])] = name
            case 1 if chance.random() < 0.3:
                store.release()
                in_use.clear()
            case _:
                _act(store, slugs[name], tag, chance)
        assert {one.digest for one in store.slugs()} <= digests
        for tree, made_of in in_use.items():
            assert snapshot(tree) == expected[made_of]


def _act(store: DirectoryStore, slug: Slug, tag: str, chance: random.Random) -> None:
    match chance.randrange(7):
        case 0 | 1:
            assert store.put(slug, chance.choice([tag, None])).digest == slug.digest
        case 2:
            _unless_gone(lambda: store.tag(slug.digest, tag))
        case 3:
            _unless_gone(lambda: store.untag(tag))
        case 4:
            _unless_gone(lambda: store.open(tag).verify())
        case 5:
            store.gc(max_age=chance.choice([0, 3600]), max_size=chance.choice([None, 5000]))
        case _:
            assert store.verify() == ()


def _unless_gone(work: Callable[[], object]) -> None:
    """Do *work*; that there is no such slug is no surprise here."""
    with suppress(SlugNotFoundError):
        work()


def _crowded(directory: Path, store: DirectoryStore, slugs: dict[str, Slug], *, rounds: int, kills: int) -> None:
    seed = random.randrange(2**32)
    script = (
        f"import test_races, pathlib; test_races.crowd(pathlib.Path({str(directory)!r}), {seed}, {rounds}, {kills})"
    )
    subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parent, check=True, timeout=170)

    assert [path.read_text() for path in directory.glob("*.error")] == [], seed
    assert store.verify() == ()
    for one in store.slugs():
        for tag in one.tags:
            assert store.open(tag).digest == one.digest
    for name, slug in slugs.items():
        assert snapshot(store.tree(slug)) == json.loads((directory / f"{name}.json").read_bytes())
    store.gc(max_age=0)
    assert list((store.root / "staging").iterdir()) == []
    store.release()
    store.gc(max_age=0)
    for left in ("staging", "unpacked", "records", "digests", "quarantine"):
        assert not (store.root / left).exists() or list((store.root / left).iterdir()) == []


def test_a_crowd_on_one_store(tmp_path: Path, store: DirectoryStore, slugs: dict[str, Slug]) -> None:
    """Eight processes do all that one may do at once, some are killed: no error, no damage, nothing is left."""
    _crowded(tmp_path, store, slugs, rounds=30, kills=12)


@pytest.mark.slow
@pytest.mark.parametrize("again", range(4))
def test_a_crowd_for_long(tmp_path: Path, store: DirectoryStore, slugs: dict[str, Slug], again: int) -> None:
    """The same, for longer: whatever they meet in, no error, no damage, nothing is left."""
    _crowded(tmp_path, store, slugs, rounds=120 + again, kills=60)


# --- two at once, at the worst moment --------------------------------------------------------------------------


def _at_once(patch: pytest.MonkeyPatch, where: object, name: str, meanwhile: Callable[[], object]) -> None:
    """Have *meanwhile* done before the first call of the function *name* of *where*."""
    genuine: Callable[..., Any] = getattr(where, name)
    first = iter([meanwhile])

    def call(*arguments: Any, **settings: Any) -> Any:  # noqa: ANN401 - whatever it takes and returns
        for before in first:
            before()
        return genuine(*arguments, **settings)

    patch.setattr(where, name, call)


def test_who_waited_for_a_lock_looks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector whose lock is on what was there before leaves what is there now: it is someone else's."""
    dead = tmp_path / "dead"
    dead.mkdir()

    def replace() -> None:
        dead.rename(tmp_path.parent / "elsewhere")
        write_tree(dead, {"half": "made"})

    _at_once(monkeypatch, fcntl, "flock", replace)
    assert _staging.collect(tmp_path) == 0

    assert (dead / "half").read_text() == "made"
    assert _staging.collect(tmp_path) == 1
    shutil.rmtree(tmp_path.parent / "elsewhere")


def test_a_living_ones_directory_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who unpacks to the same directory collects what the dead have left there after a while, and no more than that."""
    target, now, dead = tmp_path / "out", tmp_path / ".out.00000000.partial", tmp_path / ".out.11111111.partial"
    now.mkdir()
    with staged(target) as living:
        (living / "file").write_text("half")
        with staged(target):
            pass
        assert now.exists()
        write_tree(dead, {"a/b": "half"})
        monkeypatch.setattr("slugkit._whole._STALE", -1.0)
        target.rmdir()
        with staged(target):
            assert (living / "file").read_text() == "half"

    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (target / "file").read_text() == "half"


def test_what_cannot_be_removed_holds_up_nobody(
    store: DirectoryStore, slugs: dict[str, Slug], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A staging directory that cannot be removed is no error, is not locked for ever, and goes later."""
    with monkeypatch.context() as patch:
        patch.setattr(_staging, "remove_tree", _says_no)
        tree = store.tree(slugs["one"])
        stored = store.put(slugs["one"])
    assert len(list((store.root / "staging").iterdir())) == 2
    shutil.rmtree(tree)

    assert (store.tree(slugs["one"]) / "run").read_text() == "one"
    assert store.find(stored.digest) == stored
    assert list((store.root / "staging").iterdir()) == []


def _says_no(path: Path) -> None:
    if path.exists():
        raise OSError(5, "Input/output error", str(path))


def test_a_tree_that_two_find_damaged_is_made_once(
    store: DirectoryStore, slugs: dict[str, Slug], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes that see the same damage put that tree into quarantine, and not the whole one of the other."""
    other = DirectoryStore(store.root)
    (DirectoryStore(store.root).tree(slugs["one"]) / "run").unlink()
    _at_once(monkeypatch, _trees.Trees, "quarantine", lambda: other.tree(slugs["one"]))
    before = store.tree(slugs["one"])

    assert [path.name[:64] for path in (store.root / "quarantine").iterdir()] == [before.name]
    assert before.stat().st_ino == other.tree(slugs["one"]).stat().st_ino
    assert (before / "run").read_text() == "one"


def test_two_files_of_one_tree_at_once(
    store: DirectoryStore, slugs: dict[str, Slug], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two files with the same tree that are unpacked at once, the second one finds the tree of the first."""
    again = store.root.parent / "again.tgz"
    tar = subprocess.run(["gzip", "-dc", str(slugs["one"].path)], check=True, capture_output=True).stdout
    again.write_bytes(subprocess.run(["gzip", "-nc"], input=tar, check=True, capture_output=True).stdout)
    plain = again.with_name("plain.tgz")
    plain.write_bytes(subprocess.run(["gzip", "-1nc"], input=tar, check=True, capture_output=True).stdout)
    other = DirectoryStore(store.root)
    _at_once(monkeypatch, _trees, "sync", lambda: other.tree(Slug.open(again)))

    tree = store.tree(Slug.open(plain))
    assert tree == other.tree(Slug.open(again))
    assert len(list((store.root / "unpacked").iterdir())) == 1
    assert len(list((store.root / "digests").iterdir())) == 2


@pytest.mark.parametrize("moment", [(_verify, "file_digest"), (_verify, "_changed"), (_trees.Trees, "used")])
def test_what_is_collected_is_no_damage(
    store: DirectoryStore, slugs: dict[str, Slug], monkeypatch: pytest.MonkeyPatch, moment: tuple[object, str]
) -> None:
    """Slugs and trees that gc takes away while they are verified are not damaged."""
    other = DirectoryStore(store.root)
    for slug in slugs.values():
        other.put(slug)
        other.tree(slug)
    other.release()
    _at_once(monkeypatch, *moment, lambda: other.gc(max_age=0))

    assert store.verify() == ()
    assert store.slugs() == ()


def test_a_blob_that_two_find_damaged_is_put_again(
    store: DirectoryStore, slugs: dict[str, Slug], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged slug that someone puts again while it is verified stays."""
    stored = store.put(slugs["one"], tag="app:v1")
    os.truncate(store.root / "blobs/sha256" / stored.digest[7:], 100)
    other = DirectoryStore(store.root)
    _at_once(monkeypatch, _trees.Trees, "quarantine", lambda: other.put(slugs["one"]))

    assert store.verify() == ()
    store.open("app:v1").verify()


def test_put_says_what_it_stored(
    store: DirectoryStore, slugs: dict[str, Slug], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slug without a tag that is collected as soon as it is there was stored all the same; so was a tag."""
    other = DirectoryStore(store.root)
    synced: list[Path] = []

    def sync(directory: Path) -> None:
        synced.append(directory)
        if directory == store.root:
            other.gc(max_age=0)

    with monkeypatch.context() as patch:
        patch.setattr(_directory, "sync", sync)
        assert store.put(slugs["one"]).digest == slugs["one"].digest
    assert store.slugs() == ()
    store.put(slugs["one"], tag="app:v1")
    assert store.tag("app:v1", "app:latest").tags == ("app:latest", "app:v1")


_FORK = """
import os, sys
from slugkit.archive import Slug
from slugkit.store import DirectoryStore
store = DirectoryStore(sys.argv[2])
tree = store.tree(Slug.open(sys.argv[1]))
pid = os.fork()
if pid == 0:
    store.release() if sys.argv[3] == "release" else None
    sys.exit()
os.waitpid(pid, 0)
print(DirectoryStore(sys.argv[2]).gc(max_age=0).trees, tree.exists())
store.release()
print(DirectoryStore(sys.argv[2]).gc(max_age=0).trees, tree.exists())
"""


@pytest.mark.parametrize("end", ["exit", "release"])
def test_the_end_of_a_fork_releases_nothing(store: DirectoryStore, slugs: dict[str, Slug], end: str) -> None:
    """What a forked process of the host program does when it ends leaves the host's trees to it."""
    command = [sys.executable, "-c", _FORK, str(slugs["one"].path), str(store.root), end]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert told == "0 True\n1 False\n"


def test_two_collect_what_is_in_quarantine(
    store: DirectoryStore, slugs: dict[str, Slug], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two collectors do not stumble over each other's removing."""
    store.put(slugs["one"], tag="app:v1")
    write_tree(store.root, {"quarantine/tree/a/b": "damaged", "staging/dead/a/b": "half"})
    other = DirectoryStore(store.root)
    _at_once(monkeypatch, _staging, "remove_tree", lambda: other.gc(max_age=0))

    store.gc(max_age=0)
    assert list((store.root / "quarantine").iterdir()) == []
    assert list((store.root / "staging").iterdir()) == []


def test_what_cannot_be_read_is_not_collected(
    store: DirectoryStore, slugs: dict[str, Slug], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A manifest that the disk does not give keeps what it lists: gc is one error, and removes nothing."""
    stored = store.put(slugs["one"], tag="app:v1")
    before = sorted((store.root / "blobs/sha256").iterdir())
    genuine = Path.open

    def refuse(path: Path, *arguments: Any, **settings: Any) -> Any:  # noqa: ANN401 - whatever open has
        if path.name == stored.manifest[7:]:
            raise OSError(5, "Input/output error", str(path))
        return genuine(path, *arguments, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        with pytest.raises(OSError, match="Input/output error") as caught:
            store.gc(max_age=0)
        assert getattr(caught.value, "code", "") == "output.failed"
    assert sorted((store.root / "blobs/sha256").iterdir()) == before
