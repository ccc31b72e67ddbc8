"""What becomes of a one-off dyno that somebody waits for."""

from collections import deque

from attrs import define, field

from ._dyno import Dyno

_LARGEST_OUTPUT = 32 * 2**20  # bytes that are kept in memory
_LAST_LINES = 20


@define
class Kept:
    """The end of an output, up to a size: a command that never stops printing must not take the memory."""

    _lines: deque[bytes] = field(factory=deque, init=False)
    _size: int = field(default=0, init=False)

    def add(self, line: str) -> None:
        """Keep *line*, and let go of the first ones when that is too much."""
        raw = f"{line}\n".encode("utf-8", "surrogateescape")
        self._lines.append(raw)
        self._size += len(raw)
        while self._size > _LARGEST_OUTPUT:
            self._size -= len(self._lines.popleft())

    def text(self) -> str:
        """Return what is kept."""
        return b"".join(self._lines).decode("utf-8", "replace")

    def last_lines(self) -> tuple[str, ...]:
        """Return the last few lines."""
        return tuple(self.text().split("\n")[:-1][-_LAST_LINES:])


def to_the_end(dyno: Dyno) -> int:
    """Wait until *dyno* has ended and return its status; nothing of it survives the call, Ctrl-C included.

    Raises:
        DynoStartError: Its sandbox could not be made.
    """
    ended_within(dyno, None)
    return dyno.wait()


def ended_within(dyno: Dyno, timeout: float | None) -> int | None:
    """Wait until *dyno* has ended and return its status; None if it had to be stopped after *timeout* seconds."""
    try:
        status = dyno.wait(timeout)
    except BaseException:
        dyno.stop()
        raise
    if status is None:
        dyno.stop()
    dyno.check_started()
    return status
