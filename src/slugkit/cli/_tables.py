"""Tables on standard output: drawn on a terminal, plain and the same everywhere else."""

import sys
from collections.abc import Iterable

import click
from rich.console import Console
from rich.table import Table as Drawn
from rich.text import Text

from ..xray import Table
from ._output import echo, plain, printable

_MOST_ROWS = 15


def show_tables(tables: Iterable[Table], most: int | None = _MOST_ROWS) -> None:
    """Print *tables*, at most the first rows of each: JSON and the page have the rest."""
    console = Console(highlight=False, soft_wrap=False)
    on_terminal = console.is_terminal and sys.stdout.isatty()
    for table in tables:
        if on_terminal:
            _draw(console, table, most)
        else:
            _print(table, most)


def _title(table: Table) -> str:
    return f"{table.title} ({table.note})" if table.note else table.title


def _more(table: Table, most: int | None) -> str | None:
    left = 0 if most is None else len(table.rows) - most
    return f"{left} more: --json or --html" if left > 0 else None


def _draw(console: Console, table: Table, most: int | None) -> None:
    drawn = Drawn(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for number, column in enumerate(table.columns):
        right = number < table.numbers
        drawn.add_column(column, justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in table.rows[:most]:
        drawn.add_row(*(Text(printable(plain(cell), sys.stdout)) for cell in row))
    console.print()
    console.print(Text(_title(table), style="bold"))
    console.print(drawn)
    if more := _more(table, most):
        console.print(Text(more, style="dim"))


def _print(table: Table, most: int | None) -> None:
    rows = [table.columns, *table.rows[:most]]
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(table.columns))]
    click.echo()
    echo(_title(table))
    for row in cells:
        aligned = [
            cell.rjust(width) if column < table.numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        echo("  " + "  ".join(aligned).rstrip())
    if more := _more(table, most):
        echo(f"  {more}")
