"""Log lines and events on standard output: Heroku's format, coloured on a terminal, or JSON lines."""

import json
import sys
from collections.abc import Callable, Mapping

import click
from rich.console import Console
from rich.text import Text

from ..events import DrainClosed, DrainFailed, DynoEvent, DynoStateChanged, to_dict
from ..logline import LogLine
from ._output import printable

_COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "bright_cyan", "bright_yellow", "bright_green")


class Lines:
    """Prints what it is told; *reader_left* is called when nobody reads any more: ``slugkit start x | head``.

    *crashed* is called when a dyno has, *up* when one is.
    """

    def __init__(
        self,
        *,
        as_json: bool,
        reader_left: Callable[[], None],
        crashed: Callable[[], None],
        up: Callable[[], None],
    ) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self._as_json, self._reader_left = as_json, reader_left
        self._told = {"crashed": crashed, "up": up}
        self._colours: dict[str, str] = {}

    @property
    def on_terminal(self) -> bool:
        """Whether a person sees them as they are."""
        return self.console.is_terminal and not self._as_json

    def log(self, line: LogLine) -> None:
        """Print *line*; on a terminal, each process in a colour of its own."""
        try:
            if self._as_json:
                _print_json({"event": "LogLine", **line.to_dict()})
            elif self.on_terminal:
                self._print(line)
            else:
                click.echo(printable(str(line), sys.stdout))
        except BrokenPipeError:
            self._reader_left()

    def event(self, event: DynoEvent) -> None:
        """Print *event* where events are asked for."""
        if isinstance(event, DynoStateChanged) and event.new in self._told:
            self._told[event.new]()
        try:
            if self._as_json:
                _print_json(to_dict(event))
            elif isinstance(event, DrainFailed):
                _warn(f"{event.drain} takes no lines, which wait: {event.reason}")
            elif isinstance(event, DrainClosed) and event.lost:
                _warn(f"{event.drain} has lost {event.lost} of {event.sent + event.lost} lines")
        except BrokenPipeError:
            self._reader_left()

    def _print(self, line: LogLine) -> None:
        text = str(line)
        shown = Text(text)
        shown.stylize(self.colour(line.process), 0, text.index("]:") + 2)
        self.console.print(shown)

    def colour(self, process: str) -> str:
        """Return the colour of *process*."""
        return self._colours.setdefault(process, _COLOURS[len(self._colours) % len(_COLOURS)])


def _warn(text: str) -> None:
    click.echo(printable(f"warning: {text}", sys.stderr), err=True)


def _print_json(document: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(document, ensure_ascii=True) + "\n")
    sys.stdout.flush()
