"""A queue between a thread that must never wait and one that may be slow: bounded, its losses counted."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Generic, TypeVar

from attrs import define, field, frozen

T = TypeVar("T")

MOST = 100_000  # items a buffer holds unless told
HEAVIEST = 16 * 2**20  # characters it holds: as many lines as that, each of the longest, would be gigabytes


@frozen
class Taken(Generic[T]):
    """The oldest items, and how many that were older are ``lost``, the first of them at ``since``."""

    items: list[T]
    lost: int
    since: datetime


@define(eq=False)
class Buffer(Generic[T]):
    """Hold up to ``most`` items. Who puts never waits: the oldest are dropped instead, and counted.

    Items come and are kept in batches, so that an item costs no lock and no wake-up of its own. Every item put is in
    the end either taken or counted in ``lost``; ``total`` counts both.
    """

    most: int = MOST
    total: int = field(default=0, init=False)
    lost: int = field(default=0, init=False)
    _batches: deque[tuple[Sequence[T], int]] = field(factory=deque, init=False)
    _held: int = field(default=0, init=False)
    _weight: int = field(default=0, init=False)
    _untold: int = field(default=0, init=False)
    _since: datetime = field(factory=lambda: datetime.now(UTC), init=False)
    _changed: threading.Condition = field(factory=threading.Condition, init=False)
    _wakers: list[Callable[[], None]] = field(factory=list, init=False)
    _closed: bool = field(default=False, init=False)

    def put(self, items: Sequence[T], weight: int = 0) -> None:
        """Add *items*, of so many characters; nothing once it is closed."""
        with self._changed:
            if self._closed:
                return
            self._batches.append((items, weight))
            self.total += len(items)
            self._held += len(items)
            self._weight += weight
            while self._held > self.most or (self._weight > HEAVIEST and len(self._batches) > 1):
                self._drop()
            self._wake()

    def take(self, most: int = MOST, *, wait: bool = True) -> Taken[T]:
        """Return up to *most* of the oldest items; waits for some, and has none only when it is closed and empty."""
        with self._changed:
            while wait and not self._batches and not self._closed:
                self._changed.wait()
            items: list[T] = []
            while self._batches and len(items) < most:
                items += self._next(most - len(items))
            self._held -= len(items)
            lost, self._untold = self._untold, 0
            return Taken(items, lost, self._since)

    @property
    def ended(self) -> bool:
        """Whether it is closed and empty."""
        with self._changed:
            return self._closed and not self._batches

    def when_ready(self, waker: Callable[[], None]) -> None:
        """Call *waker* once, from any thread, when there is something to take or it is closed; it may be now."""
        with self._changed:
            if not self._batches and not self._closed:
                self._wakers.append(waker)
                return
        waker()

    def forget(self, waker: Callable[[], None]) -> None:
        """Do not call *waker* any more."""
        with self._changed:
            self._wakers = [other for other in self._wakers if other is not waker]

    def close(self) -> None:
        """Take no more; what it holds can still be taken."""
        with self._changed:
            self._closed = True
            self._wake()

    def _wake(self) -> None:
        self._changed.notify_all()
        for waker in self._wakers:
            waker()
        self._wakers.clear()

    def _next(self, most: int) -> Sequence[T]:
        items, weight = self._batches.popleft()
        if len(items) > most:
            self._batches.appendleft((items[most:], weight))
        else:
            self._weight -= weight
        return items[:most]

    def _drop(self) -> None:
        """Drop what is too much of the oldest batch: as many items as that, or all when they weigh too much."""
        excess = self._held - self.most
        dropped = len(self._next(excess if excess > 0 else MOST))
        self._held -= dropped
        if not self._untold:
            self._since = datetime.now(UTC)
        self._untold += dropped
        self.lost += dropped
