"""One thread per runner that starts every dyno and waits for everything: output, exits, deadlines.

It lives as long as the runner, which is what makes bwrap's ``--die-with-parent`` a lifeline here: that signal fires
when the *thread* that started a process ends, and this one ends with the runner or with the whole program.
"""

import ctypes
import heapq
import itertools
import os
import platform
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from .. import _log
from ..errors import RunnerClosedError

T = TypeVar("T")

_LONGEST_WAIT = 3600.0  # seconds; epoll takes no more than 2**31 ms, and no infinity


class Supervisor:
    """Run calls, watch descriptors and keep time, all on one thread, started on first use."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._woken)
        self._calls: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._ended = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._loop, name="slugkit-supervisor", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], T]) -> T:
        """Run *function* on the supervisor's thread and return, or raise, what it does."""
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
        return future.result()

    def watch(self, fd: int, callback: Callable[[], None]) -> None:
        """Call *callback* whenever *fd* is readable; on the supervisor's thread only."""
        self._selector.register(fd, selectors.EVENT_READ, callback)

    def unwatch(self, fd: int) -> None:
        """Stop watching *fd*; on the supervisor's thread only."""
        self._selector.unregister(fd)

    def after(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call *callback* once in so many *seconds*; on the supervisor's thread only."""
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), callback))

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
        os.read(self._wake_read, 4096)
        while self._calls:
            self._calls.popleft()()

    def _loop(self) -> None:
        _leave_session_keyring()
        while not self._ended or self._calls:
            timeout = min(max(self._timers[0][0] - time.monotonic(), 0), _LONGEST_WAIT) if self._timers else None
            for key, _ in self._selector.select(timeout):
                if key.fd in self._selector.get_map():  # an earlier callback may have unwatched it
                    _safely(key.data)
            while self._timers and self._timers[0][0] <= time.monotonic():
                _safely(heapq.heappop(self._timers)[2])


_KEYCTL = {"x86_64": 250, "aarch64": 219}  # system call numbers
_JOIN_SESSION_KEYRING = 1


def _leave_session_keyring() -> None:
    """Give this thread, and every dyno it starts, an empty session keyring: the host program's is readable by all."""
    number = _KEYCTL.get(platform.machine())
    if number is not None:
        ctypes.CDLL(None).syscall(number, _JOIN_SESSION_KEYRING, None)


def _safely(callback: Callable[[], None]) -> None:
    """Call *callback*; an error of one dyno's must not end the thread that all of them hang on."""
    try:
        callback()
    except Exception as error:  # noqa: BLE001 - see above
        _log.debug("supervisor callback failed", error=repr(error))
