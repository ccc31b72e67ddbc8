"""What a drain is."""

from collections.abc import Sequence
from typing import Protocol

from ..logline import LogLine

BUFFER = 1024  # messages; contract.md 5.3


class Drain(Protocol):
    """Somewhere lines are sent to. Its ``repr`` names it in events, so it tells no secret.

    `DynoRunner` calls ``send`` on one thread of the drain's own, one call at a time, and never waits for it. A drain
    belongs to one runner.
    """

    @property
    def buffer(self) -> int:
        """How many lines may wait; when more do, the oldest are lost and a line says how many."""

    def send(self, lines: Sequence[LogLine]) -> None:
        """Send *lines*, a few at most, and return when that is done.

        Raises:
            OSError: Not now: the same lines are sent again, after a while.
            Exception: Not ever: they are lost, and counted.
        """

    def close(self) -> None:
        """Let go of what it holds; called from any thread, also to end a ``send`` that takes too long."""
