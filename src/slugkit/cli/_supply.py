"""The documents that ``slugkit build`` writes beside a slug."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import attrs
import click

from ..archive import Slug
from ..events import BuildEvent
from ..supply import PROVENANCE_TYPE, SBOM_TYPE, check_sbom_library, provenance, sbom, write_beside

document_options = (
    click.option("--sbom", "with_sbom", is_flag=True, help="Write the slug's packages (CycloneDX) to FILE.cdx.json."),
    click.option("--provenance", "with_provenance", is_flag=True, help="Write how it was built to FILE.intoto.json."),
)


@attrs.frozen
class Documents:
    """Which documents were asked for; when the build began, in UTC, is what one of them tells."""

    sbom: bool
    provenance: bool
    started_on: datetime = attrs.field(factory=lambda: datetime.now(UTC), init=False)

    def __attrs_post_init__(self) -> None:
        """Find out before the build whether the library for it is there."""
        if self.sbom:
            check_sbom_library()

    def write(self, slug: Slug, events: Sequence[BuildEvent]) -> dict[str, Path | None]:
        """Write them beside *slug*, which *events* led to, and return where, None for what was not asked for."""
        finished_on = datetime.now(UTC)
        written: dict[str, Path | None] = {"sbom": None, "provenance": None}
        if self.sbom:
            written["sbom"] = write_beside(slug, SBOM_TYPE, sbom(slug))
        if self.provenance:
            document = provenance(
                slug,
                events,
                started_on=self.started_on,
                finished_on=finished_on,
                invocation_id=f"urn:uuid:{uuid.uuid4()}",
            )
            written["provenance"] = write_beside(slug, PROVENANCE_TYPE, document)
        return written
