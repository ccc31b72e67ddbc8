"""One side of a difference: some bytes around it, and the build that made them."""

import re

from attrs import frozen

from ._circumstances import Circumstances

_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
_NEAR = 16  # bytes


@frozen
class Side:
    """A window of the file *path*: ``text`` from ``offset`` on, different from ``start`` up to ``stop`` in it."""

    path: str
    text: bytes
    start: int
    stop: int
    offset: int
    build: Circumstances

    def at(self, pattern: "re.Pattern[bytes]") -> bytes:
        """Return the first match of *pattern* that touches the difference, b"" when none does.

        Where one side only has less, the difference is between two bytes.
        """
        stop = max(self.stop, self.start + 1)
        for match in pattern.finditer(self.text):
            if match.start() < stop and match.end() > self.start:
                return match[0]
            if self.start == self.stop and match.end() == self.start:
                return match[0]
        return b""

    @property
    def is_text(self) -> bool:
        """Whether the difference lies in text: digits may stand anywhere in data."""
        return not _CONTROL.search(self.text[max(self.start - _NEAR, 0) : min(self.stop, self.start + _NEAR) + _NEAR])
