"""The X-ray of a slug: where its bytes are, what of them is for nothing, what has changed."""

import json
import os
import py_compile
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slugkit._tree import remove_tree
from slugkit.archive import Slug, SurveyedFile, pack
from slugkit.slug import BuildpackRecord, Manifest, Platform
from slugkit.slugignore import patterns
from slugkit.testing import make_slug, write_tree
from slugkit.xray import FileChange, Savings, SlugReport, Weight, compare, diff, inspect
from slugkit.xray._weights import directories, group_of, part_of, parts
from support import HOSTILE, JUNK, Files, npm

SITE = ".heroku/python/lib/python3.13/site-packages"


def xray(tmp_path: Path, files: Files, **process_types: str) -> SlugReport:
    return inspect(make_slug(tmp_path, files, **process_types))


def packed(directory: Path, files: Files, manifest: Manifest) -> Slug:
    """Return a slug of *files* that says *manifest* of itself."""
    output = directory / "app.slug.tgz"
    pack(write_tree(directory / "tree", files), manifest, output)
    return Slug.open(output)


def of(report: SlugReport) -> dict[str, Weight]:
    return {place.path: place.weight for place in report.directories}


# -- sizes -----------------------------------------------------------------------------------------------------


def test_a_directory_is_all_that_is_below_it(tmp_path: Path) -> None:
    """Each directory has the files and bytes of everything below; the app itself is the dot."""
    report = xray(tmp_path, {"a/b/one": "1" * 10, "a/two": "2" * 20, "three": "3" * 30})
    found = {path: (weight.files, weight.size) for path, weight in of(report).items()}

    assert found == {".": (3, 60), "a": (2, 30), "a/b": (1, 10), "tmp": (0, 0), "log": (0, 0)}
    assert (report.weight.files, report.weight.size) == (3, 60)
    assert of(report)["."] == report.weight


def test_shares_of_the_compressed_file_add_up(tmp_path: Path) -> None:
    """The shares of all files are the size of the slug's file, but for rounding."""
    report = xray(tmp_path, {f"d{n % 7}/f{n}": os.urandom(900) for n in range(200)})

    assert abs(report.weight.packed - report.size) <= 0.02 * report.size
    assert sum(part.weight.packed for part in report.parts) == report.weight.packed


NAMES = st.sampled_from(["a", "b", "node_modules", ".heroku", "c\n", "\udcff"])
PATHS = st.lists(NAMES, min_size=1, max_size=5).map("/".join)


@st.composite
def surveys(draw: st.DrawFn) -> tuple[SurveyedFile, ...]:
    """Draw files, none of which is where another has a directory; directories may or may not be listed."""
    files = draw(st.dictionaries(PATHS, st.integers(0, 5000), max_size=12))
    found = []
    for path, size in files.items():
        if not any(other.startswith(f"{path}/") for other in files):
            found.append(SurveyedFile(path, "file", size, 0o644, "", size // 3 + 1, str(size)))
        elif draw(st.booleans()):
            found.append(SurveyedFile(path, "dir", 0, 0o755, "", 1, ""))
    return tuple(found)


@given(surveys())
def test_directories_and_parts_lose_nothing(files: tuple[SurveyedFile, ...]) -> None:
    """Whatever the tree, the app's weight is its files', a directory's is at least its children's, and parts add up."""
    whole = sum((Weight(int(file.kind == "file"), file.size, file.packed) for file in files), start=Weight())
    found = {place.path: place.weight for place in directories(files)}

    assert found["."] == whole
    for path, weight in found.items():
        below = [
            inner.size for other, inner in found.items() if other != "." and (os.path.dirname(other) or ".") == path
        ]
        assert sum(below) <= weight.size
    assert sum((part.weight for part in parts(files)), start=Weight()) == whole


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("app.py", "."),
        ("node_modules_of_mine/x", "."),
        ("lib/vendor/x", "."),
        ("vendor/assets/x.js", "."),
        ("node_modules/a/b.js", "node_modules"),
        ("web/node_modules/a/node_modules/b.js", "web/node_modules"),
        ("vendor/bundle/ruby/3.3.0/gems/rack/x.rb", "vendor/bundle"),
        ("vendor/ruby-3.3.0/bin/ruby", "vendor/ruby-3.3.0"),
        (".heroku/python/bin/python", ".heroku/python"),
        (f"{SITE}/django/x.py", SITE),
        (".heroku/node/lib/node_modules/npm/x", ".heroku/node"),
        (".profile.d/python.sh", ".profile.d"),
    ],
)
def test_parts_are_what_made_them(path: str, part: str) -> None:
    """A file belongs to what a buildpack or package manager made, or to the app's own."""
    assert part_of(path) == part


@pytest.mark.parametrize(
    ("path", "group"),
    [
        (f"{SITE}/django/db/x.py", f"{SITE}/django"),
        (f"{SITE}/django-5.2.dist-info/RECORD", f"{SITE}/django"),
        ("node_modules/@types/node/x.ts", "node_modules/@types/node"),
        ("node_modules/a/", "node_modules/a"),
        ("node_modules/", "node_modules"),
        ("lib/x.py", "."),
    ],
)
def test_packages_have_colours_of_their_own(path: str, group: str) -> None:
    """Where packages lie side by side, each is a group: with its scope, and its metadata."""
    assert group_of(path) == group


def test_packages_are_weighed(tmp_path: Path) -> None:
    """A package weighs its own files; what is nested in it weighs for itself."""
    files: Files = {
        "node_modules/a/package.json": '{"name": "a", "version": "1.0.0"}',
        "node_modules/a/index.js": "x" * 1000,
        "node_modules/a/node_modules/b/package.json": '{"name": "b", "version": "2.0.0"}',
        "node_modules/a/node_modules/b/index.js": "y" * 5000,
    }
    report = xray(tmp_path, files)
    found = {one.name: (one.version, one.weight.files, one.weight.size) for one in report.packages}

    assert found == {"a": ("1.0.0", 2, 1033), "b": ("2.0.0", 2, 5033)}
    assert [one.name for one in report.packages] == ["b", "a"]


def test_the_outline_is_what_matters(tmp_path: Path) -> None:
    """Directories of less than a hundredth are left out, and those that lead to one only; a depth shows all."""
    report = xray(tmp_path, {"a/b/c/big": os.urandom(90_000), "d/big": os.urandom(80_000), "e/small": "x"})

    assert [place.path for place in report.outline()] == [".", "a/b/c", "d"]
    assert {place.path for place in report.outline(1)} == {".", "a", "d", "e", "tmp", "log"}
    assert [place.path for place in report.outline(0)] == ["."]


# -- what is for nothing ---------------------------------------------------------------------------------------


def test_duplicates_are_same_bytes_of_a_kibibyte_and_more(tmp_path: Path) -> None:
    """Files with the same content are listed once, with what all but one take; small ones are not worth it."""
    files: Files = {"a": "x" * 1024, "d/b": "x" * 1024, "c": "x" * 1024, "s1": "y" * 1023, "s2": "y" * 1023}
    (one,) = xray(tmp_path, files).duplicates

    assert (one.paths, one.size, one.weight.files, one.weight.size) == (("a", "c", "d/b"), 1024, 2, 2048)


@pytest.mark.parametrize(
    ("path", "kind", "found"),
    [
        ("lib/.git/config", "version control", "lib/.git"),
        (".git", "version control", ".git"),
        (".pytest_cache/v/x", "cache", ".pytest_cache"),
        ("node_modules/.cache/babel/x", "cache", "node_modules/.cache"),
        (".cache/pip/http/1", "package cache", ".cache/pip"),
        (".npm/_cacache/x", "package cache", ".npm"),
        ("vendor/bundle/ruby/3.3.0/cache/rack.gem", "package cache", "vendor/bundle/ruby/3.3.0/cache"),
        ("img/.DS_Store", "desktop", "img/.DS_Store"),
        (".app.py.swp", "desktop", ".app.py.swp"),
        ("vendor/bundle/ruby/3.3.0/gems/puma/ext/x.o", "object file", "vendor/bundle/ruby/3.3.0/gems/puma/ext/x.o"),
        ("npm-debug.log.123", "log", "npm-debug.log.123"),
    ],
)
def test_leftovers_are_named_by_their_top(tmp_path: Path, path: str, kind: str, found: str) -> None:
    """Caches, version control and the like are one entry each, at the outermost directory."""
    report = xray(tmp_path, {path: "12345"})

    assert [(one.kind, one.path, one.weight.size) for one in report.leftovers] == [(kind, found, 5)]


@pytest.mark.parametrize(
    "path",
    [
        "vendor/bundle/ruby/3.3.0/gems/activesupport/lib/active_support/cache/store.rb",
        "lib/cache/x.py",
        ".gitignore",
        ".github/x.yml",
        "digit.o.txt",
        "cvs.py",
        ".yarn/cache/x.zip",
        f"{SITE}/django/__pycache__/x.cpython-313.pyc",
        "__pycache__/x.cpython-313.pyc",
        ".o\n",
    ],
)
def test_what_an_app_may_need_is_no_leftover(tmp_path: Path, path: str) -> None:
    """Code that is called cache, Yarn's zipped packages and valid bytecode are not held against a slug."""
    assert xray(tmp_path, {path: "12345"}).leftovers == ()


def compiled(tmp_path: Path, mode: py_compile.PycInvalidationMode) -> bytes:
    source = tmp_path / "source.py"
    source.write_text("x = 1\n" * 300)
    target = tmp_path / "compiled"
    py_compile.compile(str(source), str(target), invalidation_mode=mode, doraise=True)
    return target.read_bytes()


def test_bytecode_that_names_a_time_is_never_valid(tmp_path: Path) -> None:
    """Bytecode validated by its source's time is found; by hash, or without a source beside it, it is fine."""
    timed = compiled(tmp_path, py_compile.PycInvalidationMode.TIMESTAMP)
    files: Files = {
        "a/__pycache__/timed.cpython-313.pyc": timed,
        "b/__pycache__/checked.cpython-313.pyc": compiled(tmp_path, py_compile.PycInvalidationMode.CHECKED_HASH),
        "b/__pycache__/hashed.cpython-313.pyc": compiled(tmp_path, py_compile.PycInvalidationMode.UNCHECKED_HASH),
        "c/sourceless.pyc": timed,
        "d/old.pyc": timed,
        "d/old.py": "x = 1\n",
        "e/__pycache__/python2.pyc": b"\x03\xf3\r\n\x01" + bytes(20),
        "f/__pycache__/junk.pyc": b"short",
        "f/__pycache__/text.pyc": b"this is not bytecode at all",
        f"{SITE}/x/__pycache__/timed.cpython-313.pyc": timed,
    }
    report = xray(tmp_path, files)

    assert {place.path for place in report.stale} == {"a/__pycache__", "d", "e/__pycache__", f"{SITE}/x/__pycache__"}
    assert {one.path for one in report.leftovers} == {"a/__pycache__", "e/__pycache__"}
    assert [one.line for one in report.savings.suggestions] == ["__pycache__"]


def test_suggestions_are_what_the_build_would_leave_out(tmp_path: Path) -> None:
    """A slug of the tree without what the lines match is smaller by just what was said, and the app is still there."""
    report = xray(tmp_path, JUNK, web="python app.py")
    lines = [one.line for one in report.savings.suggestions]
    before = of(report)["."]
    for path in ("design/logo.psd", "docs", "tests", "img/.DS_Store", "web/.pytest_cache", ".git"):
        remove_tree(tmp_path / "tree" / path)
    after = xray(tmp_path, {}, web="python app.py")

    assert sorted(lines) == ["*.psd", ".DS_Store", ".git", ".pytest_cache", "/docs", "/tests"]
    assert list(patterns("\n".join(lines))) == lines
    assert report.savings.weight.size == before.size - of(after)["."].size == 30172
    assert {one.line: one.weight.size for one in report.savings.suggestions}["*.psd"] == 13000
    assert after.savings.suggestions == ()


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"docs/x": "x" * 5000}, "serve docs"),
        ({"tests/x": "x" * 5000}, "python -m tests.server"),
        ({"docs/__init__.py": "", "docs/views.py": "x" * 5000}, "gunicorn docs"),
        ({"node_modules/a/test/x.psd": "x" * 5000, "node_modules/.git/x": "x" * 5000}, "node x"),
        ({f"{SITE}/x/docs/x.md": "x" * 5000, ".heroku/python/x.psd": "x" * 5000}, "python x"),
        ({"__pycache__/x.pyc": "x" * 5000}, "python x"),
        ({"lib/docs/x": "x" * 5000, "lib/test/x": "x" * 5000}, "python x"),
        ({"tests/x": "x" * 1023}, "python x"),
        ({"tests/x": "x" * 5000, ".slugignore": "*.psd\n/tests # made anew by the build"}, "python x"),
        ({"docs": "x" * 5000, "a/docs/": ""}, "cat docs"),
    ],
)
def test_nothing_is_suggested_that_could_be_missed(tmp_path: Path, files: Files, command: str) -> None:
    """Neither what a process type names, nor packages, nor valid bytecode, nor what a line is there for already."""
    assert xray(tmp_path, files, web=command).savings.suggestions == ()


# -- slugs made elsewhere, hostile and odd ones ----------------------------------------------------------------


def test_slugs_made_elsewhere(tmp_path: Path) -> None:
    """A bare tarball without a manifest, with hard and symbolic links, is surveyed like any other."""
    path = tmp_path / "foreign.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in {"./Procfile": b"web: run\n", "./lib/a": b"x" * 3000, "./b": b"x" * 3000}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, BytesIO(content))
        hard, soft = tarfile.TarInfo("./hard"), tarfile.TarInfo("./soft")
        hard.type, hard.linkname = tarfile.LNKTYPE, "./b"
        soft.type, soft.linkname = tarfile.SYMTYPE, "lib/a"
        tar.addfile(hard)
        tar.addfile(soft)
    report = inspect(Slug.open(path))
    told = json.loads(json.dumps(report.to_dict()))

    assert told["process_types"] == {"web": "run"}
    assert (told["files"], told["buildpacks"]) == (5, [])
    assert [one.paths for one in report.duplicates] == [("b", "lib/a")]
    assert diff(Slug.open(path), Slug.open(path)).files == ()


def test_an_app_without_files(tmp_path: Path) -> None:
    """An empty app has a report like any other: zeros, and nothing to divide by."""
    (tmp_path / "tree").mkdir()
    report = inspect(packed(tmp_path, {}, Manifest()))

    assert report.weight == Weight()
    assert [place.path for place in report.outline()] == ["."]
    assert compare(report, report).to_dict()["growth"] == {"size": 0, "unpacked": 0, "files": 0}


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_is_data(tmp_path: Path, name: str) -> None:
    """Names of any bytes, as directory, file and package, are reported as they are and survive JSON."""
    part = name.replace("/", "_")
    files: Files = {
        f"{part}/{part}": "x" * 2000,
        "copy": "x" * 2000,
        f"node_modules/{part}/package.json": json.dumps({"name": part, "version": part}),
    }
    report = xray(tmp_path, files)
    told: dict[str, Any] = json.loads(json.dumps(report.to_dict(5)))

    assert part in {place["path"] for place in told["directories"]}
    assert set(told["duplicates"][0]["paths"]) == {f"{part}/{part}", "copy"}


# -- differences -----------------------------------------------------------------------------------------------

OLD = Manifest(
    process_types={"web": "old", "worker": "same", "clock": "gone"},
    buildpacks=(BuildpackRecord("python", "1", "builtin", "Python"), BuildpackRecord("apt", "2", "url", "Apt")),
    stack="heroku-22",
    platform=Platform("x86_64", "glibc-2.36"),
    config_vars={"A": "1", "B": "2"},
    builder="slugkit 1",
)
NEW = Manifest(
    process_types={"web": "new", "worker": "same"},
    buildpacks=(BuildpackRecord("python", "2", "builtin", "Python"),),
    stack="heroku-24",
    platform=Platform("aarch64", "glibc-2.36"),
    config_vars={"A": "1", "B": "", "C": "3"},
    builder="slugkit 1",
)


def test_what_slugs_say_of_themselves_is_compared(tmp_path: Path) -> None:
    """Stack, platform, process types, buildpacks with versions and config vars: each with its old and new value."""
    found = diff(packed(tmp_path / "old", {"a": ""}, OLD), packed(tmp_path / "new", {"a": ""}, NEW))

    def told(changes: Any) -> list[tuple[str, str | None, str | None]]:  # noqa: ANN401
        return [(one.name, one.old, one.new) for one in changes]

    assert told(found.facts) == [("architecture", "x86_64", "aarch64"), ("stack", "heroku-22", "heroku-24")]
    assert told(found.process_types) == [("clock", "gone", None), ("web", "old", "new")]
    assert told(found.buildpacks) == [("apt", "2 url", None), ("python", "1 builtin", "2 builtin")]
    assert told(found.config_vars) == [("B", "2", ""), ("C", None, "3")]
    assert (found.files, found.directories) == ((), ())


def kinds(changes: tuple[FileChange, ...]) -> dict[str, tuple[str, int]]:
    return {one.path: (one.change, one.growth) for one in changes}


def test_files_are_added_removed_changed_or_of_another_mode(tmp_path: Path) -> None:
    """Each file that differs is listed with how, and by how many bytes; a file that became a link has changed."""
    old = make_slug(
        tmp_path / "old", {"gone": "12", "edited": "a", "grown": "1", "mode": "#", "same": "s", "kind": "k"}
    )
    (tmp_path / "new/tree").mkdir(parents=True)
    (tmp_path / "new/tree/kind").symlink_to("same")
    new = make_slug(tmp_path / "new", {"new": "123", "edited": "b", "grown": "1234", "mode": "#", "same": "s"})
    (tmp_path / "new/tree/mode").chmod(0o755)
    pack(tmp_path / "new/tree", Manifest(), new.path)

    assert kinds(diff(old, Slug.open(new.path)).files) == {
        "edited": ("changed", 0),
        "gone": ("removed", -2),
        "grown": ("changed", 3),
        "kind": ("changed", -1),
        "mode": ("mode", 0),
        "new": ("added", 3),
    }


def test_growth_is_by_directory_part_and_package(tmp_path: Path) -> None:
    """What grew most comes first, unpacked; packages are listed by version, and both are told."""
    old = make_slug(tmp_path / "old", {**npm("a", "1.0.0", 100), **npm("gone", "1.0.0", 50), "app.js": "x" * 10})
    new = make_slug(tmp_path / "new", {**npm("a", "1.1.0", 900), **npm("b", "3.0.0", 20), "app.js": "x" * 10})
    found = diff(old, new)

    assert [(one.name, one.old, one.new) for one in found.packages] == [
        ("a", ("1.0.0",), ("1.1.0",)),
        ("b", (), ("3.0.0",)),
        ("gone", ("1.0.0",), ()),
    ]
    assert [(one.name, one.growth.size > 0) for one in found.package_sizes] == [
        ("npm:a", True),
        ("npm:b", True),
        ("npm:gone", False),
    ]
    assert [one.name for one in found.parts] == ["node_modules"]
    assert {one.name for one in found.outline(1)} == {".", "node_modules"}


@given(surveys(), surveys())
def test_a_difference_is_the_mirror_of_its_opposite(
    old: tuple[SurveyedFile, ...], new: tuple[SurveyedFile, ...]
) -> None:
    """What is added one way is removed the other way, and nothing differs from itself."""
    there, back = compare(made_of(old), made_of(new)), compare(made_of(new), made_of(old))

    assert {path: -growth for path, (_, growth) in kinds(there.files).items()} == {
        path: growth for path, (_, growth) in kinds(back.files).items()
    }
    assert {one.name: one.growth for one in there.directories} == {
        one.name: Weight() - one.growth for one in back.directories
    }
    assert compare(made_of(old), made_of(old)).files == ()


def made_of(files: tuple[SurveyedFile, ...]) -> SlugReport:
    whole = sum((Weight(int(file.kind == "file"), file.size, file.packed) for file in files), start=Weight())
    found = directories(files), parts(files), (), (), (), (), Savings()
    return SlugReport("x", whole.packed, "", "", "", Manifest(), whole, *found, files)


# -- as plain data ---------------------------------------------------------------------------------------------


def keys(value: object) -> set[str]:
    """Return every key of *value* but those that are names of something."""
    if isinstance(value, list | tuple):
        return {key for one in value for key in keys(one)}
    if not isinstance(value, dict):
        return set()
    named = {key for name in ("manifest", "process_types") for key in keys(value.get(name))}
    return {*value, *(key for one in value.values() for key in keys(one))} - (
        named if isinstance(value.get("process_types"), dict) else set()
    )


def test_every_key_is_documented(tmp_path: Path) -> None:
    """The reference names each key of the JSON of a report and of a difference."""
    page = (Path(__file__).parent.parent / "docs/reference/slug-report.md").read_text()
    old = packed(tmp_path / "old", {**JUNK, **npm("a", "1.0.0", 2000), "copy": "x" * 7000}, OLD)
    new = packed(tmp_path / "new", {"app.py": "y"}, NEW)
    report, changes = inspect(old).to_dict(), diff(old, new).to_dict()
    report.pop("manifest")

    for key in sorted((keys(report) | keys(changes)) - {*OLD.process_types}):
        assert f"`{key}`" in page, key
