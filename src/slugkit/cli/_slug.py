"""``slugkit inspect``, ``files``, ``verify`` and ``unpack``."""

import stat

import attrs
import click

from ..archive import Slug, SlugFile
from ..logline import harmless
from ..units import human_size
from ._build import described
from ._output import echo, emit_json, json_option

slug_argument = click.argument("slug", metavar="SLUG")
_KINDS = {"file": stat.S_IFREG, "hardlink": stat.S_IFREG, "dir": stat.S_IFDIR, "link": stat.S_IFLNK}


@click.command(short_help="Show what a slug says of itself.")
@slug_argument
@json_option
def inspect(slug: str, *, as_json: bool) -> None:
    """Show what SLUG says of itself."""
    opened = Slug.open(slug)
    if as_json:
        emit_json({**described(opened), "manifest": opened.manifest.to_dict()})
        return
    for label, value in _facts(opened):
        echo(f"{harmless(label):<14} {harmless(value)}")


def _facts(slug: Slug) -> list[tuple[str, str]]:
    manifest = slug.manifest
    platform = manifest.platform
    return [
        ("slug", str(slug.path)),
        ("size", f"{human_size(slug.size)} ({slug.size} bytes)"),
        ("digest", slug.digest),
        ("diff_id", slug.diff_id),
        ("checksum", slug.checksum),
        *((f"type {name}", command) for name, command in slug.process_types.items()),
        *(("buildpack", f"{p.name} {p.version} ({p.detected})") for p in manifest.buildpacks),
        ("stack", manifest.stack or "unknown"),
        ("platform", f"{platform.architecture} {platform.libc}" if platform else "unknown"),
        *([("interpreter", platform.interpreter)] if platform and platform.interpreter else []),
        ("commit", manifest.source_commit or "unknown"),
        ("builder", manifest.builder or "unknown"),
    ]


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
@json_option
def unpack(slug: str, directory: str, *, as_json: bool) -> None:
    """Put the files of SLUG's app into DIRECTORY, which is absent or empty."""
    diff_id = Slug.open(slug).unpack(directory)
    if as_json:
        emit_json({"directory": directory, "diff_id": diff_id})
    else:
        echo(directory)
