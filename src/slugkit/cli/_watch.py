"""``slugkit start --watch``: the dynos as a table that stays below the logs."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..dyno import Dyno, DynoRunner, Formation, Usage
from ..units import human_size
from ._lines import Lines

_EACH = 1.0  # seconds
_STATES = {"up": "green", "starting": "yellow", "crashed": "red"}


@contextmanager
def watching(runner: DynoRunner, formation: Formation, lines: Lines, *, shown: bool) -> Iterator[None]:
    """Show the table of *formation* during the block if it is to be *shown*, and *lines* go to a terminal."""
    if not (shown and lines.on_terminal):
        yield
        return
    ended = threading.Event()
    with Live(console=lines.console, auto_refresh=False, transient=True) as live:
        thread = threading.Thread(target=_refresh, args=(runner, formation, lines, live, ended), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def _refresh(runner: DynoRunner, formation: Formation, lines: Lines, live: Live, ended: threading.Event) -> None:
    before: Mapping[str, Usage] = {}
    since = time.monotonic()
    while True:
        used, now = runner.usage(), time.monotonic()
        live.update(table(formation.dynos, used, before, now - since, lines), refresh=True)
        before, since = used, now
        if ended.wait(_EACH):
            return


def table(
    dynos: tuple[Dyno, ...], used: Mapping[str, Usage], before: Mapping[str, Usage], seconds: float, lines: Lines
) -> Table:
    """Return *dynos* as rows: what each does and uses, its share of a CPU over the last *seconds*."""
    drawn = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for name in ("dyno", "state", "address"):
        drawn.add_column(name)
    for name in ("memory", "CPU", "processes", "restarts"):
        drawn.add_column(name, justify="right")
    for dyno in dynos:
        usage, last = used.get(dyno.name), before.get(dyno.name)
        share = "" if usage is None or last is None else f"{100 * max(usage.cpu - last.cpu, 0) / seconds:.0f}%"
        numbers = ("", share, "") if usage is None else (human_size(usage.memory), share, str(usage.processes))
        state = Text(dyno.state, style=_STATES.get(dyno.state, ""))
        named = Text(dyno.name, style=lines.colour(dyno.name))
        drawn.add_row(named, state, dyno.url if dyno.name.startswith("web.") else "", *numbers, str(dyno.restarts))
    return drawn
