"""Which slugs the index of a layout lists, under which names."""

from collections.abc import Iterator, Mapping, Sequence

from attrs import field, frozen

from ._layout import Layout, subject_of
from ._oci import REF_NAME, Descriptor, is_slug, tag_of
from ._trees import Trees

_SHORTEST = 8  # hex digits of a digest that may stand for all of it


@frozen
class StoredSlug:
    """A slug in a store: its file's ``digest`` and ``size`` in bytes, its image's ``manifest`` digest, its ``tags``.

    ``referrers`` are the digests of documents about it, by media type; ``unpacked`` says whether its tree is there.
    """

    digest: str
    size: int
    manifest: str
    tags: tuple[str, ...] = ()
    referrers: Mapping[str, str] = field(factory=dict)
    unpacked: bool = False

    def is_called(self, reference: str) -> bool:
        """Return whether *reference* is one of its digests, or how one begins."""
        begins = reference if reference.startswith("sha256:") else f"sha256:{reference}"
        long_enough = len(begins) >= len("sha256:") + _SHORTEST
        return long_enough and (self.digest.startswith(begins) or self.manifest.startswith(begins))


def stored_slugs(descriptors: Sequence[Descriptor], layout: Layout, trees: Trees) -> Iterator[StoredSlug]:
    """Yield the slugs among what the index of *layout* lists, *descriptors*."""
    tags, about = dict[str, list[str]](), dict[str, dict[str, str]]()
    images = {}
    for one in descriptors:
        images[one["digest"]] = manifest = layout.manifest(one)
        name = tag_of(one)
        tags.setdefault(one["digest"], []).extend([name] if name else [])
        subject = subject_of(manifest)
        if manifest and subject:
            kind = str(manifest.get("artifactType"))
            about.setdefault(subject, {})[kind] = manifest["layers"][0]["digest"]
    for digest, manifest in images.items():
        if manifest and is_slug(manifest):
            layer = manifest["layers"][0]
            yield StoredSlug(
                layer["digest"],
                layer["size"],
                digest,
                tuple(sorted(tags[digest])),
                about.get(digest, {}),
                trees.has(layer["digest"]),
            )


def set_tag(manifests: list[Descriptor], digest: str, tag: str) -> None:
    """Give *tag* to the manifest with *digest*; whoever had it is listed without."""
    take_tag(manifests, tag)
    bare = next((one for one in manifests if one["digest"] == digest and tag_of(one) is None), None)
    if bare is None:
        bare = dict(next(one for one in manifests if one["digest"] == digest))
        manifests.append(bare)
    bare["annotations"] = {**(bare.get("annotations") or {}), REF_NAME: tag}


def take_tag(manifests: list[Descriptor], tag: str) -> bool:
    """Take *tag* from whoever has it, and return whether someone had."""
    had = [one for one in manifests if tag_of(one) == tag]
    for one in had:
        del one["annotations"][REF_NAME]
        others = [other for other in manifests if other is not one and other["digest"] == one["digest"]]
        if others:
            manifests.remove(one)
    return bool(had)
