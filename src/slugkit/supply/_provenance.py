"""How a slug came to be, as an in-toto statement with SLSA's predicate: what others verify policies against. Pure."""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from ..archive import Slug
from ..buildpacks import without_credentials
from ..events import BuildEvent, BuildpacksChosen, BuildStarted, SourceCheckedOut
from ..slug import BuildpackRecord

#: What the parameters of a build mean is described in slugkit's documentation, under supply-chain.
BUILD_TYPE = "urn:slugkit:build:v1"
#: A build on some machine that nobody vouches for; a platform that does passes a URI of its own.
BUILDER_ID = "urn:slugkit:builder:unattested"
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


def provenance(
    slug: Slug,
    events: Iterable[BuildEvent],
    *,
    started_on: datetime | None = None,
    finished_on: datetime | None = None,
    invocation_id: str = "",
    builder_id: str = BUILDER_ID,
) -> bytes:
    """Return an unsigned in-toto statement (v1) with SLSA provenance (v1) in JSON: how *slug* was made.

    *events* are those of its build, as ``on_event`` got them. Config vars are in it by name only, never by value.

    Raises:
        CorruptSlugError: The slug's file cannot be read.
    """
    happened = tuple(events)
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": slug.path.name, "digest": _sha256(slug.digest)}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": _asked(happened),
                "internalParameters": _given(slug),
                "resolvedDependencies": [*_source(slug, happened), *map(_buildpack, slug.manifest.buildpacks)],
            },
            "runDetails": {
                "builder": {"id": builder_id, "version": _version(slug)},
                "metadata": _metadata(invocation_id, started_on, finished_on),
            },
        },
    }
    return json.dumps(statement, indent=2, sort_keys=True).encode() + b"\n"


def _asked(events: tuple[BuildEvent, ...]) -> dict[str, Any]:
    asked: dict[str, Any] = {}
    for event in events:
        match event:
            case BuildStarted(source, runtime, config_vars):
                asked |= {"source": without_credentials(source), "runtime": runtime, "configVars": sorted(config_vars)}
            case BuildpacksChosen(stack, names):
                asked |= {"stack": stack, "buildpacks": [without_credentials(name) for name in names]}
    return asked


def _given(slug: Slug) -> dict[str, Any]:
    platform = slug.manifest.platform
    return {"architecture": platform.architecture, "libc": platform.libc} if platform else {}


def _source(slug: Slug, events: tuple[BuildEvent, ...]) -> list[dict[str, Any]]:
    """Return the source as a resource, none when nothing tells which one it was."""
    digest = {"gitCommit": slug.manifest.source_commit} if slug.manifest.source_commit else {}
    for event in events:
        if isinstance(event, SourceCheckedOut):
            digest["gitTree"] = event.tree
    return [{"name": "source", "digest": digest}] if digest else []


def _buildpack(pack: BuildpackRecord) -> dict[str, Any]:
    """Return a buildpack as a resource: by digest where its version is one, and by where it came from."""
    known: dict[str, Any] = {"name": pack.name}
    if _COMMIT.fullmatch(pack.version):
        known["digest"] = {"gitCommit": pack.version}
    elif match := _DIGEST.fullmatch(pack.version):
        known["digest"] = {"slugkitTree" if pack.source == "directory" else "sha256": match[1]}
    if "://" in pack.source:
        known["uri"] = without_credentials(pack.source)
    elif "digest" not in known:  # one that is part of slugkit, of a Python package, or of the app itself
        name = "pypi/slugkit" if pack.source == "builtin" else f"generic/{_quoted(pack.name)}"
        known["uri"] = f"pkg:{name}@{_quoted(pack.version)}" if pack.version else f"pkg:{name}"
    return known


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogateescape"), safe="")


def _version(slug: Slug) -> dict[str, str]:
    name, _, version = slug.manifest.builder.partition(" ")
    return {name: version} if name else {}


def _metadata(invocation_id: str, *times: datetime | None) -> dict[str, str]:
    told = {"invocationId": invocation_id, **dict(zip(("startedOn", "finishedOn"), map(_time, times), strict=True))}
    return {name: text for name, text in told.items() if text}


def _time(moment: datetime | None) -> str:
    """Return *moment* as RFC 3339 has it, in UTC and whole seconds; "" for none."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ""


def _sha256(digest: str) -> dict[str, str]:
    return {"sha256": digest.removeprefix("sha256:")}
