"""What a buildpack written in Python is: three questions about an app, asked in order."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from attrs import field, frozen

from ..command import Runner


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


@frozen
class Detection:
    """Yes: ``name`` is what the buildpack calls the app ("Python")."""

    name: str


@frozen
class NotDetected:
    """No, and why not, as a phrase: "no requirements.txt"."""

    reason: str


@frozen
class ReleaseDefaults:
    """What a buildpack sets for an app's releases unless the app says otherwise (contract.md 2.6).

    ``interpreter`` is the prefix of an interpreter on the host that the slug needs, when it does not carry its own.
    """

    process_types: Mapping[str, str] = field(factory=dict)
    config_vars: Mapping[str, str] = field(factory=dict)
    interpreter: str | None = None


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

    def release(self, context: BuildContext) -> ReleaseDefaults:
        """Return the defaults of the app it has compiled."""
