"""``slugkit sandbox``: what keeps an app in here, and what would keep it better."""

import click

from ..sandbox import PROMISES, choose, examine
from ..xray import Table
from ._output import echo, emit_json, json_option, sandbox_option, with_options
from ._tables import show_tables


@click.command(short_help="Show what keeps apps in here.")
@sandbox_option
@click.option("--require", multiple=True, metavar="PROMISE", help=f"Fail unless it is kept: {', '.join(PROMISES)}.")
@with_options(json_option)
def sandbox(sandbox: str, require: tuple[str, ...], *, as_json: bool) -> None:
    """Try the sandboxes of this machine, and show what the one that builds and dynos get promises.

    What is not kept is listed with the reason and what to change.
    """
    found = examine(choose(sandbox, require))
    if as_json:
        emit_json(found.to_dict())
        return
    rows = tuple((one.kept, one.name, one.text, one.evidence) for one in found.promises)
    columns = ("", "promise", "which says that", "what was found")
    show_tables([Table(f"{found.name}: level {found.level}", columns, 0, rows)], most=None)
    click.echo()
    for name, reason in found.others:
        echo(f"{name} does not work here: {reason}")
    lacking = [one for one in found.promises if one.kept != "kept"]
    for cause, remedy in dict.fromkeys((one.cause, one.remedy) for one in lacking):
        echo(", ".join(one.name for one in lacking if (one.cause, one.remedy) == (cause, remedy)))
        echo(f"  why: {cause}")
        echo(f"  to have it: {remedy}")
