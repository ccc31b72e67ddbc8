"""The ``slugkit`` command: the library's verbs, with exit codes, ``--json`` and one clear error."""

import sys
from collections.abc import Sequence

import click

from .._version import __version__
from ..errors import SlugkitError
from ._build import build, detect
from ._dyno import exec_
from ._errors import error_document, show_error
from ._output import JSON, emit_json
from ._procfile import procfile
from ._reproduce import reproduce
from ._sandbox import sandbox
from ._slug import files, unpack, verify
from ._start import start
from ._store import store
from ._xray import diff, inspect

__all__ = ["run"]

_INTERRUPTED = 130  # 128 + SIGINT, as shells tell it


_HEROKUS = {"run": "exec SLUG -- COMMAND", "local": "start SLUG"}


class _Commands(click.Group):
    """The commands; who types Heroku's word for one is told of it."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if args[0] not in _HEROKUS:
                raise
            instead = f"What is Heroku's {args[0]} is slugkit {_HEROKUS[args[0]]}."
            raise click.UsageError(f"{error.message} {instead}", ctx) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="slugkit %(version)s")
def slugkit() -> None:
    """Turn source trees into slugs, and run slugs on dynos that cannot change them."""


_COMMANDS = (detect, build, inspect, diff, files, verify, unpack, exec_, start, procfile, reproduce, store, sandbox)
for command in _COMMANDS:
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
        if JSON in own:
            emit_json(error_document(error), one_line="start" in own[:1])
        show_error(error)
        return 1
    except SystemExit:  # click's way out of a broken pipe: `slugkit files x | head`
        sys.stdout = None
        return 1
    return result if isinstance(result, int) else 0
