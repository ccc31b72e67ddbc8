"""``slugkit files``, ``verify`` and ``unpack``."""

import stat

import attrs
import click

from ..archive import Slug, SlugFile
from ..logline import harmless
from ._build import described
from ._output import echo, emit_json, json_option
from ._pipes import slug_argument

_KINDS = {"file": stat.S_IFREG, "hardlink": stat.S_IFREG, "dir": stat.S_IFDIR, "link": stat.S_IFLNK}


@click.command(short_help="List the files of a slug.")
@slug_argument
@json_option
def files(slug: str, *, as_json: bool) -> None:
    """List the files of SLUG's app."""
    opened = Slug.open(slug)
    if as_json:
        emit_json([attrs.asdict(file) for file in opened.files()])
        return
    for file in opened.files():
        echo(_listed(file))


def _listed(file: SlugFile) -> str:
    mode = stat.filemode(_KINDS[file.kind] | (0o777 if file.kind == "link" else file.mode))
    target = f" -> {harmless(file.target)}" if file.target else ""
    return f"{mode} {file.size:>10} {harmless(file.path)}{target}".encode("utf-8", "replace").decode()


@click.command(short_help="Check every byte of a slug.")
@slug_argument
@click.option("--digest", metavar="DIGEST", help="Fail unless the file is the one this names (sha256:...).")
@json_option
def verify(slug: str, digest: str | None, *, as_json: bool) -> None:
    """Read all of SLUG and check every byte of it."""
    opened = Slug.open(slug)
    opened.verify(digest)
    if as_json:
        emit_json(described(opened))
    else:
        echo(f"{slug}: ok, {opened.digest}")


@click.command(short_help="Unpack the app of a slug.")
@slug_argument
@click.argument("directory")
@click.option("--only", metavar="PATH", multiple=True, help="Only this file or directory of the app; again for more.")
@json_option
def unpack(slug: str, directory: str, only: tuple[str, ...], *, as_json: bool) -> None:
    """Put the files of SLUG's app into DIRECTORY, which is absent or empty."""
    Slug.open(slug).unpack(directory, only=only)
    if as_json:
        emit_json({"directory": directory})
    else:
        echo(directory)
