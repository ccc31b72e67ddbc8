"""How the command shows an error: a sentence and a hint for people, a document for programs."""

import sys
from collections.abc import Mapping
from typing import Any

import attrs
import click

from ..errors import CompileFailedError, SlugkitError
from ._output import emit_json, plain, printable

_LAST_LINES = 5


def error_document(error: SlugkitError) -> dict[str, object]:
    """Return what ``--json`` says of *error*."""
    return {"error": {"code": error.code, "message": str(error), "hint": error.hint}}


def show_error(error: SlugkitError) -> None:
    """Show the one *error* and its hint on standard error."""
    if isinstance(error, CompileFailedError):  # all of it was shown live: the end is enough
        error = attrs.evolve(error, last_lines=error.last_lines[-_LAST_LINES:])
    _say(f"error[{error.code}]: {error}")
    if error.hint:
        _say(f"hint: {error.hint}")


def conclude(error: SlugkitError | None, document: Mapping[str, Any] | None) -> int:
    """Print the *document*, if one is wanted, with the *error* in it; show the error; and return the exit status."""
    told = error_document(error) if error else {}
    if document is not None:
        emit_json({**document, **told})
    if error is None:
        return 0
    show_error(error)
    return 1


def _say(text: str) -> None:
    """Print *text* with what an app may have put into it unable to control the terminal."""
    click.echo("\n".join(printable(plain(line), sys.stderr) for line in text.split("\n")), err=True)
