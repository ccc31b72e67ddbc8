"""Log lines as data, and their two renderings (contract.md 5)."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

from attrs import define, field, frozen

LONGEST = 10_000  # bytes of a line; more is cut into lines of their own (contract.md 5.3)
# C0 but tab, DEL and C1 controls, line separators and bidirectional overrides: what moves a cursor, sets a title or
# turns text around when a terminal shows it.
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_CONTROL_BUT_COLOUR = re.compile("\x1b(?!\\[[0-9;]*m)|[\x00-\x08\x0a-\x1a\x1c-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")

Stream = Literal["stdout", "stderr", "system"]


@frozen
class LogLine:
    """One line of a dyno's log; ``source`` is "app" or "heroku", ``process`` is "web.1".

    Both come from the runner, never from the text. ``message`` is kept as it came, escapes and all.
    """

    time: datetime
    source: str
    process: str
    stream: Stream
    message: str

    def __str__(self) -> str:
        """Render it as ``heroku logs`` does: ``TIME SOURCE[PROCESS]: MESSAGE``, escapes made harmless."""
        return f"{_timestamp(self.time)} {self.source}[{harmless(self.process)}]: {harmless(self.message)}"

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data for JSON."""
        return {
            "time": _timestamp(self.time),
            "source": self.source,
            "process": self.process,
            "stream": self.stream,
            "message": self.message,
        }


def system_line(process: str, message: str) -> LogLine:
    """Return a line of the platform itself about *process*, stamped now."""
    return LogLine(datetime.now(UTC), "heroku", process, "system", message)


def overflow_line(lost: int, since: datetime) -> LogLine:
    """Return the line that tells of *lost* lines before it, as Logplex words it (contract.md 5.5)."""
    return system_line(
        "logplex", f"Error L10 (output buffer overflow): {lost} messages dropped since {_timestamp(since)}."
    )


def tail_overflow_line(lost: int, since: datetime) -> LogLine:
    """Return the line that tells the reader of a live tail of *lost* lines and events before it."""
    return system_line(
        "logplex",
        f"Error L11 (Tail buffer overflow) -> This tail session dropped {lost} messages since {_timestamp(since)}.",
    )


def _timestamp(time: datetime) -> str:
    return time.isoformat(timespec="microseconds")


def wanted(source: str | None = None, process: str | None = None) -> Callable[[LogLine], bool]:
    """Return the question whether a line passes these filters, as Logplex asks it (contract.md 5.2).

    Args:
        source: The whole of its source: "app" or "heroku".
        process: The whole of its process, or what stands before a ".": "web" is "web.1" too, but not "webhook.1".
    """

    def passes(line: LogLine) -> bool:
        return source in (None, line.source) and (
            process is None or line.process == process or line.process.startswith(f"{process}.")
        )

    return passes


def harmless(text: str, *, keep_colour: bool = False) -> str:
    r"""Return *text* with terminal control characters shown instead of obeyed; colours may stay.

    >>> harmless("\x1b[2Jgone")
    '\\x1b[2Jgone'
    """
    controls = _CONTROL_BUT_COLOUR if keep_colour else _CONTROL
    return controls.sub(lambda match: _spelled(ord(match[0])), text)


def plain_text(text: str) -> str:
    r"""Return *text* `harmless`, and the bytes in it that are no text spelled out: what any document can hold.

    >>> plain_text("a\udcff")
    'a\\udcff'
    """
    return harmless(text).encode("utf-8", "backslashreplace").decode()


def _spelled(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004 - two digits or four


@define
class LineSplitter:
    """Cut a byte stream into lines at newlines and every 10 000 bytes, holding no more than that."""

    _rest: bytes = field(default=b"", init=False)

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that *data* completes; a trailing carriage return is dropped."""
        whole, newline, rest = (self._rest + data).rpartition(b"\n")
        lines = _split(whole) if newline else []
        while len(rest) > LONGEST and rest[LONGEST:] != b"\r":  # it may belong to a newline yet to come
            lines.append(_decode(rest[:LONGEST]))
            rest = rest[LONGEST:]
        self._rest = rest
        return lines

    def flush(self) -> list[str]:
        """Return what is left when the stream ends without a newline."""
        rest, self._rest = self._rest, b""
        return _pieces(rest.removesuffix(b"\r")) if rest else []


def _split(whole: bytes) -> list[str]:
    """Return the lines of *whole*; decoding it at once costs a fraction of decoding each, and means the same."""
    if b"\r" not in whole:
        lines = _decode(whole).split("\n")
        if len(max(lines, key=len)) <= LONGEST // 4:  # in bytes, a character is four at most
            return lines
    return [piece for line in whole.split(b"\n") for piece in _pieces(line.removesuffix(b"\r"))]


def _pieces(line: bytes) -> list[str]:
    return [_decode(line[start : start + LONGEST]) for start in range(0, max(len(line), 1), LONGEST)]


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
