"""A slug's inventory as CycloneDX; imported only when a document is asked for, since its library is an extra."""

import json
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.bom_ref import BomRef
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.component_evidence import ComponentEvidence, Occurrence
from cyclonedx.model.dependency import Dependency
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.spdx import fixup_id, is_expression
from packageurl import PackageURL

from .._version import __version__
from ..archive import Slug
from ..inventory import Package, inventory
from ..logline import plain_text
from ._resolve import resolved, roots

_SERIAL = uuid.UUID("8c9a7f0e-0d3c-5f0f-9a55-4b6a3c1d2e10")  # of our own making: what serial numbers derive from
_SLUG = "slug"  # what the document calls the slug itself


def document(slug: Slug) -> bytes:
    """Return what is in *slug* as CycloneDX 1.6 in JSON, keys sorted and without any time."""
    packages = inventory(slug)
    by_purl = defaultdict(list)
    for package in packages:
        by_purl[_purl(package)].append(package)
    app = _app(slug)
    bom = Bom(
        serial_number=uuid.uuid5(_SERIAL, slug.diff_id),
        metadata=BomMetaData(component=app, tools=ToolRepository(components=_tools(slug))),
        components=[_component(purl, found) for purl, found in by_purl.items()],
        dependencies=_dependencies(packages),
    )
    plain = json.loads(JsonV1Dot6(bom).output_as_string())
    plain["metadata"].pop("timestamp")  # the library's clock; the schema asks for none
    return json.dumps(_in_order(plain), indent=2, sort_keys=True).encode() + b"\n"


def _in_order(plain: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Return *plain* with its lists sorted: all of them are sets, and the library's order is not always the same."""
    if isinstance(plain, dict):
        return {key: _in_order(value) for key, value in plain.items()}
    if isinstance(plain, list):
        return sorted(map(_in_order, plain), key=lambda value: json.dumps(value, sort_keys=True))
    return plain


def _app(slug: Slug) -> Component:
    manifest = slug.manifest
    facts = {"diff_id": slug.diff_id, "stack": manifest.stack, "builder": manifest.builder}
    if manifest.platform:
        facts |= {"architecture": manifest.platform.architecture, "libc": manifest.platform.libc}
    return Component(
        name=plain_text(slug.path.name.removesuffix(".slug.tgz")),
        type=ComponentType.APPLICATION,
        version=plain_text(manifest.source_commit or slug.diff_id),
        bom_ref=_SLUG,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=slug.digest.removeprefix("sha256:"))],
        properties=_properties(facts),
    )


def _tools(slug: Slug) -> list[Component]:
    """Return slugkit and the buildpacks, in their order: the name of each tells its turn apart."""
    ours = Component(name="slugkit", type=ComponentType.APPLICATION, version=__version__, bom_ref="tool:slugkit")
    packs = (
        Component(
            name=plain_text(pack.name),
            type=ComponentType.APPLICATION,
            version=plain_text(pack.version),
            bom_ref=f"buildpack:{number}",
            properties=_properties({"order": str(number), "source": pack.source, "detected": pack.detected}),
        )
        for number, pack in enumerate(slug.manifest.buildpacks, start=1)
    )
    return [ours, *packs]


def _component(purl: PackageURL, packages: Sequence[Package]) -> Component:
    """Return *packages*, the same one in one place or several, as one component."""
    return Component(
        name=purl.name,
        group=purl.namespace,
        type=ComponentType.LIBRARY,
        version=packages[0].version or None,
        bom_ref=str(purl),
        purl=purl,
        licenses=_licenses(packages[0].licenses),
        evidence=ComponentEvidence(occurrences=[Occurrence(location=plain_text(one.location)) for one in packages]),
    )


def _purl(package: Package) -> PackageURL:
    namespace, _, name = package.name.rpartition("/")
    return PackageURL(package.ecosystem, namespace or None, name, package.version or None)


def _licenses(names: tuple[str, ...]) -> list[DisjunctiveLicense | LicenseExpression]:
    """Return *names* as the schema wants them: identifiers or names, or else one expression alone."""
    if len(names) == 1 and fixup_id(names[0]) is None and is_expression(names[0]):
        return [LicenseExpression(names[0])]
    known = [(name, fixup_id(name)) for name in names]
    return [DisjunctiveLicense(id=spdx) if spdx else DisjunctiveLicense(name=name) for name, spdx in known]


def _dependencies(packages: Iterable[Package]) -> list[Dependency]:
    """Return who needs whom; what no other package needs, the slug does."""
    needs: dict[str, set[str]] = defaultdict(set)
    for package, needed in resolved(packages):
        needs[str(_purl(package))] |= {str(_purl(one)) for one in needed} - {str(_purl(package))}
    return [_dependency(ref, refs) for ref, refs in [*needs.items(), (_SLUG, roots(needs))]]


def _dependency(ref: str, needed: Iterable[str]) -> Dependency:
    return Dependency(BomRef(ref), [Dependency(BomRef(one)) for one in sorted(needed)])


def _properties(facts: Mapping[str, str]) -> list[Property]:
    return [Property(name=f"slugkit:{name}", value=plain_text(value)) for name, value in facts.items() if value]
