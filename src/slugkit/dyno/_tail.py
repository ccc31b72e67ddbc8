"""`Tail`: lines and events as they come, for a ``for`` loop in any thread and an ``async for`` in any event loop."""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Generic, Self, TypeVar

from attrs import define, field

from .._buffer import Buffer, Taken

T = TypeVar("T")

_AT_ONCE = 1000  # items that leave the buffer together, and no longer count as waiting in it


@define(eq=False)
class Tail(Generic[T]):
    """Items from when it was asked for until the runner is closed; made by `DynoRunner`.

    An iterator and an asynchronous iterator, for one reader. It has a buffer of its own: a reader that is too slow
    loses the oldest items, and nobody else does. ``close``, or leaving its block, or forgetting it ends it.
    """

    _buffer: Buffer[T] = field(repr=False)
    _told: Callable[[int, datetime], T] | None = field(repr=False)
    _hand: deque[T] = field(factory=deque, repr=False)

    @property
    def lost(self) -> int:
        """How many items this reader was too slow for, up to now."""
        return self._buffer.lost

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take no more items; those that wait can still be read."""
        self._buffer.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        if not self._hand:
            self._accept(self._buffer.take(_AT_ONCE))
        if not self._hand:
            raise StopIteration
        return self._hand.popleft()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while not self._hand:
            self._accept(self._buffer.take(_AT_ONCE, wait=False))
            if not self._hand:
                if self._buffer.ended:
                    raise StopAsyncIteration
                await self._arrival()
        return self._hand.popleft()

    def _accept(self, taken: Taken[T]) -> None:
        if taken.lost and self._told is not None:
            self._hand.append(self._told(taken.lost, taken.since))
        self._hand.extend(taken.items)

    async def _arrival(self) -> None:
        """Wait until there is something, without a thread: whoever puts it wakes the loop."""
        import asyncio  # noqa: PLC0415 - who reads so has it; nobody else pays for it

        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop has been closed in between
                loop.call_soon_threadsafe(arrived.set)

        self._buffer.when_ready(wake)
        try:
            await arrived.wait()
        finally:
            self._buffer.forget(wake)
