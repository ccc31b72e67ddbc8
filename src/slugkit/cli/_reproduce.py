"""``slugkit reproduce``."""

from collections.abc import Iterator
from typing import IO, Any, Literal

import attrs
import click

from ..errors import NotReproducibleError
from ..reproduction import BuiltSlug, Difference, Reproduction
from ..reproduction import reproduce as build_twice
from ._build import (
    buildpack_option,
    config_vars,
    named_source,
    ref_option,
    runtime_option,
    source_argument,
    stack_option,
    timeout_option,
)
from ._errors import conclude
from ._output import (
    echo,
    env_options,
    json_option,
    sandbox_option,
    say,
    with_options,
)

_MOST_SHOWN = 50  # differences; --json has them all
_WORDS = {
    "mode": "its mode differs",
    "link": "its target differs",
    "kind": "its kind differs",
    "only-first": "it is in the first slug only",
    "only-second": "it is in the second slug only",
    "archive": "headers differ",
}


@click.command(short_help="Build an app twice and compare.")
@with_options(
    source_argument,
    buildpack_option,
    *env_options,
    ref_option,
    runtime_option,
    stack_option,
    click.option("--keep", metavar="DIR", help="Keep both slugs in this directory."),
    timeout_option,
    sandbox_option,
    json_option,
)
def reproduce(  # noqa: PLR0913 - one argument an option
    source: str,
    buildpacks: tuple[str, ...],
    env: tuple[str, ...],
    env_file: IO[str] | None,
    ref: str | None,
    runtime: Literal["vendored", "stack"],
    stack: str | None,
    keep: str | None,
    *,
    timeout: float,
    sandbox: str,
    as_json: bool,
) -> int:
    """Build SOURCE twice under changed conditions, and say what differs and why."""
    came = build_twice(
        named_source(source, ref),
        buildpacks=buildpacks or None,
        config_vars=config_vars(env, env_file),
        stack=stack,
        runtime=runtime,
        sandbox=sandbox,
        timeout=timeout,
        keep=keep,
        on_line=say,
    )
    error = None
    if not came.identical:
        error = NotReproducibleError(source, tuple(dict.fromkeys(one.path for one in came.differences)), came.remedy)
    for line in () if as_json else _text(came):
        echo(line)
    return conclude(error, _document(came) if as_json else None)


def _document(came: Reproduction) -> dict[str, Any]:
    return {
        "identical": came.identical,
        "conditions": [{**attrs.asdict(one), "varied": one.varied} for one in came.conditions],
        "slugs": [attrs.asdict(slug) for slug in came.slugs],
        "differences": [attrs.asdict(one) for one in came.differences],
    }


def _text(came: Reproduction) -> Iterator[str]:
    for one in came.conditions:
        told = f"{one.first} -> {one.second}" if one.varied else one.first
        note = f" ({one.note})" if one.note else ""
        yield f"{'varied' if one.varied else 'the same':<9} {one.name:<12} {told}{note}"
    yield ""
    for difference in came.differences[:_MOST_SHOWN]:
        how = _WORDS.get(difference.kind) or _where(difference)
        yield f"differs   {difference.path or 'the archive'}: {how}"
        yield from (f"  {cause.code}: {cause.detail}" for cause in difference.causes)
    if len(came.differences) > _MOST_SHOWN:
        yield f"and {len(came.differences) - _MOST_SHOWN} more differences: --json tells all"
    if came.identical:
        yield f"reproducible: {came.slugs[0].diff_id}"
    else:
        yield f"not reproducible: {_named(came.slugs[0])} and {_named(came.slugs[1])}"


def _named(slug: BuiltSlug) -> str:
    return f"{slug.diff_id} ({slug.path})" if slug.path else slug.diff_id


def _where(difference: Difference) -> str:
    """Return how many bytes differ and where, in hex and decimal."""
    places = ", ".join(f"{r.first:#x}-{r.last:#x} ({r.first}-{r.last})" for r in difference.ranges)
    one, other = difference.sizes
    sizes = "" if one == other else f", it has {one} and {other}"
    plural = "" if difference.count == 1 else "s"
    return f"{difference.count} byte{plural} at {places}{sizes}"
