"""``slugkit store``: what is kept, what may go, and whether it is whole."""

import attrs
import click

from ..archive import Slug
from ..store import MONTH, DirectoryStore, StoredSlug, user_store
from ..supply import beside
from ..units import human_size, parse_size
from ..xray import Table
from ._output import echo, emit_json, json_option, with_options
from ._pipes import PIPE, piped, slug_argument
from ._tables import show_tables

_DAY = 86_400.0
_SHORT = len("sha256:") + 12
store_option = click.option("--store", metavar="DIR", help="Where slugs and unpacked slugs are kept.")
_options = with_options(store_option, json_option)


@click.group(short_help="Keep slugs, and look after what is kept.")
def store() -> None:
    """Keep slugs under names in a directory that other tools read as an OCI image layout."""


def _opened(store: str | None) -> DirectoryStore:
    return DirectoryStore(store or user_store())


@store.command("list", short_help="List the slugs that are kept.")
@_options
def list_(store: str | None, *, as_json: bool) -> None:
    """List the slugs in the store."""
    slugs = _opened(store).slugs()
    if as_json:
        emit_json([attrs.asdict(slug) for slug in slugs])
        return
    if slugs:
        columns = ("size", "slug", "tags", "tree", "documents")
        show_tables([Table("slugs", columns, 1, tuple(map(_row, slugs)))], most=None)


def _row(slug: StoredSlug) -> tuple[str, ...]:
    tree = "unpacked" if slug.unpacked else ""
    return human_size(slug.size), slug.digest[:_SHORT], ", ".join(slug.tags), tree, ", ".join(slug.referrers)


@store.command(short_help="Keep a slug.")
@slug_argument
@click.option("--tag", metavar="TAG", help="A name for it, such as shop:v12.")
@_options
def put(slug: str, tag: str | None, store: str | None, *, as_json: bool) -> None:
    """Keep a copy of SLUG and of the documents that lie beside it."""
    opened = Slug.open(slug)
    referrers = {kind: path.read_bytes() for kind, path in beside(opened.path).items() if path.is_file()}
    _show(_opened(store).put(opened, tag, referrers), as_json=as_json)


@store.command(short_help="Name a slug that is kept.")
@click.argument("reference")
@click.argument("tag")
@_options
def tag(reference: str, tag: str, store: str | None, *, as_json: bool) -> None:
    """Name the slug REFERENCE, a tag or digest, TAG as well."""
    _show(_opened(store).tag(reference, tag), as_json=as_json)


@store.command(short_help="Take a name away.")
@click.argument("tag")
@_options
def untag(tag: str, store: str | None, *, as_json: bool) -> None:
    """Take the name TAG from the slug that has it; gc removes slugs without a name once they are old."""
    _opened(store).untag(tag)
    if as_json:
        emit_json({"tag": tag})
    else:
        echo(tag)


@store.command(short_help="Write a slug that is kept into a file.")
@click.argument("reference")
@click.argument("output", metavar="FILE")
@_options
def get(reference: str, output: str, store: str | None, *, as_json: bool) -> None:
    """Write the slug REFERENCE, a tag or digest, to FILE, which may be - for standard output."""
    if output == PIPE and as_json:
        raise click.UsageError("--json and a slug cannot both be on standard output")
    with piped(output) as path:
        digest = _opened(store).copy(reference, path)
    if as_json:
        emit_json({"path": output, "digest": digest})
    elif output != PIPE:
        echo(output)


@store.command(short_help="Remove what is not used.")
@click.option(
    "--max-age",
    type=float,
    default=MONTH / _DAY,
    show_default=True,
    metavar="DAYS",
    help="What is not used for longer.",
)
@click.option("--max-size", metavar="SIZE", help="What was used longest ago, until so much is left, such as 20G.")
@_options
def gc(max_age: float, max_size: str | None, store: str | None, *, as_json: bool) -> None:
    """Remove unpacked slugs, and slugs without a tag, that were not used for long; and what the dead left."""
    try:
        limit = None if max_size is None else parse_size(max_size)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--max-size") from error
    collected = _opened(store).gc(max_age=max_age * _DAY, max_size=limit)
    if as_json:
        emit_json(attrs.asdict(collected))
    else:
        echo(
            f"{human_size(collected.size)}: trees {collected.trees}, slugs {collected.slugs}, "
            f"blobs {collected.blobs}, leftovers {collected.leftovers}"
        )


@store.command(short_help="Read every byte of the store.")
@_options
def verify(store: str | None, *, as_json: bool) -> int:
    """Read every byte of the store; what is damaged goes into quarantine, and the exit status is 1."""
    damage = _opened(store).verify()
    if as_json:
        emit_json([{"path": str(one.path), "reason": one.reason} for one in damage])
    else:
        for one in damage:
            echo(f"{one.path}: {one.reason}")
        if not damage:
            echo("ok")
    return 1 if damage else 0


def _show(slug: StoredSlug, *, as_json: bool) -> None:
    if as_json:
        emit_json(attrs.asdict(slug))
    else:
        echo(slug.digest)
