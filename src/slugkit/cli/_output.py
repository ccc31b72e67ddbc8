"""What the command line prints: results on standard output, progress on standard error."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any, Self, TypeVar

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from ..build import heroku_text
from ..events import (
    BuildEvent,
    BuildFailed,
    BuildpackDetected,
    PackingProgressed,
    PackingStarted,
    SlugPacked,
)
from ..logline import harmless

JSON = "--json"
F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option(JSON, "as_json", is_flag=True, help="Print one JSON document on stdout.")
sandbox_option = click.option("--sandbox", default="auto", show_default=True, help="auto, bubblewrap, or none.")
env_options = (
    click.option("-e", "--env", "env", multiple=True, metavar="K=V", help="Set a config var."),
    click.option(
        "--env-file",
        type=click.File(encoding="utf-8"),
        help="Read config vars from a file, NAME=value a line.",
    ),
)


def with_options(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Return a decorator that adds *options* in the order given."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def emit_json(document: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Print *document* on standard output."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, default=str))


class BuildDisplay:
    """Show a build's events on standard error: Heroku's text, live on a terminal, plain elsewhere."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._progress: Progress | None = None
        self._packing = 0.0
        self.timings: dict[str, float] = {}
        self._started = time.monotonic()
        if self._console.is_terminal:
            self._progress = Progress(
                SpinnerColumn(),
                TextColumn("[dim]{task.description}"),
                BarColumn(bar_width=30),
                DownloadColumn(),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
            )
            self._task = self._progress.add_task("Detecting", total=None)

    def __enter__(self) -> Self:
        if self._progress:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress:
            self._progress.stop()

    def show(self, event: BuildEvent) -> None:
        """Show one *event*."""
        self._time(event)
        for line in heroku_text(event):
            self._print(line)
        if self._progress is None:
            return
        match event:
            case BuildpackDetected(_, name):
                self._progress.update(self._task, description=f"Compiling the {name} app")
            case PackingStarted(_, size):
                self._progress.update(self._task, description="Compressing", total=size, completed=0)
            case PackingProgressed(_, size):
                self._progress.update(self._task, completed=size)
            case SlugPacked() | BuildFailed():
                self._progress.stop()

    def _time(self, event: BuildEvent) -> None:
        now = time.monotonic()
        if isinstance(event, PackingStarted):
            self.timings["compile"] = round(now - self._started, 3)
            self._packing = now
        elif isinstance(event, SlugPacked):
            self.timings["package"] = round(now - self._packing, 3)
            self.timings["total"] = round(now - self._started, 3)

    def _print(self, line: str) -> None:
        line = harmless(line, keep_colour=True)
        if self._progress is None:
            print(line, file=sys.stderr, flush=True)  # noqa: T201 - this is what prints
            return
        text = Text.from_ansi(line)
        if line.startswith("----->"):
            text.stylize("bold magenta", 0, 6)
        elif line.startswith(" !"):
            text.stylize("yellow")
        self._progress.console.print(text)
