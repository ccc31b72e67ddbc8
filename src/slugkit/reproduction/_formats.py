"""Times as files hold them: in the headers of known formats, as numbers, as words."""

import re
import struct
from collections.abc import Iterator
from datetime import UTC, datetime

from ._side import Side

_MONTHS = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
_CLOCK = rb"\d\d:\d\d(?::\d\d(?:\.\d+)?)?"
_ZONE = rb"(?: ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d))?"
#: Dates and times of day as people and programs write them.
DATES = re.compile(
    rb"\d{4}[-/]\d\d[-/]\d\d(?:[T _]?" + _CLOCK + _ZONE + rb")?"
    rb"|(?:19|20)\d{6}(?:[T_-]?\d{6}Z?)?(?!\d)"
    rb"|(?:\d{1,2}[ -])?" + _MONTHS + rb"[ -]+\d{1,4}(?:[, ]+" + _CLOCK + _ZONE + rb")?(?:,? \d{4})?"
    rb"|" + _CLOCK + _ZONE
)
NUMBER = re.compile(rb"\d+(?:\.\d+)?")
_UNITS = (1, 10**3, 10**6, 10**9)  # of a second


def header_time(side: Side) -> tuple[str, int] | None:
    """Return the header whose time *side* differs in, and that time in seconds; None when it is in none."""
    return _gzip(side) or _pyc(side) or _zip(side) or _tar(side)


def _gzip(side: Side) -> tuple[str, int] | None:
    for start in range(max(side.start - 7, 0), side.start - 3):
        if side.text[start : start + 3] == b"\x1f\x8b\x08":
            return "a gzip header", _little(side, start + 4)
    return None


def _pyc(side: Side) -> tuple[str, int] | None:
    first = side.offset + side.start
    if side.offset or not side.path.endswith(".pyc") or not 8 <= first < 12:  # noqa: PLR2004 - PEP 552
        return None
    flags = _little(side, 4)
    return ("the time of the source in a .pyc header", _little(side, 8)) if flags == 0 else None


def _zip(side: Side) -> tuple[str, int] | None:
    for magic, at in ((b"PK\x03\x04", 10), (b"PK\x01\x02", 12)):
        header = side.text.rfind(magic, 0, side.start)
        if header >= 0 and header + at <= side.start < header + at + 4:
            return "a zip entry", _dos(_little(side, header + at))
    extra = side.text.rfind(b"UT", 0, side.start)  # the extended time of Info-ZIP
    if extra >= 0 and extra + 5 <= side.start < extra + 13 and b"PK" in side.text[:extra]:
        return "a zip entry", _little(side, extra + 5)
    return None


def _tar(side: Side) -> tuple[str, int] | None:
    magic = side.text.find(b"ustar", max(side.start - 12, 0))
    header = magic - 257
    if magic < 0 or not header + 136 <= side.start < header + 156:  # mtime, and the sum it is in
        return None
    digits = side.text[max(header + 136, 0) : header + 147].strip(b"\0 ")
    return "a tar header", int(digits, 8) if re.fullmatch(rb"[0-7]+", digits) else 0


def _little(side: Side, start: int) -> int:
    return int.from_bytes(side.text[start : start + 4], "little")


def _dos(packed: int) -> int:
    """Return seconds for an MS-DOS time, 0 for one that is none; it has no zone, which hours of tolerance allow for."""
    date, time = packed >> 16, packed & 0xFFFF
    try:
        when = datetime(
            (date >> 9) + 1980, date >> 5 & 15, date & 31, time >> 11, time >> 5 & 63, (time & 31) * 2, tzinfo=UTC
        )
    except ValueError:
        return 0
    return int(when.timestamp())


def as_seconds(number: bytes) -> Iterator[int]:
    """Yield the seconds that *number* may mean: it may count milli-, micro- or nanoseconds too."""
    whole = number.partition(b".")[0]
    if 9 <= len(whole) <= 19:  # noqa: PLR2004 - 1973 in seconds to 2262 in nanoseconds
        yield from (int(whole) // unit for unit in _UNITS)


def packed_times(side: Side) -> Iterator[int]:
    """Yield the seconds that the bytes at the difference may mean as a binary number, of 4 bytes or 8."""
    for start in range(max(side.start - 3, 0), side.start + 1):
        piece = side.text[start : start + 4]
        if len(piece) == 4:  # noqa: PLR2004 - a 32-bit number
            yield from struct.unpack("<I", piece)
            yield from struct.unpack(">I", piece)


def date_seconds(text: bytes) -> int | None:
    """Return the seconds of an ISO date and time, taken for UTC; None when *text* is none."""
    try:
        return int(datetime.fromisoformat(text.decode("ascii")[:19].replace("/", "-")).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None
