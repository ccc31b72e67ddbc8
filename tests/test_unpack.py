"""Unpacking: hostile and damaged archives end in one error with nothing left; honest ones in the tree they hold."""

import gzip
import os
import random
import resource
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

from slugkit._tree import remove_tree
from slugkit.archive import Slug, pack, unpack_source
from slugkit.archive._rules import check_link, check_path
from slugkit.archive._tar import BLOCK, END, Member, header
from slugkit.errors import CorruptSlugError, OutputError, SlugkitError, SlugNotFoundError, UnsafeMemberError
from slugkit.slug import Manifest
from tars import (
    APP,
    MTIME,
    by_tarfile,
    checked,
    dir_,
    file_,
    hard,
    info,
    link,
    patched,
    pax,
    typed,
)
from tars import slug as packed

CANARY = "still here"
F = file_("./app/a", b"content")


class Target:
    """APP place to unpack to with a canary beside it; `refuses` holds what must be true of any refusal."""

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


# --- links, hard links ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "link_"),
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
def test_links_that_apps_need_are_kept(target: Target, name: str, link_: str) -> None:
    """APP link that stays inside, or names a file of the stack, comes out as it was spelled."""
    made = target.takes(packed(APP, dir_("./app/a/b"), link(f"./app/{name}", link_)))

    assert str((made / name).readlink()) == link_


def test_honest_hard_links_are_one_file(target: Target) -> None:
    """Hard links of archives made elsewhere come out with the content of the file they name."""
    pieces = [file_("./app/f", b"same", 0o755), hard("./app/h", "./app/f"), hard("./app/d/i", "app/h")]
    made = target.takes(packed(APP, *pieces))

    assert [(made / name).read_bytes() for name in ("f", "h", "d/i")] == [b"same"] * 3
    assert {(made / name).stat().st_mode & 0o777 for name in ("f", "h", "d/i")} == {0o755}


# --- kinds that no slug holds ----------------------------------------------------------------------------------


def test_unknown_types_are_refused(target: Target) -> None:
    """APP member of any type that slugkit does not know makes the archive one it does not understand."""
    for flag in {bytes([one]) for one in range(256) if one not in b"\x000125xgLK"}:
        target.refuses(packed(APP, typed(flag)), "slug.corrupt")


@pytest.mark.parametrize("form", ["gnu", "posix"])
def test_sparse_files_of_gnu_tar_are_refused(target: Target, tmp_path: Path, form: str) -> None:
    """APP sparse file is refused in both of the ways in which GNU tar writes one."""
    (tmp_path / "app").mkdir()
    with (tmp_path / "app/sparse").open("wb") as file:
        file.seek(2**20)
        file.write(b"end")
    made = tmp_path / "sparse.tgz"
    command = ["tar", "--sparse", f"--format={form}", "-czf", str(made), "-C", str(tmp_path), "./app"]
    subprocess.run(command, check=True)
    assert b"parse" in gzip.decompress(made.read_bytes())

    target.refuses(made.read_bytes(), "slug.corrupt", "slug.unsafe-member")


# --- limits ----------------------------------------------------------------------------------------------------


def test_sizes_are_summed(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """APP slug of many files that are each allowed is refused when together they are too much."""
    monkeypatch.setattr("slugkit.archive._rules.MOST_BYTES", 1000)
    pieces = [file_(f"./app/{number}", bytes(100)) for number in range(11)]

    target.refuses(packed(APP, *pieces), "slug.corrupt", "slug.unsafe-member")


def test_members_are_counted(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """APP slug of too many members is refused, implied directories counted."""
    monkeypatch.setattr("slugkit.archive._rules.MOST_MEMBERS", 10)

    target.refuses(
        packed(APP, *(file_(f"./app/d{number}/e/f") for number in range(5))), "slug.corrupt", "slug.unsafe-member"
    )


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
    """A slug that was cut off anywhere is refused, with nothing left; unless all of it but the footer is there."""
    footer = small.rindex(b"\x1f\x8b\x08\4")
    for length in range(len(small)):
        target.slug.write_bytes(small[:length])
        slug = Slug(target.slug, Manifest(), length)
        if length == footer:
            slug.unpack(target.directory)
            remove_tree(target.directory)
            continue
        with pytest.raises(CorruptSlugError):
            slug.unpack(target.directory)
    target.is_as_before()


def test_every_flipped_bit_is_refused_or_harmless(tmp_path: Path, small: bytes) -> None:
    """APP slug with any one bit flipped is refused, or is the very same app."""
    path = tmp_path / "flipped.tgz"
    genuine = _diff_id(path, small)
    assert isinstance(genuine, str)
    harmless = 0
    for position in range(len(small) * 8):
        flipped = bytearray(small)
        flipped[position // 8] ^= 1 << position % 8
        found = _diff_id(path, bytes(flipped))
        if isinstance(found, SlugkitError):
            assert found.code in {"slug.corrupt", "slug.unsafe-member"}, position
        else:
            assert found == genuine, position
            harmless += 1

    assert harmless < len(small) * 8 / 10  # gzip's flags and times, and other ways to say the same zeros


def test_flipped_content_never_becomes_visible(target: Target, small: bytes) -> None:
    """APP slug whose last check is wrong is refused though all of its content was there: nothing appears."""
    for back in range(1, 9):
        flipped = bytearray(small)
        flipped[-back] ^= 0x10
        target.refuses(bytes(flipped), "slug.corrupt")


@pytest.mark.parametrize("zeros", [1, 511, 2**18, 2**18 + 1, 10**6])
def test_zeros_after_the_last_member_are_fine(target: Target, small: bytes, zeros: int) -> None:
    """Padding behind the last gzip member, as tapes and block devices leave it, is no damage."""
    assert "run" in _tree(target.takes(small + bytes(zeros)))


@pytest.mark.parametrize("cut", [1, 7, 100, 512, 3000])
def test_concatenated_members_are_one_stream(target: Target, cut: int) -> None:
    """APP tar cut into gzip members at any point, empty ones among them, is the tar."""
    plain = APP + file_("./app/noise", random.Random(1).randbytes(2000)) + END
    pieces = [plain[start : start + cut] for start in range(0, len(plain), cut)]
    raw = b"".join(gzip.compress(piece) + gzip.compress(b"") for piece in pieces)

    assert (target.takes(raw) / "noise").read_bytes() == random.Random(1).randbytes(2000)


def test_zip_bombs_are_refused_before_they_are_in_memory() -> None:
    """APP bomb is refused in small steps: no single step may already hold more than the 64 MiB that are free."""
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


def test_a_bare_tree_may_have_a_directory_called_app(target: Target) -> None:
    """APP bare ``./`` tree of a Rails app keeps its ``app/`` directory and what lies beside it."""
    pieces = [dir_("./"), dir_("./app/"), file_("./app/models/x.rb"), file_("./Procfile", b"web: x\n")]
    made = target.takes(packed(*pieces))

    assert sorted(_tree(made)) == ["Procfile", "app", "app/models", "app/models/x.rb"]
    assert dict(Slug.open(target.slug).process_types) == {"web": "x"}


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
    raw = packed(pax(*records), dir_("./app/"), pax(*records), file_("./app/Procfile", b"web: x\n"))

    assert (target.takes(raw) / "Procfile").read_bytes() == b"web: x\n"
    assert dict(Slug.open(target.slug).process_types) == {"web": "x"}


def test_ancient_archives_are_read(target: Target) -> None:
    """APP tar from before ustar (no magic, a directory by its trailing slash, NUL as the type) is read."""
    plain = patched(patched(header(Member("./app/a", "file")), 156, b"\0"), 257, bytes(8))
    directory = patched(patched(header(Member("./app/d/", "file")), 156, b"\0"), 257, bytes(8))
    made = target.takes(packed(directory, plain))

    assert sorted(path.name for path in made.iterdir()) == ["a", "d"]
    assert (made / "d").is_dir()


def test_ustar_prefixes_are_joined(target: Target) -> None:
    """APP name that ustar splits into prefix and name is one path."""
    raw = packed(APP, patched(header(Member("file", "file")), 345, b"./app/" + b"p" * 100))

    assert [str(path.relative_to(target.directory)) for path in target.takes(raw).rglob("file")] == [
        "p" * 100 + "/file"
    ]


def test_what_lies_beside_the_app_is_ignored(target: Target) -> None:
    """Below ``./app`` is the app; anything else in the archive does not come out (contract.md 3.3)."""
    raw = packed(APP, file_("./app/a"), file_("./README"), file_("./application/x"), file_("./.slugkit/index.json"))

    assert [path.name for path in target.takes(raw).iterdir()] == ["a"]


def test_without_a_manifest_the_procfile_tells_the_types(target: Target) -> None:
    """APP slug made elsewhere runs by the Procfile in its root, and by no other."""
    raw = packed(APP, file_("./app/lib/Procfile", b"evil: x\n"), file_("./app/Procfile", b"web: a\nworker: b\n"))
    target.slug.write_bytes(raw)

    assert dict(Slug.open(target.slug).process_types) == {"web": "a", "worker": "b"}


def test_a_procfile_that_is_a_hard_link_tells_the_types(target: Target) -> None:
    """APP Procfile that the archive holds as another name of an earlier file is a Procfile."""
    target.slug.write_bytes(packed(APP, file_("./app/P", b"web: a\n"), hard("./app/Procfile", "./app/P")))

    assert dict(Slug.open(target.slug).process_types) == {"web": "a"}


def test_a_manifest_beats_the_procfile(target: Target) -> None:
    """Process types come from the manifest where there is one, whatever the Procfile says."""
    manifest = b'{"schema": 1, "process_types": {"web": "from the manifest"}}'
    target.slug.write_bytes(
        packed(file_("./.slugkit/manifest.json", manifest), APP, file_("./app/Procfile", b"web: no\n"))
    )

    assert dict(Slug.open(target.slug).process_types) == {"web": "from the manifest"}


def test_an_app_that_has_a_slugkit_directory_has_no_manifest(target: Target) -> None:
    """An app's own file at ``.slugkit/manifest.json`` is a file, never the manifest."""
    evil = file_("./app/.slugkit/manifest.json", b'{"schema": 1, "process_types": {"web": "evil"}}')
    made = target.takes(packed(APP, evil, file_("./app/Procfile", b"web: good\n")))

    assert dict(Slug.open(target.slug).process_types) == {"web": "good"}
    assert (made / ".slugkit/manifest.json").is_file()


def test_opening_reads_the_manifest_and_not_the_payload(target: Target, small: bytes) -> None:
    """Opening a slug whose payload is damaged tells its types; reading on is what fails."""
    payload = gzip.compress(file_("./app/noise", random.Random(1).randbytes(2**20)))
    target.slug.write_bytes(small[: small.index(b"\x1f\x8b\x08", 3)] + payload[:-200_000])
    slug = Slug.open(target.slug)

    assert dict(slug.process_types) == {"web": "./run"}
    with pytest.raises(CorruptSlugError):
        slug.verify()


def test_files_tells_every_entry(target: Target) -> None:
    """``files`` tells path, kind, size, mode and target of each entry, in the archive's order."""
    target.slug.write_bytes(packed(APP, file_("./app/b", b"123", 0o700), dir_("./app/a"), link("./app/a/l", "../b")))
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
    """APP file that is not there, or below a file, is SlugNotFoundError; a directory is no slug."""
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "missing", tmp_path / "file/below"):
        with pytest.raises(SlugNotFoundError):
            Slug.open(path)
    with pytest.raises(CorruptSlugError):
        Slug.open(tmp_path)


# --- where it is unpacked to -----------------------------------------------------------------------------------


def test_an_empty_directory_is_filled(target: Target, small: bytes) -> None:
    """The target may be there already when it is empty, and a relative path means the current directory."""
    target.slug.write_bytes(small)
    target.directory.mkdir()
    Slug.open(target.slug).unpack(target.directory)

    assert sorted(_tree(target.directory)) == ["Procfile", "current", "run"]


def test_a_relative_target_is_below_the_current_directory(
    target: Target, small: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """APP relative target is taken from the current directory."""
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
    """APP target in a missing directory, or below a file, is one OutputError."""
    target.slug.write_bytes(small)

    with pytest.raises(OutputError):
        Slug.open(target.slug).unpack(target.home / name)
    target.is_as_before()


def test_a_disk_that_fills_up_in_a_file_is_one_error(target: Target) -> None:
    """APP file that could be written only in part is an error: never is a tree with a shorter file made visible."""
    target.slug.write_bytes(
        packed(APP, file_("./app/a", bytes(10)), file_("./app/noise", random.Random(1).randbytes(3 * 2**20)))
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
            packed(APP, file_("./app/implied/x", b"x", 0o711), file_("./app/y", b"y", 0o400), dir_("./app/d"))
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
    """APP file keeps the archive's time where it lies between 1980 and 2100."""
    made = target.takes(packed(APP, file_("./app/x", mtime=mtime)))

    assert (made / "x").stat().st_mtime == expected


def test_times_before_1970_are_the_earliest(target: Target) -> None:
    """APP time before 1970, which GNU tar writes as a negative number, becomes 1980, not the far future."""
    block = patched(header(Member("./app/x", "file")), 136, b"\xff" * 11 + b"\xfe")
    made = target.takes(packed(APP, block))

    assert (made / "x").stat().st_mtime == 315_532_800


def test_files_belong_to_who_unpacks(target: Target) -> None:
    """Owners that an archive names do not come out."""
    owned = info("./app/x", tarfile.REGTYPE, uid=12345, gid=23456)
    made = target.takes(by_tarfile(lambda archive: archive.addfile(owned)))

    assert ((made / "x").stat().st_uid, (made / "x").stat().st_gid) == (os.geteuid(), os.getegid())


# --- sources ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw", [APP + F, APP + F + b"x" * BLOCK, b"", b"\x1f\x8b"], ids=["no end", "letters", "empty", "magic"]
)
def test_source_tarballs_are_as_strict(tmp_path: Path, raw: bytes) -> None:
    """APP damaged tarball is no source, compressed or not, and leaves nothing."""
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
    """Assert that *link*, as the kernel resolves it, ends below *root* or where an absolute link says."""
    try:
        end = Path(os.path.realpath(link))
    except (OSError, RuntimeError):  # a loop
        return
    targets = [one.readlink() for one in root.rglob("*") if one.is_symlink()]
    places = [os.path.realpath(one) for one in (root, *targets) if one.is_absolute()]
    assert not str(end).startswith(("/proc", "/sys", "/run", "/dev"))
    assert any(end.is_relative_to(place) for place in places)


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
@example([link("./app/d/up", ".."), link("./app/out", "d/up/../x")])
def test_random_members_stay_inside(arena: Path, pieces: list[bytes]) -> None:
    """Any list of members is one error, or a tree whose every path and link stays where it belongs."""
    _attempt(arena, packed(APP, *pieces), _unpack_slug)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_random_damage_to_a_tar_is_refused_cleanly(arena: Path, data: st.DataObject) -> None:
    """APP tar with any bytes overwritten, under a gzip that is right, is one error or a tree inside of the target."""
    plain = bytearray(
        APP + pax(("path", b"./app/long")) + F + link("./app/l", "a") + hard("./app/h", "./app/long") + END
    )
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(plain) - 1))
        patch = data.draw(st.binary(min_size=1, max_size=12))
        plain[start : start + len(patch)] = patch
        block = start // BLOCK * BLOCK
        if data.draw(st.booleans()) and block + BLOCK <= len(plain):
            plain[block : block + BLOCK] = checked(bytes(plain[block : block + BLOCK]))
    _attempt(arena, gzip.compress(bytes(plain)), _unpack_slug)


@given(st.text(max_size=50) | _PATHS)
@example("../../etc/passwd")
@example("/etc/passwd")
@example("a/./b//")
def test_accepted_names_stay_inside(name: str) -> None:
    """APP member name is refused, or is a clean relative path."""
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
    """APP link is refused, or leads lexically to a place in the app, or to the stack outside of the kernel's files."""
    try:
        clean = check_path(path)
        check_link(clean, link)
    except UnsafeMemberError:
        return
    end = os.path.normpath(os.path.join("/home/app", os.path.dirname(clean), link))

    assert Path(end).is_relative_to("/home/app") or link.startswith("/")
    assert not end.startswith(("/proc", "/sys", "/run", "/dev"))
