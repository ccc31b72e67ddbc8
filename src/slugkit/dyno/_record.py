"""What is known of a dyno by whoever asks: its state, its log, its end."""

import threading
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from attrs import define, field

from ..errors import DynoCrashedError
from ..events import DynoStateChanged
from ..logline import LogLine, Stream, system_line
from ._delivery import Delivery

DynoState = Literal["created", "starting", "up", "crashed", "complete", "down"]

_HISTORY = 1500  # lines; contract.md 5.2


@define(eq=False)
class Record:
    """The supervisor's thread writes it, any thread may read it and wait.

    ``failure`` is why the dyno is not up and not about to be; ``status`` is set once it has ended for good.
    """

    name: str
    _delivery: Delivery
    port: int
    state: DynoState = field(default="created", init=False)
    status: int | None = field(default=None, init=False)
    failure: Exception | None = field(default=None, init=False)
    last_lines: tuple[str, ...] = field(default=(), init=False)
    runs: int = field(default=0, init=False)
    _log: deque[LogLine] = field(factory=lambda: deque(maxlen=_HISTORY), init=False)
    _changed: threading.Condition = field(factory=threading.Condition, init=False)

    def log(self) -> tuple[LogLine, ...]:
        """Return the newest lines, oldest first."""
        with self._changed:
            return tuple(self._log)

    def wait_up(self) -> None:
        """Wait until it is up; raise why it is not."""
        with self._changed:
            self._changed.wait_for(self._decided)
            failure, status = self.failure, self.status
        if failure is not None:
            raise failure
        if status is not None:
            raise DynoCrashedError(self.name, status, self.last_lines, up=True)

    def _decided(self) -> bool:
        return self.failure is not None or self.state == "up" or self.status is not None

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait until it has ended for good and return its exit status; None when *timeout* seconds are over."""
        with self._changed:
            self._changed.wait_for(lambda: self.status is not None, timeout)
            return self.status

    def say(self, message: str) -> None:
        """Log a line of the platform's own."""
        self._put([system_line(self.name, message)])

    def take(self, stream: Stream, messages: Sequence[str]) -> None:
        """Log lines of the app's, read together."""
        now, name = datetime.now(UTC), self.name
        self._put([LogLine(now, "app", name, stream, message) for message in messages])

    def _put(self, lines: Sequence[LogLine]) -> None:
        with self._changed:
            self._log.extend(lines)
        self._delivery.put_lines(lines)

    def to(self, state: DynoState) -> None:
        """Change to *state*; no change is none."""
        old = self.state
        if old == state:
            return
        if old != "created":
            self.say(f"State changed from {old} to {state}")
        with self._changed:
            self.state = state
            self._changed.notify_all()
        self._delivery.put(DynoStateChanged(self.name, old, state))

    def fail(self, failure: Exception | None) -> None:
        """Give whoever waits for it to be up the reason why it will not, or None to wait on."""
        with self._changed:
            self.failure = failure
            self._changed.notify_all()

    def finish(self, status: int) -> None:
        """Wake whoever waits for its end."""
        with self._changed:
            self.status = status
            self._changed.notify_all()
