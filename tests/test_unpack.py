"""Unpacking: hostile and damaged archives end in one error with nothing left; honest ones in the tree they hold."""

import gzip
import io
import os
import random
import resource
import struct
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from slugkit.archive import Slug, pack, unpack_source
from slugkit.archive._rules import check_link, check_path
from slugkit.archive._tar import BLOCK, END, Kind, Member, header, padding
from slugkit.errors import CorruptSlugError, OutputError, SlugkitError, SlugNotFoundError, UnsafeMemberError
from slugkit.slug import Manifest

CORRUPT, UNSAFE = "slug.corrupt", "slug.unsafe-member"
MTIME = 1_000_000_000
CANARY = "still here"


def _file(name: str, content: bytes = b"x", mode: int = 0o644, mtime: int = MTIME) -> bytes:
    return header(Member(name, "file", len(content), mode, mtime)) + content + padding(len(content))


def _dir(name: str) -> bytes:
    return header(Member(name, "dir", 0, 0o755, MTIME))


def _link(name: str, target: str) -> bytes:
    return header(Member(name, "link", 0, 0o777, MTIME, target))


def _hard(name: str, target: str) -> bytes:
    return header(Member(name, "hardlink", 0, 0o644, MTIME, target))


def _checked(block: bytes) -> bytes:
    """Return the header *block* with the checksum it should have."""
    blank = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(blank) + block[156:]


def _patched(block: bytes, offset: int, data: bytes) -> bytes:
    return _checked(block[:offset] + data + block[offset + len(data) :])


def _typed(flag: bytes, name: str = "./app/x", size: int = 0) -> bytes:
    return _patched(header(Member(name, "file", size)), 156, flag)


def _extension(flag: bytes, data: bytes) -> bytes:
    return _patched(header(Member("././@Long", "file", len(data))), 156, flag) + data + padding(len(data))


def _record(key: str, value: bytes) -> bytes:
    rest = b" " + key.encode() + b"=" + value + b"\n"
    length = next(n for n in range(len(rest), len(rest) + 9) if n == len(rest) + len(str(n)))
    return str(length).encode() + rest


def _pax(*records: tuple[str, bytes]) -> bytes:
    return _extension(b"x", b"".join(_record(key, value) for key, value in records))


def _slug(*pieces: bytes, end: bytes = END) -> bytes:
    return gzip.compress(b"".join(pieces) + end, compresslevel=1, mtime=0)


def _by_tarfile(add: Callable[[tarfile.TarFile], object], **options: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1, **options) as archive:  # type: ignore[call-overload]
        add(archive)
    return out.getvalue()


def _info(name: str, kind: bytes, target: str = "", **fields: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    for key, value in fields.items():
        setattr(info, key, value)
    return info


A = _dir("./app/")


class Target:
    """A place to unpack to with a canary beside it; `refuses` holds what must be true of any refusal."""

    def __init__(self, tmp_path: Path) -> None:
        self.home = tmp_path / "home"
        self.home.mkdir()
        self.slug = tmp_path / "hostile.tgz"
        self.directory = self.home / "app"
        (self.home / "canary").write_text(CANARY)
        (self.home / "beside").mkdir()
        self.before = self._state()

    def _state(self) -> list[tuple[str, int, int]]:
        return sorted((str(path), path.lstat().st_mode, path.lstat().st_size) for path in self.home.rglob("*"))

    def is_as_before(self) -> None:
        """Assert that nothing was made, changed or left behind, here or where archives like to write."""
        assert self._state() == self.before
        assert (self.home / "canary").read_text() == CANARY
        assert not os.path.lexists(self.directory)

    def refuses(self, raw: bytes, *codes: str) -> SlugkitError:
        """Assert that *raw* is refused by unpack, by verify and by files alike, and return unpack's error."""
        self.slug.write_bytes(raw)
        slug = Slug(self.slug, Manifest(), len(raw))
        with pytest.raises(SlugkitError) as caught:
            slug.unpack(self.directory)
        assert caught.value.code in codes
        self.is_as_before()
        with pytest.raises(SlugkitError) as verified:
            slug.verify()
        assert verified.value.code == caught.value.code
        with pytest.raises(SlugkitError):
            list(slug.files())
        return caught.value

    def takes(self, raw: bytes) -> Path:
        """Unpack *raw*, which is fine, and return the directory."""
        self.slug.write_bytes(raw)
        slug = Slug.open(self.slug)
        slug.verify()
        slug.unpack(self.directory)
        assert sorted(path.name for path in self.home.iterdir()) == ["app", "beside", "canary"]
        return self.directory


@pytest.fixture
def target(tmp_path: Path) -> Target:
    """Return a fresh place to unpack to."""
    return Target(tmp_path)


# --- names that lead out, or that mean two things ---------------------------------------------------------------

NAMES = [
    "./app/..",
    "./app/../canary",
    "./app/../../canary",
    "./app/a/../../canary",
    "./app/a/..",
    "./app/./../canary",
    "./app//etc/passwd",
    "./app/a//b",
    "./app//x",
    "/etc/passwd",
    "//etc/passwd",
    ".//etc/passwd",
    "..",
    "../canary",
    "../../canary",
    "a/../../canary",
    "./../canary",
    "./app/" + "p" * 256,
    "./app/" + "d/" * 201 + "f",
    "./app/" + ("p" * 250 + "/") * 13 + "f",
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:40])
@pytest.mark.parametrize("kind", ["file", "dir", "link"])
def test_names_that_lead_out_are_refused(target: Target, name: str, kind: Kind) -> None:
    """A member whose name climbs, is absolute, has an empty part or no file system's length is refused."""
    raw = header(Member(name, kind, 0, target="app.py" if kind == "link" else ""))

    target.refuses(_slug(raw), UNSAFE)


@pytest.mark.parametrize("name", ["./../canary", "/etc/passwd", "../canary", "./app2/../../canary", ".//etc/passwd"])
def test_names_that_lead_out_beside_the_app_are_refused(target: Target, name: str) -> None:
    """What lies beside ``./app`` is ignored, but a name that climbs or is absolute makes any archive hostile."""
    target.refuses(_slug(A, _file("./app/Procfile"), _file(name)), UNSAFE)


TWICE = {
    "file twice": (_file("./app/a", b"1"), _file("./app/a", b"2")),
    "file twice, spelled otherwise": (_file("./app/a"), _file("./app/./a")),
    "file twice, with and without ./": (_file("./app/a"), _file("app/a")),
    "file, then directory": (_file("./app/a"), _dir("./app/a/")),
    "directory, then file": (_dir("./app/a/"), _file("./app/a")),
    "implied directory, then file": (_file("./app/a/b"), _file("./app/a")),
    "implied directory, then link": (_file("./app/a/b"), _link("./app/a", "c")),
    "link, then file": (_link("./app/a", "b"), _file("./app/a")),
    "link, then directory": (_link("./app/a", "."), _dir("./app/a")),
    "directory, then link": (_dir("./app/a"), _link("./app/a", ".")),
    "link twice": (_link("./app/a", "b"), _link("./app/a", "c")),
    "hard link over its file": (_file("./app/a"), _hard("./app/a", "./app/a")),
    "hard link over a link": (_file("./app/a"), _link("./app/l", "a"), _hard("./app/l", "./app/a")),
    "file as a parent": (_file("./app/a"), _file("./app/a/b")),
    "file as a grandparent": (_file("./app/a"), _file("./app/a/b/c")),
    "hard link as a parent": (_file("./app/a"), _hard("./app/h", "./app/a"), _file("./app/h/b")),
    "manifest twice": (_file("./.slugkit/manifest.json", b'{"schema": 1}'),) * 2,
}


@pytest.mark.parametrize("pieces", TWICE.values(), ids=list(TWICE))
def test_members_that_contradict_are_refused(target: Target, pieces: tuple[bytes, ...]) -> None:
    """A path exists once, and its parents are directories: two readers must not see two different apps."""
    target.refuses(_slug(A, *pieces), UNSAFE)


@pytest.mark.parametrize(
    "root",
    [_file("./app", b"x"), _link("./app", ".."), _link("./app/", "beside"), _link("./app/.", "/etc")],
    ids=["file", "link up", "link with a slash", "link as a dot"],
)
def test_app_itself_is_a_directory(target: Target, root: bytes) -> None:
    """An archive whose ``./app`` is a file or a link is refused: elsewhere it would be written through."""
    target.refuses(_slug(root, _file("./app/a")), UNSAFE)


# --- symbolic links --------------------------------------------------------------------------------------------

THROUGH = {
    "through a link up": (_link("./app/l", ".."), _file("./app/l/canary")),
    "through a link within": (_dir("./app/d"), _link("./app/l", "d"), _file("./app/l/x")),
    "through an absolute link": (_link("./app/l", "/tmp"), _file("./app/l/slugkit-canary")),
    "through a chain": (_link("./app/a", "b"), _link("./app/b", ".."), _file("./app/a/canary")),
    "through a link to itself": (_link("./app/l", "l"), _file("./app/l/x")),
    "a directory below a link": (_link("./app/l", "d"), _dir("./app/l/x")),
    "a link below a link": (_link("./app/l", "d"), _link("./app/l/x", "y")),
    "a hard link below a link": (_file("./app/f"), _link("./app/l", "d"), _hard("./app/l/x", "./app/f")),
    "a hard link through a link": (_dir("./app/d"), _file("./app/d/f"), _link("./app/l", "d"), _hard("./app/h", "l/f")),
    "a hard link to a link": (_link("./app/l", "/etc/passwd"), _hard("./app/h", "./app/l")),
}


@pytest.mark.parametrize("pieces", THROUGH.values(), ids=list(THROUGH))
def test_nothing_is_written_through_a_link(target: Target, pieces: tuple[bytes, ...]) -> None:
    """A member that lies below a symbolic link, or is another name of one, is refused."""
    target.refuses(_slug(A, *pieces), UNSAFE)


def test_links_that_come_later_are_not_written_through_either(target: Target) -> None:
    """A link whose path an earlier member needs as a directory is refused, whichever comes first."""
    target.refuses(_slug(A, _file("./app/l/x"), _link("./app/l", "..")), UNSAFE)


KERNEL = [
    f"{prefix}{name}{suffix}"
    for name in ("proc", "sys", "run", "dev")
    for prefix, suffix in (
        ("/", ""),
        ("/", "/"),
        ("/", "/self/root"),
        ("//", "/self"),
        ("/./", "/self"),
        ("/.//", "/self"),
        ("///", ""),
        ("/usr/../", "/self"),
        ("/../", "/self"),
        ("/usr/./../", ""),
    )
]


@pytest.mark.parametrize("link", KERNEL)
def test_links_into_the_kernel_are_refused(target: Target, link: str) -> None:
    """No spelling of /proc, /sys, /run or /dev is a link's target."""
    target.refuses(_slug(A, _link("./app/a/l", link)), UNSAFE)


OUT = {
    "..": ("l", ".."),
    "../canary": ("l", "../canary"),
    "../app": ("l", "../app"),
    "from below": ("a/b/l", "../../../canary"),
    "down and out": ("l", "a/../../canary"),
    "dots": ("l", "./.././canary"),
    "empty parts": ("l", ".//..//canary"),
    "trailing": ("a/l", "../.."),
    "nothing": ("l", ""),
    "to the kernel": ("a/l", "../../../../../../proc/self/environ"),
}


@pytest.mark.parametrize(("name", "link"), OUT.values(), ids=list(OUT))
def test_links_that_lead_out_are_refused(target: Target, name: str, link: str) -> None:
    """A relative link stays inside of the app."""
    target.refuses(_slug(A, _link(f"./app/{name}", link)), UNSAFE)


CHAINS = {
    "up through a link to the root": [("d/up", ".."), ("out", "d/up/../canary")],
    "the other order": [("out", "d/up/../canary"), ("d/up", "..")],
    "two links down": [("a/b/root", "../.."), ("out", "a/b/root/../../etc")],
    "through an absolute link": [("usr", "/usr"), ("out", "usr/../proc/self/environ")],
    "links to links": [("a", "b"), ("b", "c/d"), ("c/d", ".."), ("out", "a/../canary")],
}


@pytest.mark.parametrize("links", CHAINS.values(), ids=list(CHAINS))
def test_chains_of_links_stay_inside(target: Target, links: list[tuple[str, str]]) -> None:
    """Links that are each harmless must not lead out, or into the kernel, one through the other."""
    target.refuses(_slug(A, *(_link(f"./app/{name}", link) for name, link in links)), UNSAFE)


@pytest.mark.parametrize("name", ["tmp", "log", "Procfile"])
@pytest.mark.parametrize("spelling", ["./app/{}", "app/{}", "./app/./{}", "./{}", "{}"])
@pytest.mark.parametrize("link", ["x", "/var/tmp"])
def test_tmp_log_and_procfile_are_never_links(target: Target, name: str, spelling: str, link: str) -> None:
    """``tmp``, ``log`` and ``Procfile`` in the root of the app are not links, however the archive spells them."""
    target.refuses(_slug(_link(spelling.format(name), link)), UNSAFE)


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("bin/python", "/usr/bin/python3"),
        ("a/b/l", "../../c"),
        ("a/l", ".."),
        ("l", "."),
        ("l", "missing/file"),
        ("l", "/nonexistent"),
        ("l", "/developer"),
        ("l", "/runtime/x"),
        ("lib/tmp", "x"),
        ("l", "caf\udce9"),
        ("l", "t" * 300),
    ],
)
def test_links_that_apps_need_are_kept(target: Target, name: str, link: str) -> None:
    """A link that stays inside, or names a file of the stack, comes out as it was spelled."""
    made = target.takes(_slug(A, _dir("./app/a/b"), _link(f"./app/{name}", link)))

    assert str((made / name).readlink()) == link


# --- hard links ------------------------------------------------------------------------------------------------

HARD = {
    "to nothing": (_hard("./app/h", "./app/missing"),),
    "to a later file": (_hard("./app/h", "./app/f"), _file("./app/f")),
    "to itself": (_hard("./app/h", "./app/h"),),
    "to the host, absolute": (_hard("./app/h", "/etc/passwd"),),
    "to the host, climbing": (_hard("./app/h", "./app/../../home/canary"),),
    "to the host, relative": (_hard("./app/h", "../canary"),),
    "to a directory": (_dir("./app/d"), _hard("./app/h", "./app/d")),
    "to the root": (_hard("./app/h", "./app/"),),
    "to what lies beside the app": (_file("./beside", b"x"), _hard("./app/h", "./beside")),
    "to the manifest": (
        _file("./.slugkit/manifest.json", b'{"schema": 1}'),
        _hard("./app/h", "./.slugkit/manifest.json"),
    ),
    "to the empty name": (_hard("./app/h", ""),),
}


@pytest.mark.parametrize("pieces", HARD.values(), ids=list(HARD))
def test_hard_links_name_earlier_files(target: Target, pieces: tuple[bytes, ...]) -> None:
    """A hard link is another name of a regular file that came before it in the app, or it is refused."""
    target.refuses(_slug(A, *pieces), UNSAFE)


def test_a_file_has_a_thousand_names_at_most(target: Target) -> None:
    """More than 1 000 hard links to a file are refused before a file system runs out of them."""
    pieces = [_hard(f"./app/h{number}", "./app/f") for number in range(1001)]

    target.refuses(_slug(A, _file("./app/f"), *pieces), UNSAFE, CORRUPT)


def test_honest_hard_links_are_one_file(target: Target) -> None:
    """Hard links of archives made elsewhere come out with the content of the file they name."""
    pieces = [_file("./app/f", b"same", 0o755), _hard("./app/h", "./app/f"), _hard("./app/d/i", "app/h")]
    made = target.takes(_slug(A, *pieces))

    assert [(made / name).read_bytes() for name in ("f", "h", "d/i")] == [b"same"] * 3
    assert {(made / name).stat().st_mode & 0o777 for name in ("f", "h", "d/i")} == {0o755}


# --- kinds that no slug holds ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "info",
    [
        _info("./app/null", tarfile.CHRTYPE, devmajor=1, devminor=3),
        _info("./app/sda", tarfile.BLKTYPE, devmajor=8),
        _info("./app/pipe", tarfile.FIFOTYPE),
        _info("./app/contiguous", tarfile.CONTTYPE),
    ],
    ids=["character device", "block device", "FIFO", "contiguous file"],
)
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_special_files_are_refused(target: Target, info: tarfile.TarInfo, form: int) -> None:
    """Devices, FIFOs and whatever else is not a file, directory or link are refused, and named."""
    error = target.refuses(_by_tarfile(lambda archive: archive.addfile(info), format=form), CORRUPT, UNSAFE)

    assert info.name in str(error)


@pytest.mark.parametrize("flag", [bytes([one]) for one in range(256) if bytes([one]) not in b"\x000125xgLK"])
def test_unknown_types_are_refused(target: Target, flag: bytes) -> None:
    """A member of any type that slugkit does not know makes the archive one it does not understand."""
    target.refuses(_slug(A, _typed(flag)), CORRUPT, UNSAFE)


@pytest.mark.parametrize("form", ["gnu", "posix"])
def test_sparse_files_of_gnu_tar_are_refused(target: Target, tmp_path: Path, form: str) -> None:
    """A sparse file is refused in both of the ways in which GNU tar writes one."""
    (tmp_path / "app").mkdir()
    with (tmp_path / "app/sparse").open("wb") as file:
        file.seek(2**20)
        file.write(b"end")
    made = tmp_path / "sparse.tgz"
    command = ["tar", "--sparse", f"--format={form}", "-czf", str(made), "-C", str(tmp_path), "./app"]
    subprocess.run(command, check=True)
    assert b"parse" in gzip.decompress(made.read_bytes())

    target.refuses(made.read_bytes(), CORRUPT, UNSAFE)


# --- damaged tars ----------------------------------------------------------------------------------------------

F = _file("./app/a", b"content")
BLOCK_A = header(Member("./app/a", "file", 0))
DAMAGED = {
    "empty file": b"",
    "not gzip": b"PK\x03\x04" + bytes(600),
    "plain tar": A + F + END,
    "text": b"hello, world\n" * 99,
    "empty gzip": gzip.compress(b""),
    "one byte": gzip.compress(b"x"),
    "no end": _slug(A, F, end=b""),
    "half an end": _slug(A, F, end=bytes(BLOCK)),
    "one byte short of the end": _slug(A, F, end=bytes(2 * BLOCK - 1)),
    "lone zero block": _slug(A, bytes(BLOCK), F),
    "data after the end": _slug(A, F, END, b"x" * BLOCK),
    "an archive after the end": _slug(A, F, END, _file("./app/b")),
    "one byte after the end": _slug(A, F, END, b"\1"),
    "data far after the end": _slug(A, F, bytes(2**20), b"x"),
    "cut in a header": _slug(A, F, BLOCK_A[:300], end=b""),
    "cut in content": _slug(A, header(Member("./app/a", "file", 5000)), b"x" * 1000, end=b""),
    "cut in padding": _slug(A, F[:-1], end=b""),
    "size beyond the archive": _slug(A, header(Member("./app/a", "file", 2**29))),
    "wrong checksum": _slug(A, b"X" + BLOCK_A[1:]),
    "no checksum": _slug(A, BLOCK_A[:148] + bytes(8) + BLOCK_A[156:]),
    "checksum of letters": _slug(A, BLOCK_A[:148] + b"abcdefgh" + BLOCK_A[156:]),
    "size of letters": _slug(A, _patched(BLOCK_A, 124, b"zzzzzzzzzzz\0")),
    "size with a sign": _slug(A, _patched(BLOCK_A, 124, b"-0000000010\0")),
    "size in decimal": _slug(A, _patched(BLOCK_A, 124, b"00000000009\0")),
    "size with data behind it": _slug(A, _patched(BLOCK_A, 124, b"0000000000\x000")),
    "mode of letters": _slug(A, _patched(BLOCK_A, 100, b"rwxr-xr\0")),
    "time of letters": _slug(A, _patched(BLOCK_A, 136, b"yesterday!!\0")),
    "random blocks": _slug(random.Random(3).randbytes(4 * BLOCK)),
    "a damaged header in the middle": _slug(A, F, b"\xff" + BLOCK_A[1:], F),
    "PAX without length": _slug(A, _extension(b"x", b"path=./app/x\n"), F),
    "PAX length 0": _slug(A, _extension(b"x", b"0 path=x\n"), F),
    "PAX length too small": _slug(A, _extension(b"x", b"3 path=x\n"), F),
    "PAX length too large": _slug(A, _extension(b"x", b"99 path=x\n"), F),
    "PAX length negative": _slug(A, _extension(b"x", b"-9 path=x\n"), F),
    "PAX length of 5 000 digits": _slug(A, _extension(b"x", b"9" * 5000 + b" path=x\n"), F),
    "PAX length with 5 000 zeros": _slug(A, _extension(b"x", b"0" * 5000 + b"5008 a=b\n"), F),
    "PAX without equals": _slug(A, _extension(b"x", b"8 pathx\n"), F),
    "PAX without newline": _slug(A, _extension(b"x", b"9 path=xx"), F),
    "PAX of nothing but letters": _slug(A, _extension(b"x", b"garbage"), F),
    "PAX of NULs": _slug(A, _extension(b"x", bytes(100)), F),
    "PAX size of letters": _slug(A, _pax(("size", b"ten")), F),
    "PAX size negative": _slug(A, _pax(("size", b"-1")), F),
    "PAX size empty": _slug(A, _pax(("size", b"")), F),
    "PAX size fraction": _slug(A, _pax(("size", b"7.0")), F),
    "PAX size of 5 000 digits": _slug(A, _pax(("size", b"7" * 5000)), F),
    "PAX size of 5 000 zeros": _slug(A, _pax(("size", b"0" * 5000 + b"7")), F),
    "PAX size smaller": _slug(A, _pax(("size", b"0")), F),
    "PAX size smaller, hiding a member": _slug(
        A, _pax(("size", b"0")), header(Member("./app/a", "file", BLOCK)), _file("./app/evil", b"")
    ),
    "PAX size larger, swallowing a member": _slug(A, _pax(("size", b"512")), BLOCK_A, _file("./app/lost", b"")),
    "PAX path with a NUL": _slug(A, _pax(("path", b"./app/a\0/../../canary")), F),
    "PAX target with a NUL": _slug(A, _pax(("linkpath", b"a\0b")), _link("./app/l", "a")),
    "PAX cut short": _slug(A, _patched(header(Member("x", "file", 900)), 156, b"x") + b"30 path", end=b""),
    "GNU name cut short": _slug(A, _patched(header(Member("x", "file", 900)), 156, b"L") + b"./app", end=b""),
    "header bomb: PAX": _slug(A, _extension(b"x", _record("comment", bytes(2**20))), F),
    "header bomb: global PAX": _slug(A, _extension(b"g", _record("comment", bytes(2**20))), F),
    "header bomb: GNU name": _slug(A, _extension(b"L", b"./app/" + b"n" * 2**20), F),
    "header bomb: GNU target": _slug(A, _extension(b"K", b"n" * (2**20 + 1)), _link("./app/l", "x")),
    "header bomb: size only": _slug(A, _patched(header(Member("x", "file", 8**11 - 1)), 156, b"x")),
    "sparse by PAX": _slug(A, _pax(("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0")), F),
    "sparse by PAX, old": _slug(A, _pax(("GNU.sparse.size", b"99")), F),
    "manifest of letters": _slug(_file("./.slugkit/manifest.json", b"hello"), A, F),
    "manifest a list": _slug(_file("./.slugkit/manifest.json", b"[1]"), A, F),
    "manifest of the future": _slug(_file("./.slugkit/manifest.json", b'{"schema": 99}'), A, F),
    "manifest nested": _slug(_file("./.slugkit/manifest.json", b"[" * 100_000), A, F),
    "manifest too large": _slug(_file("./.slugkit/manifest.json", b" " * (2**24 + 1)), A, F),
}


@pytest.mark.parametrize("raw", DAMAGED.values(), ids=list(DAMAGED))
def test_damaged_slugs_are_refused(target: Target, raw: bytes) -> None:
    """Bytes that are not a whole, well-formed slug are one CorruptSlugError that names the file."""
    error = target.refuses(raw, CORRUPT)

    assert str(target.slug) in str(error)
    assert error.hint


@pytest.mark.parametrize(
    "raw",
    [
        _slug(A, header(Member("./app/a", "file", 2**30 + 1))),
        _slug(A, _patched(BLOCK_A, 124, b"\x80" + struct.pack(">xxxQ", 2**40))),
        _slug(A, _patched(BLOCK_A, 124, b"\xff" * 12)),
        _slug(A, _pax(("size", b"1" + b"0" * 30)), F),
    ],
    ids=["octal", "base 256", "negative base 256", "PAX"],
)
def test_enormous_sizes_are_refused_before_they_are_read(target: Target, raw: bytes) -> None:
    """A file of more than 1 GiB is refused by what its header says, before a byte of it is allocated."""
    target.refuses(raw, UNSAFE, CORRUPT)


def test_sizes_are_summed(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slug of many files that are each allowed is refused when together they are too much."""
    monkeypatch.setattr("slugkit.archive._rules.MOST_BYTES", 1000)
    pieces = [_file(f"./app/{number}", bytes(100)) for number in range(11)]

    target.refuses(_slug(A, *pieces), CORRUPT, UNSAFE)


def test_members_are_counted(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slug of too many members is refused, implied directories counted."""
    monkeypatch.setattr("slugkit.archive._rules.MOST_MEMBERS", 10)

    target.refuses(_slug(A, *(_file(f"./app/d{number}/e/f") for number in range(5))), CORRUPT, UNSAFE)


# --- damaged gzip ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a small slug of slugkit's own making, of two gzip members."""
    root = tmp_path_factory.mktemp("small")
    (root / "Procfile").write_text("web: ./run\n")
    (root / "run").write_text("#!/bin/sh\n")
    (root / "run").chmod(0o755)
    (root / "current").symlink_to("run")
    output = tmp_path_factory.mktemp("out") / "small.tgz"
    pack(root, Manifest(process_types={"web": "./run"}), output)
    return output.read_bytes()


def _tree(root: Path) -> dict[str, object]:
    return {
        str(path.relative_to(root)): str(path.readlink())
        if path.is_symlink()
        else (path.stat().st_mode, b"" if path.is_dir() else path.read_bytes())
        for path in root.rglob("*")
    }


def _diff_id(path: Path, raw: bytes) -> str | SlugkitError:
    """Return the identity of the slug *raw* when all of it is read, or the refusal."""
    path.write_bytes(raw)
    try:
        return Slug.open(path).diff_id
    except SlugkitError as error:
        return error


def test_every_truncation_is_refused(target: Target, small: bytes) -> None:
    """A slug that was cut off anywhere is refused, with nothing left, never taken for a smaller app."""
    for length in range(len(small)):
        target.slug.write_bytes(small[:length])
        with pytest.raises(CorruptSlugError):
            Slug(target.slug, Manifest(), length).unpack(target.directory)
    target.is_as_before()


def test_every_flipped_bit_is_refused_or_harmless(tmp_path: Path, small: bytes) -> None:
    """A slug with any one bit flipped is refused, or is the very same app."""
    path = tmp_path / "flipped.tgz"
    genuine = _diff_id(path, small)
    assert isinstance(genuine, str)
    harmless = 0
    for position in range(len(small) * 8):
        flipped = bytearray(small)
        flipped[position // 8] ^= 1 << position % 8
        found = _diff_id(path, bytes(flipped))
        if isinstance(found, SlugkitError):
            assert found.code in {CORRUPT, UNSAFE}, position
        else:
            assert found == genuine, position
            harmless += 1

    assert harmless < len(small) * 8 / 10  # gzip's flags and times, and other ways to say the same zeros


def test_flipped_content_never_becomes_visible(target: Target, small: bytes) -> None:
    """A slug whose last check is wrong is refused though all of its content was there: nothing appears."""
    for back in range(1, 9):
        flipped = bytearray(small)
        flipped[-back] ^= 0x10
        target.refuses(bytes(flipped), CORRUPT)


def _halves(raw: bytes) -> tuple[bytes, bytes]:
    inflater = zlib.decompressobj(31)
    inflater.decompress(raw)
    return raw[: -len(inflater.unused_data)], inflater.unused_data


GARBAGE = {
    "a letter": lambda raw: raw + b"x",
    "a line": lambda raw: raw + b"garbage\n",
    "half a magic": lambda raw: raw + b"\x1f",
    "a magic": lambda raw: raw + b"\x1f\x8b",
    "a header": lambda raw: raw + gzip.compress(b"")[:10],
    "itself": lambda raw: raw + raw,
    "another archive": lambda raw: raw + _slug(A, F),
    "a member of letters": lambda raw: raw + gzip.compress(b"letters"),
    "zeros, then a letter": lambda raw: raw + bytes(600) + b"x",
    "zeros, then an empty member": lambda raw: raw + bytes(8) + gzip.compress(b""),
    "zeros across chunks, then a letter": lambda raw: raw + bytes(2**18) + b"x",
    "zeros in front": lambda raw: bytes(8) + raw,
    "a letter in front": lambda raw: b"x" + raw,
    "zeros between the members": lambda raw: bytes(8).join(_halves(raw)),
    "a letter between the members": lambda raw: b"x".join(_halves(raw)),
    "members swapped": lambda raw: b"".join(reversed(_halves(raw))),
    "second member lost": lambda raw: _halves(raw)[0],
    "second member twice": lambda raw: raw + _halves(raw)[1],
}


@pytest.mark.parametrize("damage", GARBAGE.values(), ids=list(GARBAGE))
def test_garbage_around_gzip_members_is_refused(target: Target, small: bytes, damage: Callable[[bytes], bytes]) -> None:
    """Only zeros may follow the last gzip member, and nothing comes before or between them."""
    target.refuses(damage(small), CORRUPT, UNSAFE)


@pytest.mark.parametrize("zeros", [1, 511, 2**18, 2**18 + 1, 10**6])
def test_zeros_after_the_last_member_are_fine(target: Target, small: bytes, zeros: int) -> None:
    """Padding behind the last gzip member, as tapes and block devices leave it, is no damage."""
    assert "run" in _tree(target.takes(small + bytes(zeros)))


@pytest.mark.parametrize("cut", [1, 7, 100, 512, 3000])
def test_concatenated_members_are_one_stream(target: Target, cut: int) -> None:
    """A tar cut into gzip members at any point, empty ones among them, is the tar."""
    plain = A + _file("./app/noise", random.Random(1).randbytes(2000)) + END
    pieces = [plain[start : start + cut] for start in range(0, len(plain), cut)]
    raw = b"".join(gzip.compress(piece) + gzip.compress(b"") for piece in pieces)

    assert (target.takes(raw) / "noise").read_bytes() == random.Random(1).randbytes(2000)


def test_zip_bombs_are_refused(target: Target) -> None:
    """What grows more than 200 times beyond 64 MiB is refused, well before it fills the disk."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = A + header(Member("./app/zeros", "file", 100 * 2**20))
    raw = deflate.compress(head) + b"".join(deflate.compress(bytes(2**20)) for _ in range(100)) + deflate.flush()

    error = target.refuses(raw, CORRUPT)
    assert "200" in str(error)


def test_zip_bombs_are_refused_before_they_are_in_memory() -> None:
    """A bomb is refused in small steps: no single step may already hold more than the 64 MiB that are free."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
    raw = b"".join(deflate.compress(bytes(2**20)) for _ in range(200)) + deflate.flush()

    assert _peak_of_inflating(raw) <= 64 * 2**20


_PEAK = """
import io, re, sys
from pathlib import Path
from slugkit.archive._gzip import inflate
def peak(): return int(re.search("VmHWM:[^0-9]*([0-9]+)", Path("/proc/self/status").read_text())[1]) * 1024
raw = sys.stdin.buffer.read()
before = peak()
try:
    for _ in inflate(io.BytesIO(raw), "bomb"): pass
    sys.exit("it was taken")
except ValueError: pass
print(peak() - before)
"""


def _peak_of_inflating(raw: bytes) -> int:
    """Return the most memory, in bytes, that inflating *raw* piece by piece takes, as a child measures it."""
    done = subprocess.run([sys.executable, "-c", _PEAK], input=raw, check=True, capture_output=True)
    return int(done.stdout)


# --- layouts and writers ---------------------------------------------------------------------------------------


def _source(root: Path) -> Path:
    root.mkdir()
    (root / "Procfile").write_text("web: python app.py\nworker: python worker.py\n")
    (root / "lib").mkdir()
    (root / "lib" / ("long-" * 30 + ".py")).write_text("x = 1\n")
    (root / "lib/caf\udce9").write_text("latin-1")
    (root / "lib/current").symlink_to("../Procfile")
    (root / "empty").mkdir()
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o750)
    return root


GNU_TAR = {
    "./app": ["-C", "{parent}", "./app"],
    "app": ["-C", "{parent}", "app"],
    "bare ./": ["-C", "{parent}/app", "."],
    "bare names": ["-C", "{parent}/app", "Procfile", "empty", "lib", "run.sh"],
    "Heroku's compiler": ["--xform", "s,^./,./app/,", "--owner=root", "--hard-dereference", "-C", "{parent}/app", "."],
}


@pytest.mark.parametrize("form", ["gnu", "posix", "oldgnu"])
@pytest.mark.parametrize("layout", GNU_TAR.values(), ids=list(GNU_TAR))
def test_archives_of_gnu_tar_are_read(target: Target, tmp_path: Path, form: str, layout: list[str]) -> None:
    """Slugs that GNU tar made, in each layout of contract.md 3.3, give the app and the Procfile's types."""
    root = _source(tmp_path / "app")
    if "--xform" in layout:
        (root / "lib/current").unlink()  # that command rewrites targets (contract.md 3.3)
    arguments = [one.format(parent=tmp_path) for one in layout]
    subprocess.run(["tar", f"--format={form}", "-czf", str(target.slug), *arguments], check=True)
    slug = Slug.open(target.slug)

    assert dict(slug.process_types) == {"web": "python app.py", "worker": "python worker.py"}
    assert slug.manifest.schema == 0
    slug.unpack(target.directory)
    assert set(_tree(target.directory)) == set(_tree(root))
    assert (target.directory / "run.sh").stat().st_mode & 0o777 == 0o755


def test_a_bare_tree_may_have_a_directory_called_app(target: Target) -> None:
    """A bare ``./`` tree of a Rails app keeps its ``app/`` directory and what lies beside it."""
    pieces = [_dir("./"), _dir("./app/"), _file("./app/models/x.rb"), _file("./Procfile", b"web: x\n")]
    made = target.takes(_slug(*pieces))

    assert sorted(_tree(made)) == ["Procfile", "app", "app/models", "app/models/x.rb"]
    assert dict(Slug.open(target.slug).process_types) == {"web": "x"}


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("arcname", ["./app", "app", ".", ""])
def test_archives_of_python_are_read(target: Target, tmp_path: Path, form: int, arcname: str) -> None:
    """Slugs that Python's tarfile made, in each of its formats, give the app they hold."""
    root = _source(tmp_path / "app")
    if form == tarfile.USTAR_FORMAT:
        (root / "lib" / ("long-" * 30 + ".py")).unlink()

    def add(archive: tarfile.TarFile) -> None:
        if arcname:
            archive.add(root, arcname)
        else:
            for path in sorted(root.iterdir()):
                archive.add(path, path.name)

    made = target.takes(_by_tarfile(add, format=form))

    assert _contents(made) == _contents(root)
    assert Slug.open(target.slug).process_types["web"] == "python app.py"


def _contents(root: Path) -> dict[str, object]:
    return {name: one[1] if isinstance(one, tuple) else one for name, one in _tree(root).items()}


def test_archives_of_bsdtar_are_read(target: Target) -> None:
    """PAX records that bsdtar adds (times, owners, SCHILY and LIBARCHIVE keys) are no obstacle."""
    records = [
        ("mtime", b"1000000000.123456789"),
        ("atime", b"1700000000.5"),
        ("uid", b"4294967296"),
        ("uname", "ren\xe9".encode()),
        ("SCHILY.dev", b"65024"),
        ("LIBARCHIVE.xattr.user.x", b"eA=="),
        ("LIBARCHIVE.creationtime", b"1000000000"),
    ]
    raw = _slug(_pax(*records), _dir("./app/"), _pax(*records), _file("./app/Procfile", b"web: x\n"))

    assert (target.takes(raw) / "Procfile").read_bytes() == b"web: x\n"
    assert dict(Slug.open(target.slug).process_types) == {"web": "x"}


def test_xattrs_and_setuid_do_not_come_out(target: Target) -> None:
    """Extended attributes, setuid, setgid and sticky bits and group-write of an archive stay in it."""
    raw = _slug(
        A, _pax(("SCHILY.xattr.user.evil", b"1")), _file("./app/su", b"x", 0o7777), _file("./app/w", b"x", 0o666)
    )
    made = target.takes(raw)

    assert (made / "su").stat().st_mode & 0o7777 == 0o755
    assert (made / "w").stat().st_mode & 0o7777 == 0o644
    assert os.listxattr(made / "su") == []


def test_global_pax_headers_of_git_archive_are_fine(target: Target) -> None:
    """The comment that ``git archive`` puts in front, with the commit, is read past."""
    raw = _slug(_extension(b"g", _record("comment", b"a" * 40)), A, _file("./app/a"))

    assert [path.name for path in target.takes(raw).iterdir()] == ["a"]


def test_ancient_archives_are_read(target: Target) -> None:
    """A tar from before ustar (no magic, a directory by its trailing slash, NUL as the type) is read."""
    plain = _patched(_patched(BLOCK_A, 156, b"\0"), 257, bytes(8))
    directory = _patched(_patched(header(Member("./app/d/", "file")), 156, b"\0"), 257, bytes(8))
    made = target.takes(_slug(directory, plain))

    assert sorted(path.name for path in made.iterdir()) == ["a", "d"]
    assert (made / "d").is_dir()


def test_ustar_prefixes_are_joined(target: Target) -> None:
    """A name that ustar splits into prefix and name is one path."""
    raw = _slug(A, _patched(header(Member("file", "file")), 345, b"./app/" + b"p" * 100))

    assert [str(path.relative_to(target.directory)) for path in target.takes(raw).rglob("file")] == [
        "p" * 100 + "/file"
    ]


def test_what_lies_beside_the_app_is_ignored(target: Target) -> None:
    """Below ``./app`` is the app; anything else in the archive does not come out (contract.md 3.3)."""
    raw = _slug(A, _file("./app/a"), _file("./README"), _file("./application/x"), _file("./.slugkit/index.json"))

    assert [path.name for path in target.takes(raw).iterdir()] == ["a"]


def test_without_a_manifest_the_procfile_tells_the_types(target: Target) -> None:
    """A slug made elsewhere runs by the Procfile in its root, and by no other."""
    raw = _slug(A, _file("./app/lib/Procfile", b"evil: x\n"), _file("./app/Procfile", b"web: a\nworker: b\n"))
    target.slug.write_bytes(raw)

    assert dict(Slug.open(target.slug).process_types) == {"web": "a", "worker": "b"}


def test_a_procfile_that_is_a_hard_link_tells_the_types(target: Target) -> None:
    """A Procfile that the archive holds as another name of an earlier file is a Procfile."""
    target.slug.write_bytes(_slug(A, _file("./app/P", b"web: a\n"), _hard("./app/Procfile", "./app/P")))

    assert dict(Slug.open(target.slug).process_types) == {"web": "a"}


def test_a_manifest_beats_the_procfile(target: Target) -> None:
    """Process types come from the manifest where there is one, whatever the Procfile says."""
    manifest = b'{"schema": 1, "process_types": {"web": "from the manifest"}}'
    target.slug.write_bytes(
        _slug(_file("./.slugkit/manifest.json", manifest), A, _file("./app/Procfile", b"web: no\n"))
    )

    assert dict(Slug.open(target.slug).process_types) == {"web": "from the manifest"}


def test_an_app_that_has_a_slugkit_directory_has_no_manifest(target: Target) -> None:
    """An app's own file at ``.slugkit/manifest.json`` is a file, never the manifest."""
    evil = _file("./app/.slugkit/manifest.json", b'{"schema": 1, "process_types": {"web": "evil"}}')
    made = target.takes(_slug(A, evil, _file("./app/Procfile", b"web: good\n")))

    assert dict(Slug.open(target.slug).process_types) == {"web": "good"}
    assert (made / ".slugkit/manifest.json").is_file()


def test_opening_reads_the_manifest_and_not_the_payload(target: Target, small: bytes) -> None:
    """Opening a slug whose payload is damaged tells its types; reading on is what fails."""
    payload = gzip.compress(_file("./app/noise", random.Random(1).randbytes(2**20)))
    target.slug.write_bytes(_halves(small)[0] + payload[:-200_000])
    slug = Slug.open(target.slug)

    assert dict(slug.process_types) == {"web": "./run"}
    with pytest.raises(CorruptSlugError):
        slug.verify()


def test_files_tells_every_entry(target: Target) -> None:
    """``files`` tells path, kind, size, mode and target of each entry, in the archive's order."""
    target.slug.write_bytes(_slug(A, _file("./app/b", b"123", 0o700), _dir("./app/a"), _link("./app/a/l", "../b")))
    found = [(one.path, one.kind, one.size, one.mode, one.target) for one in Slug.open(target.slug).files()]

    assert found[:2] == [("b", "file", 3, 0o755, ""), ("a", "dir", 0, 0o755, "")]
    assert found[2][:3] == ("a/l", "link", 0)
    assert found[2][4] == "../b"


def test_verify_compares_the_digest(target: Target, small: bytes) -> None:
    """``verify`` takes the slug's digest in either case, and refuses another slug's."""
    target.slug.write_bytes(small)
    slug = Slug.open(target.slug)
    slug.verify(slug.digest)
    slug.verify(slug.checksum)

    with pytest.raises(CorruptSlugError, match="sha256:0000"):
        slug.verify("sha256:" + "0" * 64)


def test_no_slug_is_an_error_that_says_so(tmp_path: Path) -> None:
    """A file that is not there, or below a file, is SlugNotFoundError; a directory is no slug."""
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "missing", tmp_path / "file/below"):
        with pytest.raises(SlugNotFoundError):
            Slug.open(path)
    with pytest.raises(CorruptSlugError):
        Slug.open(tmp_path)


# --- where it is unpacked to -----------------------------------------------------------------------------------


def test_unpacking_gives_the_identity(target: Target, small: bytes) -> None:
    """``unpack`` returns the diff_id of what it unpacked."""
    target.slug.write_bytes(small)
    slug = Slug.open(target.slug)

    assert slug.unpack(target.directory) == slug.diff_id


def test_an_empty_directory_is_filled(target: Target, small: bytes) -> None:
    """The target may be there already when it is empty, and a relative path means the current directory."""
    target.slug.write_bytes(small)
    target.directory.mkdir()
    Slug.open(target.slug).unpack(target.directory)

    assert sorted(_tree(target.directory)) == ["Procfile", "current", "run"]


def test_a_relative_target_is_below_the_current_directory(
    target: Target, small: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative target is taken from the current directory."""
    target.slug.write_bytes(small)
    monkeypatch.chdir(target.home)
    Slug.open(target.slug).unpack("app")

    assert sorted(_tree(target.directory)) == ["Procfile", "current", "run"]


def _not_empty(target: Path) -> None:
    target.mkdir()
    (target / ".hidden").write_text("mine")


TAKEN: dict[str, Callable[[Path], object]] = {
    "not empty": _not_empty,
    "a file": lambda target: target.write_text("mine"),
    "a link to a directory": lambda target: target.symlink_to("beside"),
    "a dangling link": lambda target: target.symlink_to("nowhere"),
    "a link to a file": lambda target: target.symlink_to("canary"),
    "a FIFO": os.mkfifo,
}


@pytest.mark.parametrize("occupy", TAKEN.values(), ids=list(TAKEN))
def test_a_taken_target_is_refused(target: Target, small: bytes, occupy: Callable[[Path], object]) -> None:
    """What is at the target already is never overwritten, replaced or written through."""
    target.slug.write_bytes(small)
    occupy(target.directory)
    before = sorted((str(path), path.lstat().st_ino) for path in target.home.rglob("*"))

    with pytest.raises(OutputError) as caught:
        Slug.open(target.slug).unpack(target.directory)
    assert caught.value.path == str(target.directory)
    assert sorted((str(path), path.lstat().st_ino) for path in target.home.rglob("*")) == before


@pytest.mark.parametrize("name", ["missing/app", "canary/app"])
def test_an_impossible_target_is_one_error(target: Target, small: bytes, name: str) -> None:
    """A target in a missing directory, or below a file, is one OutputError."""
    target.slug.write_bytes(small)

    with pytest.raises(OutputError):
        Slug.open(target.slug).unpack(target.home / name)
    target.is_as_before()


def test_a_disk_that_fills_up_in_a_file_is_one_error(target: Target) -> None:
    """A file that could be written only in part is an error: never is a tree with a shorter file made visible."""
    target.slug.write_bytes(
        _slug(A, _file("./app/a", bytes(10)), _file("./app/noise", random.Random(1).randbytes(3 * 2**20)))
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**21 + 2**19, hard))
    try:
        with pytest.raises(OutputError):
            Slug.open(target.slug).unpack(target.directory)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    target.is_as_before()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_modes_do_not_depend_on_the_umask(target: Target, umask: int) -> None:
    """Files come out 0644 or 0755 and directories 0755, implied ones too, whatever the umask."""
    target.slug.touch()
    before = os.umask(umask)
    try:
        made = target.takes(
            _slug(A, _file("./app/implied/x", b"x", 0o711), _file("./app/y", b"y", 0o400), _dir("./app/d"))
        )
    finally:
        os.umask(before)

    modes = {name: (made / name).stat().st_mode & 0o7777 for name in ("", "implied", "d", "implied/x", "y")}
    assert modes == {"": 0o755, "implied": 0o755, "d": 0o755, "implied/x": 0o755, "y": 0o644}


@pytest.mark.parametrize(
    ("mtime", "expected"),
    [
        (MTIME, MTIME),
        (0, 315_532_800),
        (2**32, 4_102_444_800),
        (8**11 - 1, 4_102_444_800),
    ],
)
def test_times_are_kept_within_reason(target: Target, mtime: int, expected: int) -> None:
    """A file keeps the archive's time where it lies between 1980 and 2100."""
    made = target.takes(_slug(A, _file("./app/x", mtime=mtime)))

    assert (made / "x").stat().st_mtime == expected


def test_times_before_1970_are_the_earliest(target: Target) -> None:
    """A time before 1970, which GNU tar writes as a negative number, becomes 1980, not the far future."""
    block = _patched(header(Member("./app/x", "file")), 136, b"\xff" * 11 + b"\xfe")
    made = target.takes(_slug(A, block))

    assert (made / "x").stat().st_mtime == 315_532_800


def test_times_can_be_given(target: Target, small: bytes) -> None:
    """Every file bears the time that is asked for."""
    target.slug.write_bytes(small)
    Slug.open(target.slug).unpack(target.directory, mtime=1_234_567_890)

    assert (target.directory / "run").stat().st_mtime == 1_234_567_890


def test_files_belong_to_who_unpacks(target: Target) -> None:
    """Owners that an archive names do not come out."""
    info = _info("./app/x", tarfile.REGTYPE, uid=12345, gid=23456)
    made = target.takes(_by_tarfile(lambda archive: archive.addfile(info)))

    assert ((made / "x").stat().st_uid, (made / "x").stat().st_gid) == (os.geteuid(), os.getegid())


# --- sources ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw", [A + F, A + F + b"x" * BLOCK, b"", b"\x1f\x8b"], ids=["no end", "letters", "empty", "magic"]
)
def test_source_tarballs_are_as_strict(tmp_path: Path, raw: bytes) -> None:
    """A damaged tarball is no source, compressed or not, and leaves nothing."""
    (tmp_path / "s.tar").write_bytes(raw)

    with pytest.raises(SlugkitError) as caught:
        unpack_source(tmp_path / "s.tar", tmp_path / "out")
    assert caught.value.code == "source.unusable"
    assert [path.name for path in tmp_path.iterdir()] == ["s.tar"]


# --- properties ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory for many small attempts."""
    return tmp_path_factory.mktemp("arena")


def _attempt(arena: Path, raw: bytes, unpack: Callable[[Path, Path], object]) -> None:
    """Unpack *raw* in a directory of its own: all of it inside of the target, or one error and nothing."""
    with tempfile.TemporaryDirectory(dir=arena) as name:
        home = Path(name)
        archive, out = home / "archive", home / "out"
        archive.write_bytes(raw)
        (home / "canary").write_text(CANARY)
        try:
            unpack(archive, out)
        except SlugkitError:
            assert sorted(path.name for path in home.iterdir()) == ["archive", "canary"]
        else:
            assert sorted(path.name for path in home.iterdir()) == ["archive", "canary", "out"]
            for path in out.rglob("*"):
                if path.is_symlink():
                    _stays_inside(path, out)
        assert (home / "canary").read_text() == CANARY
        assert (home / "canary").stat().st_nlink == 1


def _stays_inside(link: Path, root: Path) -> None:
    """Assert that *link*, as the kernel resolves it, ends below *root* or, by an absolute link, on the stack."""
    try:
        end = os.path.realpath(link)
    except (OSError, RuntimeError):  # a loop
        return
    assert not end.startswith(("/proc", "/sys", "/run", "/dev"))
    assert Path(end).is_relative_to(os.path.realpath(root)) or end.startswith("/usr")


def _unpack_slug(archive: Path, out: Path) -> None:
    Slug.open(archive).unpack(out)


@given(st.binary(max_size=2000))
@settings(max_examples=150, deadline=None)
@example(b"")
@example(bytes(1024))
@example(b"\x1f\x8b")
def test_random_bytes_are_refused_cleanly(arena: Path, raw: bytes) -> None:
    """Any bytes, as they are or as the content of a gzip file, are one error or a tree inside of the target."""
    _attempt(arena, raw, _unpack_slug)
    _attempt(arena, gzip.compress(raw), _unpack_slug)
    _attempt(arena, raw, unpack_source)


_PARTS = st.sampled_from(["a", "b", "c", ".", "..", "", "tmp", "app", "\udcff", "x" * 120])
_PATHS = st.lists(_PARTS, max_size=4).map("/".join)
_TARGETS = _PATHS | st.sampled_from(["/usr/bin", "/proc/self", "/usr/../etc", "a/../..", "/usr"])
_MEMBERS = st.builds(
    lambda prefix, path, kind, target: header(Member(prefix + path, kind, 0, 0o644, MTIME, target)),
    st.sampled_from(["./app/", "app/", "./", ""]),
    _PATHS,
    st.sampled_from(["file", "dir", "link", "hardlink"]),
    _TARGETS,
)


@given(st.lists(_MEMBERS, max_size=8))
@settings(max_examples=300, deadline=None)
@example([_link("./app/d/up", ".."), _link("./app/out", "d/up/../x")])
def test_random_members_stay_inside(arena: Path, pieces: list[bytes]) -> None:
    """Any list of members is one error, or a tree whose every path and link stays where it belongs."""
    _attempt(arena, _slug(A, *pieces), _unpack_slug)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_random_damage_to_a_tar_is_refused_cleanly(arena: Path, data: st.DataObject) -> None:
    """A tar with any bytes overwritten, under a gzip that is right, is one error or a tree inside of the target."""
    plain = bytearray(
        A + _pax(("path", b"./app/long")) + F + _link("./app/l", "a") + _hard("./app/h", "./app/long") + END
    )
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(plain) - 1))
        patch = data.draw(st.binary(min_size=1, max_size=12))
        plain[start : start + len(patch)] = patch
        block = start // BLOCK * BLOCK
        if data.draw(st.booleans()) and block + BLOCK <= len(plain):
            plain[block : block + BLOCK] = _checked(bytes(plain[block : block + BLOCK]))
    _attempt(arena, gzip.compress(bytes(plain)), _unpack_slug)


@given(st.text(max_size=50) | _PATHS)
@example("../../etc/passwd")
@example("/etc/passwd")
@example("a/./b//")
def test_accepted_names_stay_inside(name: str) -> None:
    """A member name is refused, or is a clean relative path."""
    try:
        path = check_path(name.encode("utf-8", "replace").decode())
    except UnsafeMemberError:
        return

    assert not path.startswith("/")
    assert not {"..", "."} & set(path.split("/"))
    assert "" not in path.split("/") or path == ""


@given(_PATHS, _TARGETS)
@example("a/b", "../../x")
@example("a", "//proc")
def test_accepted_links_stay_inside(path: str, link: str) -> None:
    """A link is refused, or leads lexically to a place in the app, or to the stack outside of the kernel's files."""
    try:
        clean = check_path(path)
        check_link(clean, link)
    except UnsafeMemberError:
        return
    end = os.path.normpath(os.path.join("/home/app", os.path.dirname(clean), link))

    assert Path(end).is_relative_to("/home/app") or link.startswith("/")
    assert not end.startswith(("/proc", "/sys", "/run", "/dev"))
