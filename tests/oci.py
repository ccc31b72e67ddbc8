"""OCI image layouts for tests: read as image-spec 1.1 has them, and written as other tools would."""

import gzip
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from slugkit.archive import Slug
from slugkit.store import DirectoryStore
from slugkit.testing import make_slug

REF_NAME = "org.opencontainers.image.ref.name"

# --- image-spec 1.1, as far as a slug's image goes; nothing that is not told here may be there -----------------

_MEDIA_TYPE = {
    "type": "string",
    "pattern": "^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$",
}
_STRINGS = {"type": "object", "additionalProperties": {"type": "string"}}


def _object(required: dict[str, Any], **optional: object) -> dict[str, Any]:
    known = {**required, **optional}
    return {"type": "object", "required": list(required), "properties": known, "additionalProperties": False}


_DIGEST = {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}
_DESCRIPTOR = _object(
    {"mediaType": _MEDIA_TYPE, "digest": _DIGEST, "size": {"type": "integer", "minimum": 0}},
    annotations=_STRINGS,
    artifactType=_MEDIA_TYPE,
)
_INDEX = _object(
    {
        "schemaVersion": {"const": 2},
        "mediaType": {"const": "application/vnd.oci.image.index.v1+json"},
        "manifests": {"type": "array", "items": _DESCRIPTOR},
    }
)
_MANIFEST = _object(
    {
        "schemaVersion": {"const": 2},
        "mediaType": {"const": "application/vnd.oci.image.manifest.v1+json"},
        "config": _DESCRIPTOR,
        "layers": {"type": "array", "minItems": 1, "items": _DESCRIPTOR},
    },
    annotations=_STRINGS,
    artifactType=_MEDIA_TYPE,
    subject=_DESCRIPTOR,
)
_CONFIG = _object(
    {
        "architecture": {"type": "string", "minLength": 1},
        "os": {"const": "linux"},
        "rootfs": _object({"type": {"const": "layers"}, "diff_ids": {"type": "array", "items": _DIGEST}}),
    },
    config=_object(
        {}, Env={"type": "array", "items": {"type": "string", "pattern": "^[^=]+="}}, WorkingDir={"type": "string"}
    ),
)
_EMPTY: dict[str, Any] = {"const": {}}
_CONFIGS = {"application/vnd.oci.image.config.v1+json": _CONFIG, "application/vnd.oci.empty.v1+json": _EMPTY}


def _checked(data: bytes, schema: dict[str, Any]) -> dict[str, Any]:
    """Return the document *data*, which *schema* allows."""
    document: dict[str, Any] = json.loads(data)
    Draft202012Validator(schema).validate(document)
    return document


def checked_blob(root: Path, descriptor: dict[str, Any]) -> bytes:
    """Return the blob of *descriptor*, which has the digest and size that it tells."""
    data: bytes = (root / "blobs" / "sha256" / descriptor["digest"].removeprefix("sha256:")).read_bytes()
    assert (descriptor["size"], descriptor["digest"]) == (len(data), f"sha256:{hashlib.sha256(data).hexdigest()}")
    return data


def checked_layout(root: Path) -> list[dict[str, Any]]:
    """Return the manifests of the layout at *root*, all of which was checked."""
    assert json.loads((root / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    found = []
    for listed in _checked((root / "index.json").read_bytes(), _INDEX)["manifests"]:
        assert listed["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
        manifest = _checked(checked_blob(root, listed), _MANIFEST)
        assert manifest.get("artifactType") == listed.get("artifactType")
        config = _checked(checked_blob(root, manifest["config"]), _CONFIGS[manifest["config"]["mediaType"]])
        layers = [checked_blob(root, layer) for layer in manifest["layers"]]
        if config:
            tars = [hashlib.sha256(gzip.decompress(layer)).hexdigest() for layer in layers]
            assert config["rootfs"]["diff_ids"] == [f"sha256:{tar}" for tar in tars]
        found.append(manifest)
    return found


# --- writing --------------------------------------------------------------------------------------------------


def small_slug(directory: Path, name: str = "app", **more: str | bytes) -> Slug:
    """Return a slug whose file ``name`` says *name*."""
    files = {"Procfile": "web: ./run\n", "run": "#!/bin/sh\n", "name": name, **more}
    return make_slug(directory / name, files, web="./run")


def index_of(store: DirectoryStore) -> dict[str, Any]:
    """Return the document index.json."""
    index: dict[str, Any] = json.loads((store.root / "index.json").read_bytes())
    return index


def write_index(store: DirectoryStore, *manifests: object, **more: object) -> None:
    """Write an index of *manifests*, with *more* keys."""
    store.root.mkdir(exist_ok=True)
    (store.root / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": manifests, **more}))


def put_blob(store: DirectoryStore, data: bytes, kind: str = "application/octet-stream") -> dict[str, Any]:
    """Put *data* into the layout as another tool would, and return its descriptor."""
    digest = hashlib.sha256(data).hexdigest()
    (store.root / "blobs/sha256").mkdir(parents=True, exist_ok=True)
    (store.root / "blobs/sha256" / digest).write_bytes(data)
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}


def put_image(store: DirectoryStore, layers: int = 1, **more: object) -> dict[str, Any]:
    """Put the manifest of an image that is no slug into the layout, and return its descriptor."""
    config = put_blob(store, b'{"architecture":"amd64"}', "application/vnd.oci.image.config.v1+json")
    content = [put_blob(store, b"layer %d" % number) for number in range(layers)]
    manifest = {"schemaVersion": 2, "config": config, "layers": content, **more}
    return put_blob(store, json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json")


def age(path: Path, days: float) -> None:
    """Make the time of *path* that of *days* ago."""
    os.utime(path, (time.time() - days * 86_400, time.time() - days * 86_400))


def blob_path(store: DirectoryStore, digest: str) -> Path:
    """Return where the blob with *digest* is."""
    return store.root / "blobs/sha256" / digest.removeprefix("sha256:")


def put_slug_manifest(store: DirectoryStore, layer: str) -> dict[str, Any]:
    """Put the manifest of a slug into the layout whose layer has the digest *layer*, and return its descriptor."""
    config = put_blob(store, b"{}", "application/vnd.oci.empty.v1+json")
    blob = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": f"sha256:{layer}", "size": 1}
    manifest = {"schemaVersion": 2, "config": config, "layers": [blob], "annotations": {"slugkit.schema": "1"}}
    return put_blob(store, json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json")


def flip(path: Path, offset: int) -> None:
    """Change one bit of the file *path*."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def state(root: Path) -> dict[str, bytes]:
    """Return every file below *root* but the lock."""
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file() and path.name != "lock"}
