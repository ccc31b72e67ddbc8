"""Which packages a slug holds, from metadata that may be missing, damaged or made up."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from slugkit.inventory import Package, inventory
from slugkit.testing import make_slug

SITE = ".heroku/python/lib/python3.13/site-packages"
FLASK = f"""\
Metadata-Version: 2.4
Name: Flask
Version: 3.1.0
License-Expression: BSD-3-Clause
Requires-Dist: Werkzeug>=3.1
Requires-Dist: typing_extensions; python_version < "3.11"
Requires-Dist: asgiref>=3.2; extra == "async"
Requires-Dist: ???

{"The description. " * 10}
"""
GEMSPEC = """\
# -*- encoding: utf-8 -*-
# stub: puma 6.4.2 ruby lib
Gem::Specification.new do |s|
  s.name = "puma".freeze
  s.licenses = ["BSD-3-Clause".freeze, "MIT".freeze]
  s.add_runtime_dependency(%q<nio4r>.freeze, ["~> 2.0"])
  s.add_development_dependency(%q<rake>.freeze, [">= 0"])
end
"""


def found(tmp_path: Path, files: dict[str, str | bytes]) -> tuple[Package, ...]:
    return inventory(make_slug(tmp_path, files))


def told(packages: tuple[Package, ...]) -> list[tuple[str, str, str]]:
    return [(package.ecosystem, package.name, package.version) for package in packages]


def test_a_wheel_is_what_its_metadata_and_record_say(tmp_path: Path) -> None:
    """A Python package has its metadata's name, version, licence and needs, and those files it recorded that exist."""
    info = f"{SITE}/flask-3.1.0.dist-info"
    record = (
        "flask/app.py,sha256=x,1\n../../../bin/flask,,\nflask/gone.py,,\n../../../../../../etc/passwd,,\n/app.py,,\n"
    )
    files: dict[str, str | bytes] = {
        "app.py": "",
        ".heroku/python/bin/flask": "#!/bin/sh\n",
        f"{SITE}/flask/app.py": "x = 1\n",
        f"{SITE}/flask/__pycache__/app.cpython-313.pyc": b"\0",
        f"{SITE}/flask/__pycache__/other.cpython-313.pyc": b"\0",
        f"{info}/METADATA": FLASK,
        f"{info}/RECORD": record + '"flask/with, comma.py",,\n',
        f"{info}/REQUESTED": "",
        f"{SITE}/flask/with, comma.py": "",
    }

    (flask,) = found(tmp_path, files)

    assert flask == Package(
        "pypi",
        "flask",
        "3.1.0",
        info,
        tuple(sorted(set(files) - {"app.py", f"{SITE}/flask/__pycache__/other.cpython-313.pyc"})),
        ("BSD-3-Clause",),
        ("typing-extensions", "werkzeug"),
    )


@pytest.mark.parametrize(
    ("headers", "licenses"),
    [
        ("License: MIT", ("MIT",)),
        ("License: " + "Permission is hereby granted " * 10, ()),
        ("License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License", ("MIT License",)),
        ("Classifier: License :: OSI Approved", ()),
        ("License-Expression: MIT OR Apache-2.0\nLicense: MIT", ("MIT OR Apache-2.0",)),
        ("License: \x1b[2JMIT", ()),
    ],
)
def test_the_best_spelling_of_a_licence_counts(tmp_path: Path, headers: str, licenses: tuple[str, ...]) -> None:
    """An expression is preferred to classifiers, those to the free text; texts and escapes are no licence's name."""
    (package,) = found(tmp_path, {"a-1.dist-info/METADATA": f"Name: a\nVersion: 1\n{headers}\n"})

    assert package.licenses == licenses


def test_an_egg_is_found_too(tmp_path: Path) -> None:
    """A package that setup.py installed has its files listed beside its PKG-INFO."""
    info = f"{SITE}/six-1.16-py3.13.egg-info"
    files: dict[str, str | bytes] = {
        f"{info}/PKG-INFO": "Name: six\nVersion: 1.16\n",
        f"{info}/installed-files.txt": "../six.py\nPKG-INFO\n",
        f"{SITE}/six.py": "",
    }

    (six,) = found(tmp_path, files)

    assert (six.name, six.version, six.paths) == ("six", "1.16", tuple(sorted(files)))


@pytest.mark.parametrize(
    ("metadata", "name", "version"),
    [
        (b"", "my-app", "1.0"),
        (b"\xff\xfe\x00garbage", "my-app", "1.0"),
        (b"Name: <script>\nVersion: \x1b[2J\n", "my-app", "1.0"),
        (b"Name: other\nVersion: 2 3\n", "other", "1.0"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_directory(
    tmp_path: Path, metadata: bytes, name: str, version: str
) -> None:
    """Metadata that means nothing is not believed: the directory's name tells the package."""
    (package,) = found(tmp_path, {"My_App-1.0.dist-info/METADATA": metadata, "My_App-1.0.dist-info/RECORD": '"\0'})

    assert (package.name, package.version) == (name, version)


def test_a_package_that_nothing_names_is_left_out(tmp_path: Path) -> None:
    """A name that no index could have is no package."""
    assert found(tmp_path, {"<b>-1.dist-info/METADATA": "", "node_modules/a b/package.json": "{"}) == ()


def test_a_file_belongs_to_one_package(tmp_path: Path) -> None:
    """What a package carries within itself is counted once, for the inner one, however much the outer one claims."""
    outer, inner = f"{SITE}/setuptools-65.dist-info", f"{SITE}/setuptools/_vendor/jaraco-1.dist-info"
    claims = "setuptools/a.py,,\nsetuptools/_vendor/jaraco.py,,\n"
    files: dict[str, str | bytes] = {
        f"{outer}/METADATA": "Name: setuptools\nVersion: 65\n",
        f"{outer}/RECORD": claims,
        f"{inner}/METADATA": "Name: jaraco\nVersion: 1\n",
        f"{inner}/RECORD": "jaraco.py,,\n",
        f"{SITE}/setuptools/a.py": "",
        f"{SITE}/setuptools/_vendor/jaraco.py": "",
    }

    jaraco, setuptools = found(tmp_path, files)

    assert f"{SITE}/setuptools/_vendor/jaraco.py" in jaraco.paths
    assert f"{SITE}/setuptools/a.py" in setuptools.paths
    assert not {*jaraco.paths} & {*setuptools.paths}


def test_node_packages_are_where_node_modules_has_them(tmp_path: Path) -> None:
    """Plain, scoped and nested packages are found, each without the packages below it; other package.json are not."""
    manifest = json.dumps({"name": "a", "version": "1.0.0", "license": "MIT", "dependencies": {"@s/b": "^2"}})
    nested = {"name": "@s/b", "version": "2.0.0", "licenses": [{"type": "ISC"}]}
    files: dict[str, str | bytes] = {
        "package.json": '{"name": "app", "version": "0.0.1"}',
        "node_modules/a/package.json": manifest,
        "node_modules/a/index.js": "",
        "node_modules/a/dist/esm/package.json": '{"type": "module"}',
        "node_modules/a/node_modules/@s/b/package.json": json.dumps(nested),
        "node_modules/a/node_modules/@s/b/lib/b.js": "",
        "node_modules/.bin/a": "#!/bin/sh\n",
        "node_modules/.cache/package.json": '{"name": "c", "version": "1.0.0"}',
    }

    b, a = found(tmp_path, files)

    assert a == Package(
        *("npm", "a", "1.0.0", "node_modules/a"),
        ("node_modules/a/dist/esm/package.json", "node_modules/a/index.js", "node_modules/a/package.json"),
        *(("MIT",), ("@s/b",)),
    )
    assert (b.name, b.version, b.licenses, len(b.paths)) == ("@s/b", "2.0.0", ("ISC",), 2)


def test_a_lock_file_tells_what_a_package_does_not(tmp_path: Path) -> None:
    """The version of a Node package that cannot be read comes from the lock file; without one it is not known."""
    lock = {
        "lockfileVersion": 3,
        "packages": {"": {"name": "app"}, "node_modules/a": {"version": "1.2.3", "license": "MIT"}},
    }
    files: dict[str, str | bytes] = {
        "web/package-lock.json": json.dumps(lock),
        "web/node_modules/a/package.json": "{ damaged",
        "web/node_modules/b/package.json": "[" * 100_000,
    }

    a, b = found(tmp_path, files)

    assert (a.name, a.version, a.licenses) == ("a", "1.2.3", ("MIT",))
    assert (b.name, b.version) == ("b", "")


@pytest.mark.parametrize(
    ("full", "name", "version"),
    [
        ("puma-6.4.2", "puma", "6.4.2"),
        ("nokogiri-1.16.0-x86_64-linux", "nokogiri", "1.16.0"),
        ("ffi-1.17.0-arm64-darwin-22", "ffi", "1.17.0"),
        ("foo-2-bar-1.0.rc1", "foo-2-bar", "1.0.rc1"),
        ("net-http2-3", "net-http2", "3"),
    ],
)
def test_gems_are_named_by_their_specifications(tmp_path: Path, full: str, name: str, version: str) -> None:
    """A gem's name and version are in the file name of its specification; its files are in the directory beside."""
    base = "vendor/bundle/ruby/3.3.0"
    spec, file = f"{base}/specifications/{full}.gemspec", f"{base}/gems/{full}/lib/a.rb"

    (gem,) = found(tmp_path, {spec: GEMSPEC, file: "", f"{base}/gems/{full}-other/lib/a.rb": ""})

    assert gem == Package("gem", name, version, spec, (file, spec), ("BSD-3-Clause", "MIT"), ("nio4r",))


def test_an_app_without_packages_has_none(tmp_path: Path) -> None:
    """A slug of plain files has an empty inventory, and so has one whose names only look like it."""
    files: dict[str, str | bytes] = {"Procfile": "web: x\n", "METADATA": "", "specifications/none.gemspec": ""}

    assert found(tmp_path, files) == ()


METADATA = (
    "x-1.dist-info/METADATA",
    "x-1.dist-info/RECORD",
    "y.egg-info/PKG-INFO",
    "y.egg-info/installed-files.txt",
    "node_modules/x/package.json",
    "package-lock.json",
    "specifications/x-1.0.gemspec",
)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ("name", "version", "license", "licenses", "type", "dependencies", "packages", "node_modules/x")
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(st.lists(st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()), min_size=7, max_size=7))
@example([b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\n--x--\n"] * 7)
@example([b'{"name": {}, "version": [], "packages": []}'] * 7)
@example([b'{"name": "x", "version": "1", "packages": {"node_modules/x": 1}}'] * 7)
@example([b"Name: x\nRequires-Dist: a; " + b"(" * 5000 + b"\nLicense: " + b"\xff" * 9] * 7)
@example([b'"' + b"a" * 200_000] * 7)
def test_no_metadata_can_break_it(tmp_path_factory: pytest.TempPathFactory, texts: list[bytes]) -> None:
    """Whatever the metadata hold, what is found has plain names, and files that are in the slug, each once."""
    files: dict[str, str | bytes] = dict(zip(METADATA, texts, strict=True))
    packages = found(tmp_path_factory.mktemp("slug"), files)
    paths = [path for package in packages for path in package.paths]

    assert len(paths) == len(set(paths))
    assert {*paths} <= {*files}
    for package in packages:
        assert (package.name + package.version).isascii()
        assert all(text.isprintable() for text in (package.name, package.version, *package.licenses))


def test_metadata_cannot_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more metadata than is read in all, the first counts; the rest is named after its directory."""
    monkeypatch.setattr("slugkit.inventory._MOST", 300)
    files: dict[str, str | bytes] = {
        f"{name}-1.dist-info/METADATA": f"Name: {name}\nVersion: 2\n\n".ljust(140) for name in ("a", "b", "c")
    }

    assert told(found(tmp_path, files)) == [("pypi", "a", "2"), ("pypi", "b", "2"), ("pypi", "c", "1")]


def test_names_that_are_not_text_are_kept(tmp_path: Path) -> None:
    """A RECORD names files as bytes; so does an inventory, with surrogate escapes."""
    files: dict[str, str | bytes] = {
        "x-1.dist-info/RECORD": b"caf\xe9.py,,\n",
        "caf\udce9.py": "",
        "a\nb/y-2.dist-info/METADATA": "",
    }

    x, y = found(tmp_path, files)

    assert x.paths == ("caf\udce9.py", "x-1.dist-info/RECORD")
    assert told((x, y)) == [("pypi", "x", "1"), ("pypi", "y", "2")]
