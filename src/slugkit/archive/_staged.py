"""Directories that appear whole, or not at all."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from .._locks import hold, unheld, unlock
from .._tree import remove_tree
from .._whole import abandoned, partial_of, partials_of, writing


@contextmanager
def staged(directory: Path) -> Iterator[Path]:
    """Yield a staging directory that becomes *directory* by one rename, or is removed with all that is in it.

    What was left there by who was killed is removed as well.

    Raises:
        OutputError: The disk said no. Errors that are slugkit's own stay what they are.
    """
    staging = partial_of(directory)
    with ExitStack() as ended, writing(directory):
        _collect(directory)
        staging.mkdir(mode=0o755)
        ended.callback(_removed, staging)
        fd = hold(staging)
        if fd is not None:
            ended.callback(unlock, fd)
        staging.chmod(0o755)
        yield staging
        staging.rename(directory)


def _removed(staging: Path) -> None:
    with suppress(OSError):  # what went wrong before is what there is to say
        remove_tree(staging)


def _collect(directory: Path) -> None:
    """Remove what those who unpacked to *directory* have left when they were killed: nobody holds it any more."""
    for stale in partials_of(directory):
        with suppress(OSError), unheld(stale) as free:
            if free and abandoned(stale):  # who made it just now holds it in a moment
                remove_tree(stale)
