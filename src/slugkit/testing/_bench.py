"""The directories and dynos of an app under test and what they printed; nothing of it is left behind."""

import tempfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from attrs import define, field

from .._exec import Wardens
from .._tree import copy_tree, remove_tree
from ..archive import Slug
from ..dyno import DynoRunner
from ..sandbox import Sandbox
from ._evidence import Evidence
from ._web import WebDyno


@define(slots=False)
class Bench:
    """Where an app is built and run. It is the `SlugStore` of the app's dynos, without the syncs of one that lasts.

    Its builds and dynos have their wardens from those ``shared`` with other benches, or else from its own.
    """

    sandbox: str | Sandbox
    shared: Wardens | None = None
    wardens: Wardens = field(init=False)
    heard: list[Evidence] = field(factory=list, init=False)
    runs: list[tuple[str, str]] = field(factory=list, init=False)
    dynos: list[WebDyno] = field(factory=list, init=False)
    _home: Path = field(init=False)

    @wardens.default
    def _wardens(self) -> Wardens:
        return self.shared or Wardens()

    def __attrs_post_init__(self) -> None:
        """Make the directories: the source, and beside it what no build may see."""
        self._home = Path(tempfile.mkdtemp(prefix="slugkit-app-"))
        self._home.chmod(0o755)  # a dyno's own user looks at what is unpacked below
        self.source.mkdir()

    @property
    def source(self) -> Path:
        """The app's source tree."""
        return self._home / "app"

    def fresh(self, name: str) -> Path:
        """Return a path of that name that nothing else has."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._home)) / name

    def copied(self, directory: Path | None, name: str) -> Path:
        """Return a fresh directory of that name, with a copy of what is in *directory*."""
        target = self.fresh(name)
        target.mkdir()
        if directory is not None:
            copy_tree(directory, target)
        return target

    def tree(self, slug: Slug) -> Path:
        """Return a directory with the app's files of *slug*, made when it is first asked for."""
        tree = self._home / "trees" / slug.diff_id.replace(":", "-")
        if not tree.is_dir():
            tree.parent.mkdir(exist_ok=True)
            slug.unpack(tree)
        return tree

    @cached_property
    def runner(self) -> DynoRunner:
        """The runner of the app's dynos."""
        return DynoRunner(store=self, sandbox=self.sandbox, grace=5.0, _wardens=self.wardens.lent)

    @property
    def transcripts(self) -> Iterator[tuple[str, str]]:
        """What its builds (tests are some too) and its dynos printed, each under a title."""
        for number, evidence in enumerate(self.heard, start=1):
            yield f"slugkit build {number}", evidence.transcript
        yield from self.runs
        for web in self.dynos:
            yield f"slugkit {web.dyno.name}", web.output

    def close(self) -> None:
        """Stop the dynos and remove all directories; again is fine."""
        if "runner" in self.__dict__:
            self.runner.close()
        if self.shared is None:
            self.wardens.close()
        remove_tree(self._home)
