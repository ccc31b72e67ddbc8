"""Packing: what a slug file looks like to slugkit, to tarfile and to GNU tar, and what never gets into one."""

import hashlib
import io
import os
import random
import resource
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slugkit.archive import EPOCH, Digests, Slug, pack
from slugkit.archive._gzip import compress, decompress, extra_field, inflate
from slugkit.archive._index import LARGEST_SEGMENT, read_index
from slugkit.archive._tar import BLOCK, END, Kind, Member, header, members, padding
from slugkit.archive._unpack import TarStream
from slugkit.errors import CorruptSlugError, OutputError, SlugkitError, SlugTooLargeError, UnsafeMemberError
from slugkit.slug import Manifest
from support import NOBODY, as_nobody

MANIFEST = Manifest(process_types={"web": "python app.py"}, stack="heroku-24")


def _app(root: Path, order: int = 0, *, mtime: int | None = None) -> Path:
    """Make a small app below *root*, its files created in an order that depends on *order*."""
    files = {
        "Procfile": b"web: python app.py\n",
        "app.py": b"print('hello')\n",
        "bin/start": b"#!/bin/sh\n",
        "bin-extra/x": b"x",
        "bin.d/y": b"y",
        "lib/deep/er/module.py": b"x = 1\n",
        "caf\udcc3\udca9.txt": b"utf-8",
        "na\udcefve": b"latin-1",
        "empty": b"",
    }
    names = list(files)
    random.Random(order).shuffle(names)
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(files[name])
    (root / "bin/start").chmod(0o755)
    (root / "public").mkdir()
    (root / "current").symlink_to("lib/deep")
    (root / "python").symlink_to("/usr/bin/python3")
    if mtime is not None:
        for path in [root, *root.rglob("*")]:
            os.utime(path, (mtime, mtime), follow_symlinks=False)
    return root


def _packed(tmp_path: Path, make: Callable[[Path], object], name: str = "app.slug.tgz") -> Path:
    """Return the slug of the tree that *make* fills."""
    root = Path(tempfile.mkdtemp(dir=tmp_path))
    make(root)
    pack(root, MANIFEST, tmp_path / name)
    return tmp_path / name


def _tar(*arguments: str | Path) -> str:
    env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
    command = ["tar", "--quoting-style=literal", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, env=env, encoding="utf-8", errors="replace").stdout


def _listing(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def _names(slug: Path) -> list[str]:
    with tarfile.open(slug) as archive:
        return archive.getnames()


# --- the same tree is the same bytes ---------------------------------------------------------------------------


@pytest.fixture
def reference(tmp_path: Path) -> Digests:
    """What the app packs to when nothing is special."""
    return pack(_app(tmp_path / "reference"), MANIFEST, tmp_path / "reference.tgz")


def test_another_path_is_the_same_slug(tmp_path: Path, reference: Digests) -> None:
    """Where the tree lies, and what the slug is called, does not reach the slug."""
    elsewhere = tmp_path / "a much longer path" / "than before"

    assert pack(_app(elsewhere), MANIFEST, tmp_path / "other.tgz") == reference


@pytest.mark.parametrize("order", range(3))
def test_creation_order_is_the_same_slug(tmp_path: Path, reference: Digests, order: int) -> None:
    """The order in which files were created, and so the directory's own order, does not reach the slug."""
    assert pack(_app(tmp_path / "app", order + 1), MANIFEST, tmp_path / "other.tgz") == reference


@pytest.mark.parametrize("mtime", [0, 1, 315_532_800, 1_700_000_000, 2**32 + 5])
def test_times_are_the_same_slug(tmp_path: Path, reference: Digests, mtime: int) -> None:
    """No clock reaches the slug."""
    assert pack(_app(tmp_path / "app", mtime=mtime), MANIFEST, tmp_path / "other.tgz") == reference


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_umasks_are_the_same_slug(tmp_path: Path, reference: Digests, umask: int) -> None:
    """The umask of whoever made the tree, or packs it, does not reach the slug."""
    before = os.umask(umask)
    try:
        digests = pack(_app(tmp_path / "app"), MANIFEST, tmp_path / "other.tgz")
    finally:
        os.umask(before)

    assert digests == reference


def test_owners_are_the_same_slug(tmp_path: Path, reference: Digests) -> None:
    """Who owns the files does not reach the slug: every entry belongs to 0."""
    root = _app(tmp_path / "app")
    if os.geteuid() == 0:
        for path in root.rglob("*"):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    digests = pack(root, MANIFEST, tmp_path / "other.tgz")

    assert digests == reference
    with tarfile.open(tmp_path / "other.tgz") as archive:
        assert {(one.uid, one.gid, one.uname, one.gname) for one in archive} == {(0, 0, "", "")}


def test_hard_links_are_the_same_slug(tmp_path: Path, reference: Digests) -> None:
    """A file that is a hard link is packed as the copy it looks like."""
    root = _app(tmp_path / "app")
    (tmp_path / "cache").mkdir()
    for number, path in enumerate(sorted(root.rglob("*.py"))):
        os.link(path, tmp_path / "cache" / str(number))
    (root / "bin-extra/x").unlink()
    (tmp_path / "x").write_bytes(b"x")
    os.link(tmp_path / "x", root / "bin-extra/x")

    assert pack(root, MANIFEST, tmp_path / "other.tgz") == reference


def test_hard_links_within_the_tree_are_copies(tmp_path: Path) -> None:
    """Two names of one file become two files of the slug."""
    linked, copied = tmp_path / "linked", tmp_path / "copied"
    for root in (linked, copied):
        root.mkdir()
        (root / "a").write_text("same")
    os.link(linked / "a", linked / "b")
    (copied / "b").write_text("same")

    assert pack(linked, MANIFEST, tmp_path / "1.tgz") == pack(copied, MANIFEST, tmp_path / "2.tgz")
    assert [one.kind for one in Slug.open(tmp_path / "1.tgz").files()] == ["file", "file"]


@pytest.mark.parametrize("env", [{"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"PYTHONUTF8": "1"}])
def test_locale_is_the_same_slug(tmp_path: Path, reference: Digests, env: dict[str, str]) -> None:
    """The locale, and another run with another hash seed, do not reach the slug."""
    script = (
        "import sys; from pathlib import Path; from slugkit.archive import pack; from slugkit.slug import Manifest\n"
        "manifest = Manifest(process_types={'web': 'python app.py'}, stack='heroku-24')\n"
        "print(pack(Path(sys.argv[1]), manifest, Path(sys.argv[2])).digest)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "reference"), str(tmp_path / "other.tgz")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**env, "PYTHONHASHSEED": "7"})

    assert done.stdout.strip() == reference.digest


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "app.py").write_bytes(b"print('hullo')\n"),
        lambda root: (root / "app.py").chmod(0o755),
        lambda root: (root / "app.py").rename(root / "app2.py"),
        lambda root: (root / "public").rmdir(),
        lambda root: (root / "new").mkdir(),
    ],
    ids=["content", "executable", "name", "directory-gone", "directory-new"],
)
def test_a_change_is_another_slug(tmp_path: Path, reference: Digests, change: Callable[[Path], object]) -> None:
    """Content, the executable bit, names and empty directories are what a slug's identity is made of."""
    root = _app(tmp_path / "app")
    change(root)

    assert pack(root, MANIFEST, tmp_path / "other.tgz").diff_id != reference.diff_id


def test_digests_are_those_of_the_file(tmp_path: Path, reference: Digests) -> None:
    """``digest`` hashes the file, ``diff_id`` the tar inside, ``size`` is the file's: any tool can check them."""
    raw = (tmp_path / "reference.tgz").read_bytes()
    done = subprocess.run(["gzip", "-dc"], input=raw, check=True, capture_output=True)

    assert reference.digest == "sha256:" + hashlib.sha256(raw).hexdigest()
    assert reference.diff_id == "sha256:" + hashlib.sha256(done.stdout).hexdigest()
    assert reference.size == len(raw)


def test_a_slug_opened_again_tells_the_same_digests(tmp_path: Path, reference: Digests) -> None:
    """Whoever opens the file learns the digests and the size that packing told."""
    slug = Slug.open(tmp_path / "reference.tgz")

    assert (slug.digest, slug.diff_id, slug.size) == (reference.digest, reference.diff_id, reference.size)
    assert slug.checksum == reference.digest.replace("sha256:", "SHA256:")


def _bulk(root: Path, edited: int | None = None) -> Path:
    """Make 24 MB in 600 files, half of it noise; *edited* names one that is changed."""
    for number in range(600):
        noise = random.Random(number).randbytes(20_000)
        path = root / f"d{number % 7}" / f"{number:03d}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((b"edited" if number == edited else b"") + noise + noise[::-1].hex().encode()[:20_000])
    return root


@pytest.mark.parametrize("threads", [1, 2])
def test_cpu_count_is_the_same_slug(tmp_path: Path, threads: int) -> None:
    """One CPU or several make the same file, of several segments."""
    root, before = _bulk(tmp_path / "app"), os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(before)[:threads]))
    try:
        one = pack(root, MANIFEST, tmp_path / "one.tgz")
    finally:
        os.sched_setaffinity(0, before)

    assert one == pack(root, MANIFEST, tmp_path / "all.tgz")
    with (tmp_path / "one.tgz").open("rb") as file:
        index = read_index(file, "x")
    assert index is not None
    assert len(index.segments) > 4


def test_an_edit_changes_the_segments_around_it(tmp_path: Path) -> None:
    """After an edit of one file nearly all segments are the same bytes: caches, stores and registries have them."""
    indexes = []
    for name, edited in (("old", None), ("new", 300)):
        pack(_bulk(tmp_path / name, edited), MANIFEST, tmp_path / f"{name}.tgz")
        with (tmp_path / f"{name}.tgz").open("rb") as file:
            index = read_index(file, "x")
        assert index is not None
        indexes.append([segment.sha256 for segment in index.segments])
    old, new = indexes

    assert 1 <= len(set(new) - set(old)) <= 2
    assert len(set(new) & set(old)) >= len(new) - 2


def test_a_cached_segment_is_the_same_slug(tmp_path: Path) -> None:
    """With a cache, empty, filled or damaged, the slug is the same file; what is damaged in it is made again."""
    root, cache = _bulk(tmp_path / "app"), tmp_path / "cache"
    plain = pack(root, MANIFEST, tmp_path / "plain.tgz")
    first = pack(root, MANIFEST, tmp_path / "first.tgz", cache=cache)
    kept = {path.name: path.read_bytes() for path in cache.iterdir()}
    again = pack(root, MANIFEST, tmp_path / "again.tgz", cache=cache)
    for number, path in enumerate(cache.iterdir()):
        path.write_bytes([b"", path.read_bytes()[:-1], b"x" * 100, bytes(reversed(path.read_bytes()))][number % 4])
    damaged = pack(root, MANIFEST, tmp_path / "damaged.tgz", cache=cache)

    assert plain == first == again == damaged
    assert len(kept) > 4
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == kept


def test_a_cache_that_cannot_be_written_costs_nothing(tmp_path: Path) -> None:
    """Packing with a file in the cache's place makes the same slug."""
    (tmp_path / "cache").write_text("a file")

    plain = pack(_app(tmp_path / "app"), MANIFEST, tmp_path / "plain.tgz")
    assert pack(tmp_path / "app", MANIFEST, tmp_path / "o.tgz", cache=tmp_path / "cache") == plain
    assert (tmp_path / "cache").read_text() == "a file"


def test_leftovers_of_the_killed_are_collected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a writer left that was killed between two calls goes with the next slug there, once it is a minute old."""
    (tmp_path / "out").mkdir()
    for name in (".o.tgz.0123abcd.partial", ".p.tgz.0123abcd.partial"):
        (tmp_path / "out" / name).write_text("half")
    pack(_app(tmp_path / "app"), MANIFEST, tmp_path / "out/o.tgz")
    assert len(_listing(tmp_path / "out")) == 3
    monkeypatch.setattr("slugkit._whole._STALE", -1.0)
    pack(tmp_path / "app", MANIFEST, tmp_path / "out/o.tgz")

    assert _listing(tmp_path / "out") == [".p.tgz.0123abcd.partial", "o.tgz"]


def test_gzip_header_tells_no_time_and_no_name(tmp_path: Path, reference: Digests) -> None:
    """The gzip header holds neither the clock nor a file name."""
    assert reference.size
    raw = (tmp_path / "reference.tgz").read_bytes()

    assert raw[3] == 0
    assert raw[4:8] == bytes(4)


# --- the order and the form of the entries ---------------------------------------------------------------------


def test_entries_are_in_the_documented_order(tmp_path: Path, reference: Digests) -> None:
    """The manifest comes first, then ``./app/``, then the app sorted bytewise by path, and the index at the end."""
    assert reference.size
    names = _names(tmp_path / "reference.tgz")
    app = [os.fsencode(name) for name in names[3:-1]]

    assert names[:3] == ["./.slugkit", "./.slugkit/manifest.json", "./app"]
    assert names[-1] == "./.slugkit/index.json"
    assert app == sorted(app)
    assert all(name.startswith(b"./app/") for name in app)
    assert names.index("./app/bin-extra/x") < names.index("./app/bin.d") < names.index("./app/bin/start")


def test_tarfile_reads_every_entry(tmp_path: Path, reference: Digests) -> None:
    """Python's tarfile sees kinds, modes, times and targets as design.md 4 says."""
    assert reference.size
    with tarfile.open(tmp_path / "reference.tgz") as archive:
        entries = {one.name: one for one in archive}

    assert {one.mtime for one in entries.values()} == {EPOCH}
    assert {one.mode for one in entries.values() if one.isdir()} == {0o755}
    assert {one.mode for one in entries.values() if one.isfile()} == {0o644, 0o755}
    assert entries["./app/bin/start"].mode == 0o755
    assert entries["./app/public"].isdir()
    assert entries["./app/current"].linkname == "lib/deep"
    assert entries["./app/python"].linkname == "/usr/bin/python3"
    assert entries["./app/empty"].size == 0


def test_gnu_tar_lists_every_entry(tmp_path: Path, reference: Digests) -> None:
    """``tar tvzf`` shows owner 0/0, the constant time, modes and link targets, and says nothing else."""
    assert reference.size
    lines = _tar("-tvzf", tmp_path / "reference.tgz", "--full-time").splitlines()

    assert len(lines) == len(_names(tmp_path / "reference.tgz"))
    assert all(" 0/0 " in line and " 1980-01-01 00:00:00 " in line for line in lines)
    assert any(line.startswith("-rwxr-xr-x") and line.endswith(" ./app/bin/start") for line in lines)
    assert any(line.endswith(" ./app/current -> lib/deep") for line in lines)
    assert any(line.startswith("drwxr-xr-x") and line.endswith(" ./app/public/") for line in lines)


def test_gnu_tar_unpacks_the_same_tree(tmp_path: Path, reference: Digests) -> None:
    """``tar xzf`` makes the tree that ``Slug.unpack`` makes: names, content, modes, links."""
    assert reference.size
    (tmp_path / "gnu").mkdir()
    _tar("-xzf", tmp_path / "reference.tgz", "-C", tmp_path / "gnu", "--no-same-owner", "--no-same-permissions")
    Slug.open(tmp_path / "reference.tgz").unpack(tmp_path / "ours")

    assert _contents(tmp_path / "gnu" / "app") == _contents(tmp_path / "ours")
    assert _contents(tmp_path / "ours") == _contents(tmp_path / "reference")


def _contents(root: Path) -> dict[str, tuple[str, object]]:
    """Return what is below *root* by relative path: kind, and content with the executable bit or target."""
    found: dict[str, tuple[str, object]] = {}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = ("link", str(path.readlink()))
        elif path.is_dir():
            found[name] = ("dir", None)
        else:
            found[name] = ("file", (path.read_bytes(), bool(path.stat().st_mode & 0o100)))
    return found


@pytest.mark.parametrize("length", [88, 93, 94, 95, 100, 150, 255])
@pytest.mark.parametrize("kind", ["file", "dir", "link"])
def test_long_names_survive(tmp_path: Path, length: int, kind: str) -> None:
    """Names around and beyond the 100 bytes of a tar header are read back whole, by GNU tar and tarfile too."""
    name = "n" * length

    def make(root: Path) -> None:
        if kind == "file":
            (root / name).write_text("x")
        elif kind == "dir":
            (root / name).mkdir()
        else:
            (root / "a").symlink_to(name)

    slug = _packed(tmp_path, make)

    [entry] = Slug.open(slug).files()
    assert (entry.target if kind == "link" else entry.path) == name
    assert name in _tar("-tvzf", slug)
    with tarfile.open(slug) as archive:
        last = archive.getmembers()[-2]  # behind it is the index
        assert (last.linkname if kind == "link" else last.name.removeprefix("./app/")) == name


def test_long_paths_survive(tmp_path: Path) -> None:
    """A path of many parts, longer than any ustar prefix could hold, is read back whole."""
    parts = [f"directory-{number:03d}" for number in range(60)]

    def make(root: Path) -> None:
        (root / "/".join(parts)).mkdir(parents=True)
        (root / "/".join(parts) / "file").write_text("deep")

    slug = _packed(tmp_path, make)

    assert [one.path for one in Slug.open(slug).files()][-1] == "/".join([*parts, "file"])
    assert _names(slug)[-2] == "./app/" + "/".join([*parts, "file"])


@pytest.mark.parametrize(
    "name",
    [b"\xff\xfe", b"caf\xc3\xa9", b"caf\xe9" * 40, b"new\nline", b"tab\there", b"back\\slash", b"...", b"..a", b" "],
)
def test_any_name_of_the_file_system_survives(tmp_path: Path, name: bytes) -> None:
    """A file may have any name a POSIX file system can hold, UTF-8 or not; it comes back byte for byte."""
    slug = _packed(tmp_path, lambda root: Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_text("x"))
    Slug.open(slug).unpack(tmp_path / "out")

    assert _listing(tmp_path / "out") == [os.fsdecode(name)]
    (tmp_path / "gnu").mkdir()
    _tar("-xzf", slug, "-C", tmp_path / "gnu", "--no-same-owner")
    assert _listing(tmp_path / "gnu/app") == [os.fsdecode(name)]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(0o600, 0o644), (0o644, 0o644), (0o666, 0o644), (0o700, 0o755), (0o4755, 0o755), (0o2777, 0o755), (0o1644, 0o644)],
)
def test_modes_are_0644_or_0755(tmp_path: Path, mode: int, expected: int) -> None:
    """Only the executable bit of a file reaches the slug: no setuid, setgid, sticky or group bits."""

    def make(root: Path) -> None:
        (root / "file").write_text("x")
        (root / "file").chmod(mode)

    with tarfile.open(_packed(tmp_path, make)) as archive:
        assert archive.getmember("./app/file").mode == expected


def test_empty_tree_is_a_slug(tmp_path: Path) -> None:
    """A tree with nothing in it packs to a slug with no files that GNU tar and slugkit both read."""
    slug = _packed(tmp_path, lambda _: None)

    assert list(Slug.open(slug).files()) == []
    assert _tar("-tzf", slug).splitlines() == [
        "./.slugkit/",
        "./.slugkit/manifest.json",
        "./app/",
        "./.slugkit/index.json",
    ]


def test_content_is_padded_to_whole_blocks(tmp_path: Path) -> None:
    """Files whose size is around a multiple of the tar block come back to the byte."""
    sizes = [0, 1, 511, 512, 513, 1023, 1024, 2**20 - 1, 2**20, 2**20 + 1]
    content = random.Random(1).randbytes(max(sizes))

    def make(root: Path) -> None:
        for size in sizes:
            (root / str(size)).write_bytes(content[:size])

    Slug.open(_packed(tmp_path, make)).unpack(tmp_path / "out")

    assert {int(path.name): path.read_bytes() for path in (tmp_path / "out").iterdir()} == {
        size: content[:size] for size in sizes
    }


def test_progress_tells_files_and_bytes(tmp_path: Path) -> None:
    """Progress counts up to every file and every byte of content of the tree, which are told before."""
    told: list[tuple[int, int]] = []
    seen: list[tuple[int, int]] = []
    root = _app(tmp_path / "app")
    (root / "large").write_bytes(random.Random(0).randbytes(3 * LARGEST_SEGMENT))
    pack(
        root,
        MANIFEST,
        tmp_path / "o.tgz",
        on_start=lambda *both: told.append(both),
        on_progress=lambda *both: seen.append(both),
    )
    files = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]

    assert told == [(len(files), sum(path.stat().st_size for path in files))]
    assert seen == sorted(seen)
    assert len(seen) > 3
    assert seen[-1] == told[0]


def test_output_inside_of_the_tree_does_not_pack_itself(tmp_path: Path) -> None:
    """A slug written into the tree it is made of does not hold itself."""
    root = _app(tmp_path / "app")
    before = set(_contents(root))
    pack(root, MANIFEST, root / "out.tgz")

    assert {one.path for one in Slug.open(root / "out.tgz").files()} == before


@pytest.mark.parametrize("mtime", [0, 1, EPOCH, 2**31, 2**32, 8**11 - 1, 8**11, 2**40, -1])
def test_every_time_makes_a_whole_slug(tmp_path: Path, mtime: int) -> None:
    """Whatever SOURCE_DATE_EPOCH says, the slug is one that slugkit and tarfile read, or there is none."""
    root = _app(tmp_path / "app")
    output = tmp_path / "o.tgz"
    try:
        pack(root, MANIFEST, output, mtime=mtime)
    except SlugkitError:
        assert not output.exists()
        return
    Slug.open(output).verify()

    with tarfile.open(output) as archive:
        assert {one.mtime for one in archive} == {mtime}


# --- headers ---------------------------------------------------------------------------------------------------

_LETTERS = st.binary(min_size=1, max_size=300).filter(lambda raw: b"\0" not in raw and raw.strip(b"./") != b"")
_NAMES = _LETTERS.map(lambda raw: raw.replace(b"/", b"_").decode("utf-8", "surrogateescape"))


@given(
    name=_NAMES,
    kind=st.sampled_from(["file", "dir", "link"]),
    target=_NAMES,
    mtime=st.integers(0, 8**11 - 1),
    mode=st.sampled_from([0o644, 0o755]),
)
def test_headers_read_back(name: str, kind: Kind, target: str, mtime: int, mode: int) -> None:
    """What a header says is what slugkit's parser and tarfile read from it, whatever the name."""
    member = Member(f"./app/{name}", kind, 0, mode, mtime, target if kind == "link" else "")
    raw = header(member) + END

    [read] = members(TarStream(io.BytesIO(raw), "x", plain=True), "x")
    with tarfile.open(fileobj=io.BytesIO(raw), errors="surrogateescape", encoding="utf-8") as archive:
        [theirs] = archive.getmembers()
    assert len(raw) % BLOCK == 0
    assert read == Member(member.name + "/" * (kind == "dir"), kind, 0, mode, mtime, member.target)
    assert (theirs.name, theirs.linkname) == (member.name, member.target)
    assert (theirs.mtime, theirs.mode, theirs.uid, theirs.gid) == (mtime, mode, 0, 0)


@pytest.mark.parametrize("size", [0, 1, 8**11 - 1, 8**11, 8**11 + 1])
def test_sizes_of_any_width_are_told(size: int) -> None:
    """A size beyond the header's eleven octal digits moves into a PAX record."""
    raw = header(Member("./app/big", "file", size)) + END

    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        first = archive.next()
    assert first is not None
    assert first.size == size


def test_ordinary_members_need_no_pax_header() -> None:
    """PAX only where ustar cannot say it: an ordinary file costs one block."""
    assert len(header(Member("./app/" + "a" * 94, "file", 5))) == BLOCK
    assert len(header(Member("./app/" + "a" * 95, "file", 5))) == 3 * BLOCK


@given(st.integers(0, 10 * BLOCK))
def test_padding_fills_blocks(size: int) -> None:
    """Padding is the fewest zeros that fill the last block."""
    assert (size + len(padding(size))) % BLOCK == 0
    assert padding(size) == bytes(len(padding(size)))
    assert len(padding(size)) < BLOCK


# --- gzip members ----------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=2000), min_size=1, max_size=6), st.binary(max_size=100))
def test_members_are_independent(pieces: list[bytes], told: bytes) -> None:
    """Each member inflates by itself, here and in zlib, whatever its header tells; together they are the stream."""
    packed = [compress(piece, {b"SK": told} if told else None) for piece in pieces]

    assert [zlib.decompress(one, 31) for one in packed] == pieces
    assert [decompress(one, len(piece), "x") for one, piece in zip(packed, pieces, strict=True)] == pieces
    assert b"".join(inflate(io.BytesIO(b"".join(packed)), "x")) == b"".join(pieces)
    assert {extra_field(one, b"SK") for one in packed} == {told or None}


@given(st.binary(max_size=300), st.integers(-2, 2), st.binary(max_size=3))
def test_a_member_is_of_one_size_and_nothing_follows(raw: bytes, wrong: int, rest: bytes) -> None:
    """Who knows the size of a member gets exactly that: no other size, and nothing behind it, is taken."""
    size = max(len(raw) + wrong, 0)
    if size == len(raw) and not rest:
        assert decompress(compress(raw), size, "x") == raw
        return
    with pytest.raises(CorruptSlugError):
        decompress(compress(raw) + rest, size, "x")


def test_zeros_are_no_bomb() -> None:
    """What compresses a thousandfold is written so that no reader takes it for a bomb, where a header has the room."""
    assert len(compress(bytes(2**23))) > 2**23 / 200
    assert zlib.decompress(compress(bytes(2**25), {b"SK": b"told"}), 31) == bytes(2**25)


def test_an_index_that_would_be_a_bomb_is_left_out(tmp_path: Path) -> None:
    """Thousands of links with the same long target make an index too small for what it holds: it is not written."""
    root = tmp_path / "app"
    root.mkdir()
    for number in range(5000):
        (root / f"{number}").symlink_to("/usr/" + "x" * 4000)
    pack(root, MANIFEST, tmp_path / "o.tgz")

    assert len(list(Slug.open(tmp_path / "o.tgz").files())) == 5000
    with (tmp_path / "o.tgz").open("rb") as file:
        assert read_index(file, "x") is None


def test_the_manifest_is_a_member_of_its_own(tmp_path: Path, reference: Digests) -> None:
    """The first gzip member is the manifest and nothing else: opening a slug reads no payload."""
    assert reference.size
    inflater = zlib.decompressobj(31)
    first = inflater.decompress((tmp_path / "reference.tgz").read_bytes())

    assert inflater.eof
    assert first.startswith(b"./.slugkit/")
    assert b"./app/" not in first


# --- limits ----------------------------------------------------------------------------------------------------


def test_max_size_is_exact(tmp_path: Path, reference: Digests) -> None:
    """A slug of exactly the largest size is made; one byte less is refused, and the sizes are told in bytes."""
    root = tmp_path / "reference"

    assert pack(root, MANIFEST, tmp_path / "o.tgz", max_size=reference.size) == reference
    with pytest.raises(SlugTooLargeError) as caught:
        pack(root, MANIFEST, tmp_path / "too-large.tgz", max_size=reference.size - 1)
    assert (caught.value.size, caught.value.limit) == (reference.size, reference.size - 1)
    assert not (tmp_path / "too-large.tgz").exists()


def test_max_size_stops_early(tmp_path: Path) -> None:
    """A tree far beyond the limit is given up at once, with the old output and nothing else left."""
    root = tmp_path / "app"
    root.mkdir()
    for number in range(20):
        (root / f"{number:02d}").write_bytes(random.Random(number).randbytes(2**20))
    output = tmp_path / "out" / "o.tgz"
    output.parent.mkdir()
    output.write_text("the one before")
    with pytest.raises(SlugTooLargeError) as caught:
        pack(root, MANIFEST, output, max_size=2**19)

    assert caught.value.size < 2**22
    assert output.read_text() == "the one before"
    assert _listing(output.parent) == ["o.tgz"]


@pytest.mark.parametrize("size", [80 * 2**20, 2**30 + 1], ids=["all zeros", "beyond 1 GiB"])
def test_what_pack_writes_can_be_read(tmp_path: Path, size: int) -> None:
    """A tree that no reader would take is refused when it is packed, not when it is run."""
    root = tmp_path / "app"
    root.mkdir()
    with (root / "zeros").open("wb") as file:
        file.truncate(size)
    output = tmp_path / "o.tgz"
    try:
        pack(root, MANIFEST, output)
    except SlugkitError:
        assert not output.exists()
    else:
        Slug.open(output).verify()


def test_a_manifest_no_reader_takes_is_refused(tmp_path: Path) -> None:
    """More than a mebibyte of process types is refused when it is packed, and nothing is left."""
    (tmp_path / "app").mkdir()
    with pytest.raises(UnsafeMemberError, match="1 MiB"):
        pack(tmp_path / "app", Manifest(process_types={"web": "x" * 2**20}), tmp_path / "o.tgz")
    assert _listing(tmp_path) == ["app"]


@pytest.mark.parametrize("make_deep", [True, False], ids=["too deep", "too long"])
def test_paths_no_reader_takes_are_refused(tmp_path: Path, make_deep: bool) -> None:  # noqa: FBT001 - a parameter
    """A tree deeper, or a path longer, than a slug may hold is refused by name."""
    parts = ["d"] * 210 if make_deep else ["p" * 250] * 13
    root = tmp_path / "app"
    root.mkdir()
    fd = os.open(root, os.O_RDONLY)
    for part in parts:
        os.mkdir(part, dir_fd=fd)
        below = os.open(part, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)

    with pytest.raises(UnsafeMemberError, match="too long or too deep"):
        pack(root, MANIFEST, tmp_path / "o.tgz")
    assert not (tmp_path / "o.tgz").exists()


# --- hostile trees ---------------------------------------------------------------------------------------------


def _socket(root: Path) -> None:
    here = Path.cwd()
    os.chdir(root)  # a socket's path has 107 bytes at most
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind("bad")
    finally:
        os.chdir(here)


def _link(target: str, name: str = "bad") -> Callable[[Path], None]:
    def make(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(target)

    return make


HOSTILE: dict[str, Callable[[Path], None]] = {
    "FIFO": lambda root: os.mkfifo(root / "bad"),
    "socket": _socket,
    "link up": _link(".."),
    "link up and over": _link("../other/secret"),
    "link up from below": _link("../../x", "sub/bad"),
    "link down then out": _link("sub/../../x"),
    "link up with dots": _link("./.././x"),
    "link to /proc": _link("/proc/self/environ"),
    "link to //proc": _link("//proc/self"),
    "link to /./proc": _link("/./proc/self"),
    "link to /proc itself": _link("/proc"),
    "link to /proc by ..": _link("/usr/../proc"),
    "link to /sys": _link("/sys/kernel"),
    "link to /run": _link("/run/secrets"),
    "link to /dev": _link("/dev/stdout"),
    "tmp a link": _link("/var/tmp", "tmp"),
    "log a link": _link("elsewhere", "log"),
    "Procfile a link": _link("Procfile.real", "Procfile"),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_trees_are_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """What cannot be in a slug is refused by name, and no slug appears."""
    (tmp_path / "out").mkdir()
    root = _app(tmp_path / "app")
    (root / "Procfile").unlink()
    make(root)

    with pytest.raises(UnsafeMemberError) as caught:
        pack(root, MANIFEST, tmp_path / "out/o.tgz")
    assert caught.value.name in {"bad", "sub/bad", "tmp", "log", "Procfile"}
    assert _listing(tmp_path / "out") == []


@pytest.mark.parametrize(
    "target", ["/usr/bin/python3", "/developer/tools", "/runtime/python", "/procfs.d", "../app.py"]
)
def test_links_that_environments_need_are_packed(tmp_path: Path, target: str) -> None:
    """A link to the host's own files outside of the kernel's directories, or within the app, is kept as it is."""
    slug = _packed(tmp_path, _link(target, "bin/link"))

    assert [one.target for one in Slug.open(slug).files() if one.kind == "link"] == [target]


def test_device_in_the_tree_is_refused(tmp_path: Path) -> None:
    """A device is refused (where making one takes root, what stands for it is a FIFO)."""
    root = tmp_path / "app"
    root.mkdir()
    try:
        os.mknod(root / "bad", 0o20666, os.makedev(1, 3))
    except PermissionError:
        os.mkfifo(root / "bad")

    with pytest.raises(UnsafeMemberError, match="bad"):
        pack(root, MANIFEST, tmp_path / "o.tgz")


def test_secrets_behind_links_stay_out(tmp_path: Path) -> None:
    """A link is packed as a link: what it points to never gets into the slug."""
    (tmp_path / "secret").write_text("hunter2hunter2")

    def make(root: Path) -> None:
        (root / "link").symlink_to(tmp_path / "secret")

    slug = _packed(tmp_path, make)
    plain = b"".join(inflate(io.BytesIO(slug.read_bytes()), "x"))

    assert b"hunter2" not in plain


# --- whole or not at all ---------------------------------------------------------------------------------------


@pytest.fixture
def public() -> Iterator[Path]:
    """Yield a directory that an ordinary user reaches: pytest's own are private to root."""
    directory = Path(tempfile.mkdtemp(prefix="slugkit-test-"))
    if os.geteuid() == 0:
        os.chown(directory, NOBODY, NOBODY)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Callable[[], Path]]:
    """Yield a function that returns a directory with hardly any room from then on."""
    directory = tmp_path / "full"
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "slugkit-test", str(directory)]
    mounted = os.geteuid() == 0 and subprocess.run(command, check=False, capture_output=True).returncode == 0
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def start() -> Path:
        if not mounted:
            resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, hard))
        return directory

    yield start
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    if mounted:
        subprocess.run(["umount", directory], check=True)


def _noise(root: Path) -> Path:
    root.mkdir()
    (root / "noise").write_bytes(random.Random(5).randbytes(2**20))
    return root


def test_full_disk_leaves_nothing(tmp_path: Path, full_disk: Callable[[], Path]) -> None:
    """When the disk is full there is one OutputError and no file, whole or partial."""
    root = _noise(tmp_path / "app")
    directory = full_disk()

    with pytest.raises(OutputError) as caught:
        pack(root, MANIFEST, directory / "o.tgz")
    assert caught.value.path == str(directory / "o.tgz")
    assert _listing(directory) == []


def test_full_disk_keeps_the_old_output(tmp_path: Path, full_disk: Callable[[], Path]) -> None:
    """When the disk is full the slug that was there before is still there, whole."""
    root = _noise(tmp_path / "app")
    (tmp_path / "small").mkdir()
    directory = full_disk()
    digests = pack(tmp_path / "small", MANIFEST, directory / "o.tgz")

    with pytest.raises(OutputError):
        pack(root, MANIFEST, directory / "o.tgz")
    assert _listing(directory) == ["o.tgz"]
    assert Slug.open(directory / "o.tgz").digest == digests.digest


@pytest.mark.parametrize("name", ["missing/o.tgz", "file/o.tgz", "directory"])
def test_impossible_outputs_are_one_error(tmp_path: Path, name: str) -> None:
    """An output in a missing directory, below a file, or where a directory is, is one OutputError naming it."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "directory").mkdir()
    root = _app(tmp_path / "app")
    before = _listing(tmp_path)

    with pytest.raises(OutputError) as caught:
        pack(root, MANIFEST, tmp_path / name)
    assert caught.value.path == str(tmp_path / name)
    assert _listing(tmp_path) == before
    assert _listing(tmp_path / "directory") == []


def test_unwritable_directory_is_one_error(public: Path) -> None:
    """An output in a directory that may not be written is one OutputError, and the tree is as it was."""
    (public / "app").mkdir()
    (public / "out").mkdir()
    (public / "out").chmod(0o555)

    with as_nobody(), pytest.raises(OutputError, match="Permission denied"):
        pack(public / "app", MANIFEST, public / "out/o.tgz")
    assert _listing(public / "out") == []


@pytest.mark.parametrize("name", ["secret", "directory/"])
def test_unreadable_files_are_named(public: Path, name: str) -> None:
    """A file or directory that cannot be read is never lost: an error names it, and no slug appears."""
    root, out = public / "app", public / "out"
    for directory in (root, out):
        directory.mkdir()
        directory.chmod(0o777)
    bad = root / name.rstrip("/")
    if name.endswith("/"):
        bad.mkdir()
    else:
        bad.write_text("x")
    bad.chmod(0o000)

    try:
        with as_nobody(), pytest.raises(SlugkitError) as caught:
            pack(root, MANIFEST, out / "o.tgz")
    finally:
        bad.chmod(0o755)
    assert bad.name in str(caught.value)
    assert _listing(out) == []


def test_interrupted_packing_leaves_nothing(tmp_path: Path) -> None:
    """Whoever interrupts packing finds neither a slug nor a partial file."""
    (tmp_path / "out").mkdir()

    def interrupt(files: int, _: int) -> None:
        if files:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        pack(_app(tmp_path / "app"), MANIFEST, tmp_path / "out/o.tgz", on_progress=interrupt)
    assert _listing(tmp_path / "out") == []


def test_output_is_replaced_by_rename(tmp_path: Path) -> None:
    """Who has the old slug open goes on reading the old one; the name means the new one."""
    output = tmp_path / "o.tgz"
    root = _app(tmp_path / "app")
    old = pack(root, MANIFEST, output)
    with output.open("rb") as reading:
        (root / "more").write_text("more")
        new = pack(root, MANIFEST, output)

        assert hashlib.sha256(reading.read()).hexdigest() == old.digest.removeprefix("sha256:")
    assert Slug.open(output).digest == new.digest != old.digest


def test_output_has_the_modes_the_umask_gives(tmp_path: Path) -> None:
    """A slug is a file like any other: readable by whom the umask lets."""
    before = os.umask(0o027)
    try:
        pack(_app(tmp_path / "app"), MANIFEST, tmp_path / "o.tgz")
    finally:
        os.umask(before)

    assert (tmp_path / "o.tgz").stat().st_mode & 0o777 == 0o640


def test_file_that_shrinks_is_refused(tmp_path: Path) -> None:
    """A file that gets shorter while it is packed is an error, never a slug with wrong content."""
    root = tmp_path / "app"
    root.mkdir()
    (root / "a").write_text("x")
    (root / "b").write_bytes(bytes(100))

    def shrink(_: int, __: int) -> None:
        (root / "b").write_bytes(bytes(50))

    with pytest.raises(UnsafeMemberError, match="shrank"):
        pack(root, MANIFEST, tmp_path / "o.tgz", on_start=shrink)
    assert not (tmp_path / "o.tgz").exists()


@pytest.mark.parametrize("swap", ["link", "fifo", "gone"])
def test_file_that_is_swapped_is_refused(tmp_path: Path, swap: str) -> None:
    """A file that becomes something else while the tree is packed is refused, never followed or waited for."""
    root = tmp_path / "app"
    root.mkdir()
    (root / "a").write_text("x")
    (root / "b").write_text("x")

    def change(_: int, __: int) -> None:
        (root / "b").unlink()
        if swap == "link":
            (root / "b").symlink_to("/etc/passwd")
        elif swap == "fifo":
            os.mkfifo(root / "b")

    with pytest.raises(UnsafeMemberError, match="changed"):
        pack(root, MANIFEST, tmp_path / "o.tgz", on_start=change)
    assert not (tmp_path / "o.tgz").exists()


def test_a_slug_cut_at_its_members_end_is_damaged(tmp_path: Path, reference: Digests) -> None:
    """A slug cut exactly between two gzip members is whole gzip, but no whole slug."""
    assert reference.size
    raw = (tmp_path / "reference.tgz").read_bytes()
    inflater = zlib.decompressobj(31)
    inflater.decompress(raw)
    (tmp_path / "cut.tgz").write_bytes(raw[: -len(inflater.unused_data)])

    with pytest.raises(CorruptSlugError):
        Slug.open(tmp_path / "cut.tgz").verify()
