"""What a buildpack is: three questions about an app, asked in order, and three more that it may answer."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from attrs import field, frozen

from ..command import Completed, Runner


@frozen
class BuildContext:
    """What a buildpack may know and use.

    The tree at ``build_dir`` is the app's: it may hold links to anywhere. Write into it through ``run``, which is
    confined, rather than with Python's own file functions, which are not.
    """

    build_dir: Path
    cache_dir: Path
    config_vars: Mapping[str, str] = field(repr=False)
    run: Runner
    say: Callable[[str], None]

    @property
    def tmp(self) -> Path:
        """What the build sees as /tmp, private to it, on the file system of BUILD_DIR and CACHE_DIR."""
        return self.build_dir.parent

    @property
    def env_dir(self) -> Path:
        """ENV_DIR: the config vars as files, one each, without a trailing newline (contract.md 2.3)."""
        return self.tmp / self.build_dir.name.replace("build", "env")


@frozen
class Detection:
    """Yes: ``name`` is what the buildpack calls the app ("Python"), ``because`` the file that says so, if one does."""

    name: str
    because: str = ""


@frozen
class NotDetected:
    """No, and why not, as a phrase: "no requirements.txt"."""

    reason: str


@frozen
class ReleaseDefaults:
    """What a buildpack sets for an app's releases unless the app says otherwise (contract.md 2.6).

    ``addons`` are names of services that Heroku would add on the first deploy; slugkit only records them.
    ``unread`` is what else there was, that means nothing: "no YAML mapping".
    ``interpreter`` is the prefix of an interpreter on the host that the slug needs, when it does not carry its own, or
    a path below /usr that only the interpreter it needs has.
    """

    process_types: Mapping[str, str] = field(factory=dict)
    config_vars: Mapping[str, str] = field(factory=dict)
    addons: tuple[str, ...] = ()
    interpreter: str | None = None
    unread: str = ""


class Buildpack(Protocol):
    """Detect, compile and describe one kind of app."""

    @property
    def name(self) -> str:
        """What ``buildpacks=`` and ``--buildpack`` call it."""

    def detect(self, context: BuildContext) -> Detection | NotDetected:
        """Say whether it applies to the tree, without changing it."""

    def compile(self, context: BuildContext) -> None:
        """Turn the source tree into an app tree, in place.

        Raises:
            CommandFailedError: A command it ran failed.
            BuildpackError: It gives up for a reason it can name.
        """

    def release(self, context: BuildContext) -> ReleaseDefaults | None:
        """Return the defaults of the app it has compiled; None leaves them to the pack before it."""


@runtime_checkable
class Offering(Protocol):
    """A buildpack that has something to do in some steps only."""

    def offers(self, step: str, context: BuildContext) -> bool:
        """Return whether it does anything in *step*: export, release, report or test."""


@runtime_checkable
class Exporting(Protocol):
    """A buildpack that sets variables for the packs after it (contract.md 2.6)."""

    def export(self, context: BuildContext) -> Mapping[str, str | None]:
        """Return the variables that the commands of later packs get; None takes one away from them."""


@runtime_checkable
class Reporting(Protocol):
    """A buildpack that tells how its compile went, also after a failure (contract.md 2.9)."""

    def report(self, context: BuildContext) -> Mapping[str, str | int | float | bool]:
        """Return flat facts; whatever it raises is ignored."""


@runtime_checkable
class Testing(Protocol):
    """A buildpack that prepares and runs an app's tests (contract.md 2.10)."""

    def test_compile(self, context: BuildContext) -> None:
        """Turn the source tree into one whose tests can be run; raises as `Buildpack.compile`."""

    def test(self, context: BuildContext) -> Completed | None:
        """Run the tests and return what came of them; None when the buildpack has no command for it."""
