"""``slugkit inspect`` and ``slugkit diff``."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from .. import xray
from .._whole import write_whole
from ..archive import Slug
from ..errors import BudgetExceededError
from ..xray import Budget, SlugDiff, SlugReport
from ._errors import conclude
from ._output import echo, json_option, plain, with_options
from ._pipes import SlugPath, slug_argument
from ._tables import show_tables

F = TypeVar("F", bound=Callable[..., object])

_options = with_options(
    click.option(
        "--depth",
        type=click.IntRange(0, 200),
        metavar="N",
        help="Show every directory down to N levels; by default, those that matter.",
    ),
    click.option("--html", metavar="FILE", help="Write a page with a treemap that needs no network."),
    click.option(
        "--budget", "budget_file", metavar="FILE", help="Fail when the slug breaks a limit of this TOML file."
    ),
    click.option("--github", is_flag=True, help="Print broken limits as annotations for GitHub Actions."),
    json_option,
)


@click.command(short_help="Show what is in a slug.")
@slug_argument
@_options
def inspect(
    slug: str, depth: int | None, html: str | None, budget_file: str | None, *, github: bool, as_json: bool
) -> int:
    """Show what SLUG says of itself, where its bytes are, and what it could do without."""
    budget = _budget(budget_file, github=github)
    report = xray.inspect(Slug.open(slug))
    if html is not None:
        _write(html, xray.report_page(report, depth))
    if not as_json:
        for label, value in xray.facts(report):
            echo(f"{plain(label):<14} {value}")
        show_tables(xray.report_tables(report, depth))
    return _judge(budget, report, depth, github=github, as_json=as_json)


@click.command(short_help="Show what has changed between two slugs.")
@click.argument("old", metavar="OLD", type=SlugPath())
@click.argument("new", metavar="NEW", type=SlugPath())
@_options
def diff(
    old: str, new: str, depth: int | None, html: str | None, budget_file: str | None, *, github: bool, as_json: bool
) -> int:
    """Show what is in NEW that was not in OLD, what is not the same, and what grew."""
    budget = _budget(budget_file, github=github)
    changes = xray.diff(Slug.open(old), Slug.open(new))
    if html is not None:
        _write(html, xray.diff_page(changes, depth))
    if not as_json:
        show_tables(xray.diff_tables(changes, depth))
    return _judge(budget, changes, depth, github=github, as_json=as_json)


def _budget(path: str | None, *, github: bool) -> Budget:
    if path is None and github:
        raise click.UsageError("--github says which limits are broken: it needs --budget FILE")
    return xray.read_budget(path) if path is not None else Budget()


def _write(path: str, page: str) -> None:
    write_whole(Path(path), page.encode())


def _judge(budget: Budget, found: SlugReport | SlugDiff, depth: int | None, *, github: bool, as_json: bool) -> int:
    """Print the document if one is wanted and what *found* breaks of the *budget*, and return the exit status."""
    error = None
    try:
        xray.check_budget(budget, found)
    except BudgetExceededError as broken:
        error = broken
    for line in xray.annotations(error) if github and error else ():
        click.echo(line, err=as_json)  # standard output is one document; the runner reads both
    return conclude(error, found.to_dict(depth) if as_json else None)
