"""An OCI image layout in a directory: blobs by their digests, and one index of them that changes in one step."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import file_digest
from pathlib import Path
from typing import Any, TypeGuard

from attrs import frozen

from .._locks import locked
from .._whole import write_whole
from ..errors import CorruptStoreError
from ._oci import LAYOUT, Descriptor, encoded, new_index

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LARGEST_DOCUMENT = 2**24  # bytes


@frozen
class Layout:
    """The layout in the directory *root*; what others put there, and other tools, stays as it is."""

    root: Path

    def blob(self, digest: str) -> Path:
        """Return where the blob with *digest* is, or would be.

        Raises:
            CorruptStoreError: It is no digest of the kind that is kept here.
        """
        if not _DIGEST.fullmatch(digest):
            raise CorruptStoreError(str(self.root), f"{digest[:100]!r} is no sha256 digest")
        return self.root / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def index(self) -> dict[str, Any]:
        """Return the index; that of an empty layout where there is none.

        Raises:
            CorruptStoreError: It is not what an index is.
        """
        path = self.root / "index.json"
        try:
            index = self._document(path)
        except FileNotFoundError:
            return new_index()
        except OSError as error:
            raise CorruptStoreError(str(path), error.strerror or str(error)) from error
        manifests = index.get("manifests") or []  # an empty list of Go's is null
        if not isinstance(manifests, list) or not all(map(_is_descriptor, manifests)):
            raise CorruptStoreError(str(path), "it lists no manifests")
        return index | {"manifests": manifests}

    def manifest(self, descriptor: Descriptor) -> dict[str, Any] | None:
        """Return the manifest of *descriptor*, or None when it is gone, damaged or of another kind.

        Raises:
            OSError: It cannot be read: nobody knows what it needs, so that nothing may be collected.
        """
        path = self.blob(descriptor["digest"])
        try:
            manifest = self._document(path)
        except (FileNotFoundError, CorruptStoreError):
            return None
        layers = _list(manifest, "layers")
        whole = layers and all(map(_is_descriptor, [manifest.get("config"), *layers]))
        return manifest if whole else None

    @contextmanager
    def changing(self) -> Iterator[list[Descriptor]]:
        """Let the block change the manifests of the index, nobody else meanwhile; readers see all of it or nothing."""
        self.root.mkdir(parents=True, exist_ok=True)
        with locked(self.root / "lock"):
            index = self.index()
            before = encoded(index)
            yield index["manifests"]
            after = encoded(index)
            if after != before or not (self.root / "index.json").exists():
                if not (self.root / "oci-layout").exists():
                    write_whole(self.root / "oci-layout", LAYOUT)
                write_whole(self.root / "index.json", after)

    def add(self, blobs: Mapping[str, Path]) -> None:
        """Move the files *blobs*, by digest, to where they belong, be there damaged ones or not; within `changing`."""
        (self.root / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        for digest, staged in blobs.items():
            staged.replace(self.blob(digest))

    def blobs(self) -> Iterator[Path]:
        """Yield the files of all blobs."""
        with suppress(FileNotFoundError):
            yield from (path for path in (self.root / "blobs" / "sha256").iterdir() if path.is_file())

    def reachable(self, descriptors: Iterable[Descriptor]) -> set[str]:
        """Return the digests of the blobs that *descriptors* need, themselves and what they list."""
        found, todo = set[str](), list(descriptors)
        while todo:
            one = todo.pop()
            if one["digest"] in found:
                continue
            found.add(one["digest"])
            if one["mediaType"].endswith("+json"):
                with suppress(FileNotFoundError, CorruptStoreError):
                    document = self._document(self.blob(one["digest"]))
                    listed = [document.get("config"), *_list(document, "layers"), *_list(document, "manifests")]
                    todo += [other for other in listed if _is_descriptor(other)]
        return found

    def is_whole(self, digest: str) -> bool:
        """Read the blob with *digest*, and return whether it is there and has that digest."""
        try:
            with self.blob(digest).open("rb") as file:
                return f"sha256:{file_digest(file, 'sha256').hexdigest()}" == digest
        except FileNotFoundError:
            return False

    def _document(self, path: Path) -> dict[str, Any]:
        try:
            with path.open("rb") as file:
                document = json.loads(file.read(_LARGEST_DOCUMENT))
        except (ValueError, RecursionError) as error:
            raise CorruptStoreError(str(path), f"no JSON ({error})") from error
        if not isinstance(document, dict):
            raise CorruptStoreError(str(path), "no JSON object")
        return document


def subject_of(manifest: Mapping[str, Any] | None) -> str | None:
    """Return the digest of what *manifest* refers to, if it does and is there."""
    subject = manifest and manifest.get("subject")
    return subject["digest"] if _is_descriptor(subject) else None


def _list(document: dict[str, Any], key: str) -> list[Any]:
    value = document.get(key)
    return value if isinstance(value, list) else []


def _is_descriptor(value: object) -> TypeGuard[Descriptor]:
    return (
        isinstance(value, dict)
        and isinstance(value.get("mediaType"), str)
        and isinstance(value.get("size"), int)
        and isinstance(value.get("annotations") or {}, dict)
        and isinstance(digest := value.get("digest"), str)
        and bool(_DIGEST.fullmatch(digest))
    )
