"""Slugs that took damage on their way, and trees at random: the right tree comes out, or one error."""

import gzip
import hashlib
import json
import os
import random
import tempfile
import zlib
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from attrs import evolve, field, frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slugkit._tree import remove_tree, snapshot
from slugkit.archive import Base, Slug, SurveyedFile, pack
from slugkit.errors import SlugkitError
from slugkit.slug import Manifest
from tars import APP, dir_, extension, file_, hard, honest, link, pax, slug

MANIFEST = Manifest(process_types={"web": "./run"})
ONLY = ("lib", "run")
NOISE = random.Random(7).randbytes(20_000)


@frozen
class Genuine:
    """A slug as it was made, what every reader tells of it, and the tree of the release before."""

    raw: bytes = field(repr=False)
    told: dict[str, object] = field(repr=False)
    base: Base | None


def _readers(base: Base | None) -> dict[str, Callable[[Slug, Path], object]]:
    """Return the ways to read a slug; each returns all of what it tells."""

    def unpack(slug: Slug, target: Path, *only: str) -> object:
        slug.unpack(target, only=only)
        return snapshot(target)

    def unpack_tree(slug: Slug, target: Path) -> object:
        target.mkdir()
        Slug.open(slug.path).unpack_tree(target, [base] if base else [])
        return snapshot(target)

    return {
        "unpack": unpack,
        "unpack only": lambda slug, target: unpack(slug, target, *ONLY),
        "unpack_tree": unpack_tree,
        "files": lambda slug, _: list(slug.files()),
        "survey": lambda slug, _: _unshared(slug),
        "read": lambda slug, _: slug.read(lambda path: path.startswith(ONLY)),
        "verify": lambda slug, _: slug.verify(),
        "diff_id": lambda slug, _: slug.diff_id,
    }


def _unshared(slug: Slug) -> list[SurveyedFile]:
    """Return the survey without the shares of the file's bytes, which depend on how it is read."""
    return [evolve(one, packed=0) for one in slug.survey()]


def _told(path: Path, base: Base | None) -> Iterator[tuple[str, object]]:
    """Yield what each reader tells of the slug at *path*: its result, or the error."""
    for name, reader in _readers(base).items():
        target = path.parent / "target"
        try:
            yield name, reader(Slug(path, MANIFEST, path.stat().st_size), target)
        except SlugkitError as error:
            yield name, error
            assert name == "unpack_tree" or not target.exists()
        remove_tree(target)
        assert [one.name for one in path.parent.iterdir()] == [path.name]


def _app(root: Path, *, release: int) -> Path:
    """Make an app with something of everything."""
    (root / "lib/empty").mkdir(parents=True)
    (root / "run").write_text("#!/bin/sh\n")
    (root / "run").chmod(0o755)
    (root / "lib/noise").write_bytes(NOISE[: 9000 * release])
    (root / "lib/text").write_text("hello\n" * 500)
    (root / "lib/caf\udce9").write_text("latin-1")
    (root / ("n" * 120)).write_bytes(NOISE[:700])
    (root / "none").touch()
    (root / "current").symlink_to("lib/text")
    (root / "release").write_text(f"{release}\n")
    for number in range(6):
        (root / f"part{number}").write_bytes(NOISE[number * 900 : number * 900 + 1500])
    return root


def _packed(place: Path, *, release: int) -> bytes:
    with patch.multiple("slugkit.archive._segments", LARGEST_SEGMENT=4096, _LEAST=1024, _MEAN=1024):
        pack(_app(place / f"app{release}", release=release), MANIFEST, place / f"{release}.tgz")
    return (place / f"{release}.tgz").read_bytes()


def _elsewhere() -> bytes:
    """Return a slug that another program made: one gzip member, long names, hard links, no index."""
    pieces = [
        *(APP, file_("./app/run", b"#!/bin/sh\n", 0o755), dir_("./app/lib/"), file_("./app/lib/noise", NOISE[:5000])),
        *(extension(b"L", b"./app/lib/" + b"n" * 130 + b"\0"), file_("./app/lib/cut", b"long")),
        *(hard("./app/lib/again", "./app/lib/noise"), link("./app/current", "lib"), file_("./app/none", b"")),
    ]
    return slug(*pieces)


@pytest.fixture(scope="module", params=["slugkit's own", "made elsewhere"])
def genuine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Genuine:
    """Return a slug of many segments with an index, or a tarball of one member without."""
    place, alone = tmp_path_factory.mktemp("genuine"), tmp_path_factory.mktemp("alone")
    raw, base = _elsewhere(), None
    if request.param == "slugkit's own":
        raw = _packed(place, release=2)
        _packed(place, release=1)
        (place / "tree").mkdir()
        restored = Slug.open(place / "1.tgz").unpack_tree(place / "tree").restored
        assert restored is not None
        base = Base(place / "tree", restored.proofs)
        assert raw.count(b"\x1f\x8b\x08") >= 8
    (alone / "genuine.tgz").write_bytes(raw)
    told = dict(_told(alone / "genuine.tgz", base))
    assert not any(isinstance(one, SlugkitError) for one in told.values())
    return Genuine(raw, told, base)


def _members(raw: bytes) -> list[bytes]:
    """Return the gzip members of *raw*."""
    found = []
    while raw:
        inflater = zlib.decompressobj(31)
        inflater.decompress(raw)
        found.append(raw[: len(raw) - len(inflater.unused_data)])
        raw = inflater.unused_data
    return found


def _bytes_damaged(raw: bytes, what: str, start: int, size: int, data: bytes) -> bytes:
    before, hit, behind = raw[:start], raw[start : start + size], raw[start + size :]
    match what:
        case "flip":
            return before + bytes([raw[start] ^ 1 << size % 8]) + raw[start + 1 :]
        case "write":
            return before + data + raw[start + len(data) :]
        case "cut":
            return before
        case "repeat":
            return before + hit + hit + behind
        case "remove":
            return before + behind
        case _:
            return before + bytes(len(hit)) + behind


def _members_damaged(raw: bytes, what: str, one: int, other: int) -> bytes:
    members = _members(raw)
    one, other = one % len(members), other % len(members)
    match what:
        case "swap":
            members[one], members[other] = members[other], members[one]
        case "lose":
            del members[one]
        case _:
            members.insert(other, members[one])
    return b"".join(members)


@st.composite
def _damages(draw: st.DrawFn, raw: bytes) -> bytes:
    """Return *raw* with its gzip members moved, or one or two things done to its bytes."""
    if draw(st.integers(0, 4)) == 0:
        what = draw(st.sampled_from(["swap", "lose", "twice"]))
        return _members_damaged(raw, what, draw(st.integers(0, 99)), draw(st.integers(0, 99)))
    damaged = raw
    for _ in range(draw(st.integers(1, 2))):
        what = draw(st.sampled_from(["flip", "flip", "flip", "write", "cut", "repeat", "remove", "zero"]))
        if damaged:
            start, size = draw(st.integers(0, len(damaged) - 1)), draw(st.integers(1, 600))
            damaged = _bytes_damaged(damaged, what, start, size, draw(st.binary(min_size=1, max_size=8)))
    return damaged


def _check(genuine: Genuine, data: st.DataObject) -> None:
    raw = data.draw(_damages(genuine.raw))
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "damaged.tgz"
        path.write_bytes(raw)
        told = dict(_told(path, genuine.base))
    wrong = {name for name, one in told.items() if not isinstance(one, SlugkitError) and one != genuine.told[name]}
    assert wrong == set()
    if not isinstance(told["verify"], SlugkitError):
        assert {name for name, one in told.items() if isinstance(one, SlugkitError)} <= {"unpack_tree"}


FUZZ = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@given(st.data())
@settings(FUZZ, max_examples=120)
def test_damage_is_an_error_or_changes_nothing(genuine: Genuine, data: st.DataObject) -> None:
    """Whatever happened to its bytes, no reader tells anything but the truth of a slug, and verify misses nothing."""
    _check(genuine, data)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@given(st.data())
@settings(FUZZ, max_examples=5000)
def test_a_lot_of_damage_is_an_error_or_changes_nothing(genuine: Genuine, data: st.DataObject) -> None:
    """The same, for longer."""
    _check(genuine, data)


# --- trees at random ---------------------------------------------------------------------------------------------

_NAMES = st.one_of(
    st.sampled_from([b"a", b"b", b"lib", b".profile", b"-x", b"caf\xc3\xa9", b"caf\xe9", b"e\xcc\x81"]),
    st.integers(90, 255).map(lambda size: b"n" * size),
    st.binary(min_size=1, max_size=20).map(lambda raw: raw.replace(b"/", b"_").replace(b"\0", b"_")),
).filter(lambda name: name not in {b".", b".."})
_CONTENTS = st.one_of(
    st.binary(max_size=40), st.integers(500, 9000).map(lambda size: NOISE[:size]), st.integers(1, 9000).map(bytes)
)
_LEAVES = st.one_of(
    _CONTENTS.map(lambda content: (content, 0o644)),
    _CONTENTS.map(lambda content: (content, 0o755)),
    st.sampled_from([b"missing", b"a/b", b"/usr/bin/env", b"\xff", b"t" * 300, b"."]),
)
_TREES = st.recursive(
    st.dictionaries(_NAMES, _LEAVES, max_size=5),
    lambda below: st.dictionaries(_NAMES, below | _LEAVES, max_size=4),
    max_leaves=12,
)


def _make(root: bytes, tree: dict[bytes, Any]) -> None:
    for name, what in tree.items():
        path = root + b"/" + name
        match what:
            case dict():
                os.mkdir(path)
                _make(path, what)
            case bytes():
                os.symlink(what, path)
            case content, mode:
                with open(path, "wb") as file:
                    file.write(content)
                os.chmod(path, mode)


def _round_trip(tree: dict[bytes, Any]) -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "app").mkdir()
        _make(os.fsencode(place / "app"), tree)
        made = pack(place / "app", MANIFEST, place / "app.tgz")
        opened, expected = Slug.open(place / "app.tgz"), snapshot(place / "app")
        opened.verify(made.digest)
        opened.unpack(place / "out")
        assert snapshot(place / "out") == expected
        assert {one.path for one in opened.files()} == set(expected)
        assert opened.diff_id == made.diff_id
        surveyed = _unshared(opened)
        with patch("slugkit.archive._slugfile.read_index", lambda *_: None):
            opened.unpack(place / "streamed")
            assert _unshared(opened) == surveyed
            assert Slug.open(place / "app.tgz").diff_id == made.diff_id
        assert snapshot(place / "streamed") == expected
        plain = gzip.decompress((place / "app.tgz").read_bytes())
        assert f"sha256:{hashlib.sha256(plain).hexdigest()}" == made.diff_id
        assert pack(place / "out", MANIFEST, place / "again.tgz") == made


@pytest.fixture
def small_segments() -> Iterator[None]:
    """Cut a slug into many segments."""
    with patch.multiple("slugkit.archive._segments", LARGEST_SEGMENT=4096, _LEAST=1024, _MEAN=1024):
        yield


@pytest.mark.usefixtures("small_segments")
@given(_TREES)
@settings(FUZZ, max_examples=60)
def test_what_is_packed_comes_out(tree: dict[bytes, Any]) -> None:
    """Any tree comes out of its slug as it went in: through the index, as a stream, and packed once more."""
    _round_trip(tree)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("small_segments")
@given(_TREES)
@settings(FUZZ, max_examples=2000)
def test_whatever_is_packed_comes_out(tree: dict[bytes, Any]) -> None:
    """The same, for longer."""
    _round_trip(tree)


# --- indexes at random -------------------------------------------------------------------------------------------

_ODD_NAMES = [
    "app/a",
    "app/a/b",
    "app/./c",
    "app/d/",
    "app",
    "app/",
    "app//x",
    "app/caf\u00e9",
    "beside",
    "app/tmp",
    "",
]
_LONG_NAMES = [f"app/{'n' * 94}{end}" for end in ("", "n", "/", "/x", "nnnnnnn", "\u00e9")]
_ANY_NAME = st.sampled_from(_ODD_NAMES + _LONG_NAMES)
_ANY_CONTENT = st.sampled_from(
    [b"", b"x", file_("./app/evil"), bytes(512), bytes(1024) + file_("./app/q"), pax(("path", b"./app/w")), NOISE[:700]]
)
_TARGETS = st.sampled_from(["a", "../x", "/usr", "/proc"])


@frozen
class _Entry:
    """A member of a tar, and what an index says of it."""

    member: bytes
    line: str


@st.composite
def _entries(draw: st.DrawFn) -> _Entry:
    name, letter, content = draw(_ANY_NAME), draw(st.sampled_from("fffxdl")), draw(_ANY_CONTENT)
    target = draw(_TARGETS)
    member = {
        "f": file_(f"./{name}", content),
        "x": file_(f"./{name}", content, 0o755),
        "d": dir_(f"./{name}/"),
        "l": link(f"./{name}", target),
    }[letter]
    size = len(content)
    match draw(st.integers(0, 9)):
        case 0:
            name = draw(_ANY_NAME)
        case 1:
            letter = draw(st.sampled_from("fxdl"))
        case 2:
            size = draw(st.sampled_from([0, 1, 512, 1024, size + 512]))
    told = {"f": f",{size}", "x": f",{size}", "d": "", "l": f",{json.dumps(target)}"}[letter]
    return _Entry(member, f'[{json.dumps(name)},"{letter}"{told}]')


@st.composite
def _indexed(draw: st.DrawFn) -> bytes:
    entries = draw(st.lists(_entries(), max_size=3))
    tar = b"".join([APP, *(one.member for one in entries)])
    cuts = draw(st.lists(st.integers(1, len(tar) // 256).map(lambda half: half * 256), max_size=2, unique=True))
    made = honest()
    places = [0, *sorted(cut for cut in cuts if cut < len(tar)), len(tar)]
    made.segments += [tar[start:end] for start, end in pairwise(places)]
    made.files += [one.line for one in entries]
    return made.made()


@given(_indexed())
@settings(FUZZ, max_examples=150)
def test_an_index_tells_what_the_stream_shows_or_is_refused(raw: bytes) -> None:
    """Whatever an index says of whatever tar, it is refused, or a reader of the stream gets the same tree."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "indexed.tgz"
        path.write_bytes(raw)
        slug = Slug(path, MANIFEST, len(raw))
        try:
            slug.unpack(path.parent / "indexed")
        except SlugkitError:
            return
        with patch("slugkit.archive._slugfile.read_index", lambda *_: None):
            slug.unpack(path.parent / "streamed")
        assert snapshot(path.parent / "indexed") == snapshot(path.parent / "streamed")
