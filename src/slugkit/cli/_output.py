"""What the command line prints: results on standard output, progress on standard error."""

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Self, TextIO, TypeVar

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from ..build import heroku_text
from ..events import (
    BuildEvent,
    BuildFailed,
    BuildLine,
    BuildpackDetected,
    BuildpackReported,
    PackingProgressed,
    PackingStarted,
    SeveralBuildpacksDetected,
    SlugPacked,
)
from ..logline import harmless
from ..sandbox import NAMES

JSON = "--json"
F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option(JSON, "as_json", is_flag=True, help="Print one JSON document on stdout.")
sandbox_option = click.option(
    "--sandbox",
    type=click.Choice(NAMES),
    default="auto",
    show_default=True,
    help="What confines the code that is run; none promises nothing.",
)
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


def emit_json(document: Any, *, one_line: bool = False) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Print *document* on standard output, in ASCII: a file's name need not be text.

    No name in it is a command to GitHub's runner, which looks for ``##[`` anywhere in a line.
    """
    click.echo(json.dumps(document, indent=None if one_line else 2, default=str).replace("##[", "\\u0023#["))


class BuildDisplay:
    """Show a build's events on standard error: Heroku's text, live on a terminal, plain elsewhere."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        # FORCE_COLOR makes a terminal of a log file, where a spinner is no use.
        self._live = self._console.is_terminal and sys.stderr.isatty()
        self._progress: Progress | None = None
        self._started = time.monotonic()
        self._packing = 0.0
        self.timings: dict[str, float] = {}
        self.events: list[BuildEvent] = []  # but for those that come by the thousand
        self.reports: dict[str, Mapping[str, str | int | float | bool]] = {}

    def __enter__(self) -> Self:
        self._show_live("Detecting", TimeElapsedColumn())
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_live()

    def show(self, event: BuildEvent) -> None:
        """Show one *event*; of failures only what Heroku says of a compile: the error itself is shown at the end."""
        self._time(event)
        if not isinstance(event, BuildLine | PackingProgressed):
            self.events.append(event)
        match event:
            case BuildpackDetected(_, name):
                self._show_live(f"Compiling the {name} app", TimeElapsedColumn())
            case BuildpackReported(pack, facts):
                self.reports[pack] = facts
            case PackingStarted(_, size):
                self._show_live("Compressing", BarColumn(bar_width=30), DownloadColumn(), total=size)
            case PackingProgressed(_, size) if self._progress:
                self._progress.update(self._progress.task_ids[0], completed=size)
            case SlugPacked() | BuildFailed():
                self._stop_live()
        if not isinstance(event, BuildFailed) or event.app:
            for line in heroku_text(event):
                self._print(harmless(line, keep_colour=True))

    def _show_live(self, text: str, *columns: ProgressColumn, total: int | None = None) -> None:
        self._stop_live()
        if self._live:
            shown = (SpinnerColumn(), TextColumn("[dim]{task.description}"), *columns)
            self._progress = Progress(*shown, console=self._console, transient=True)
            self._progress.add_task(text, total=total)
            self._progress.start()

    def _stop_live(self) -> None:
        if self._progress:
            self._progress.stop()
            self._progress = None

    def _time(self, event: BuildEvent) -> None:
        now = time.monotonic()
        if isinstance(event, PackingStarted):
            self.timings["compile"] = round(now - self._started, 3)
            self._packing = now
        elif isinstance(event, SlugPacked):
            self.timings["package"] = round(now - self._packing, 3)
            self.timings["total"] = round(now - self._started, 3)

    def _print(self, line: str) -> None:
        if not self._live:
            click.echo(printable(line, sys.stderr), err=True)
            return
        text = Text.from_ansi(line)
        if line.startswith("----->"):
            text.stylize("bold magenta", 0, 6)
        elif line.startswith(" !"):
            text.stylize("yellow")
        self._console.print(text)


def show_lines(event: BuildEvent) -> None:
    """Show on standard error what buildpacks print, and that several claim the app; nothing else of a build."""
    if isinstance(event, BuildLine | SeveralBuildpacksDetected):
        for line in heroku_text(event):
            say(line)


def say(line: str) -> None:
    """Print one *line* of what a build says on standard error; of what a terminal obeys, only colours stay."""
    click.echo(printable(harmless(line, keep_colour=True), sys.stderr), err=True)


def echo(text: object) -> None:
    """Print one line of a result: unable to control the terminal or a CI runner, and whatever the locale."""
    click.echo(printable(plain(str(text)), sys.stdout))


def plain(line: str) -> str:
    r"""Return *line* with nothing in it that a terminal obeys, or that GitHub's runner takes for a command of a job.

    The runner looks for ``::`` at the start of a line, after blanks, and for ``##[`` anywhere.

    >>> plain("  ::error::x"), plain("a##[group]b")
    ('  \\x3a:error::x', 'a\\x23#[group]b')
    """
    shown = harmless(line).replace("##[", "\\x23#[")
    text = shown.lstrip()
    return shown[: len(shown) - len(text)] + f"\\x3a{text[1:]}" if text.startswith("::") else shown


def printable(text: str, stream: TextIO) -> str:
    """Return *text* with what *stream* cannot encode spelled out: no line is lost to an encoding."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
