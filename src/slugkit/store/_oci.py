"""What an OCI image layout says of a slug, as documents: image-spec 1.1, image-layout.md, manifest.md and config.md."""

import hashlib
import json
import platform
import re
from collections.abc import Mapping
from typing import Any

from ..slug import Manifest

Descriptor = dict[str, Any]

LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
REF_NAME = "org.opencontainers.image.ref.name"
_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_EMPTY = "application/vnd.oci.empty.v1+json"
_REVISION = "org.opencontainers.image.revision"
_MARK = "slugkit.schema"  # the annotation that tells a slug from an image
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # as GOARCH spells them, which the specification asks for
_TAG = re.compile(r"[A-Za-z0-9]+(?:(?:[-._:@+/]|--)[A-Za-z0-9]+)*")  # annotations.md


def is_tag(text: str) -> bool:
    """Return whether *text* may name an image in a layout.

    >>> is_tag("shop/web:v12"), is_tag("-x"), is_tag("")
    (True, False, False)
    """
    return bool(_TAG.fullmatch(text)) and len(text) <= 255 and not text.startswith("sha256:")  # noqa: PLR2004


def encoded(document: Mapping[str, Any]) -> bytes:
    """Return *document* as the same bytes on every machine."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def described(media_type: str, data: bytes, **more: Any) -> Descriptor:  # noqa: ANN401 - whatever JSON holds
    """Return the descriptor of the blob *data*."""
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data), **more}


def digest_of(data: bytes) -> str:
    """Return ``sha256:...`` of *data*."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def slug_documents(manifest: Manifest, digest: str, size: int, diff_id: str) -> tuple[bytes, bytes]:
    """Return the image's config and manifest for the slug file with *digest*, of *size* bytes."""
    machine = manifest.platform.architecture if manifest.platform else platform.machine()
    config = encoded(
        {
            "architecture": _ARCHITECTURES.get(machine, machine),
            "os": "linux",
            "config": {
                "Env": ["HOME=/app", *(f"{name}={value}" for name, value in sorted(manifest.config_vars.items()))],
                "WorkingDir": "/app",
            },
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        }
    )
    annotations = {_MARK: str(manifest.schema)}
    if manifest.source_commit:
        annotations[_REVISION] = manifest.source_commit
    layer = {"mediaType": _LAYER, "digest": digest, "size": size}
    return config, encoded(_image(described(_CONFIG, config), layer, annotations=annotations))


def referrer(kind: str, data: bytes, subject: Descriptor) -> tuple[bytes, bytes]:
    """Return the empty config and the manifest by which *data*, of media type *kind*, refers to *subject*."""
    empty = b"{}"
    plain = {key: subject[key] for key in ("mediaType", "digest", "size")}
    document = _image(described(_EMPTY, empty), described(kind, data), artifactType=kind, subject=plain)
    return empty, encoded(document)


def _image(config: Descriptor, layer: Descriptor, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": [layer], **more}


def entry(manifest: bytes, **more: Any) -> Descriptor:  # noqa: ANN401
    """Return what the layout's index says of *manifest*."""
    return described(_MANIFEST, manifest, **more)


def new_index() -> dict[str, Any]:
    """Return the index of a layout with nothing in it."""
    return {"schemaVersion": 2, "mediaType": _INDEX, "manifests": []}


def tag_of(descriptor: Descriptor) -> str | None:
    """Return the name that *descriptor* bears."""
    name = (descriptor.get("annotations") or {}).get(REF_NAME)
    return name if isinstance(name, str) else None


def is_slug(manifest: Mapping[str, Any]) -> bool:
    """Return whether the image *manifest* is of a slug."""
    annotations = manifest.get("annotations")
    return isinstance(annotations, dict) and _MARK in annotations
