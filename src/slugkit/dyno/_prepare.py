"""Everything that a run of a dyno needs before it can start: a tree, a port, a view of both as a command."""

import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from attrs import field, frozen

from .._tree import copy_tree, link_tree, remove_tree
from ..archive import Slug
from ..command import Command
from ..environ import check_config_vars
from ..errors import OutputError
from ..sandbox import Sandbox, dyno_uid
from ._confinement import boot_command, check_command, dyno_env, dyno_spec, real_spec, shown
from ._limits import Limits
from ._ports import Ports
from ._trees import Trees


@frozen
class RunSpec:
    """One run of a dyno: what to start, and how to clean up when it has ended, or was never started.

    ``own_network`` says that it is in a network of its own.
    """

    name: str
    command: Command
    shown: str
    port: int
    uid: int | None
    own_network: bool
    clean_up: Callable[[], None]


@frozen
class Recipe:
    """What a dyno runs, time after time: a command of a slug, with config vars."""

    slug: Slug
    line: str
    config_vars: Mapping[str, str]


@frozen
class Workshop:
    """Makes runs out of recipes; for any thread."""

    sandbox: Sandbox
    trees: Trees
    ports: Ports
    limits: Limits = field(factory=Limits)
    ephemeral: bool = False

    def prepare(self, recipe: Recipe, name: str, port: int | None, wanted: int | None) -> RunSpec:
        """Return the run of *recipe* that the dyno *name* is to start.

        It is given *port*; where there is none, *wanted* if that is free, or any that is, until it is cleaned up.

        Raises:
            InvalidConfigVarError, InvalidCommandError: What cannot be a config var, or a command.
            CorruptSlugError, UnsafeMemberError, OutputError, MissingInterpreterError: The slug cannot be run.
        """
        with ExitStack() as undone:
            if port is None:
                port = self.ports.take_some(wanted)
                undone.callback(self.ports.give_back, port)
            line = check_command(recipe.line)
            tree = self.trees.take(recipe.slug)
            undone.callback(self.trees.give_back, tree)
            manifest, uid = recipe.slug.manifest, None if self.sandbox.name == "none" else dyno_uid()
            if self.sandbox.mounts:
                home, spec = "/app", dyno_spec(tree, manifest, uid, self.limits, port, ephemeral=self.ephemeral)
            else:
                own = _own_tree(tree, uid, undone)
                home, spec = str(own), real_spec(own, manifest, uid, self.limits, port)
            env = check_config_vars(dyno_env(home, name, port, manifest, recipe.config_vars))
            command = self.sandbox.confine(boot_command(home, env, line, tree), spec)
            return RunSpec(name, command, shown(line, port), port, uid, not spec.network, undone.pop_all().close)


def _own_tree(tree: Path, uid: int | None, undone: ExitStack) -> Path:
    """Return a tree of the dyno's own, where nothing is mounted: its directories, and its tmp/ and log/.

    Its files are those of *tree*, by hard links, if it runs as *uid*, whose they are not; else copies: to their owner
    Landlock leaves their modes and times.
    """
    home = Path(tempfile.mkdtemp(prefix="slugkit-dyno-"))
    undone.callback(partial(remove_tree, home))
    try:
        home.chmod(0o755)
        (copy_tree if uid is None else link_tree)(tree, home)
        for name in ("tmp", "log"):
            if uid is not None:
                os.chown(home / name, uid, uid)
                (home / name).chmod(0o700)
    except OSError as error:
        raise OutputError(str(home), error.strerror or str(error)) from error
    return home
