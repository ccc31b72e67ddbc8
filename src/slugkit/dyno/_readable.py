"""What can be read of a runner: its log, and the stream of its lines and events."""

from typing import Any, Literal, TypeVar, overload

from .._buffer import MOST
from ..logline import LogLine
from ._delivery import Delivery, RunnerEvent
from ._tail import Tail

T = TypeVar("T")
U = TypeVar("U")


class Readable:
    """The half of `DynoRunner` that only looks; for any thread, also once the runner is closed."""

    _delivery: Delivery

    @overload
    def logs(
        self, *, source: str | None = None, process: str | None = None, num: int = 100, tail: Literal[False] = False
    ) -> tuple[LogLine, ...]: ...
    @overload
    def logs(
        self,
        *,
        source: str | None = None,
        process: str | None = None,
        num: int = 100,
        tail: Literal[True],
        buffer: int = MOST,
    ) -> Tail[LogLine]: ...
    def logs(
        self,
        *,
        source: str | None = None,
        process: str | None = None,
        num: int = 100,
        tail: bool = False,
        buffer: int = MOST,
    ) -> tuple[LogLine, ...] | Tail[LogLine]:
        """Return the newest *num* of its last 1500 lines, oldest first; with *tail*, each new line after them too.

        Args:
            source: Only lines of this source: "app" or "heroku".
            process: Only those of this process, "web.1", or of all of a type, "web" (contract.md 5.2).
            num: How many old lines, counted after filtering.
            tail: Return an iterator that goes on until the runner is closed.
            buffer: How many lines may wait for the tail's reader; when more do, the oldest are lost (L11).
        """
        if tail:
            return self._delivery.tail(source, process, num, buffer)
        return self._delivery.logs(source, process, num)

    @overload
    def events(self, *, buffer: int = MOST) -> Tail[RunnerEvent]: ...
    @overload
    def events(self, kind: type[T], other: type[U], /, *, buffer: int = MOST) -> Tail[T | U]: ...
    @overload
    def events(self, *kinds: type[T], buffer: int = MOST) -> Tail[T]: ...
    def events(self, *kinds: type[Any], buffer: int = MOST) -> Tail[Any]:
        """Return an iterator over every line and event from now on until the runner is closed, in order.

        For ``for`` in any thread and ``async for`` in any event loop; each call is a reader of its own.

        Args:
            kinds: Only these classes, such as `LogLine` or `slugkit.events.DynoStateChanged`.
            buffer: How many may wait for this reader; when more do, the oldest are lost, an L11 line says how many.
        """
        return self._delivery.events(kinds, buffer)
