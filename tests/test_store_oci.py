"""The store as an OCI image layout: what other tools see, tags, what is collected, what is damaged, what is shared."""

import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from oci import (
    REF_NAME,
    age,
    blob_path,
    checked_blob,
    checked_layout,
    flip,
    index_of,
    put_blob,
    put_image,
    put_slug_manifest,
    small_slug,
    state,
    write_index,
)
from slugkit._tree import snapshot
from slugkit.archive import Slug, pack
from slugkit.dyno import DynoRunner
from slugkit.errors import (
    CorruptSlugError,
    CorruptStoreError,
    InvalidSettingError,
    SlugkitError,
    SlugNotFoundError,
    UnsafeMemberError,
)
from slugkit.slug import Manifest, Platform
from slugkit.store import Collected, DirectoryStore
from slugkit.supply import PROVENANCE_TYPE, SBOM_TYPE
from slugkit.testing import write_tree

SBOM, PROVENANCE = b'{"bomFormat":"CycloneDX"}', b'{"_type":"in-toto"}'

# --- what the tests stand on -----------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    """Return a store whose directory does not exist yet."""
    return DirectoryStore(tmp_path / "store")


@pytest.fixture
def slug(tmp_path: Path) -> Slug:
    """Return a small slug."""
    return small_slug(tmp_path)


def _contents(root: Path) -> dict[str, bytes]:
    """Return the files of the layout at *root*: neither trees, nor what is about them, nor the lock."""
    layout = [path for path in root.rglob("*") if path.is_file() and path.relative_to(root).parts[0] in _LAYOUT]
    return {str(path.relative_to(root)): path.read_bytes() for path in layout}


_LAYOUT = {"oci-layout", "index.json", "blobs"}


# --- the layout ------------------------------------------------------------------------------------------------


def test_a_store_is_an_image_layout(store: DirectoryStore, tmp_path: Path) -> None:
    """Whatever is put, the store is a layout of image-spec 1.1; each digest, size and diff_id in it is right."""
    store.put(small_slug(tmp_path, "one"), "shop:v1", {SBOM_TYPE: SBOM, PROVENANCE_TYPE: PROVENANCE})
    store.put(small_slug(tmp_path, "two"), "shop:v2")
    store.put(small_slug(tmp_path, "three"))
    store.tag("shop:v1", "shop:stable")

    assert len(checked_layout(store.root)) == 6  # the slug with two names is listed twice


def test_the_layer_is_the_slug(store: DirectoryStore, slug: Slug) -> None:
    """The layer's blob is the slug file byte for byte, and the config's diff_id is the slug's."""
    stored = store.put(slug, "shop:v1")
    [manifest] = checked_layout(store.root)
    config = json.loads(checked_blob(store.root, manifest["config"]))

    assert checked_blob(store.root, manifest["layers"][0]) == slug.path.read_bytes()
    assert config["rootfs"]["diff_ids"] == [slug.diff_id]
    assert (stored.digest, stored.size, stored.tags) == (slug.digest, slug.size, ("shop:v1",))


def test_the_config_says_what_the_slug_says(store: DirectoryStore, tmp_path: Path) -> None:
    """Platform, config-var defaults and source commit of a slug are where engines look for them."""
    root = write_tree(tmp_path / "tree", {"run": "x"})
    manifest = Manifest(
        config_vars={"RACK_ENV": "production", "A": "a=b"},
        platform=Platform("aarch64", "glibc-2.36"),
        source_commit="c0ffee",
    )
    pack(root, manifest, tmp_path / "app.tgz")
    store.put(Slug.open(tmp_path / "app.tgz"))
    [image] = checked_layout(store.root)
    config = json.loads(checked_blob(store.root, image["config"]))

    assert config["architecture"] == "arm64"
    assert config["config"] == {"Env": ["HOME=/app", "A=a=b", "RACK_ENV=production"], "WorkingDir": "/app"}
    assert image["annotations"]["org.opencontainers.image.revision"] == "c0ffee"


def test_putting_twice_is_as_good_as_once(store: DirectoryStore, slug: Slug) -> None:
    """The same slug with the same tag and documents changes nothing the second time."""
    first = store.put(slug, "shop:v1", {SBOM_TYPE: SBOM})
    before = _contents(store.root)

    assert store.put(Slug.open(slug.path), "shop:v1", {SBOM_TYPE: SBOM}) == first
    assert _contents(store.root) == before
    assert store.slugs() == (first,)


def test_the_same_slug_makes_the_same_layout(tmp_path: Path, slug: Slug) -> None:
    """Two stores with the same slug in them are the same to the byte: no clock, name or path comes in."""
    stores = [DirectoryStore(tmp_path / name) for name in ("one", "two")]
    for store in stores:
        store.put(slug, "shop:v1", {SBOM_TYPE: SBOM})

    assert _contents(stores[0].root) == _contents(stores[1].root)


def test_looking_makes_no_store(store: DirectoryStore) -> None:
    """A store that is not there has no slugs and no damage, and stays not there."""
    assert store.slugs() == ()
    assert store.verify() == ()
    assert store.gc() == Collected()
    assert not store.root.exists()


def test_slugs_come_in_the_order_they_were_put(store: DirectoryStore, tmp_path: Path) -> None:
    """slugs() lists what is stored, the first first, however it is called; whether it is unpacked as well."""
    digests = [store.put(small_slug(tmp_path, name)).digest for name in ("one", "two", "three")]
    store.tag(digests[2], "a")
    store.tree(store.open(digests[1]))

    assert [one.digest for one in store.slugs()] == digests
    assert [one.unpacked for one in store.slugs()] == [False, True, False]


# --- referrers -------------------------------------------------------------------------------------------------


def test_documents_refer_to_their_slug(store: DirectoryStore, slug: Slug) -> None:
    """An SBOM and provenance are manifests with the slug's image as subject and their own type as artifactType."""
    stored = store.put(slug, referrers={SBOM_TYPE: SBOM, PROVENANCE_TYPE: PROVENANCE})
    image, *about = checked_layout(store.root)

    assert [one["artifactType"] for one in about] == [SBOM_TYPE, PROVENANCE_TYPE]
    assert {one["subject"]["digest"] for one in about} == {stored.manifest}
    assert {one["subject"]["size"] for one in about} == {index_of(store)["manifests"][0]["size"]}
    assert [checked_blob(store.root, one["layers"][0]) for one in about] == [SBOM, PROVENANCE]
    assert stored.referrers == {one["artifactType"]: one["layers"][0]["digest"] for one in about}
    assert "subject" not in image


def test_documents_may_come_later(store: DirectoryStore, slug: Slug) -> None:
    """Putting a slug again with a document adds it; the one of that type that came last is the one that is told."""
    store.put(slug, "shop:v1")
    store.put(slug, referrers={SBOM_TYPE: SBOM})
    stored = store.put(slug, referrers={SBOM_TYPE: b'{"newer":true}'})

    assert blob_path(store, stored.referrers[SBOM_TYPE]).read_bytes() == b'{"newer":true}'
    assert stored.tags == ("shop:v1",)
    assert len(store.slugs()) == 1


# --- tags ------------------------------------------------------------------------------------------------------


def test_a_tag_moves(store: DirectoryStore, tmp_path: Path) -> None:
    """A tag names one slug: put and tag take it from whoever had it, which stays."""
    one = store.put(small_slug(tmp_path, "one"), "shop:now")
    two = store.put(small_slug(tmp_path, "two"), "shop:now")
    assert [each.tags for each in store.slugs()] == [(), ("shop:now",)]

    assert store.tag(one.digest, "shop:now").digest == one.digest
    assert store.find("shop:now").digest == one.digest
    assert store.find(two.digest).tags == ()
    checked_layout(store.root)


def test_a_slug_has_several_tags(store: DirectoryStore, slug: Slug) -> None:
    """One slug may have many names, each an entry of the index; taking one leaves the others."""
    store.put(slug, "b")
    for name in ("a", "c", "a"):
        store.tag("b", name)
    assert store.find("c").tags == ("a", "b", "c")
    assert sorted(one["annotations"][REF_NAME] for one in index_of(store)["manifests"]) == ["a", "b", "c"]

    store.untag("b")
    assert store.find("a").tags == ("a", "c")
    store.untag("a")
    store.untag("c")
    assert store.find(slug.digest).tags == ()
    assert len(index_of(store)["manifests"]) == 1


def test_a_tag_that_nothing_has_is_an_error(store: DirectoryStore, slug: Slug) -> None:
    """A tag cannot be taken from nobody, nor given to what is not there; the store is unchanged."""
    store.put(slug, "shop:v1")
    before = _contents(store.root)

    for change in (
        lambda: store.untag("shop:v2"),
        lambda: store.tag("shop:v2", "new"),
        lambda: store.untag(slug.digest),
    ):
        with pytest.raises(SlugNotFoundError):
            change()
    assert _contents(store.root) == before


@pytest.mark.parametrize(
    "tag", ["", "-a", "a b", "a//b", "../x", "a\n", "ä", "a:", "sha256:" + "0" * 64, "x" * 256, "a..b"]
)
def test_a_name_that_tools_do_not_take_is_refused(store: DirectoryStore, slug: Slug, tag: str) -> None:
    """A tag is what annotations.md allows, and no digest; another is one error, and nothing is put or named."""
    with pytest.raises(InvalidSettingError):
        store.put(slug, tag)
    assert not store.root.exists()
    stored = store.put(slug)

    with pytest.raises(InvalidSettingError):
        store.tag(stored.digest, tag)
    assert store.slugs() == (stored,)


@pytest.mark.parametrize("tag", ["a", "shop:v1", "registry.example/team/shop:v1.2-rc.1", "a--b", "v1+x@y", "x" * 255])
def test_a_name_that_tools_take_is_taken(store: DirectoryStore, slug: Slug, tag: str) -> None:
    """Names as registries and engines spell them are tags."""
    assert store.put(slug, tag).tags == (tag,)
    assert store.find(tag).digest == slug.digest


# --- other images ----------------------------------------------------------------------------------------------


def test_images_of_others_stay(store: DirectoryStore, slug: Slug) -> None:
    """What other tools put into the layout - images, indexes, their tags, keys - outlives put, tag and gc."""
    image = put_image(store) | {"annotations": {REF_NAME: "alpine:3", "other": "kept"}}
    nested = json.dumps({"schemaVersion": 2, "manifests": [put_image(store, 2)]}).encode()
    index = put_blob(store, nested, "application/vnd.oci.image.index.v1+json")
    foreign = [image, index, put_image(store, 3, annotations={"a": "b"})]
    write_index(store, *foreign, annotations={"of": "the index"}, future=[1.5, None])
    for path in (store.root / "blobs/sha256").iterdir():
        age(path, 90)
    before = _contents(store.root)
    store.put(slug, "shop:v1", {SBOM_TYPE: SBOM})
    store.tag("shop:v1", "shop:v2")
    store.untag("shop:v1")
    store.untag("shop:v2")
    store.gc(max_age=0, max_size=0)

    assert store.slugs() == ()
    assert index_of(store)["manifests"] == foreign
    assert (index_of(store)["annotations"], index_of(store)["future"]) == ({"of": "the index"}, [1.5, None])
    after = _contents(store.root)
    assert {name for name in after if "blobs" in name} == {name for name in before if "blobs" in name}


def test_an_image_gives_its_tag_and_stays(store: DirectoryStore, slug: Slug) -> None:
    """A slug that takes the tag of an image leaves the image without: no name means two things."""
    image = put_image(store)
    write_index(store, image | {"annotations": {REF_NAME: "shop:v1"}})
    store.put(slug, "shop:v1")

    assert store.find("shop:v1").digest == slug.digest
    assert index_of(store)["manifests"][0] == image | {"annotations": {}}
    store.gc(max_age=0)
    assert blob_path(store, image["digest"]).exists()


@pytest.mark.parametrize("text", ['{"schemaVersion":2,"manifests":null}', '{"schemaVersion":2}'])
def test_an_empty_layout_is_a_store(store: DirectoryStore, slug: Slug, text: str) -> None:
    """A layout that another tool has just made, whose empty list is null or left out, is an empty store."""
    (store.root / "blobs/sha256").mkdir(parents=True)
    (store.root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (store.root / "index.json").write_text(text)

    assert store.slugs() == ()
    assert store.put(slug, "shop:v1") == store.find("shop:v1")


def test_annotations_that_are_null_are_none(store: DirectoryStore, slug: Slug) -> None:
    """A descriptor whose annotations are null, as Go writes an empty map, can be given a tag."""
    stored = store.put(slug)
    [listed] = index_of(store)["manifests"]
    write_index(store, listed | {"annotations": None})

    assert store.tag(stored.digest, "shop:v1").tags == ("shop:v1",)


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"[]",
        b'{"layers":[]}',
        b'{"annotations":{"slugkit.schema":"1"}}',
        b'{"annotations":{"slugkit.schema":"1"},"config":{},"layers":[{}]}',
        b'{"annotations":[],"layers":[1]}',
        b'{"subject":{"digest":"sha256:../../x"},"layers":null}',
        b"[" * 100_000,
    ],
    ids=range(8),
)
def test_a_manifest_that_makes_no_sense_is_no_slug(store: DirectoryStore, slug: Slug, manifest: bytes) -> None:
    """A manifest that is hostile or not understood is another tool's: no slug, and it stays."""
    odd = put_blob(store, manifest, "application/vnd.oci.image.manifest.v1+json")
    write_index(store, odd)
    stored = store.put(slug, "shop:v1")
    store.gc(max_age=0)

    assert store.slugs() == (stored,)
    assert store.verify() == ()
    assert blob_path(store, odd["digest"]).read_bytes() == manifest


def test_an_artifact_without_layers_is_no_document(store: DirectoryStore, slug: Slug) -> None:
    """A manifest that refers to a slug and holds nothing, as image-spec once allowed, is passed over."""
    stored = store.put(slug, "shop:v1")
    empty = put_image(store, 0, artifactType=SBOM_TYPE, subject=index_of(store)["manifests"][0])
    write_index(store, *index_of(store)["manifests"], empty)

    assert store.slugs() == (stored,)
    assert store.find("shop:v1").referrers == {}


# --- slugs that are refused ------------------------------------------------------------------------------------


def _become_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _hostile(path: Path) -> None:
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("./app/../../etc/passwd"))


BAD: dict[str, tuple[Callable[[Path], object], type[SlugkitError]]] = {
    "cut": (lambda path: os.truncate(path, path.stat().st_size - 20), CorruptSlugError),
    "flipped": (lambda path: flip(path, 150), CorruptSlugError),
    "flipped in its index": (lambda path: flip(path, path.stat().st_size - 60), CorruptSlugError),
    "empty": (lambda path: path.write_bytes(b""), CorruptSlugError),
    "garbage": (lambda path: path.write_bytes(path.read_bytes() + b"x"), CorruptSlugError),
    "hostile": (_hostile, UnsafeMemberError),
    "gone": (Path.unlink, SlugNotFoundError),
    "a directory": (_become_directory, SlugNotFoundError),
    "another": (lambda path: shutil.copyfile(path.parent.parent / "other/app.slug.tgz", path), CorruptSlugError),
}


@pytest.mark.parametrize("used", [True, False], ids=["a used store", "a new store"])
@pytest.mark.parametrize(("spoil", "error"), BAD.values(), ids=list(BAD))
def test_a_bad_slug_leaves_the_store_unchanged(
    store: DirectoryStore,
    slug: Slug,
    tmp_path: Path,
    spoil: Callable[[Path], object],
    error: type[SlugkitError],
    used: bool,  # noqa: FBT001
) -> None:
    """A slug that is damaged, hostile, gone or not the one that was opened is one error that names it, and not put."""
    other = small_slug(tmp_path, "other")
    if used:
        store.put(other, "shop:v1")
    spoil(slug.path)
    before = state(store.root)

    with pytest.raises(error) as caught:
        store.put(slug, "shop:v1", {SBOM_TYPE: SBOM})
    assert "staging" not in str(caught.value)
    assert state(store.root) == before
    assert [one.digest for one in store.slugs()] == ([other.digest] if used else [])


def test_putting_heals(store: DirectoryStore, slug: Slug) -> None:
    """Putting a slug whose blobs were damaged meanwhile makes all of them what they were."""
    store.put(slug, "shop:v1", {SBOM_TYPE: SBOM})
    whole = _contents(store.root)
    for path in (store.root / "blobs/sha256").iterdir():
        flip(path, 1)

    store.put(slug, "shop:v1", {SBOM_TYPE: SBOM})
    assert _contents(store.root) == whole


# --- find, open and run ----------------------------------------------------------------------------------------


def test_a_slug_is_found_by_what_it_is_called(store: DirectoryStore, tmp_path: Path) -> None:
    """A tag, the digest of the file or of the image, or how one begins (eight digits at least), names a slug."""
    stored = store.put(small_slug(tmp_path, "one"), "shop:v1")
    store.put(small_slug(tmp_path, "two"))
    digits = stored.digest.removeprefix("sha256:")
    names = [
        stored.digest,
        stored.manifest,
        digits,
        digits[:8],
        f"sha256:{digits[:8]}",
        stored.manifest[:20],
        "shop:v1",
    ]

    assert [store.find(name) for name in names] == [stored] * len(names)


@pytest.mark.parametrize("reference", ["", "sha256:", "shop", "v1", "0" * 8, "sha256:" + "0" * 64, "../../etc", "*"])
def test_what_names_no_slug_is_not_found(store: DirectoryStore, slug: Slug, reference: str) -> None:
    """Anything else is SlugNotFoundError."""
    store.put(slug, "shop:v1")

    with pytest.raises(SlugNotFoundError):
        store.find(reference)
    with pytest.raises(SlugNotFoundError):
        store.find(slug.digest[: len("sha256:") + 7])


def test_what_names_two_slugs_is_not_found(store: DirectoryStore) -> None:
    """A beginning that two digests share names neither; all of one does."""
    one, two = "abcdef0123" + "1" * 54, "abcdef0123" + "2" * 54
    write_index(store, put_slug_manifest(store, one), put_slug_manifest(store, two))

    with pytest.raises(SlugNotFoundError):
        store.find("abcdef0123")
    assert store.find(two).digest == f"sha256:{two}"
    assert store.find("abcdef01231").digest == f"sha256:{one}"


def test_a_tag_comes_before_a_digest(store: DirectoryStore, tmp_path: Path) -> None:
    """A tag that is spelled as another slug's digest begins is a tag."""
    one = store.put(small_slug(tmp_path, "one"))
    begins = one.digest.removeprefix("sha256:")[:8]
    two = store.put(small_slug(tmp_path, "two"), begins)

    assert store.find(begins).digest == two.digest


def test_one_file_with_two_manifests_is_one_slug(store: DirectoryStore, slug: Slug) -> None:
    """A slug that two releases of slugkit described otherwise is found by its digest: as the last one did."""
    store.put(slug)
    write_index(store, put_slug_manifest(store, slug.digest.removeprefix("sha256:")), *index_of(store)["manifests"])

    assert len(store.slugs()) == 2
    assert store.find(slug.digest) == store.slugs()[1]


def test_a_slug_is_opened_from_the_store(store: DirectoryStore, slug: Slug, tmp_path: Path) -> None:
    """What was put is opened as the slug it was, though the file it came from is gone."""
    store.put(slug, "shop:v1")
    slug.unpack(tmp_path / "before")
    slug.path.unlink()
    opened = store.open("shop:v1")
    opened.unpack(tmp_path / "after")

    assert (opened.digest, opened.manifest, opened.size) == (slug.digest, slug.manifest, slug.size)
    assert snapshot(tmp_path / "after") == snapshot(tmp_path / "before")


def test_a_slug_runs_from_the_store(store: DirectoryStore, slug: Slug) -> None:
    """A dyno runs on what the store has, and a second use unpacks nothing."""
    store.put(slug, "shop:v1")
    slug.path.unlink()
    with DynoRunner(store=store.root, sandbox="none") as runner:
        assert runner.run(store.open("shop:v1"), "cat name").output == "app\n"

    assert store.find("shop:v1").unpacked


@pytest.mark.parametrize("damage", ["flipped", "replaced", "gone"])
def test_a_damaged_slug_is_not_opened(store: DirectoryStore, slug: Slug, tmp_path: Path, damage: str) -> None:
    """A blob that is not what its digest says is never opened, be it a whole slug."""
    path = blob_path(store, store.put(slug, "shop:v1").digest)
    if damage == "gone":
        path.unlink()
    elif damage == "flipped":
        flip(path, path.stat().st_size // 2)
    else:
        shutil.copyfile(small_slug(tmp_path, "other").path, path)

    with pytest.raises(SlugNotFoundError if damage == "gone" else CorruptSlugError):
        store.open("shop:v1")


# --- an index that cannot be read ------------------------------------------------------------------------------

_GOOD = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:" + "0" * 64, "size": 1}


def _of(**wrong: object) -> bytes:
    return json.dumps({"schemaVersion": 2, "manifests": [_GOOD, _GOOD | wrong]}).encode()


CORRUPT: dict[str, bytes] = {
    "empty": b"",
    "text": b"no JSON",
    "cut": _of()[:-5],
    "bytes": b"\xff\xfe\x00" * 9,
    "a list": b"[]",
    "null": b"null",
    "deep": b'{"manifests":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "a long number": b'{"manifests":' + b"9" * 10_000 + b"}",
    "huge": b'{"manifests":[],"x":"' + b"x" * 2**24 + b'"}',
    "an object of manifests": b'{"manifests":{"a":1}}',
    "a string of manifests": b'{"manifests":"x"}',
    "a manifest that is none": b'{"manifests":[1]}',
    "path traversal": _of(digest="sha256:../../x"),
    "path traversal of the right length": _of(digest="sha256:" + "../" * 21 + "x"),
    "an absolute path": _of(digest="/etc/passwd"),
    "a newline": _of(digest="sha256:" + "0" * 64 + "\n"),
    "upper case": _of(digest="sha256:" + "A" * 64),
    "another algorithm": _of(digest="sha512:" + "0" * 128),
    "no digest": _of(digest=None),
    "a size that is none": _of(size="1"),
    "no media type": _of(mediaType=3),
    "annotations that are none": _of(annotations=["x"]),
}


@pytest.mark.parametrize("text", CORRUPT.values(), ids=list(CORRUPT))
def test_an_index_that_is_none_is_one_error(store: DirectoryStore, slug: Slug, tmp_path: Path, text: bytes) -> None:
    """An index.json that is damaged or hostile is CorruptStoreError for all who need it, and nothing is touched."""
    tree = store.tree(slug)
    store.put(slug, "shop:v1")
    canary = write_tree(tmp_path / "x", {"canary": "here"})
    (store.root / "index.json").write_bytes(text)
    age(store.root / "records" / tree.name, 90)
    store.release()
    before = state(store.root)
    uses: list[Callable[[], object]] = [
        store.slugs,
        store.gc,
        store.verify,
        lambda: store.find("shop:v1"),
        lambda: store.open("shop:v1"),
        lambda: store.put(slug, "shop:v2"),
        lambda: store.tag("shop:v1", "shop:v2"),
        lambda: store.untag("shop:v1"),
    ]

    for use in uses:
        with pytest.raises(CorruptStoreError) as caught:
            use()
        assert str(store.root) in str(caught.value)
        assert len(str(caught.value)) < 1000
    assert state(store.root) == before
    assert (canary / "canary").read_text() == "here"
    assert store.tree(slug) == tree  # dynos go on


def test_an_index_that_is_no_file_is_one_error(store: DirectoryStore, slug: Slug) -> None:
    """A directory in the index's place is CorruptStoreError as well, not whatever the system says."""
    (store.root / "index.json").mkdir(parents=True)

    for use in (store.slugs, store.gc, store.verify, lambda: store.put(slug), lambda: store.find("x")):
        with pytest.raises(CorruptStoreError):
            use()
