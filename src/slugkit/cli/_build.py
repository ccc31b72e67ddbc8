"""``slugkit detect`` and ``slugkit build``."""

import re
from pathlib import Path
from typing import IO, Literal

import attrs
import click

from ..archive import Slug
from ..build import Answers, SlugBuilder
from ..buildpacks import Detection
from ..environ import parse_assignments, parse_env_file
from ..errors import InvalidConfigVarError
from ..source import GitSource, Source
from ..xray import Table
from ._output import BuildDisplay, echo, emit_json, env_options, json_option, sandbox_option, show_lines, with_options
from ._pipes import PIPE, piped
from ._supply import Documents, document_options
from ._tables import show_tables

source_argument = click.argument("source", default=".")
buildpack_option = click.option(
    "-b",
    "--buildpack",
    "buildpacks",
    metavar="PACK",
    multiple=True,
    help="Use this one - a name, directory, git URL[#ref], .tgz file or URL; again for several, in order.",
)
ref_option = click.option("--ref", metavar="REF", help="Build this commit, tag or branch of the git repository SOURCE.")
runtime_option = click.option(
    "--runtime",
    type=click.Choice(["vendored", "stack"]),
    default="vendored",
    show_default=True,
    help="Put the interpreter into the slug, or use the host's.",
)
stack_option = click.option("--stack", metavar="NAME", help="What buildpacks see in $STACK; heroku-24 by default.")
timeout_option = click.option(
    "--timeout", type=float, default=900.0, show_default=True, metavar="SECONDS", help="Give up after this long."
)


@click.command(short_help="Say which kind of app it is.")
@source_argument
@buildpack_option
@sandbox_option
@click.option("--explain", is_flag=True, help="Show what every buildpack says, and because of which file.")
@json_option
def detect(source: str, buildpacks: tuple[str, ...], *, sandbox: str, explain: bool, as_json: bool) -> None:
    """Say which kind of app SOURCE is."""
    builder = SlugBuilder(buildpacks=buildpacks or None, sandbox=sandbox, on_event=show_lines)
    if explain:
        _explain(builder.explain(source), as_json=as_json)
        return
    detection = builder.detect(source)
    if as_json:
        emit_json(attrs.asdict(detection))
    else:
        echo(detection.name)


def _explain(answers: Answers, *, as_json: bool) -> None:
    """Print a row for each of *answers*; the status is 1 when none is a yes."""
    rows = [
        (name, answer.name, answer.because) if isinstance(answer, Detection) else (name, None, answer.reason)
        for name, answer in answers
    ]
    if as_json:
        keys = ("buildpack", "detected", "because")
        emit_json([dict(zip(keys, row, strict=True)) for row in rows])
    else:
        cells = tuple((name, "no" if detected is None else "yes", detected or "", why) for name, detected, why in rows)
        show_tables([Table("buildpacks in the order they are asked", ("pack", "", "app", "because"), 0, cells)], None)
    if all(detected is None for _, detected, _ in rows):
        raise click.exceptions.Exit(1)


@click.command(short_help="Build an app into a slug.")
@with_options(
    source_argument,
    click.option(
        "-o",
        "--output",
        metavar="FILE",
        help="The slug's file, - for standard output; else <name>.slug.tgz.",
    ),
    buildpack_option,
    *env_options,
    ref_option,
    click.option("--cache-dir", metavar="DIR", help="The app's build cache."),
    runtime_option,
    stack_option,
    *document_options,
    click.option("--forbid-secrets", is_flag=True, help="Fail if the value of a config var would be in the slug."),
    click.option(
        "--not-secret", metavar="NAME", multiple=True, help="Let the value of this config var be in the slug."
    ),
    click.option("--keep-failed", is_flag=True, help="Keep the workspace of a failed build."),
    timeout_option,
    sandbox_option,
    json_option,
)
def build(  # noqa: PLR0913 - one argument an option
    source: str,
    output: str | None,
    buildpacks: tuple[str, ...],
    env: tuple[str, ...],
    env_file: IO[str] | None,
    ref: str | None,
    cache_dir: str | None,
    runtime: Literal["vendored", "stack"],
    stack: str | None,
    *,
    with_sbom: bool,
    with_provenance: bool,
    forbid_secrets: bool,
    not_secret: tuple[str, ...],
    keep_failed: bool,
    timeout: float,
    sandbox: str,
    as_json: bool,
) -> None:
    """Build SOURCE, a directory, a git repository or a tarball, into a slug."""
    documents = Documents(with_sbom, with_provenance)
    output = output or default_output(source)
    if output == PIPE and (as_json or with_sbom or with_provenance):
        raise click.UsageError("a slug on standard output has nothing beside it: no --json, --sbom or --provenance")
    with piped(output) as path, BuildDisplay() as display:
        builder = SlugBuilder(
            buildpacks=buildpacks or None,
            config_vars=config_vars(env, env_file),
            cache_dir=cache_dir,
            sandbox=sandbox,
            timeout=timeout,
            stack=stack,
            runtime=runtime,
            forbid_secrets=forbid_secrets,
            not_secret=not_secret,
            keep_failed=keep_failed,
            on_event=display.show,
        )
        slug = builder.build(named_source(source, ref), path)
    written = documents.write(slug, display.events)
    if as_json:
        emit_json({**described(slug), **written, "reports": display.reports, "timings": display.timings})
    elif output != PIPE:
        echo(slug.path)


def named_source(source: str, ref: str | None) -> Source | str:
    """Return what SOURCE and --ref name together."""
    return GitSource(Path(source), ref) if ref else source


def config_vars(env: tuple[str, ...], env_file: IO[str] | None) -> dict[str, str]:
    """Return the config vars of the options, the file's first."""
    try:
        from_file = parse_env_file(env_file.read()) if env_file else {}
    except UnicodeDecodeError as error:
        raise InvalidConfigVarError("--env-file", f"it is not UTF-8 ({error.reason})") from error
    return {**from_file, **parse_assignments(env)}


def default_output(source: str) -> str:
    """Return ``<name>.slug.tgz`` for the last part of *source*."""
    name = re.sub(r"\.(tar|tar\.gz|tgz|git)$", "", Path(source).resolve().name)
    return f"{name or 'app'}.slug.tgz"


def described(slug: Slug) -> dict[str, object]:
    """Return what a program wants to know of a slug."""
    return {
        "path": str(slug.path),
        "size": slug.size,
        "digest": slug.digest,
        "checksum": slug.checksum,
        "diff_id": slug.diff_id,
        "process_types": dict(slug.process_types),
        "buildpacks": [attrs.asdict(pack) for pack in slug.manifest.buildpacks],
    }
