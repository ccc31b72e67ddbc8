"""Whatever dies and whatever the disk says: the old state or the new one, never half, and nothing is left."""

import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from faults import CHANGING, READING, Call, Faults, Work, faults
from slugkit._tree import snapshot
from slugkit.archive import Slug, pack
from slugkit.errors import OutputError
from slugkit.slug import Manifest
from slugkit.store import DirectoryStore
from slugkit.testing import write_tree
from support import Files, as_nobody

LARGE = 1_150_000  # bytes: a segment of its own
SBOM = {"application/vnd.cyclonedx+json": b'{"bomFormat":"CycloneDX"}'}
ONE: Files = {"Procfile": "web: ./run", "a.bin": "a" * LARGE, "lib/b.bin": "b" * LARGE, "run": "#!/bin/sh\n"}
TWO: Files = {**ONE, "run": "#!/bin/sh\nexec true\n", "lib/new": "new"}
LITTER = ("dead", "empty")
TREES: dict[str, Files] = {"one": ONE, "two": TWO, "plain": {"run": "plain", "lib/deep/x": "x"}}


# --- the works -------------------------------------------------------------------------------------------------


def _slug(directory: Path, name: str) -> Slug:
    return Slug.open(directory / f"{name}.tgz")


def _store(directory: Path) -> DirectoryStore:
    return DirectoryStore(directory / "store")


def _pack(directory: Path, cache: str | None = None) -> str:
    cached = directory / cache if cache else None
    return pack(directory / "two", Manifest(), directory / "out.tgz", cache=cached).digest


def _unpack(directory: Path, name: str) -> None:
    _slug(directory, name).unpack(directory / "out")


def _tree(directory: Path, name: str) -> str:
    return _store(directory).tree(_slug(directory, name)).name


def _put(directory: Path) -> str:
    return _store(directory).put(_slug(directory, "two"), tag="app:latest", referrers=SBOM).digest


def _gc(directory: Path) -> str:
    store = _store(directory)
    return str(store.gc(max_age=0))


WORKS: dict[str, Work] = {
    "pack": _pack,
    "pack with a cache": lambda directory: _pack(directory, "cache"),
    "unpack": lambda directory: _unpack(directory, "two"),
    "unpack a stream": lambda directory: _unpack(directory, "plain"),
    "tree": lambda directory: _tree(directory, "two"),
    "tree of a stream": lambda directory: _tree(directory, "plain"),
    "put": _put,
    "tag": lambda directory: _store(directory).tag(_slug(directory, "one").digest, "app:latest").digest,
    "untag": lambda directory: _store(directory).untag("app:v1"),
    "gc": _gc,
    "verify": lambda directory: _store(directory).verify(),
}


# --- where they start, and what may come of them ---------------------------------------------------------------


def _sources(directory: Path) -> None:
    """Make the slugs "one", "two" and "plain", which has no index, and what "two" is packed from, in *directory*."""
    for name, files in TREES.items():
        write_tree(directory / name, files)
        (directory / name / "link").symlink_to("run")
        pack(directory / name, Manifest(), directory / f"{name}.tgz")
        if name != "two":
            shutil.rmtree(directory / name)
    tar = subprocess.run(["gzip", "-dc", str(directory / "plain.tgz")], check=True, capture_output=True).stdout
    plain = subprocess.run(["gzip", "-nc"], input=tar, check=True, capture_output=True).stdout
    (directory / "plain.tgz").write_bytes(plain)


def _over_a_slug(directory: Path) -> None:
    shutil.copyfile(directory / "one.tgz", directory / "out.tgz")
    (directory / "before").touch()


def _with_a_cache(directory: Path) -> None:
    """Have a cache that knows the segments of another release."""
    _over_a_slug(directory)
    _slug(directory, "one").unpack(directory / "one")
    pack(directory / "one", Manifest(), directory / "other.tgz", cache=directory / "cache")


def _unpacked(directory: Path, *names: str) -> None:
    for name in names:
        _tree(directory, name)


def _damaged(directory: Path) -> None:
    """Have a tree that lost a file."""
    (_store(directory).tree(_slug(directory, "two")) / "run").unlink()
    (directory / "damaged").touch()


def _stored(directory: Path) -> None:
    """Have two releases, the first one tagged app:v1 and app:latest."""
    store = _store(directory)
    store.put(_slug(directory, "plain"))
    store.put(_slug(directory, "one"), tag="app:v1", referrers=SBOM)
    store.tag("app:v1", "app:latest")


def _tagged(directory: Path) -> None:
    """Have two releases, the second one tagged app:latest."""
    _stored(directory)
    _put(directory)


def _littered(directory: Path) -> None:
    """Have something of every kind that is collected."""
    _stored(directory)
    store = _store(directory)
    store.put(_slug(directory, "two"), referrers=SBOM)
    _unpacked(directory, "one", "two")
    write_tree(
        store.root,
        {f"staging/{LITTER[0]}/tree/a/b": "half", "quarantine/bad/c/d": "damaged", f"staging/{LITTER[1]}/": ""},
    )
    (store.root / "blobs/sha256" / hashlib.sha256(b"orphan").hexdigest()).write_bytes(b"orphan")


def _damaged_in_all_ways(directory: Path) -> None:
    """Have a blob that was cut, and a tree with other contents."""
    _stored(directory)
    store = _store(directory)
    os.truncate(store.root / "blobs/sha256" / store.find("app:v1").digest[7:], 100)
    (store.tree(_slug(directory, "two")) / "run").write_text("#!/bin/sh\nexec fals\n")


Check = Callable[[Path, "Reference"], bool]


@frozen
class Reference:
    """What the slugs and their trees are by themselves: made once, without any store."""

    digests: Mapping[str, str]
    trees: Mapping[str, dict[str, str]]
    identities: Mapping[str, str]

    @classmethod
    def of(cls, directory: Path) -> "Reference":
        """Return that of the slugs in *directory*."""
        trees, digests, identities = {}, {}, {}
        (directory / "reference").mkdir()
        for name in TREES:
            slug = _slug(directory, name)
            slug.unpack(directory / "reference" / name)
            trees[name] = snapshot(directory / "reference" / name) | {"log": "directory", "tmp": "directory"}
            digests[name] = slug.digest
            identities[_identity(slug)] = name
        shutil.rmtree(directory / "reference")
        return cls(digests, trees, identities)


def _identity(slug: Slug) -> str:
    """Return what the tree of *slug* is called: by its index, or by its diff_id when it has none at its end."""
    if slug.path.name == "plain.tgz":
        return slug.diff_id.removeprefix("sha256:")
    with tarfile.open(slug.path) as archive:
        index = archive.extractfile("./.slugkit/index.json")
        assert index is not None
        return hashlib.sha256(index.read()).hexdigest()


def _check_output(directory: Path, reference: Reference) -> bool:
    """A slug at the output is whole, and the old or the new one; there is one if there was."""
    if not (directory / "out.tgz").exists():
        assert not (directory / "before").exists()
        return False
    slug = _slug(directory, "out")
    slug.verify()
    if (directory / "before").exists() and slug.digest == reference.digests["one"]:
        return False
    assert slug.digest == reference.digests["two"]
    return True


def _check_unpacked(name: str) -> Check:
    def check(directory: Path, reference: Reference) -> bool:
        """The directory is not there, or has everything."""
        if not (directory / "out").exists():
            return False
        expected = {path: state for path, state in reference.trees[name].items() if path not in {"tmp", "log"}}
        assert snapshot(directory / "out") == expected
        return True

    return check


def _check_store(directory: Path, reference: Reference) -> None:
    """Every tree is right, every name names the right one, every blob is whole, and the index lists no other."""
    root = directory / "store"
    for tree in _listed(root / "unpacked"):
        expected = reference.trees[reference.identities[tree.name]]
        assert snapshot(tree) == expected or (directory / "damaged").exists()
    names = {digest: name for name, digest in reference.digests.items()}
    for name in _listed(root / "digests"):
        assert reference.identities[name.read_text()] == names[f"sha256:{name.name}"]
    for blob in _listed(root / "blobs/sha256"):
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    if (root / "index.json").exists():
        assert json.loads((root / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
        for one in _reachable(root, json.loads((root / "index.json").read_bytes())["manifests"]):
            assert (root / "blobs/sha256" / one["digest"][7:]).stat().st_size == one["size"]


def _listed(directory: Path) -> list[Path]:
    return sorted(directory.iterdir()) if directory.is_dir() else []


def _reachable(root: Path, descriptors: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for one in descriptors:
        yield one
        if one["mediaType"].endswith("manifest.v1+json"):
            document = json.loads((root / "blobs/sha256" / one["digest"][7:]).read_bytes())
            yield from [document["config"], *document["layers"]]


def _tags(directory: Path) -> dict[str, str]:
    """Return the digest of the slug that each tag names."""
    return {tag: one.digest for one in _store(directory).slugs() for tag in one.tags}


def _check_tree(name: str) -> Check:
    def check(directory: Path, reference: Reference) -> bool:
        _check_store(directory, reference)
        named = directory / "store/digests" / reference.digests[name][7:]
        tree = directory / "store/unpacked" / (named.read_text() if named.exists() else "none")
        return tree.is_dir() and snapshot(tree) == reference.trees[name]

    return check


def _check_tags(new: Mapping[str, str], old: Mapping[str, str]) -> Check:
    def check(directory: Path, reference: Reference) -> bool:
        _check_store(directory, reference)
        found = _tags(directory)
        spelled = [{tag: reference.digests[name] for tag, name in tags.items()} for tags in (new, old)]
        assert found in spelled
        return found == spelled[0]

    return check


def _check_put(old: Mapping[str, str]) -> Check:
    tags = _check_tags({**old, "app:latest": "two"}, old)

    def check(directory: Path, reference: Reference) -> bool:
        new = tags(directory, reference)
        if new:
            [stored] = [one for one in _store(directory).slugs() if "app:latest" in one.tags]
            assert list(stored.referrers) == list(SBOM)
        return new

    return check


def _check_gc(directory: Path, reference: Reference) -> bool:
    _check_store(directory, reference)
    assert _tags(directory) == {"app:v1": reference.digests["one"], "app:latest": reference.digests["one"]}
    return [one.digest for one in _store(directory).slugs()] == [reference.digests["one"]]


def _check_verified(directory: Path, reference: Reference) -> bool:
    """What is damaged is where it was, or in quarantine; nothing else ever is."""
    root = directory / "store"
    moved = {path.name.rpartition("-")[0] for path in _listed(root / "quarantine")}
    damaged = _damaged_names(reference)
    assert moved <= damaged
    left = {path.name for path in [*_listed(root / "blobs/sha256"), *_listed(root / "unpacked")]}
    assert damaged <= moved | left
    return moved == damaged


def _damaged_names(reference: Reference) -> set[str]:
    """Return what was damaged in all ways: the blob of the slug "one", and the tree of "two"."""
    return {reference.digests["one"][7:], *(key for key, name in reference.identities.items() if name == "two")}


@frozen
class Scenario:
    """A *work*, what it starts from, and what may come of it; ``check`` says whether that is the new state."""

    work: str
    prepare: Callable[[Path], object]
    check: Check


OLD = {"app:v1": "one", "app:latest": "one"}
SCENARIOS = {
    "pack": Scenario("pack", lambda _: None, _check_output),
    "pack over a slug": Scenario("pack", _over_a_slug, _check_output),
    "pack with a cache": Scenario("pack with a cache", _with_a_cache, _check_output),
    "unpack": Scenario("unpack", lambda _: None, _check_unpacked("two")),
    "unpack a stream": Scenario("unpack a stream", lambda _: None, _check_unpacked("plain")),
    "tree": Scenario("tree", lambda _: None, _check_tree("two")),
    "tree out of a base": Scenario("tree", lambda path: _unpacked(path, "one"), _check_tree("two")),
    "tree of a stream": Scenario("tree of a stream", lambda _: None, _check_tree("plain")),
    "tree that is damaged": Scenario("tree", _damaged, _check_tree("two")),
    "put": Scenario("put", lambda _: None, _check_put({})),
    "put that takes a tag": Scenario("put", _stored, _check_put(OLD)),
    "tag": Scenario("tag", _tagged, _check_tags(OLD, {**OLD, "app:latest": "two"})),
    "untag": Scenario("untag", _stored, _check_tags({"app:latest": "one"}, OLD)),
    "gc": Scenario("gc", _littered, _check_gc),
    "verify": Scenario("verify", _damaged_in_all_ways, _check_verified),
}


# --- faults at every call --------------------------------------------------------------------------------------

_VISIBLE = {"rename", "renameat", "renameat2", "link", "linkat", "fsync", "fdatasync", "syncfs"}
#: Calls that only ever make something. One that removes what is left cannot fail and have removed it.
_MAKING = {"write", "pwrite64", "sendfile", "copy_file_range", "link", "linkat", "mkdir", "mkdirat", "symlinkat"} | {
    *("utimensat", "fsync", "syncfs", "read", "pread64", "preadv2", "ftruncate", "symlink")
}


@frozen
class Bench:
    """Where faults happen: prepared starts in *directory*, each made once, and copies of them."""

    directory: Path
    faults: Faults
    reference: Reference

    def fresh(self, scenario: Scenario, name: str) -> Path:
        """Return a directory in the state from which *scenario*, called *name*, starts."""
        prepared, here = self.directory / "prepared" / name, self.directory / "here"
        if not prepared.exists():
            subprocess.run(["cp", "-a", str(self.directory / "sources"), str(prepared)], check=True)
            scenario.prepare(prepared)
        subprocess.run(["rm", "-rf", str(here)], check=True)
        subprocess.run(["cp", "-a", str(prepared), str(here)], check=True)
        return here


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """Yield a bench in memory, where that can be: no disk of this machine is waited for."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as temporary:
        directory = Path(temporary)
        for name in ("sources", "prepared"):
            (directory / name).mkdir()
        _sources(directory / "sources")
        with faults("test_faults", directory / "log") as server:
            yield Bench(directory, server, Reference.of(directory / "sources"))


def _points(calls: Iterable[Call], every: int) -> list[Call]:
    """Return each one of *every* of *calls*, and all that make something visible or lasting."""
    return [call for number, call in enumerate(calls) if number % every == 0 or call.name in _VISIBLE]


def _killed(bench: Bench, name: str, names: Collection[str], every: int) -> None:
    """Kill the work of the scenario *name* at its calls of *names*, or some of them, and look what came of it."""
    scenario = SCENARIOS[name]
    calls = bench.faults.trace(scenario.work, bench.fresh(scenario, name)).calls
    points = _points([call for call in calls if call.name in names], every)
    assert points
    for call in points:
        directory = bench.fresh(scenario, name)
        assert bench.faults.kill(scenario.work, directory, call).signal == signal.SIGKILL, call
        _goes_on(bench, scenario, directory, call)


def _goes_on(bench: Bench, scenario: Scenario, directory: Path, call: Call) -> None:
    """Assert that there is the old state or the new one, that it can be done again, and that nothing is left then."""
    try:
        if not scenario.check(directory, bench.reference):
            again = bench.faults.run(scenario.work, directory)
            assert not again.error, again.text
            assert scenario.check(directory, bench.reference)
        _nothing_left(bench, directory)
    except AssertionError as error:
        error.add_note(f"at {call}")
        raise


def _nothing_left(bench: Bench, directory: Path) -> None:
    """Assert that there is nothing in *directory* that nobody wants, once garbage was collected."""
    assert not [path for path in directory.rglob(".*") if "store" not in path.relative_to(directory).parts]
    if not (directory / "store").exists():
        return
    assert not bench.faults.run("gc", directory).error
    root = directory / "store"
    listed = json.loads((root / "index.json").read_bytes())["manifests"]
    for name in ("staging", "quarantine", "unpacked", "records", "digests"):
        assert _listed(root / name) == []
    wanted = {one["digest"][7:] for one in _reachable(root, listed)}
    assert {path.name for path in _listed(root / "blobs/sha256")} <= wanted
    assert {path.name for path in root.iterdir()} <= {
        *("staging", "quarantine", "unpacked", "records", "digests", "blobs", "index.json", "oci-layout", "lock")
    }


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_killed_process_leaves_the_old_state_or_the_new(bench: Bench, name: str) -> None:
    """SIGKILL where something changes (a sample): old or new, it can be done again, and nothing is left then."""
    _killed(bench, name, CHANGING, 12)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_process_may_be_killed_at_any_call(bench: Bench, name: str) -> None:
    """SIGKILL at every system call: old or new, it can be done again, and nothing is left then."""
    _killed(bench, name, CHANGING + READING, 1)


def _refused(bench: Bench, name: str, names: Collection[str], error: str, every: int) -> None:
    """Let the system answer *error* to calls of *names* in the scenario *name*, and look what came of it."""
    scenario = SCENARIOS[name]
    calls = bench.faults.trace(scenario.work, bench.fresh(scenario, name)).calls
    points = _points([call for call in calls if call.name in names and call.name != "lseek"], every)
    assert points
    for call in points:  # of a regular file, whose lseek touches no disk
        directory = bench.fresh(scenario, name)
        outcome = bench.faults.fail(scenario.work, directory, call, error)
        assert any("(INJECTED)" in one.line for one in outcome.calls), call
        assert outcome.code or not outcome.error, f"{call}\n{outcome.text}"
        new = scenario.check(directory, bench.reference)
        told = name == "verify" and all(one in outcome.result for one in _damaged_names(bench.reference))
        assert outcome.error or new or told, call  # what cannot be read is told, and stays
        if call.name in _MAKING or "O_CREAT" in call.line:
            assert _leftovers(directory) == [], f"{call}\n{outcome.text}"
        _goes_on(bench, scenario, directory, call)


def _leftovers(directory: Path) -> list[Path]:
    """Return what is half made in *directory*."""
    return [*directory.rglob(".*"), *(path for path in _listed(directory / "store/staging") if path.name not in LITTER)]


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_disk_that_says_no_is_one_error(bench: Bench, name: str, error: str) -> None:
    """ENOSPC or EIO from a call (a sample): one error of slugkit's or the right result; old or new, nothing left."""
    _refused(bench, name, CHANGING if error == "ENOSPC" else CHANGING + READING, error, 24)


@pytest.mark.slow
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_disk_may_say_no_to_any_call(bench: Bench, name: str, error: str) -> None:
    """ENOSPC or EIO from any call: one error of slugkit's, or the right result; old or new, nothing left."""
    _refused(bench, name, CHANGING if error == "ENOSPC" else CHANGING + READING, error, 1)


# --- a power cut -----------------------------------------------------------------------------------------------

_SYNCING = {"fsync", "fdatasync", "syncfs"}
_NAMING = {"rename", "renameat", "renameat2", "link", "linkat"}
_CONTENT = {"write", "pwrite64", "sendfile", "copy_file_range", "symlink", "symlinkat", "link", "linkat"}
#: What others see, by scenario; nothing else of these works needs to last.
SHOWN = {
    "pack": ("out.tgz",),
    "pack over a slug": ("out.tgz",),
    "tree": ("unpacked/", "records/", "digests/"),
    "tree out of a base": ("unpacked/", "records/", "digests/"),
    "tree of a stream": ("unpacked/", "records/", "digests/"),
    "put": ("blobs/", "index.json"),
    "put that takes a tag": ("blobs/", "index.json"),
    "tag": ("index.json",),
    "untag": ("index.json",),
}


@pytest.mark.parametrize("name", SHOWN)
def test_what_is_seen_is_on_the_disk(bench: Bench, name: str) -> None:
    """What others see was brought to the disk before it got its name, and its name is before the work is done."""
    scenario = SCENARIOS[name]
    calls = bench.faults.trace(scenario.work, bench.fresh(scenario, name)).calls
    shown = [number for number, call in enumerate(calls) if call.name in _NAMING and _shows(call, SHOWN[name])]
    assert shown
    for number in shown:
        before = [call for call in calls[:number] if call.name in _SYNCING or _makes(call)]
        assert before[-1].name in _SYNCING, calls[number]
        assert any(call.name in _SYNCING for call in calls[number + 1 :]), calls[number]


def _shows(call: Call, places: tuple[str, ...]) -> bool:
    """Tell whether *call* gives something one of the names that others see: the last one it is given."""
    named = re.findall(r'"([^"]*)"', call.line)[-1].partition("/here/")[2].removeprefix("store/")
    return named.startswith(places) and "(" not in call.line.rpartition("=")[2]  # EEXIST: it is tried otherwise


def _makes(call: Call) -> bool:
    """Tell whether *call* makes some of what is shown later; a file without a name gets one that is not shown first."""
    return call.name in _CONTENT and "/proc/self/fd/" not in call.line


# --- disks that are full, or not to be written -------------------------------------------------------------------


@pytest.fixture
def public() -> Iterator[Path]:
    """Yield a directory that an ordinary user reaches, with the slugs."""
    with tempfile.TemporaryDirectory(prefix="slugkit-test-") as temporary:
        Path(temporary).chmod(0o755)
        _sources(Path(temporary))
        yield Path(temporary)


@contextmanager
def _mounted(directory: Path, *options: str) -> Iterator[None]:
    subprocess.run(["mount", *options, str(directory)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(directory)], check=True)


_FULL = """
import os, sys
sys.path.insert(0, os.path.dirname(sys.argv[1]))
import test_faults
test_faults.on_a_full_disk(test_faults.Path(sys.argv[2]))
"""


def test_a_full_disk_is_one_error_of_each(public: Path) -> None:
    """On a full disk what is there can be read, whatever writes is one error and leaves nothing, and gc makes room."""
    (public / "small").mkdir()
    command = ["unshare", "--mount", "--map-root-user", sys.executable, "-c", _FULL, __file__, str(public / "small")]
    if os.geteuid() == 0:
        command.remove("--map-root-user")
    done = subprocess.run(command, check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


def on_a_full_disk(small: Path) -> None:
    """Do it in a mount name space of its own: what `test_a_full_disk_is_one_error_of_each` promises."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "test", str(small)], check=True)
    for name in ("one", "two", "plain"):
        shutil.copyfile(small.parent / f"{name}.tgz", small / f"{name}.tgz")
    write_tree(small / "two", {"noise": random.Random(1).randbytes(100_000)})
    _stored(small)
    _unpacked(small, "plain", "one")
    _store(small).tag(_slug(small, "plain").digest, "app:latest")
    _pack(small)
    _store(small).put(_slug(small, "out"))
    (small / "out.tgz").unlink()
    before = _store(small).slugs()
    with (small / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(4096))
    assert _store(small).tree(_slug(small, "one")).is_dir()
    _store(small).open("app:v1").verify()
    for work in ("pack", "pack with a cache", "unpack", "tree", "put", "tag", "untag"):
        with pytest.raises(OutputError) as caught:
            WORKS[work](small)
        assert "No space left on device" in caught.value.reason, work
        assert _store(small).slugs() == before
        assert _leftovers(small) == [], work
    assert _store(small).gc(max_age=0).slugs == 1
    (small / "filler").unlink()
    for work in ("pack", "pack with a cache", "unpack", "tree", "put", "tag", "untag"):
        WORKS[work](small)


@pytest.mark.parametrize("how", ["a file system that is read only", "a directory of someone else's"])
def test_a_store_may_be_read_only(public: Path, how: str) -> None:
    """Of a store that may not be written all is read, trees are handed out, and whatever writes is one OutputError."""
    _stored(public)
    _unpacked(public, "one", "plain")
    with ExitStack() as closed:
        if how.startswith("a file") and os.geteuid() == 0:
            closed.enter_context(_mounted(public / "store", "--bind", "-o", "ro", str(public / "store")))
        else:
            closed.enter_context(_unwritable(public / "store"))
            closed.enter_context(as_nobody())
        store = _store(public)
        assert [one.tags for one in store.slugs()] == [(), ("app:latest", "app:v1")]
        for name in ("one", "plain"):
            assert (store.tree(_slug(public, name)) / "run").exists()
        store.open("app:v1").verify()
        assert store.verify() == ()
        for work in ("tree", "put", "tag", "untag", "gc"):
            with pytest.raises(OutputError) as caught:
                WORKS[work](public)
            assert str(store.root) in str(caught.value)
        store.release()


@contextmanager
def _unwritable(root: Path) -> Iterator[None]:
    directories = [root, *(path for path in root.iterdir() if path.is_dir()), root / "blobs/sha256"]
    for directory in directories:
        directory.chmod(0o555)
    yield
    for directory in directories:
        directory.chmod(0o755)
