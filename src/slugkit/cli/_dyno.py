"""``slugkit exec``: a command in a one-off dyno."""

from typing import IO

import attrs
import click

from ..archive import Slug
from ..command import shell_line
from ..dyno import DynoRunner
from ._build import config_vars
from ._output import emit_json, env_options, json_option, sandbox_option, with_options
from ._signals import interrupting
from ._store import store_option


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
    with interrupting(), DynoRunner(sandbox=sandbox, store=store) as runner:
        if not as_json:
            return runner.attach(Slug.open(slug), line, config_vars=variables)
        done = runner.run(Slug.open(slug), line, config_vars=variables)
        emit_json(attrs.asdict(done))
        return done.status
