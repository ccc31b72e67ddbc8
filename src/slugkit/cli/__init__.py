"""The ``slugkit`` command: the library's verbs, with exit codes, ``--json`` and one clear error."""

import sys
from collections.abc import Sequence

import attrs
import click

from .._version import __version__
from ..errors import CompileFailedError, SlugkitError
from ..logline import harmless
from ._build import build, detect
from ._dyno import exec_, start
from ._output import JSON, emit_json
from ._procfile import procfile
from ._slug import files, inspect, unpack, verify

__all__ = ["run"]

_INTERRUPTED = 130  # 128 + SIGINT, as shells tell it
_LAST_LINES = 5


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="slugkit %(version)s")
def slugkit() -> None:
    """Turn source trees into slugs, and run slugs on dynos that cannot change them."""


for command in (detect, build, inspect, files, verify, unpack, exec_, start, procfile):
    slugkit.add_command(command)


def run(arguments: Sequence[str]) -> int:
    """Run the command line *arguments* and return the exit status: 0, 2 for wrong usage, 1 for any other failure."""
    own = list(arguments)[: list(arguments).index("--")] if "--" in arguments else list(arguments)
    try:
        result = slugkit.main(list(arguments), prog_name="slugkit", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return _INTERRUPTED
    except SlugkitError as error:
        _show(error, as_json=JSON in own, one_line="start" in own[:1])
        return 1
    except SystemExit:  # click's way out of a broken pipe: `slugkit files x | head`
        sys.stdout = None
        return 1
    return result if isinstance(result, int) else 0


def _show(error: SlugkitError, *, as_json: bool, one_line: bool) -> None:
    """Show the one error: for people on standard error, for programs as the one document on standard output."""
    if as_json:
        emit_json({"error": {"code": error.code, "message": str(error), "hint": error.hint}}, one_line=one_line)
    if isinstance(error, CompileFailedError):  # all of it was shown live: the end is enough
        error = attrs.evolve(error, last_lines=error.last_lines[-_LAST_LINES:])
    click.echo(_harmless(f"error[{error.code}]: {error}"), err=True)
    if error.hint:
        click.echo(_harmless(f"hint: {error.hint}"), err=True)


def _harmless(text: str) -> str:
    """Return *text* with what an app may have put into it unable to control the terminal."""
    return "\n".join(harmless(line) for line in text.split("\n"))
