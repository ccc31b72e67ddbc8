"""``slugkit exec`` and ``slugkit start``."""

import json
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO

import attrs
import click
from rich.console import Console
from rich.text import Text

from ..archive import Slug
from ..command import shell_line
from ..dyno import Dyno, DynoRunner
from ..errors import DynoCrashedError
from ..events import DynoStateChanged, to_dict
from ..logline import LogLine
from ._build import config_vars
from ._output import emit_json, env_options, json_option, printable, sandbox_option, with_options
from ._store import store_option

_COLOURS = (
    "cyan",
    "yellow",
    "green",
    "magenta",
    "blue",
    "bright_cyan",
    "bright_yellow",
    "bright_green",
)
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command(name="exec", short_help="Run a command in a one-off dyno.")
@with_options(
    click.argument("slug", metavar="SLUG"),
    *env_options,
    sandbox_option,
    store_option,
    json_option,
    click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND..."),
)
def exec_(
    slug: str,
    env: tuple[str, ...],
    env_file: IO[str] | None,
    sandbox: str,
    store: str | None,
    command: tuple[str, ...],
    *,
    as_json: bool,
) -> int:
    """Run COMMAND, or a process type, in a one-off dyno of SLUG, and exit with its status.

    One word is a shell line; several stay the words they are.
    """
    line, variables = shell_line(command), config_vars(env, env_file)
    with DynoRunner(sandbox=sandbox, store=store) as runner:
        if not as_json:
            return runner.attach(Slug.open(slug), line, config_vars=variables)
        done = runner.run(Slug.open(slug), line, config_vars=variables)
        emit_json(attrs.asdict(done))
        return done.status


@click.command(short_help="Run dynos in the foreground.")
@with_options(
    click.argument("slug", metavar="SLUG"),
    click.argument("formation", nargs=-1, metavar="[TYPE=N]..."),
    *env_options,
    click.option("--port", type=click.IntRange(1, 65535), help="The first web dyno's; free ones otherwise."),
    click.option(
        "--boot-timeout",
        type=float,
        default=60.0,
        show_default=True,
        metavar="SECONDS",
        help="How long a web dyno may take to listen.",
    ),
    click.option(
        "--grace",
        type=float,
        default=30.0,
        show_default=True,
        metavar="SECONDS",
        help="How long between SIGTERM and SIGKILL.",
    ),
    sandbox_option,
    store_option,
    click.option("--json", "as_json", is_flag=True, help="Print JSON lines on stdout."),
)
def start(  # noqa: PLR0913 - one argument an option
    slug: str,
    formation: tuple[str, ...],
    env: tuple[str, ...],
    env_file: IO[str] | None,
    port: int | None,
    boot_timeout: float,
    grace: float,
    sandbox: str,
    store: str | None,
    *,
    as_json: bool,
) -> None:
    """Run dynos of SLUG, web=1 if none is named, in the foreground until interrupted; logs on stdout."""
    opened, quantities = Slug.open(slug), _quantities(formation)
    ended = threading.Event()
    printer = _until_closed(_json_printer if as_json else _TextPrinter(), ended)

    def on_event(event: DynoStateChanged) -> None:
        if as_json:
            _print_json(to_dict(event))
        if event.new == "crashed":
            ended.set()

    with (
        _stopped_by_signals(ended),
        DynoRunner(
            store=store,
            sandbox=sandbox,
            boot_timeout=boot_timeout,
            grace=grace,
            on_log=printer,
            on_event=on_event,
        ) as runner,
    ):
        variables = config_vars(env, env_file)
        dynos = _start_all(runner, opened, quantities, variables, port)
        ended.wait()
        _raise_first_crash(dynos)


def _start_all(
    runner: DynoRunner,
    slug: Slug,
    quantities: Mapping[str, int],
    variables: Mapping[str, str],
    port: int | None,
) -> list[Dyno]:
    dynos = []
    for process_type, quantity in quantities.items():
        for index in range(quantity):
            wanted = port + index if port is not None and process_type == "web" else None
            dynos.append(runner.start(slug, process_type, config_vars=variables, port=wanted))
    return dynos


def _raise_first_crash(dynos: list[Dyno]) -> None:
    for dyno in dynos:
        if dyno.state == "crashed":
            dyno.wait_up()  # raises what it failed with before it was up
            last = tuple(line.message for line in dyno.logs() if line.source == "app")[-5:]
            raise DynoCrashedError(dyno.name, dyno.wait(), last, up=True)


def _quantities(formation: tuple[str, ...]) -> dict[str, int]:
    quantities = {}
    for argument in formation or ("web=1",):
        match = re.fullmatch(r"([\w-]+)=(\d{1,3})", argument)
        if match is None:
            raise click.UsageError(f"expected TYPE=N, got {argument!r}")
        quantities[match[1]] = int(match[2])
    if not any(quantities.values()):
        raise click.UsageError("nothing to run: every quantity is 0")
    return quantities


def _until_closed(printer: Callable[[LogLine], None], ended: threading.Event) -> Callable[[LogLine], None]:
    """Return *printer*, ending the formation when its reader has left: ``slugkit start x | head``."""

    def print_line(line: LogLine) -> None:
        try:
            printer(line)
        except BrokenPipeError:
            ended.set()

    return print_line


@contextmanager
def _stopped_by_signals(ended: threading.Event) -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP end the formation gracefully; a second SIGINT ends it at once."""

    def stop(signum: int, _: object) -> None:
        if sys.stderr.isatty():
            click.echo(err=True)  # the terminal has just shown ^C
        if ended.is_set() and signum == signal.SIGINT:
            raise KeyboardInterrupt
        ended.set()

    before = {signum: signal.signal(signum, stop) for signum in _SIGNALS}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


class _TextPrinter:
    """Print log lines in Heroku's format; on a terminal, each process in a colour of its own."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._colours: dict[str, str] = {}

    def __call__(self, line: LogLine) -> None:
        text = str(line)
        if not self._console.is_terminal:
            click.echo(printable(text, sys.stdout))
            return
        colour = self._colours.setdefault(line.process, _COLOURS[len(self._colours) % len(_COLOURS)])
        shown = Text(text)
        shown.stylize(colour, 0, text.index("]:") + 2)
        self._console.print(shown)


def _json_printer(line: LogLine) -> None:
    _print_json({"event": "LogLine", **line.to_dict()})


def _print_json(document: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(document, ensure_ascii=True) + "\n")
    sys.stdout.flush()
