"""Open a slug's file: one that cannot be read is no whole slug, wherever that is seen."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any

from ..errors import CorruptSlugError, SlugNotFoundError


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """Yield the regular file *path*, open for reading; only what reading it raises is changed.

    Raises:
        SlugNotFoundError: Nothing is there.
        CorruptSlugError: It is no file, or cannot be read.
    """
    try:
        with reading(path):
            if not stat.S_ISREG(path.stat().st_mode):
                raise CorruptSlugError(os.fspath(path), "it is not a regular file")
            file: BufferedReader = BufferedReader(_Bytes(os.fspath(path)))
    except ValueError as error:  # a NUL in its name
        if isinstance(error, CorruptSlugError):
            raise
        raise CorruptSlugError(os.fspath(path), str(error)) from error
    try:
        yield file
    finally:
        with suppress(OSError):
            file.close()


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[None]:
    """Say an OSError of the block as what it is to the caller: the slug *path* is gone, or cannot be read."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise SlugNotFoundError(os.fspath(path)) from None
    except OSError as error:
        raise CorruptSlugError(os.fspath(path), f"it cannot be read: {error.strerror or error}") from error


class _Bytes(FileIO):
    def readinto(self, buffer: Any, /) -> int | None:  # noqa: ANN401 - whatever BufferedReader has
        with reading(str(self.name)):
            return super().readinto(buffer)

    def readall(self) -> bytes:
        with reading(str(self.name)):
            return super().readall()
