"""The thread that sends a drain its lines: retries, counts what is lost, and says so."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from .._buffer import Buffer
from ..errors import InvalidSettingError
from ..events import DrainClosed, DrainFailed
from ..logline import LogLine, overflow_line, plain_text
from ._drain import Drain

_AT_ONCE = 128  # lines in one call of send; also what may be sent twice when a connection breaks
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 30.0  # seconds
_LAST_PAUSE = 0.2  # seconds between attempts while the runner waits for the end
_INTERRUPTED = 1.0  # seconds for a send to end that close() has interrupted
_LONGEST_REASON = 300  # characters; what the other end said may be a page


class Pump:
    """A drain with its buffer and its thread; *tell* hears of failures and of the end."""

    def __init__(self, drain: Drain, tell: Callable[[DrainFailed | DrainClosed], None]) -> None:
        if drain.buffer < 1:
            raise InvalidSettingError("buffer", f"{drain.buffer} is not a number of lines")
        self.buffer: Buffer[LogLine] = Buffer(drain.buffer)
        self._drain, self._tell, self._name = drain, tell, plain_text(repr(drain))
        self._sent = 0
        self._failures = 0  # in a row
        self._closing = threading.Event()
        self._deadline = float("inf")
        self._thread = threading.Thread(target=self._loop, name="slugkit-drain", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def begin_close(self, deadline: float) -> None:
        """Take no more lines, and send what waits until *deadline*, a time of the monotonic clock."""
        self._deadline = deadline
        self.buffer.close()
        self._closing.set()

    def end(self, deadline: float) -> None:
        """Wait until all is sent or *deadline* has come, and tell how much was sent and how much lost."""
        if self._thread is not threading.current_thread():
            self._thread.join(min(max(deadline - time.monotonic(), 0), threading.TIMEOUT_MAX))
            if self._thread.is_alive():
                self._close()
                self._thread.join(_INTERRUPTED)
        sent = self._sent
        self._tell(DrainClosed(self._name, sent, self.buffer.total - sent))

    def _loop(self) -> None:
        self._send_all()
        self._close()

    def _close(self) -> None:
        with suppress(Exception):  # a drain of the user's; there is nobody left who could do anything about it
            self._drain.close()

    def _send_all(self) -> None:
        refused, since = 0, datetime.now(UTC)
        while (taken := self.buffer.take(_AT_ONCE)).items and not self._over():
            lost = taken.lost + refused
            if taken.lost and not refused:
                since = taken.since
            notice = [overflow_line(lost, since)] if lost else []
            if self._deliver([*notice, *taken.items]):
                self._sent += len(taken.items)
                refused = 0
            else:
                since = since if lost else datetime.now(UTC)
                refused = lost + len(taken.items)

    def _deliver(self, lines: Sequence[LogLine]) -> bool:
        """Send *lines*, again and again if need be; return whether that worked."""
        while True:
            try:
                self._drain.send(lines)
            except OSError as error:
                self._failed(error)
                if self._over():
                    return False
            except BaseException as error:  # noqa: BLE001 - a drain of the user's may raise anything
                self._failed(error)
                return False
            else:
                self._failures = 0
                return True

    def _failed(self, error: BaseException) -> None:
        """Tell of the first failure in a row, and pause."""
        self._failures += 1
        if self._failures == 1:
            reason = plain_text(str(error) or type(error).__name__)[:_LONGEST_REASON]
            self._tell(DrainFailed(self._name, reason))
        if self._closing.wait(pause(self._failures)):
            time.sleep(max(min(_LAST_PAUSE, self._deadline - time.monotonic()), 0))

    def _over(self) -> bool:
        return time.monotonic() >= self._deadline


def pause(failures: int) -> float:
    """Return how long to wait after so many failures in a row, in seconds: doubling, with jitter, up to a bound."""
    longest = min(_FIRST_PAUSE * 2.0 ** min(failures - 1, 16), _LONGEST_PAUSE)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - so that not all come back at once
