"""The URL of a drain, with its user and password kept apart: what is shown has neither."""

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, unquote, urlsplit

from attrs import field, frozen

from ..errors import InvalidSettingError

_VISIBLE = re.compile("[!-~]+")


@frozen
class Address:
    """Where a drain leads; ``str`` of it is safe to show."""

    scheme: str
    host: str
    port: int
    target: str = field(default="/", repr=False)
    user: str | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        """Render it without user, password, path and query: tokens travel in all four."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def parse(url: str, ports: Mapping[str, int]) -> Address:
    """Return *url*, whose scheme must be one of *ports*, each with its usual port.

    Raises:
        InvalidSettingError: It is no such URL; the error does not show it, as it may hold a password.
    """
    try:
        parts = urlsplit(url if _VISIBLE.fullmatch(url) else "")
        port = parts.port
    except ValueError:
        raise _invalid(ports) from None
    if parts.scheme not in ports or not parts.hostname or port == 0:
        raise _invalid(ports)
    user = None if parts.username is None else unquote(parts.username)
    password = unquote(parts.password or "")
    return Address(parts.scheme, parts.hostname, port or ports[parts.scheme], _target(parts), user, password)


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _invalid(ports: Mapping[str, int]) -> InvalidSettingError:
    return InvalidSettingError("drain", f"not a URL that begins with {' or '.join(f'{name}://' for name in ports)}")
