"""`FileDrain`: lines to a file that is rotated by size."""

import os
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate, pairwise
from pathlib import Path

from ..errors import InvalidSettingError
from ..logline import LogLine

_BUFFER = 100_000  # lines: a file takes what a socket may not, and a burst is no reason to lose any


class FileDrain:
    """Append each line to *path* as ``heroku logs`` shows it; a full file becomes ``path.1``, that one ``path.2``.

    No line is cut in two, by rotation or by a full disk: a file ends with a whole line. A file that something else has
    renamed or removed is made anew.

    Args:
        path: The file; made with mode 0600, as logs hold secrets.
        max_size: Bytes a file holds before it is rotated; a single longer line still gets one.
        keep: How many rotated files are kept.
        buffer: How many lines may wait for the disk.

    Raises:
        InvalidSettingError: One of these cannot be used.
    """

    def __init__(
        self, path: str | os.PathLike[str], max_size: int = 10 * 2**20, keep: int = 5, *, buffer: int = _BUFFER
    ) -> None:
        if max_size < 1 or keep < 0:
            raise InvalidSettingError("drain", f"cannot keep {keep} files of {max_size} bytes")
        self._path, self._max_size, self._keep, self.buffer = Path(path), max_size, keep, buffer
        self._begun: Sequence[LogLine] | None = None  # what failed in the middle
        self._written = 0  # how many lines of it are in the file

    def __repr__(self) -> str:
        return f"FileDrain({str(self._path)!r})"

    def send(self, lines: Sequence[LogLine]) -> None:
        """Write *lines*; what is written when the disk says no is not written again the next time.

        Raises:
            OSError: The disk said no.
        """
        if self._begun is not lines:
            self._begun, self._written = lines, 0
        rest = [f"{line}\n".encode("utf-8", "replace") for line in lines[self._written :]]
        while rest:
            done = self._append(rest)
            self._written += done
            del rest[:done]
        self._begun = None

    def close(self) -> None:
        """Nothing to do: the file is open only while lines are written."""

    def _append(self, rest: Sequence[bytes]) -> int:
        """Write as many of *rest* as the file has room for and return how many; none, if it was rotated instead."""
        fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
        try:
            size = os.fstat(fd).st_size
            count = sum(total <= self._max_size for total in accumulate(map(len, rest), initial=size)) - 1
            if count < 1 and size:
                self._rotate()
                return 0
            _write(fd, b"".join(rest[: max(count, 1)]), size)
            return max(count, 1)
        finally:
            os.close(fd)

    def _rotate(self) -> None:
        """Rename each file to the next number, oldest first: at no moment is one overwritten that is to be kept."""
        names = [self._path, *(self._path.with_name(f"{self._path.name}.{n}") for n in range(1, self._keep + 1))]
        for old, new in reversed(list(pairwise(names))):
            with suppress(FileNotFoundError):
                old.replace(new)
        if not self._keep:
            self._path.unlink(missing_ok=True)


def _write(fd: int, data: bytes, size: int) -> None:
    """Append *data* to the file of *size* bytes, all or nothing."""
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except OSError:
        with suppress(OSError):
            os.ftruncate(fd, size)
        raise
