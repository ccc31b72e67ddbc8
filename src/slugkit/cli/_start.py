"""``slugkit start``: a formation in the foreground, as a person or a service manager runs it."""

import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from typing import IO, Any, Literal, TypeVar

import click

from ..archive import Slug
from ..drains import drain_to
from ..dyno import DynoRunner, Formation, Limits
from ..errors import SlugkitError
from ..units import parse_size
from ._build import config_vars
from ._errors import show_error
from ._lines import Lines
from ._output import env_options, sandbox_option, with_options
from ._signals import handled
from ._store import store_option
from ._watch import watching

F = TypeVar("F", bound=Callable[..., Any])
_Wish = Literal["stop", "reload", "look", "tell"]
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _seconds(name: str, default: float, text: str) -> Callable[[F], F]:
    return click.option(name, type=float, default=default, show_default=True, metavar="SECONDS", help=text)


@click.command(short_help="Run dynos in the foreground.")
@with_options(
    click.argument("slug", metavar="SLUG"),
    click.argument("quantities", nargs=-1, metavar="[TYPE=N]..."),
    *env_options,
    click.option("--port", type=click.IntRange(1, 65535), help="The first web dyno's; free ones otherwise."),
    _seconds("--boot-timeout", 60.0, "How long a web dyno may take to listen."),
    _seconds("--grace", 30.0, "How long between SIGTERM and SIGKILL."),
    click.option("--memory", default="512M", show_default=True, metavar="SIZE", help="What each dyno may use."),
    click.option("--app", type=click.Choice(("read-only", "ephemeral")), default="read-only", help="Who may write it."),
    click.option(
        "--drain",
        "drains",
        multiple=True,
        metavar="PLACE",
        help="Send the logs to this file or URL, too; again for several.",
    ),
    sandbox_option,
    store_option,
    click.option("--watch", is_flag=True, help="Show a table of the dynos below the logs, on a terminal."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON lines on stdout."),
)
def start(  # noqa: PLR0913, PLR0917 - one argument an option
    slug: str,
    quantities: tuple[str, ...],
    env: tuple[str, ...],
    env_file: IO[str] | None,
    port: int | None,
    boot_timeout: float,
    grace: float,
    memory: str,
    app: Literal["read-only", "ephemeral"],
    drains: tuple[str, ...],
    sandbox: str,
    store: str | None,
    *,
    watch: bool,
    as_json: bool,
) -> None:
    """Run dynos of SLUG, web=1 if none is named, in the foreground until interrupted; logs on stdout.

    A dyno that crashes is started again; when it crashes twice within ten minutes, all end, with status 1. Ctrl-C,
    SIGTERM and the end of the terminal stop all of them gracefully, Ctrl-C again at once. Without a terminal SIGHUP
    deploys what is in SLUG by then, dyno by dyno.
    """
    opened, wanted, variables = Slug.open(slug), _quantities(quantities), config_vars(env, env_file)
    wishes: SimpleQueue[_Wish | SlugkitError] = SimpleQueue()
    lines = Lines(
        as_json=as_json,
        reader_left=lambda: wishes.put("stop"),
        crashed=lambda: wishes.put("look"),
        up=lambda: wishes.put("tell"),
    )
    runner = DynoRunner(
        store=store,
        sandbox=sandbox,
        app=app,
        limits=Limits(memory=parse_size(memory)),
        boot_timeout=boot_timeout,
        grace=grace,
        on_log=lines.log,
        on_event=lines.event,
        drains=[drain_to(place) for place in drains],
    )
    with _signals(wishes), runner:
        formation = runner.formation(opened, wanted, config_vars=variables, port=port)
        wishes.put("look")
        told: dict[str, str] = {}
        with watching(runner, formation, lines, shown=watch):
            while (wish := wishes.get()) != "stop":
                if isinstance(wish, SlugkitError):
                    raise wish
                if wish == "look":
                    threading.Thread(target=_wait_up, args=(formation, wishes), daemon=True).start()
                elif wish == "reload":
                    _reload(formation, slug)
                elif not (watch and lines.on_terminal):  # the table has a column of them
                    _tell_addresses(formation, told)


def _wait_up(formation: Formation, wishes: "SimpleQueue[_Wish | SlugkitError]") -> None:
    """Tell when a dyno does not come up, or crashes twice within ten minutes: what is left then is to wait."""
    try:
        formation.wait_up()
    except SlugkitError as error:
        wishes.put(error)


def _tell_addresses(formation: Formation, told: dict[str, str]) -> None:
    """Say on standard error where the web dynos answer that are up, and note it in *told*: no log line has to."""
    for dyno in formation.dynos:
        if dyno.name.startswith("web.") and dyno.state == "up" and told.get(dyno.name) != dyno.url:
            told[dyno.name] = dyno.url
            with suppress(BrokenPipeError):  # the logs are what is wanted, and their reader may be there
                click.echo(f"{dyno.name} is up at {dyno.url}", err=True)


def _reload(formation: Formation, slug: str) -> None:
    try:
        formation.deploy(Slug.open(slug))
    except SlugkitError as error:  # the old release goes on
        show_error(error)


def _quantities(arguments: tuple[str, ...]) -> dict[str, int]:
    quantities = {}
    for argument in arguments or ("web=1",):
        match = re.fullmatch(r"([\w-]+)=(\d{1,3})", argument)
        if match is None:
            raise click.UsageError(f"expected TYPE=N, got {argument!r}")
        quantities[match[1]] = int(match[2])
    if not any(quantities.values()):
        raise click.UsageError("nothing to run: every quantity is 0")
    return quantities


@contextmanager
def _signals(wishes: "SimpleQueue[_Wish | SlugkitError]") -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP be wishes; a second SIGINT ends everything at once."""
    stopping, at_a_terminal = False, sys.stdin.isatty()  # one that is gone is none any more

    def stop(signum: int, _: object) -> None:
        nonlocal stopping
        if sys.stderr.isatty():
            click.echo(err=True)  # the terminal has just shown ^C
        if signum == signal.SIGHUP and not at_a_terminal:
            wishes.put("reload")
            return
        if stopping and signum == signal.SIGINT:
            raise KeyboardInterrupt
        stopping = True
        wishes.put("stop")

    with handled(_SIGNALS, stop):
        yield
