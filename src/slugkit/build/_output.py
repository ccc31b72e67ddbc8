"""What a slug's file may be, and the time its entries bear."""

import os
from os import PathLike
from pathlib import Path

from ..archive import EPOCH
from ..errors import InvalidSettingError, OutputError


def checked_output(output: str | PathLike[str]) -> Path:
    """Return *output* if a file can be put there, before a build spends minutes to find out."""
    path = Path(output)
    if path.is_symlink():
        path = path.resolve()
    if path.exists() and not path.is_file():  # a directory, or /dev/null, which root could replace
        raise OutputError(str(path), "it is a directory" if path.is_dir() else "it is not a regular file")
    if not path.absolute().parent.is_dir():
        raise OutputError(str(path), "its directory does not exist")
    if not os.access(path.absolute().parent, os.W_OK):
        raise OutputError(str(path), "its directory is not writable")
    return path


def source_date_epoch() -> int:
    """Return the time every entry bears: SOURCE_DATE_EPOCH (reproducible-builds.org), or 1980."""
    text = os.environ.get("SOURCE_DATE_EPOCH", str(EPOCH))
    if not text.isdecimal() or len(text) > 20:  # noqa: PLR2004 - int() refuses 4 300
        raise InvalidSettingError("SOURCE_DATE_EPOCH", "not a number of seconds")
    return int(text)
