"""One thread per runner that waits for everything: output, ends, deadlines."""

import heapq
import itertools
import os
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from attrs import define

from .. import _log
from ..errors import RunnerClosedError

T = TypeVar("T")

_LONGEST_WAIT = 3600.0  # seconds; epoll takes no more than 2**31 ms, and no infinity
_FEW_TIMERS = 64


@define(eq=False)
class Timer:
    """A callback whose time has not come; None once it has, or never will."""

    callback: Callable[[], None] | None


class Supervisor:
    """Run calls, watch descriptors and keep time, all on one thread, started on first use."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._woken)
        self._calls: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._cancelled = 0
        self._order = itertools.count()
        self._ended = False
        self._lock = threading.RLock()  # a signal handler may call while the thread it is on does
        self._thread = threading.Thread(target=self._loop, name="slugkit-supervisor", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], T]) -> T:
        """Run *function* on the supervisor's thread and return, or raise, what it does."""
        return self.post(function).result()

    def post(self, function: Callable[[], T]) -> Future[T]:
        """Have *function* run on the supervisor's thread, and return at once; the future has what comes of it.

        Raises:
            RunnerClosedError: The thread has ended.
        """
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
                future.set_exception(error)

        with self._lock:
            if self._ended:
                raise RunnerClosedError
            self._calls.append(run)
            self._wake()
        return future

    def watch(self, fd: int, callback: Callable[[], None]) -> None:
        """Call *callback* whenever *fd* is readable; on the supervisor's thread only."""
        self._selector.register(fd, selectors.EVENT_READ, callback)

    def unwatch(self, fd: int) -> None:
        """Stop watching *fd*; on the supervisor's thread only."""
        self._selector.unregister(fd)

    def after(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call *callback* once in so many *seconds*; on the supervisor's thread only."""
        timer = Timer(callback)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), timer))
        return timer

    def cancel(self, timer: Timer) -> None:
        """Do not call *timer*'s callback, and let go of it; on the supervisor's thread only.

        Its place in the queue is given up when half of them are of no use: some would be there for a day.
        """
        if timer.callback is None:
            return
        timer.callback = None
        self._cancelled += 1
        if self._cancelled * 2 > len(self._timers) > _FEW_TIMERS:
            self._timers = [entry for entry in self._timers if entry[2].callback is not None]
            heapq.heapify(self._timers)
            self._cancelled = 0

    def close(self) -> None:
        """End the thread; what is still watched is forgotten."""
        with self._lock:
            self._ended = True
            self._wake()
        self._thread.join()
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _wake(self) -> None:
        try:
            os.write(self._wake_write, b"\0")
        except BlockingIOError:  # a full pipe wakes it as well
            return

    def _woken(self) -> None:
        """Make one of the calls; dynos' output has its turn before the next."""
        os.read(self._wake_read, 4096)
        if self._calls:
            self._calls.popleft()()
        if self._calls:
            self._wake()

    def _loop(self) -> None:
        while not self._ended or self._calls:
            timeout = min(max(self._timers[0][0] - time.monotonic(), 0), _LONGEST_WAIT) if self._timers else None
            for key, _ in self._selector.select(timeout):
                if self._selector.get_map().get(key.fd) is key:  # an earlier callback may have unwatched it
                    _safely(key.data)
            while self._timers and self._timers[0][0] <= time.monotonic():
                self._ring(heapq.heappop(self._timers)[2])

    def _ring(self, timer: Timer) -> None:
        callback, timer.callback = timer.callback, None
        if callback is None:
            self._cancelled = max(self._cancelled - 1, 0)
        else:
            _safely(callback)


def _safely(callback: Callable[[], None]) -> None:
    """Call *callback*; an error of one dyno's must not end the thread that all of them hang on."""
    try:
        callback()
    except Exception as error:  # noqa: BLE001 - see above
        _log.debug("supervisor callback failed", error=repr(error))
