"""Spread lines and events to whoever wants them: history, callbacks, tails and drains, each at its own pace.

Nobody who reads can make the runner wait: each has a bounded buffer of its own, loses the oldest of it when too slow,
and is told how many.
"""

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from operator import attrgetter
from typing import Any, cast

from .. import _log
from .._buffer import MOST, Buffer
from ..drains import Drain, Pump
from ..errors import InvalidSettingError
from ..events import DynoEvent
from ..logline import LogLine, overflow_line, tail_overflow_line, wanted
from ._tail import Tail

HISTORY = 1500  # lines; contract.md 5.2
_BATCH = 1000  # items that are put together; a reader that wants fewer is not given copies of many
_MESSAGE = attrgetter("message")

RunnerEvent = LogLine | DynoEvent
OnLog = Callable[[LogLine], None]
OnEvent = Callable[[DynoEvent], None]
Choose = Callable[[Sequence[RunnerEvent]], Sequence[RunnerEvent]]


class Delivery:
    """Where a runner puts every line and event, in order; `put_lines` and `put` never block."""

    def __init__(
        self, on_log: OnLog | None, on_event: OnEvent | None, drains: Sequence[Drain] = (), flush: float = 5.0
    ) -> None:
        if not flush >= 0:
            raise InvalidSettingError("flush_timeout", f"{flush} is no time to wait")
        self._lock = threading.Lock()
        self._history: deque[LogLine] = deque(maxlen=HISTORY)
        self._readers: weakref.WeakKeyDictionary[Buffer[Any], Choose] = weakref.WeakKeyDictionary()
        self._flush = flush
        self._callbacks = _Callbacks(on_log, on_event) if on_log or on_event else None
        self._pumps = [Pump(drain, self.put) for drain in drains]
        self._started = self._closed = False

    def start(self) -> None:
        """Start the threads there is a use for; again is fine."""
        with self._lock:
            if self._started:
                return
            self._started = True
            if self._callbacks is not None:
                self._readers[self._callbacks.buffer] = self._callbacks.choose
                self._callbacks.thread.start()
            for pump in self._pumps:
                self._readers[pump.buffer] = _lines_only
                pump.start()

    def put_lines(self, lines: Sequence[LogLine]) -> None:
        """Hand on *lines*, oldest first."""
        for start in range(0, len(lines), _BATCH):
            part = lines[start : start + _BATCH]
            with self._lock:
                self._history.extend(part)
                self._spread(part, sum(map(len, map(_MESSAGE, part))))

    def put(self, item: RunnerEvent) -> None:
        """Hand on one event, or one line."""
        if isinstance(item, LogLine):
            self.put_lines((item,))
            return
        with self._lock:
            self._spread((item,), 0)

    def logs(self, source: str | None, process: str | None, num: int) -> tuple[LogLine, ...]:
        """Return the newest *num* lines of the history that pass the filters, oldest first."""
        with self._lock:
            return self._newest(wanted(source, process), num)

    def tail(self, source: str | None, process: str | None, num: int, most: int) -> Tail[LogLine]:
        """Return what `logs` does and then every new line that passes: none twice, none missing."""
        passes = wanted(source, process)
        with self._lock:
            buffer = self._subscribe(lambda items: [i for i in items if isinstance(i, LogLine) and passes(i)], most)
            return Tail(buffer, tail_overflow_line, deque(self._newest(passes, num)))

    def events(self, kinds: tuple[type, ...], most: int) -> Tail[Any]:
        """Return every line and event from now on, or those of *kinds*."""
        told = tail_overflow_line if not kinds or LogLine in kinds else None
        with self._lock:
            return Tail(self._subscribe(partial(_of_kinds, kinds) if kinds else _all, most), told)

    def close(self) -> None:
        """Flush the drains, deliver what waits for callbacks, end every tail; again is fine."""
        deadline = time.monotonic() + self._flush
        with self._lock:
            pumps, self._pumps = self._pumps if self._started else [], []
        for pump in pumps:
            pump.begin_close(deadline)
        for pump in pumps:
            pump.end(deadline)
        with self._lock:
            self._closed = True
            for buffer in self._readers:
                buffer.close()
        if self._started and self._callbacks is not None and self._callbacks.thread is not threading.current_thread():
            self._callbacks.thread.join()

    def _subscribe(self, choose: Choose, most: int) -> Buffer[Any]:
        if most < 1:
            raise InvalidSettingError("buffer", f"{most} is not a number of items")
        buffer: Buffer[Any] = Buffer(most)
        self._readers[buffer] = choose
        if self._closed:
            buffer.close()
        return buffer

    def _newest(self, passes: Callable[[LogLine], bool], num: int) -> tuple[LogLine, ...]:
        return tuple(islice(filter(passes, reversed(self._history)), max(num, 0)))[::-1]

    def _spread(self, items: Sequence[RunnerEvent], weight: int) -> None:
        for buffer, choose in self._readers.items():
            if chosen := choose(items):
                buffer.put(chosen, weight)


class _Callbacks:
    """The host program's callbacks, called in order on a thread of their own."""

    def __init__(self, on_log: OnLog | None, on_event: OnEvent | None) -> None:
        self._on_log, self._on_event = on_log, on_event
        self.buffer: Buffer[RunnerEvent] = Buffer(MOST)
        self.thread = threading.Thread(target=self._loop, name="slugkit-delivery", daemon=True)

    def choose(self, items: Sequence[RunnerEvent]) -> Sequence[RunnerEvent]:
        """Return *items*, all lines or all events, if there is a callback for them."""
        return items if (self._on_log if isinstance(items[0], LogLine) else self._on_event) else ()

    def _loop(self) -> None:
        while (taken := self.buffer.take(_BATCH)).items:
            if taken.lost:
                self._hand(overflow_line(taken.lost, taken.since))
            for item in taken.items:
                self._hand(item)

    def _hand(self, item: RunnerEvent) -> None:
        """Call back; a callback that raises loses its own item and nothing else."""
        call = self._on_log if isinstance(item, LogLine) else self._on_event
        try:
            if call is not None:
                cast("Callable[[RunnerEvent], None]", call)(item)
        except BaseException as error:  # noqa: BLE001 - SystemExit too: it is the host program's, not ours to die of
            _log.debug("callback failed", error=repr(error))


def _all(items: Sequence[RunnerEvent]) -> Sequence[RunnerEvent]:
    return items


def _lines_only(items: Sequence[RunnerEvent]) -> Sequence[RunnerEvent]:
    return items if isinstance(items[0], LogLine) else ()


def _of_kinds(kinds: tuple[type, ...], items: Sequence[RunnerEvent]) -> Sequence[RunnerEvent]:
    return items if isinstance(items[0], kinds) else ()
