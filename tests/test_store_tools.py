"""Other tools read what a store holds, and a store reads what they write: skopeo, umoci, podman."""

import json
import os
import random
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from oci import index_of, small_slug
from slugkit._tree import snapshot
from slugkit.archive import Slug
from slugkit.store import DirectoryStore, StoredSlug
from slugkit.supply import SBOM_TYPE
from slugkit.testing import make_slug

pytestmark = pytest.mark.slow  # for what is to be installed; the tests themselves take seconds

Tool = Callable[..., str]


def _run(*command: str | Path) -> str:
    """Run a tool and return what it prints; one that fails or is not there fails the test."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def slug(tmp_path: Path) -> Slug:
    """Return a slug of several segments, with a large file, an executable and a link."""
    root = tmp_path / "app/tree"
    root.mkdir(parents=True)
    (root / "link").symlink_to("lib/large")
    noise = random.Random(1).randbytes
    files: dict[str, str | bytes] = {
        "run": "#!/bin/sh\n",
        "lib/large": noise(10 * 2**20),
        "lib/b": noise(2**20),
        "z\u00e9": "z",
    }
    return make_slug(tmp_path / "app", files, web="./run")


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    """Return a store with another slug, and an SBOM of it, in it."""
    store = DirectoryStore(tmp_path / "store")
    store.put(small_slug(tmp_path, "other"), "other:v1", {SBOM_TYPE: b'{"bomFormat":"CycloneDX"}'})
    return store


@pytest.fixture
def stored(store: DirectoryStore, slug: Slug) -> StoredSlug:
    """Put the slug into the store as well."""
    return store.put(slug, "shop:v1")


@pytest.fixture
def podman() -> Iterator[Tool]:
    """Yield podman with a storage of its own, which is emptied afterwards; its path must be short."""
    with tempfile.TemporaryDirectory(prefix="podman-") as home:
        storage = ("--root", f"{home}/root", "--runroot", f"{home}/run", "--storage-driver", "vfs")

        def podman(*arguments: str | Path) -> str:
            return _run("podman", *storage, *arguments)

        yield podman
        podman("rm", "--all", "--force")
        podman("rmi", "--all", "--force")


def _assert_app(image: str, podman: Tool, slug: Slug, scratch: Path) -> None:
    """Assert that /app of *image* is the app of *slug*."""
    container = podman("create", image, "/app/run").strip()
    podman("export", "--output", scratch / "export.tar", container)
    with tarfile.open(scratch / "export.tar") as archive:
        archive.extractall(scratch / "export", filter="fully_trusted")
    slug.unpack(scratch / "unpacked")
    assert snapshot(scratch / "export/app") == snapshot(scratch / "unpacked")


def test_skopeo_inspects_a_store(store: DirectoryStore, stored: StoredSlug) -> None:
    """Skopeo names the manifest and the layer as the store does, and finds each slug by its tag."""
    told = json.loads(_run("skopeo", "inspect", f"oci:{store.root}:shop:v1"))
    other = json.loads(_run("skopeo", "inspect", f"oci:{store.root}:other:v1"))

    assert (told["Digest"], told["Layers"], told["Os"]) == (stored.manifest, [stored.digest], "linux")
    assert other["Layers"] == [store.find("other:v1").digest]


def test_skopeo_copies_the_slug(store: DirectoryStore, stored: StoredSlug, slug: Slug, tmp_path: Path) -> None:
    """What skopeo copies out of a store, checking every digest, is the slug file byte for byte."""
    _run("skopeo", "copy", f"oci:{store.root}:shop:v1", f"dir:{tmp_path / 'copy'}")
    name = stored.digest.removeprefix("sha256:")

    assert (tmp_path / "copy" / name).read_bytes() == slug.path.read_bytes()


def test_a_layout_by_skopeo_is_a_store(store: DirectoryStore, stored: StoredSlug, slug: Slug, tmp_path: Path) -> None:
    """A slug that skopeo copies to a new layout, or into another store, is found there, and runs from there."""
    copy = DirectoryStore(tmp_path / "copy")
    _run("skopeo", "copy", f"oci:{store.root}:shop:v1", f"oci:{copy.root}:shop:v2")
    _run("skopeo", "copy", f"oci:{store.root}:other:v1", f"oci:{copy.root}:other:v1")

    assert [one.tags for one in copy.slugs()] == [("shop:v2",), ("other:v1",)]
    assert copy.find("shop:v2").manifest == stored.manifest
    assert copy.verify() == ()
    slug.unpack(tmp_path / "unpacked")
    for name in ("tmp", "log"):
        (tmp_path / "unpacked" / name).mkdir(exist_ok=True)
    assert snapshot(copy.tree(copy.open("shop:v2"))) == snapshot(tmp_path / "unpacked")
    assert copy.put(slug, "shop:v3").tags == ("shop:v2", "shop:v3")


def test_an_image_by_skopeo_stays(store: DirectoryStore, stored: StoredSlug, tmp_path: Path) -> None:
    """An image that is no slug, copied into a store by skopeo, is not listed, not collected, and still read."""
    before = store.slugs()
    _run("umoci", "init", "--layout", tmp_path / "foreign")
    _run("umoci", "new", "--image", f"{tmp_path / 'foreign'}:base")
    _run("skopeo", "copy", f"oci:{tmp_path / 'foreign'}:base", f"oci:{store.root}:base:1")
    store.tag("shop:v1", "shop:v2")
    for path in (store.root / "blobs/sha256").iterdir():
        os.utime(path, (0, 0))
    store.gc(max_age=0, max_size=0)

    assert [one.digest for one in store.slugs()] == [one.digest for one in before]
    assert stored.digest in {one.digest for one in before}
    assert json.loads(_run("skopeo", "inspect", f"oci:{store.root}:base:1"))["Os"] == "linux"


def test_umoci_unpacks_the_app(store: DirectoryStore, stored: StoredSlug, slug: Slug, tmp_path: Path) -> None:
    """Umoci lists the tags, and its root file system has the app below /app, links and modes as slugkit makes them."""
    assert store.find("shop:v1") == stored
    assert set(_run("umoci", "list", "--layout", store.root).split()) >= {"shop:v1", "other:v1"}
    _run("umoci", "unpack", "--rootless", "--image", f"{store.root}:shop:v1", tmp_path / "bundle")
    slug.unpack(tmp_path / "unpacked")

    assert snapshot(tmp_path / "bundle/rootfs/app") == snapshot(tmp_path / "unpacked")


def test_umoci_changes_a_store(store: DirectoryStore, stored: StoredSlug) -> None:
    """Tags that umoci gives and takes are the store's, and its garbage collection leaves a store whole."""
    _run("umoci", "tag", "--image", f"{store.root}:shop:v1", "shop:stable")
    _run("umoci", "rm", "--image", f"{store.root}:shop:v1")
    _run("umoci", "gc", "--layout", store.root)

    assert store.find("shop:stable").digest == stored.digest
    assert store.find(stored.digest).tags == ("shop:stable",)
    assert store.find("other:v1").referrers.keys() == {SBOM_TYPE}
    assert store.verify() == ()


def test_a_layout_by_umoci_is_a_store(slug: Slug, tmp_path: Path) -> None:
    """A layout that umoci has made, whose list of manifests is null, takes slugs that skopeo reads."""
    store = DirectoryStore(tmp_path / "layout")
    _run("umoci", "init", "--layout", store.root)
    assert index_of(store)["manifests"] is None
    assert store.slugs() == ()
    stored = store.put(slug, "shop:v1")

    assert json.loads(_run("skopeo", "inspect", f"oci:{store.root}:shop:v1"))["Digest"] == stored.manifest


@pytest.mark.usefixtures("stored")
def test_podman_pulls_from_a_store(store: DirectoryStore, slug: Slug, podman: Tool, tmp_path: Path) -> None:
    """Podman takes a slug out of a store by its tag, every digest and diff_id checked: the app is at /app."""
    image = podman("pull", "--quiet", f"oci:{store.root}:shop:v1").strip()

    _assert_app(image, podman, slug, tmp_path)
    [told] = json.loads(podman("image", "inspect", image))
    assert told["RootFS"]["Layers"] == [slug.diff_id]
    assert (told["Config"]["WorkingDir"], told["Config"]["Env"]) == ("/app", ["HOME=/app"])


def test_podman_loads_a_store_in_a_tar(slug: Slug, podman: Tool, tmp_path: Path) -> None:
    """The layout of one slug, put into a tar, is what podman load takes, and the tag is the image's name."""
    store = DirectoryStore(tmp_path / "one")
    store.put(slug, "shop:v1")
    with tarfile.open(tmp_path / "one.tar", "w") as archive:
        for name in ("oci-layout", "index.json", "blobs"):
            archive.add(store.root / name, name)
    podman("load", "--input", tmp_path / "one.tar")

    _assert_app("localhost/shop:v1", podman, slug, tmp_path)


@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
@pytest.mark.usefixtures("stored")
def test_podman_loads_what_skopeo_takes_out(
    store: DirectoryStore, slug: Slug, podman: Tool, tmp_path: Path, kind: str
) -> None:
    """Out of a store with many slugs, skopeo makes a file of one for podman and docker."""
    _run("skopeo", "copy", f"oci:{store.root}:shop:v1", f"{kind}:{tmp_path / 'one.tar'}:shop:v1")
    told = podman("load", "--quiet", "--input", tmp_path / "one.tar")
    assert "shop:v1" in told

    _assert_app(told.split()[-1], podman, slug, tmp_path)
