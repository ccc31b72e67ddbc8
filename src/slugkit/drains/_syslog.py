"""`SyslogDrain`: lines to a syslog receiver, over TCP or TLS."""

import os
import socket
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress

from ..logline import LogLine
from ._address import parse
from ._drain import BUFFER
from ._frames import check_field, drain_token, frames
from ._wire import check_timeout, hang_up, secure, trust

_PORTION = 65536  # bytes that have the timeout to themselves: the whole may take longer on a slow line
_GOODBYE = 1.0  # seconds for the other end to close its side
_MOST_UNREAD = 16  # reads of what it still says
_PORTS = {"syslog": 514, "syslog+tcp": 514, "syslog+tls": 6514}


class SyslogDrain:
    """Send each line as an RFC 5424 message, octet counted (RFC 6587); a connection that breaks is made anew.

    What was being sent when a connection broke is sent again: a line may arrive twice, never half. Syslog has no
    receipts: what the other end's system had taken when its receiver died is lost, and nobody can count it.

    Args:
        url: ``syslog://host:port`` (or ``syslog+tcp://``), or ``syslog+tls://host:port``; the ports are 514 and 6514
            unless named.
        app: What a dyno's lines name as APP-NAME; the platform's own say "heroku".
        token: What stands for the host name, ``d.<uuid>``; a new one if None.
        cafile: A PEM file with the certificates to trust, instead of the system's.
        timeout: Seconds to connect, and for a few lines to be taken.
        buffer: How many lines may wait.

    Raises:
        InvalidSettingError: One of these cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        app: str = "app",
        token: str | None = None,
        cafile: str | os.PathLike[str] | None = None,
        timeout: float = 10.0,
        buffer: int = BUFFER,
    ) -> None:
        self._address = parse(url, _PORTS)
        self._context = trust(cafile) if self._address.scheme == "syslog+tls" else None
        self.token = check_field("token", drain_token() if token is None else token)
        self._app, self._timeout, self.buffer = check_field("app", app), check_timeout(timeout), buffer
        self._socket: socket.socket | None = None
        self._sending = threading.Lock()

    def __repr__(self) -> str:
        return f"SyslogDrain({str(self._address)!r})"

    def send(self, lines: Sequence[LogLine]) -> None:
        """Send *lines*, connecting first where need be.

        Raises:
            OSError: There is no connection, or it broke.
        """
        with self._sending:
            try:
                connection = self._connected()
                data = b"".join(frames(lines, self.token, self._app, "- -"))
                for start in range(0, len(data), _PORTION):
                    connection.sendall(data[start : start + _PORTION])
            except BaseException:
                self._forget()
                raise

    def close(self) -> None:
        """Close the connection when the other end has all, or at once while something is being sent."""
        if not self._sending.acquire(blocking=False):
            hang_up(self._socket)
            return
        try:
            if self._socket is not None:
                _take_leave(self._socket)
            self._forget()
        finally:
            self._sending.release()

    def _connected(self) -> socket.socket:
        if self._socket is not None and not self._alive(self._socket):
            self._forget()
        if self._socket is None:
            address = self._address
            self._socket = socket.create_connection((address.host, address.port), self._timeout)
            if self._context is not None:
                self._socket = secured = secure(self._socket, self._context, address.host)
                secured.do_handshake()
        return self._socket

    def _alive(self, connection: socket.socket) -> bool:
        """Return whether the other end is still there: what is sent after it has left is lost without an error."""
        connection.settimeout(0)
        try:
            return connection.recv(4096) != b""
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        finally:
            connection.settimeout(self._timeout)

    def _forget(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _take_leave(connection: socket.socket) -> None:
    """Say goodbye and wait for the answer: closing while something is unread here may undo what was sent."""
    with suppress(OSError, ValueError):
        connection.settimeout(_GOODBYE)
        if isinstance(connection, ssl.SSLSocket):
            connection = connection.unwrap()
        connection.shutdown(socket.SHUT_WR)
        for _ in range(_MOST_UNREAD):
            if not connection.recv(4096):
                break
