"""Log lines as syslog messages: RFC 5424 in the octet counting of RFC 6587, as Logplex writes both. Pure.

What a dyno prints cannot forge a frame: its length is counted, and neither a newline nor a NUL is let through.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from uuid import uuid4

from ..errors import InvalidSettingError
from ..logline import LONGEST, LogLine

_PRI = {"app": 190, "heroku": 45}  # local7.info; syslog.notice (contract.md 5.4)
_INVISIBLE = re.compile("[^!-~]")  # RFC 5424: fields are visible ASCII
_HEAD = attrgetter("time", "source", "process")
_LONGEST_FIELD = {"token": 255, "app": 48, "process": 128}


def drain_token() -> str:
    """Return a new drain token, ``d.`` and a UUID."""
    return f"d.{uuid4()}"


def check_field(name: str, value: str) -> str:
    """Return *value* if it can stand in a message's head.

    Raises:
        InvalidSettingError: It is empty, too long, or has what is no visible ASCII character.
    """
    if not value or _INVISIBLE.search(value) or len(value) > _LONGEST_FIELD[name]:
        raise InvalidSettingError(name, f"{value!r} is not 1 to {_LONGEST_FIELD[name]} visible ASCII characters")
    return value


def frames(lines: Sequence[LogLine], host: str, app: str, dashes: str) -> Iterator[bytes]:
    """Yield each line as ``LEN <PRI>1 TIME HOST APP PROCESS DASHES MESSAGE`` and a newline, too long ones in pieces.

    Args:
        lines: Some lines.
        host: The drain token, or what stands in its place.
        app: What lines of dynos name as their source; those of the platform are "heroku".
        dashes: "- -" for RFC 5424's message id and structured data, "-" where Logplex leaves the second out.
    """
    for (time, source, process), group in groupby(lines, _HEAD):  # lines that were read together share it
        name = app if source == "app" else _field("app", source)
        stamp = time.isoformat(timespec="microseconds")
        head = f"<{_PRI.get(source, 45)}>1 {stamp} {host} {name} {_field('process', process)} {dashes} ".encode()
        for line in group:
            message = line.message.replace("\n", "\\x0a").replace("\0", "\\x00").encode("utf-8", "replace")
            for piece in _pieces(message):
                yield b"%d %b%b\n" % (len(head) + len(piece) + 1, head, piece)


def _field(name: str, value: str) -> str:
    return _INVISIBLE.sub("?", value)[: _LONGEST_FIELD[name]] or "-"


def _pieces(message: bytes) -> Iterator[bytes]:
    """Yield *message* in pieces of 10 000 bytes at most, cut between characters: receivers drop longer frames."""
    while len(message) > LONGEST:
        end = LONGEST
        while message[end] & 0xC0 == 0x80:  # noqa: PLR2004 - inside a character
            end -= 1
        yield message[:end]
        message = message[end:]
    yield message
