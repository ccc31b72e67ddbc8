"""What a command has printed, as far as it is kept in memory."""

from collections import deque

from attrs import define, field

_CHUNK = 65536
_LARGEST = 32 * 2**20  # bytes of one command's output


@define
class Kept:
    """The end of an output, up to 32 MiB: a command that never stops printing must not take the memory."""

    _parts: deque[bytearray] = field(factory=deque, init=False)
    _size: int = field(default=0, init=False)

    def add(self, data: bytes) -> None:
        """Keep *data*, and let go of what came first when that is too much."""
        if not self._parts or len(self._parts[-1]) > _CHUNK:  # an object a line would cost ten times the text
            self._parts.append(bytearray())
        self._parts[-1] += data
        self._size += len(data)
        while self._size > _LARGEST:
            self._size -= len(self._parts.popleft())

    def add_line(self, line: str) -> None:
        """Keep *line*, with its end."""
        self.add(f"{line}\n".encode("utf-8", "surrogateescape"))

    def text(self) -> str:
        """Return what is kept."""
        return b"".join(self._parts).decode("utf-8", "replace")
