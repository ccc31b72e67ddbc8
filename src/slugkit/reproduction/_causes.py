"""Why two pieces of a file likely differ, told from the bytes and from what is known of the two builds. Pure."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from ._circumstances import ZONE_OFFSET, Circumstances
from ._formats import DATES, NUMBER, as_seconds, date_seconds, header_time, packed_times
from ._side import Side
from ._values import Cause, CauseCode

_LONGEST_SHOWN = 100
_SLACK = 5  # seconds before and after a build
_DAY = 86_400  # what a date without a zone may be off
_LARGEST_PID = 2**22  # of Linux
_PLACE = rb"(?:[\w.@+-]*/)*"
_HEX = re.compile(
    rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|(?<![0-9a-zA-Z])[0-9a-fA-F]{6,}(?![0-9a-zA-Z])"
)
_ALONE = re.compile(rb"(?<![0-9a-zA-Z])\d+(?![0-9a-zA-Z])")
_WORD = re.compile(rb"[0-9A-Za-z_+/=-]{6,}")
_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x89PNG": "PNG",
}


def explain(one: Side, other: Side) -> Cause:
    """Return the likely cause of one difference, between the same place of both files."""
    for recognise in _RECOGNISERS:
        if cause := recognise(one, other):
            return cause
    return Cause("unknown", "nothing known of either build is in these bytes")


def compressed(start: bytes) -> Cause | None:
    """Return the cause of a difference that shows nothing, in a file with this *start*."""
    for magic, name in _MAGIC.items():
        if start.startswith(magic):
            return Cause("compressed", f"inside {name} data: unpack both to see more")
    return None


def _build_path(one: Side, other: Side) -> Cause | None:
    found = [side.at(_places(side.build)) for side in (one, other)]
    return Cause("build-path", _both(*found)) if all(found) else None


def _places(build: Circumstances) -> "re.Pattern[bytes]":
    """Return what matches a path that only this build had: BUILD_DIR and its like, the source's, the caches'."""
    build_dir = build.build_dir.encode("utf-8", "surrogateescape")
    own = build_dir.rpartition(b"/")[2]
    names = (own, own.replace(b"build", b"env"), rb"buildpack_[0-9a-f]{8}", rb"(?:slugkit-)?work-[0-9a-f]{8}")
    roots = (re.escape(path.encode("utf-8", "surrogateescape")) for path in (build.source, build.cache_dir))
    below = rb"(?:/[\w./@+-]*)?"
    return re.compile(rb"(?:%s(?:%s)|%s)%s" % (_PLACE, b"|".join(names), b"|".join(roots), below))


def _header(one: Side, other: Side) -> Cause | None:
    mine, theirs = header_time(one), header_time(other)
    if mine is None or theirs is None or mine[0] != theirs[0]:
        return None
    code: CauseCode = "file-time" if _aged(one, other, mine[1], theirs[1]) else "timestamp"
    return Cause(code, f"{mine[0]}: {_moment(mine[1])} and {_moment(theirs[1])}")


def _number(one: Side, other: Side) -> Cause | None:
    mine, theirs = one.at(NUMBER), other.at(NUMBER)
    if not mine or not theirs:
        return None
    if _during(one.build, as_seconds(mine)) and _during(other.build, as_seconds(theirs)):
        return Cause("timestamp", f"{_both(mine, theirs)}, when each was built")
    if any(_aged(one, other, a, b) for a, b in zip(as_seconds(mine), as_seconds(theirs), strict=False)):
        return Cause("file-time", f"{_both(mine, theirs)}, times of files of the source")
    return _of_the_builds(one, other, mine, theirs)


def _of_the_builds(one: Side, other: Side, mine: bytes, theirs: bytes) -> Cause | None:
    """Recognise the small numbers of either build."""
    if not one.is_text or not other.is_text:
        return None
    numbers = (mine.decode(), theirs.decode())
    if numbers == (str(one.build.cpus), str(other.build.cpus)):
        return Cause("cpu-count", f"{_both(mine, theirs)}, the CPUs each build had")
    if numbers == (str(one.build.uid), str(other.build.uid)):
        return Cause("user-id", f"{_both(mine, theirs)}, the users each was built by")
    return None


def _date(one: Side, other: Side) -> Cause | None:
    mine, theirs = one.at(DATES), other.at(DATES)
    if not mine or not theirs:
        return None
    then, now = date_seconds(mine), date_seconds(theirs)
    if then is not None and now is not None and _aged(one, other, then, now):
        return Cause("file-time", f"{_both(mine, theirs)}, times of files of the source")
    return Cause("timestamp", _both(mine, theirs))


def _zone(one: Side, other: Side) -> Cause | None:
    """Recognise a time zone's name or distance that stands alone."""
    mine, theirs = (side.at(re.compile(rb"UTC|GMT|[+-]\d\d:?\d\d")) for side in (one, other))
    return Cause("timestamp", f"{_both(mine, theirs)}, time zones") if mine and theirs else None


def _packed(one: Side, other: Side) -> Cause | None:
    if _during(one.build, packed_times(one)) and _during(other.build, packed_times(other)):
        return Cause("timestamp", "a binary number of seconds, when each was built")
    return None


def _hex(one: Side, other: Side) -> Cause | None:
    mine, theirs = one.at(_HEX), other.at(_HEX)
    if not mine or not theirs or (mine + theirs).isdigit():
        return None
    if len(mine) == len(theirs) == 8 and all(  # noqa: PLR2004 - 32 bits
        _during(side.build, [int(text, 16)]) for side, text in ((one, mine), (other, theirs))
    ):
        return Cause("timestamp", f"{_both(mine, theirs)}, seconds in hex")
    return Cause("random", f"{_both(mine, theirs)}, random or a digest of what differs")


def _pid(one: Side, other: Side) -> Cause | None:
    mine, theirs = one.at(_ALONE), other.at(_ALONE)
    if not mine.isdigit() or not theirs.isdigit() or not (one.is_text and other.is_text):
        return None
    small = len(mine + theirs) < 16 and max(int(mine), int(theirs)) < _LARGEST_PID  # noqa: PLR2004 - pids have 7
    what = "a process id or a random number" if small else "random numbers"
    return Cause("process-id" if small else "random", f"{_both(mine, theirs)}, {what}")


def _random(one: Side, other: Side) -> Cause | None:
    """Recognise a name as mktemp makes it: as long in both, and no word."""
    mine, theirs = one.at(_WORD), other.at(_WORD)
    kinds = (rb"[0-9]", rb"[a-z]", rb"[A-Z]")
    mixed = all(sum(bool(re.search(kind, text)) for kind in kinds) > 1 for text in (mine, theirs))
    return Cause("random", f"{_both(mine, theirs)}, random") if mixed and len(mine) == len(theirs) else None


_RECOGNISERS: tuple[Callable[[Side, Side], Cause | None], ...] = (
    *(_header, _build_path, _number, _date, _zone),
    *(_hex, _pid, _random, _packed),
)


def _during(build: Circumstances, seconds: "Iterator[int] | list[int]") -> bool:
    """Return whether one of *seconds* is a time of the build, by the host's clock or by that of its commands."""
    clocks = {0, build.ahead or 0}
    return any(
        build.began + ahead - _SLACK <= one <= build.ended + ahead + _SLACK for one in seconds for ahead in clocks
    )


def _aged(one: Side, other: Side, mine: int, theirs: int) -> bool:
    """Return whether two times, in seconds, are as far apart as those of the source's files are made to be."""
    earlier = other.build.earlier - one.build.earlier
    apart = {sign * earlier + zone for sign in (1, -1) for zone in (0, ZONE_OFFSET, -ZONE_OFFSET)}
    return earlier != 0 and any(abs(mine - theirs - one) <= 2 for one in apart)  # noqa: PLR2004 - as fine as zip tells


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _both(mine: bytes, theirs: bytes) -> str:
    return " and ".join(
        text[:_LONGEST_SHOWN].decode("utf-8", "backslashreplace") + "..." * (len(text) > _LONGEST_SHOWN)
        for text in (mine, theirs)
    )
