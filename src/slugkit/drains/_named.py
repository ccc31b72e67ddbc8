"""A drain by its place, as ``heroku drains:add`` takes it."""

import re

from ..errors import InvalidSettingError
from ._drain import Drain
from ._file import FileDrain

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(?://[\w.-]*)?", re.ASCII)
_SYSLOG, _HTTP = ("syslog", "syslog+tcp", "syslog+tls"), ("https", "http")
_ADVICE = "is no file, and no URL of a host: those begin with " + ", ".join(f"{name}://" for name in (*_SYSLOG, *_HTTP))


def drain_to(place: str) -> Drain:
    """Return the drain that leads to *place*: a file, or a receiver by its URL.

    What begins with a scheme is a URL; a file whose name looks like one is written ``./a:b``.

    Raises:
        InvalidSettingError: It is neither; the error names it without user, password, path and query.
    """
    url = _URL.match(place)
    if url is None and place and "\0" not in place:
        return FileDrain(place)
    scheme = url[1].lower() if url else ""
    try:
        if scheme in _SYSLOG:
            from ._syslog import SyslogDrain  # noqa: PLC0415 - not every runner has a network

            return SyslogDrain(place)
        if scheme in _HTTP:
            from ._http import HttpDrain  # noqa: PLC0415 - as above

            return HttpDrain(place)
    except InvalidSettingError:  # of a drain that could be any of several: this one is named
        pass
    raise InvalidSettingError("drain", f"{_shown(place)!r} {_ADVICE}") from None


def _shown(place: str) -> str:
    """Return as much of *place* as holds no secret: its scheme, and its host where nothing can be taken for that."""
    url = _URL.match(place)
    if url is None:
        return place
    return (f"{url[1]}:" if "@" in place else url[0]) + "..."
