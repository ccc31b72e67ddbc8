"""Hand lines and events to the host program's callbacks, in order, on a thread of their own.

A slow callback never blocks reading: the buffer is bounded, the oldest is dropped, and an L10 line says how many.
"""

import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

from .. import _log
from ..events import DynoStateChanged
from ..logline import LogLine, system_line

MOST = 10_000  # lines and events waiting for a callback

OnLog = Callable[[LogLine], None]
OnEvent = Callable[[DynoStateChanged], None]


class Delivery:
    """A bounded queue in front of the callbacks; costs nothing when there are none."""

    def __init__(self, on_log: OnLog | None, on_event: OnEvent | None) -> None:
        self._on_log, self._on_event = on_log, on_event
        self._waiting: deque[LogLine | DynoStateChanged] = deque()
        self._dropped, self._since = 0, datetime.now(UTC)
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None
        if on_log is not None or on_event is not None:
            self._thread = threading.Thread(target=self._loop, name="slugkit-delivery", daemon=True)
            self._thread.start()

    def put(self, item: LogLine | DynoStateChanged) -> None:
        """Queue *item*; never blocks."""
        if (self._on_log if isinstance(item, LogLine) else self._on_event) is None:
            return
        with self._changed:
            if len(self._waiting) >= MOST:
                self._waiting.popleft()
                if not self._dropped:
                    self._since = datetime.now(UTC)
                self._dropped += 1
            self._waiting.append(item)
            self._changed.notify()

    def close(self) -> None:
        """Deliver what is waiting and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _loop(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if not self._waiting:
                    return
                item, dropped = self._waiting.popleft(), self._dropped
                self._dropped = 0
            if dropped:
                since = self._since.isoformat(timespec="microseconds")
                text = f"Error L10 (output buffer overflow): {dropped} messages dropped since {since}."
                self._hand(system_line("slugkit", text))
            self._hand(item)

    def _hand(self, item: LogLine | DynoStateChanged) -> None:
        """Call back; a callback that raises loses its own item and nothing else."""
        try:
            if isinstance(item, LogLine):
                if self._on_log is not None:
                    self._on_log(item)
            elif self._on_event is not None:
                self._on_event(item)
        except BaseException as error:  # noqa: BLE001 - SystemExit too: it is the host program's, not ours to die of
            _log.debug("callback failed", error=repr(error))
