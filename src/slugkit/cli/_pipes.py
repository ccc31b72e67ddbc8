"""``-`` in a slug's place: standard input or standard output."""

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from .._whole import writing

PIPE = "-"
_STDIN = "/dev/stdin"


class SlugPath(click.ParamType):  # type: ignore[type-arg]
    """The path of a slug's file. Standard input is one too: a pipe is kept in a file that has no name."""

    name = "slug"

    def convert(self, value: str, _param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return *value*, or where standard input can be read again and again."""
        if value != PIPE:
            return value
        mode = os.fstat(0).st_mode
        if stat.S_ISCHR(mode) and os.isatty(0):
            raise click.UsageError("a slug is expected on standard input, which is a terminal")
        if not stat.S_ISREG(mode) and ctx is not None:
            ctx.with_resource(_kept_input())
        return _STDIN


@contextmanager
def _kept_input() -> Iterator[None]:
    """Make standard input a file with what was to be read there."""
    with tempfile.TemporaryFile() as kept, os.fdopen(os.dup(0), "rb") as pipe:
        with writing(tempfile.gettempdir()):
            shutil.copyfileobj(pipe, kept)
            kept.flush()
        os.dup2(kept.fileno(), 0)
        try:
            yield
        finally:
            os.dup2(pipe.fileno(), 0)


slug_argument = click.argument("slug", metavar="SLUG", type=SlugPath())


@contextmanager
def piped(output: str) -> Iterator[str]:
    """Yield where to write the slug *output*; after the block it goes to standard output if that was meant."""
    if output != PIPE:
        yield output
        return
    if sys.stdout.isatty():
        raise click.UsageError("a slug is no text for a terminal: redirect standard output, or name a file with -o")
    with tempfile.TemporaryDirectory(prefix="slugkit-") as directory:
        path = Path(directory, "slug.tgz")
        yield str(path)
        with path.open("rb") as slug, writing("standard output"):
            shutil.copyfileobj(slug, sys.stdout.buffer)
            sys.stdout.buffer.flush()
