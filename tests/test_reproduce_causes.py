"""Causes told from bytes alone: no build, so every kind is tried cheaply."""

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from slugkit.archive import Slug
from slugkit.reproduction import Difference, Range
from slugkit.reproduction._circumstances import Circumstances, conditions
from slugkit.reproduction._compare import compare_slugs
from slugkit.reproduction._ranges import _MOST_RANGES, compare_files
from slugkit.testing import make_slug

FIRST = Circumstances(
    source="/home/me/app",
    cache_dir="/home/me/.cache/one",
    build_dir="/home/me/.cache/one/work-0a0a0a0a/tmp/build_11111111",
    umask=0o022,
    locale="C.UTF-8",
    zone="UTC0",
    began=1_795_426_334.2,
    ended=1_795_426_335.9,
    ahead=None,
    earlier=0,
    reordered=False,
    cpus=8,
    uid=61_500,
)
SECOND = evolve(
    FIRST,
    source="/elsewhere/app",
    cache_dir="/elsewhere/second",
    build_dir="/elsewhere/second/work-0b0b0b0b/tmp/build_22222222",
    began=1_795_426_338.1,
    ended=1_795_426_339.0,
    earlier=432_123,
    cpus=1,
    uid=62_345,
)


def compared(
    tmp_path: Path, one: dict[str, str | bytes], other: dict[str, str | bytes], *, second: Circumstances = SECOND
) -> tuple[Difference, ...]:
    """Return how slugs of *one* and *other* differ."""
    slugs: list[Slug] = []
    trees = []
    for number, files in enumerate((one, other)):
        place = tmp_path / str(number)
        place.mkdir()
        slugs.append(make_slug(place, files))
        trees.append(place / "unpacked")
        slugs[-1].unpack(trees[-1])
    return compare_slugs((slugs[0], slugs[1]), (trees[0], trees[1]), (FIRST, second))


def zipped(when: tuple[int, int, int, int, int, int]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo("x", when), "x")
    return out.getvalue()


def tarred(when: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo("x")
        member.mtime = when
        archive.addfile(member)
    return out.getvalue()


def pyc(when: int) -> bytes:
    return b"\xa7\r\r\n" + struct.pack("<III", 0, when, 5) + b"\xe3code"


NOW, THEN = 1_795_426_335, 1_795_426_338
CASES: list[tuple[str, bytes, bytes, str]] = [
    ("seconds", b"built 1795426335\n", b"built 1795426338\n", "timestamp"),
    ("fraction", b"at 1795426335.25;", b"at 1795426338.75;", "timestamp"),
    ("milliseconds", b"{t: 1795426335123}", b"{t: 1795426338456}", "timestamp"),
    ("nanoseconds", b"1795426335123456789", b"1795426338123456780", "timestamp"),
    ("hex-seconds", b"#%x\n" % NOW, b"#%x\n" % THEN, "timestamp"),
    ("packed", b"\0\1\2\3" + struct.pack("<Q", NOW), b"\0\1\2\3" + struct.pack("<Q", THEN), "timestamp"),
    ("packed-big", b"\0" + struct.pack(">I", NOW) + b"\0", b"\0" + struct.pack(">I", THEN) + b"\0", "timestamp"),
    ("iso", b"on 2026-11-23T09:32:15Z.", b"on 2026-11-23T09:32:18Z.", "timestamp"),
    ("iso-date", b"on 2026-11-23.", b"on 2026-11-24.", "timestamp"),
    ("compact", b"v20261123093215", b"v20261123093218", "timestamp"),
    ("date(1)", b"Mon Nov 23 09:32:15 UTC 2026", b"Mon Nov 23 09:32:18 UTC 2026", "timestamp"),
    ("date(1)-zone", b"Mon Nov 23 09:32:15 UTC 2026", b"Mon Nov 23 23:17:15 +1345 2026", "timestamp"),
    ("clock", b"at 09:32:15\n", b"at 09:32:18\n", "timestamp"),
    ("zone", b"zone UTC\n", b"zone +1345\n", "timestamp"),
    ("gzip", gzip.compress(b"x", mtime=NOW), gzip.compress(b"x", mtime=THEN), "timestamp"),
    ("zip", zipped((2026, 11, 23, 9, 32, 14)), zipped((2026, 11, 23, 9, 32, 18)), "timestamp"),
    ("tar", tarred(NOW), tarred(THEN), "timestamp"),
    ("file.pyc", pyc(NOW), pyc(NOW - 432_123), "file-time"),
    ("new.pyc", pyc(NOW), pyc(THEN), "timestamp"),
    ("mtime", b"m 1700432123", b"m 1700000000", "file-time"),
    ("mtime-iso", b"m 2023-11-19 22:15:23", b"m 2023-11-14 22:13:20", "file-time"),
    ("build-dir", b"p=/tmp/build_11111111/x", b"p=/tmp/build_22222222/x", "build-path"),
    ("env-dir", b"p=/tmp/env_11111111", b"p=/tmp/env_22222222", "build-path"),
    ("source", b"at /home/me/app/a.c:3", b"at /elsewhere/app/a.c:3", "build-path"),
    ("cache", b"c=/home/me/.cache/one/x", b"c=/elsewhere/second/x", "build-path"),
    ("pack", b"/tmp/buildpack_0a1b2c3d/bin", b"/tmp/buildpack_9f8e7d6c/bin", "build-path"),
    ("binary-path", b"\0\x01/tmp/build_11111111\0", b"\0\x01/tmp/build_22222222\0", "build-path"),
    ("lines", b"b\na\nc\n", b"c\na\nb\n", "order"),
    ("no-newline", b"b\na", b"a\nb", "order"),
    ("json", b'{"b": [1, 2], "a": {"x": 1}}', b'{"a": {"x": 1}, "b": [2, 1]}', "order"),
    ("words", b"{'x', 'y', 'z'}\n", b"{'z', 'x', 'y'}\n", "order"),
    ("locale", b"B\na\nc\n", b"a\nB\nc\n", "locale-order"),
    ("locale-signs", b"a-c\nab\n", b"ab\na-c\n", "locale-order"),
    ("cpus", b"workers 8;\n", b"workers 1;\n", "cpu-count"),
    ("uid", b"owner 61500\n", b"owner 62345\n", "user-id"),
    ("pid", b"pid 4711\n", b"pid 4813\n", "process-id"),
    ("pid-longer", b"pid 99\n", b"pid 100\n", "process-id"),
    ("random-number", b"n 982347230948723094", b"n 123098471209387412", "random"),
    ("uuid", b"id 6f9619ff-8b86-d011-b42d-00cf4fc964ff", b"id 0e37df36-f698-11e6-8dd4-cb9ced3df976", "random"),
    ("hex", b"id: 9f86d081884c7d65", b"id: 60303ae22b998861", "random"),
    ("mktemp", b"/tmp/tmp.Xy3aB9kQ1z", b"/tmp/tmp.Lm7cD2wE5v", "random"),
    (
        "deflated",
        b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x81\x82\x83",
        b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x91\x92\x93",
        "compressed",
    ),
    ("plain", b"cat", b"dog", "unknown"),
    ("data", b"\0\x013\x02\0", b"\0\x017\x02\0", "unknown"),
]


@pytest.mark.parametrize(("name", "one", "other", "code"), CASES, ids=[name for name, *_ in CASES])
def test_the_cause_is_told_from_the_bytes(tmp_path: Path, name: str, one: bytes, other: bytes, code: str) -> None:
    """A file that differs for one reason is named with that reason."""
    (found,) = compared(tmp_path, {name: one}, {name: other})

    assert (found.path, found.kind) == (name, "content")
    assert [cause.code for cause in found.causes] == [code], found


def test_several_causes_of_one_file_are_all_told(tmp_path: Path) -> None:
    """A file that differs here for one reason and there for another is named with both."""
    gap = b" " * 40
    one = b"/tmp/build_11111111" + gap + b"1795426335" + gap + b"pid 4711"
    other = b"/tmp/build_22222222" + gap + b"1795426338" + gap + b"pid 4813"
    (found,) = compared(tmp_path, {"log.txt": one}, {"log.txt": other})

    assert [cause.code for cause in found.causes] == ["build-path", "timestamp", "process-id"]
    assert found.ranges == (Range(11, 18), Range(68, 68), Range(114, 116))
    assert found.count == 8 + 1 + 2


def test_the_end_of_files_of_unequal_length_is_looked_at_too(tmp_path: Path) -> None:
    """Where one file is longer, what differs at its end is told as well as what differs at its beginning."""
    middle = "\n".join(f"line number {number}" for number in range(200)).encode()
    one = b"pid 99\n" + middle + b"\nbuilt 1795426335\n"
    other = b"pid 100\n" + middle + b"\nbuilt 1795426338\n"
    (found,) = compared(tmp_path, {"log.txt": one}, {"log.txt": other})

    assert [cause.code for cause in found.causes] == ["process-id", "timestamp"]
    assert found.sizes == (len(one), len(other))


def test_a_faked_clock_counts_as_the_builds_time(tmp_path: Path) -> None:
    """With a clock put forward, the second build's time is that clock's."""
    ahead = evolve(SECOND, ahead=93_784)
    (found,) = compared(tmp_path, {"t": b"1795426335"}, {"t": b"%d" % (THEN + 93_784)}, second=ahead)

    assert [cause.code for cause in found.causes] == ["timestamp"]


def test_modes_links_and_missing_files_are_told(tmp_path: Path) -> None:
    """A run bit, and a name that only one slug has, are told by path; a name is looked into as a file is."""
    one: dict[str, str | bytes] = {"run": "#!x", "out/1795426335.log": "", "only": ""}
    other: dict[str, str | bytes] = {"run": "#!x", "out/1795426338.log": ""}
    found = compared(tmp_path, one, other)

    assert [(d.path, d.kind, d.causes[0].code) for d in found] == [
        ("only", "only-first", "unknown"),
        ("out/1795426335.log", "only-first", "timestamp"),
        ("out/1795426338.log", "only-second", "timestamp"),
    ]


def test_a_manifest_that_differs_is_named(tmp_path: Path) -> None:
    """Slugs with the same files and other process types differ in the manifest, by a name that no file of it has."""
    slugs = []
    for number in (1, 2):
        place = tmp_path / str(number)
        place.mkdir()
        slugs.append(make_slug(place, {}, web=f"run --pid {number}4711"))
        slugs[-1].unpack(place / "unpacked")
    trees = (tmp_path / "1/unpacked", tmp_path / "2/unpacked")
    (found,) = compare_slugs((slugs[0], slugs[1]), trees, (FIRST, SECOND))

    assert (found.path, found.kind) == ("./.slugkit/manifest.json", "manifest")
    assert found.causes[0].code == "process-id"


HOSTILE = [
    b"[" * 100_000,
    b'{"a":' * 5_000,
    b"\xff\xfe" * 50,
    b"9" * 10_000,
    b"\x1f\x8b\x08",
    b"PK\x03\x04",
    b"ustar",
    b"",
]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_hostile_contents_crash_nothing(tmp_path: Path, number: int) -> None:
    """Files that are nested deep, cut short, or no text are compared like any."""
    one = HOSTILE[number]
    (found,) = compared(tmp_path, {"x.pyc": one + b"1"}, {"x.pyc": b"2" + one})

    assert found.causes


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_ranges_cover_exactly_what_differs(one: bytes, other: bytes) -> None:
    """Outside the ranges both files are the same; each range begins and ends with a difference; all are counted."""
    found = compare_files(io.BytesIO(one), io.BytesIO(other))

    assert found.sizes == (len(one), len(other))
    if one == other:
        assert (found.ranges, found.count) == ((), 0)
    elif len(one) == len(other):
        changed = [at for at in range(len(one)) if one[at] != other[at]]
        covered = {at for r in found.ranges for at in range(r.first, r.last + 1)}
        assert covered.issuperset(changed)
        assert {at for r in found.ranges for at in (r.first, r.last)} <= set(changed)
        assert found.count == len(changed)
        assert 0 < len(found.ranges) <= _MOST_RANGES
    else:
        (only,) = found.ranges
        shared = max(len(one), len(other)) - only.last - 1
        assert one[: only.first] == other[: only.first]
        assert one[len(one) - shared :] == other[len(other) - shared :]


def pieces(*changes: int) -> Iterator[bytes]:
    for change in changes:
        yield bytes(2**20 - 1) + bytes([change])


def test_large_files_are_compared_in_pieces() -> None:
    """Offsets go on from one piece of a file to the next, and ranges over their border are one."""
    one, other = b"".join(pieces(0, 0, 0)), b"".join(pieces(0, 1, 1))
    other = other[: 2**21] + b"\x01" + other[2**21 + 1 :]
    found = compare_files(io.BytesIO(one), io.BytesIO(other))

    assert found.ranges == (Range(2**21 - 1, 2**21), Range(3 * 2**20 - 1, 3 * 2**20 - 1))
    assert found.count == 3


def test_conditions_say_what_was_not_varied() -> None:
    """One CPU, an order that the file system decides and the same user are told as not varied, with the reason."""
    told = {one.name: one for one in conditions(FIRST, evolve(SECOND, cpus=8, uid=FIRST.uid), root=False)}

    assert {name for name, one in told.items() if not one.varied} == {
        *("umask", "locale", "time zone", "file order", "cpus", "user id", "host name"),
    }
    assert all(told[name].note for name in ("file order", "cpus", "user id", "host name"))
    assert "install libfaketime" in told["clock"].note
