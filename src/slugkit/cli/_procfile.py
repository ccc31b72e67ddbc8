"""``slugkit procfile``."""

import sys
from pathlib import Path

import attrs
import click

from ..errors import ProcfileUnreadableError
from ..logline import harmless
from ..procfile import parse_procfile
from ._output import echo, emit_json, json_option, printable


@click.command(short_help="Check a Procfile.")
@click.argument("file", default="Procfile", type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Fail at the first line that is not what it seems.")
@json_option
def procfile(file: Path, *, strict: bool, as_json: bool) -> None:
    """Show the process types FILE declares as Heroku reads it, and warn of every line it would not read."""
    try:
        text = file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProcfileUnreadableError(str(file), f"it is not UTF-8 ({error.reason})") from error
    except OSError as error:
        raise ProcfileUnreadableError(str(file), error.strerror or str(error)) from error
    parsed = parse_procfile(text, strict=strict)
    if as_json:
        warnings = [attrs.asdict(warning) for warning in parsed.warnings]
        emit_json({"process_types": dict(parsed), "warnings": warnings})
        return
    for name, command in parsed.items():
        echo(f"{name}: {command}")
    for warning in parsed.warnings:
        click.echo(printable(harmless(f"warning[{warning.code}]: {warning}"), sys.stderr), err=True)
