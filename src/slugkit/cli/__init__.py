"""The ``slugkit`` command: the library's verbs, with exit codes, ``--json`` and one clear error."""

import sys
from collections.abc import Sequence

import click

from .._version import __version__
from ..errors import SlugkitError
from ._build import build, detect
from ._dyno import exec_, start
from ._output import JSON, emit_json
from ._procfile import procfile
from ._slug import files, inspect, unpack, verify

__all__ = ["run"]

_INTERRUPTED = 130  # 128 + SIGINT, as shells tell it


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="slugkit %(version)s")
def slugkit() -> None:
    """Turn source trees into slugs, and run slugs on dynos that cannot change them."""


for command in (detect, build, inspect, files, verify, unpack, exec_, start, procfile):
    slugkit.add_command(command)


def run(arguments: Sequence[str]) -> int:
    """Run the command line *arguments* and return the exit status: 0, 2 for wrong usage, 1 for any other failure."""
    try:
        result = slugkit.main(list(arguments), prog_name="slugkit", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return _INTERRUPTED
    except SlugkitError as error:
        _show(error, as_json=JSON in arguments)
        return 1
    except BrokenPipeError:  # `slugkit files x | head`
        sys.stdout = None
        return 1
    return result if isinstance(result, int) else 0


def _show(error: SlugkitError, *, as_json: bool) -> None:
    """Show the one error: for people on standard error, for programs as the one document on standard output."""
    if as_json:
        emit_json({"error": {"code": error.code, "message": str(error), "hint": error.hint}})
    click.echo(f"error[{error.code}]: {error}", err=True)
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)
