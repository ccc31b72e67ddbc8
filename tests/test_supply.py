"""What a slug is made of and how it came to be, as other tools read it."""

import json
import subprocess
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import slugkit
from slugkit.archive import Slug
from slugkit.build._git_tree import git_tree
from slugkit.errors import MissingLibraryError, OutputError
from slugkit.events import BuildEvent, BuildpacksChosen, BuildStarted, SourceCheckedOut
from slugkit.slug import BuildpackRecord, Manifest, Platform
from slugkit.supply import PROVENANCE_TYPE, SBOM_TYPE, beside, provenance, sbom, write_beside
from slugkit.testing import make_slug, write_tree

SITE = "lib/python3.13/site-packages"
COMMIT = "0123456789" * 4
FILES: dict[str, str | bytes] = {
    f"{SITE}/flask-3.1.0.dist-info/METADATA": (
        "Name: Flask\nVersion: 3.1.0\nLicense-Expression: BSD-3-Clause\nRequires-Dist: Werkzeug\n"
    ),
    f"{SITE}/werkzeug-3.1.3.dist-info/METADATA": (
        "Name: Werkzeug\nVersion: 3.1.3\nClassifier: License :: OSI Approved :: BSD License\n"
    ),
    "node_modules/a/package.json": '{"name": "a", "version": "1.0.0", "dependencies": {"@s/b": "2"}}',
    "node_modules/a/node_modules/@s/b/package.json": '{"name": "@s/b", "version": "2.0.0", "license": "MIT OR ISC"}',
    "node_modules/@s/b/package.json": '{"name": "@s/b", "version": "1.0.0"}',
    "node_modules/c/node_modules/a/package.json": '{"name": "a", "version": "1.0.0"}',
    "vendor/specifications/puma-6.4.2.gemspec": "",
}
MANIFEST = Manifest(
    process_types={"web": "run"},
    buildpacks=(
        BuildpackRecord("python", "1.0", "builtin", "Python"),
        BuildpackRecord("heroku/nodejs", COMMIT, "https://example.com/nodejs.git", "Node.js"),
        BuildpackRecord("local", "sha256:" + "ab" * 32, "directory", "Local"),
        BuildpackRecord("pack.tgz", "sha256:" + "cd" * 32, "https://me:hunter2@example.com/pack.tgz", "Archive"),
        BuildpackRecord("ours", "unknown", "python:ours.pack", "\x1b[2JOurs\udcff"),
        BuildpackRecord("inline", "", "inline", "Inline"),
    ),
    stack="heroku-24",
    platform=Platform("x86_64", "glibc-2.36"),
    source_commit=COMMIT,
    builder="slugkit 1.0",
)


@pytest.fixture
def slug(tmp_path: Path) -> Slug:
    return evolve(make_slug(tmp_path, FILES), manifest=MANIFEST)


def read(slug: Slug) -> dict[str, Any]:
    """Return the SBOM of *slug*, which is a valid one."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        document = sbom(slug)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(document.decode()) is None
    told: dict[str, Any] = json.loads(document)
    return told


# -- the SBOM ---------------------------------------------------------------------------------------------------


def test_an_sbom_lists_each_package_once_by_its_purl(slug: Slug) -> None:
    """Packages of all ecosystems are components with a purl; one in two places is one component with two places."""
    components = {component["purl"]: component for component in read(slug)["components"]}

    assert list(components) == [
        "pkg:gem/puma@6.4.2",
        "pkg:npm/%40s/b@1.0.0",
        "pkg:npm/%40s/b@2.0.0",
        "pkg:npm/a@1.0.0",
        "pkg:pypi/flask@3.1.0",
        "pkg:pypi/werkzeug@3.1.3",
    ]
    places = [place["location"] for place in components["pkg:npm/a@1.0.0"]["evidence"]["occurrences"]]
    assert sorted(places) == ["node_modules/a", "node_modules/c/node_modules/a"]


def test_licences_are_told_as_well_as_they_are_known(slug: Slug) -> None:
    """An SPDX identifier is one, an expression is one, and anything else is a name."""
    licenses = {component["purl"]: component.get("licenses") for component in read(slug)["components"]}

    assert licenses["pkg:pypi/flask@3.1.0"] == [{"license": {"id": "BSD-3-Clause"}}]
    assert licenses["pkg:pypi/werkzeug@3.1.3"] == [{"license": {"name": "BSD License"}}]
    assert licenses["pkg:npm/%40s/b@2.0.0"] == [{"expression": "MIT OR ISC"}]
    assert licenses["pkg:gem/puma@6.4.2"] is None


def test_dependencies_are_those_that_would_be_found(slug: Slug) -> None:
    """A package depends on the version that it would load; the slug on what no package needs."""
    needs = {one["ref"]: one.get("dependsOn", []) for one in read(slug)["dependencies"]}

    assert needs["pkg:pypi/flask@3.1.0"] == ["pkg:pypi/werkzeug@3.1.3"]
    assert needs["pkg:npm/a@1.0.0"] == ["pkg:npm/%40s/b@2.0.0"]
    assert needs["slug"] == ["pkg:gem/puma@6.4.2", "pkg:npm/%40s/b@1.0.0", "pkg:npm/a@1.0.0", "pkg:pypi/flask@3.1.0"]


def test_a_circle_of_packages_hangs_on_the_slug(tmp_path: Path) -> None:
    """Packages that need each other, and that nothing else needs, are not lost from the graph."""
    info = {"a": "b", "b": "a"}
    files: dict[str, str | bytes] = {
        f"{name}-1.dist-info/METADATA": f"Name: {name}\nVersion: 1\nRequires-Dist: {needs}\nRequires-Dist: {name}\n"
        for name, needs in info.items()
    }

    needs = {one["ref"]: one["dependsOn"] for one in read(make_slug(tmp_path, files))["dependencies"]}

    assert needs["slug"] == ["pkg:pypi/a@1"]
    assert needs["pkg:pypi/a@1"] == ["pkg:pypi/b@1"]


def test_the_slug_is_what_an_sbom_is_about(slug: Slug) -> None:
    """The document's subject is the slug: its name, commit and digests; slugkit and the buildpacks are its tools."""
    metadata = read(slug)["metadata"]
    app = metadata["component"]
    facts = {one["name"]: one["value"] for one in app["properties"]}

    assert (app["name"], app["type"], app["version"]) == ("app", "application", COMMIT)
    assert app["hashes"] == [{"alg": "SHA-256", "content": slug.digest.removeprefix("sha256:")}]
    assert facts["slugkit:diff_id"] == slug.diff_id
    tools = {tool["bom-ref"]: tool for tool in metadata["tools"]["components"]}
    assert [tools[f"buildpack:{turn}"]["name"] for turn in (1, 2)] == ["python", "heroku/nodejs"]
    assert "tool:slugkit" in tools


def test_the_same_slug_has_the_same_sbom(slug: Slug, tmp_path: Path) -> None:
    """No clock and no chance reaches the document: the same file gives the same bytes, another one another number."""
    other = make_slug(tmp_path / "other", {"a": "b"})

    code = "import sys, slugkit; sys.stdout.buffer.write(slugkit.sbom(slugkit.Slug.open(sys.argv[1])))"
    argv = [sys.executable, "-c", code, str(slug.path)]
    first, second = (subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout for _ in range(2))
    assert first == second
    assert "timestamp" not in read(slug)["metadata"]
    assert read(slug)["serialNumber"] != read(other)["serialNumber"]


def test_a_slug_without_commit_or_packages_has_one_too(tmp_path: Path) -> None:
    """An app of plain files is valid without components; its version is its diff_id."""
    slug = make_slug(tmp_path, {"Procfile": "web: x\n"})
    told = read(slug)

    assert told.get("components", []) == []
    assert told["metadata"]["component"]["version"] == slug.diff_id


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None)
@given(st.lists(st.text(max_size=40), min_size=4, max_size=4))
@example(["\x1b[2J", "<script>", "((((MIT", "a\udcff"])
@example(["MIT AND", "MIT", "Apache-2.0 OR MIT", "LicenseRef-x"])
def test_hostile_metadata_make_a_valid_document(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    """Whatever packages, paths and manifests say of themselves, the document is valid, without control characters."""
    directory = tmp_path_factory.mktemp("slug")
    one, two, three, four = texts
    package = {"name": "a", "version": "1", "licenses": [one, {"type": two}, three], "license": four}
    files: dict[str, str | bytes] = {
        "a\x1b[2J\nb\udcff/node_modules/a/package.json": json.dumps(package),
        "x-1.dist-info/METADATA": f"Name: x\nVersion: 1\nLicense: {three}\n".encode("utf-8", "surrogatepass"),
    }
    slug = make_slug(directory, files)
    slug = evolve(slug, manifest=evolve(MANIFEST, stack=one, builder=two, source_commit=three))

    assert len(read(slug)["components"]) == 2
    assert "\x1b" not in json.dumps(read(slug), ensure_ascii=False)


def test_without_its_library_an_sbom_says_what_to_install(slug: Slug, monkeypatch: pytest.MonkeyPatch) -> None:
    """All else works without the extra; who asks for an SBOM learns how to get it."""
    monkeypatch.setitem(sys.modules, "cyclonedx.model.component_evidence", None)

    with pytest.raises(MissingLibraryError) as caught:
        sbom(slug)

    assert (caught.value.code, caught.value.hint) == ("sbom.missing-library", "pip install 'slugkit[sbom]'")


# -- provenance -------------------------------------------------------------------------------------------------

EVENTS: tuple[BuildEvent, ...] = (
    BuildStarted("https://me:hunter2@example.com/app", "stack", ("TOKEN", "API_KEY")),
    SourceCheckedOut(COMMIT, "fe" * 20),
    BuildpacksChosen("heroku-24", ("https://me:hunter2@example.com/pack.git", "python")),
)


def test_provenance_is_a_statement_about_the_slug(slug: Slug) -> None:
    """The statement names the slug by file and digest, who built it, when, and in which sense."""
    start, end = datetime(2026, 1, 2, 3, 4, 5, 678, UTC), datetime(2026, 1, 2, 3, 5, 0, 0, UTC)

    told = json.loads(provenance(slug, EVENTS, started_on=start, finished_on=end, invocation_id="urn:x:1"))

    assert told["_type"] == "https://in-toto.io/Statement/v1"
    assert told["predicateType"] == "https://slsa.dev/provenance/v1"
    assert told["subject"] == [{"name": "app.slug.tgz", "digest": {"sha256": slug.digest.removeprefix("sha256:")}}]
    assert told["predicate"]["buildDefinition"]["buildType"] == "urn:slugkit:build:v1"
    assert told["predicate"]["runDetails"] == {
        "builder": {"id": "urn:slugkit:builder:unattested", "version": {"slugkit": "1.0"}},
        "metadata": {
            "invocationId": "urn:x:1",
            "startedOn": "2026-01-02T03:04:05Z",
            "finishedOn": "2026-01-02T03:05:00Z",
        },
    }


def test_provenance_tells_what_was_asked_for(slug: Slug) -> None:
    """Source, buildpacks, stack and runtime are told without credentials, config vars by name, the host by its kind."""
    definition = json.loads(provenance(slug, EVENTS))["predicate"]["buildDefinition"]

    assert definition["externalParameters"] == {
        "source": "https://example.com/app",
        "runtime": "stack",
        "configVars": ["API_KEY", "TOKEN"],
        "stack": "heroku-24",
        "buildpacks": ["https://example.com/pack.git", "python"],
    }
    assert definition["internalParameters"] == {"architecture": "x86_64", "libc": "glibc-2.36"}
    assert b"hunter2" not in provenance(slug, EVENTS)


def test_provenance_tells_materials_by_digest(slug: Slug) -> None:
    """The source and each buildpack are told by digest where there is one, else by a URI."""
    materials = json.loads(provenance(slug, EVENTS))["predicate"]["buildDefinition"]["resolvedDependencies"]

    assert materials == [
        {"name": "source", "digest": {"gitCommit": COMMIT, "gitTree": "fe" * 20}},
        {"name": "python", "uri": "pkg:pypi/slugkit@1.0"},
        {"name": "heroku/nodejs", "digest": {"gitCommit": COMMIT}, "uri": "https://example.com/nodejs.git"},
        {"name": "local", "digest": {"slugkitTree": "ab" * 32}},
        {"name": "pack.tgz", "digest": {"sha256": "cd" * 32}, "uri": "https://example.com/pack.tgz"},
        {"name": "ours", "uri": "pkg:generic/ours@unknown"},
        {"name": "inline", "uri": "pkg:generic/inline"},
    ]


def test_provenance_of_a_slug_made_elsewhere_says_little(tmp_path: Path) -> None:
    """Without events or a manifest there are no parameters and no materials, and no times that nobody gave."""
    told = json.loads(provenance(make_slug(tmp_path, {"a": "b"}), ()))["predicate"]

    assert told["buildDefinition"]["resolvedDependencies"] == []
    assert told["buildDefinition"]["externalParameters"] == {}
    assert told["runDetails"]["metadata"] == {}


def test_a_platform_names_itself(slug: Slug) -> None:
    """A builder that somebody vouches for is told by the URI that its operator gives."""
    told = json.loads(provenance(slug, EVENTS, builder_id="https://ci.example.com/slugkit"))

    assert told["predicate"]["runDetails"]["builder"]["id"] == "https://ci.example.com/slugkit"


def test_the_tree_of_a_source_is_git_s(tmp_path: Path) -> None:
    """The digest of a source is what git says of the same files: names of any bytes, links, run bits, nested names."""
    files: dict[str, str | bytes] = {
        "a.b": "1",
        "a/z": "2",
        "a0": "",
        "a/empty/": "",
        "run.sh": "#!/bin/sh\n",
        "d/caf\udce9": b"\0\xff" * 2**20,
        "d/e/f": "3",
    }
    root = write_tree(tmp_path / "tree", files)
    (root / "d/link").symlink_to("../a.b")
    env = {"GIT_DIR": str(tmp_path / "repo"), "GIT_WORK_TREE": str(root), "PATH": "/usr/bin:/bin", "HOME": "/"}
    for arguments in (["init", "-q"], ["add", "--all"]):
        subprocess.run(["git", *arguments], cwd=root, env=env, check=True)

    told = subprocess.run(["git", "write-tree"], cwd=root, env=env, check=True, capture_output=True, text=True)

    assert git_tree(root) == told.stdout.strip()


# -- beside the slug --------------------------------------------------------------------------------------------


def test_documents_are_written_beside_the_slug(slug: Slug) -> None:
    """A document is the slug's file name and an ending; it replaces an older one, and leaves nothing else."""
    before = {*slug.path.parent.iterdir()}
    write_beside(slug, PROVENANCE_TYPE, b"old")

    path = write_beside(slug, PROVENANCE_TYPE, b"new")

    assert path == beside(slug.path)[PROVENANCE_TYPE] == slug.path.with_name("app.slug.tgz.intoto.json")
    assert path.read_bytes() == b"new"
    assert {*slug.path.parent.iterdir()} == {*before, path}


def test_a_document_that_cannot_be_written_is_an_error(slug: Slug) -> None:
    """What stands in the way stays, and nothing half is left."""
    beside(slug.path)[SBOM_TYPE].mkdir()
    before = {*slug.path.parent.iterdir()}

    with pytest.raises(OutputError):
        write_beside(slug, SBOM_TYPE, b"{}")

    assert {*slug.path.parent.iterdir()} == before


def test_embedders_find_both_at_the_front_door() -> None:
    """`slugkit.sbom` and `slugkit.provenance` are the library's names for them."""
    assert (slugkit.sbom, slugkit.provenance) == (sbom, provenance)
