"""Sockets of drains: what they trust, how long they wait, and how another thread ends that."""

import os
import socket
import ssl
from contextlib import suppress

from ..errors import InvalidSettingError

_LONGEST_TIMEOUT = 86_400.0  # seconds; sockets take no infinity


def trust(cafile: str | os.PathLike[str] | None) -> ssl.SSLContext:
    """Return what verifies the other end: against the certificates in *cafile*, or those the system trusts.

    Raises:
        InvalidSettingError: *cafile* cannot be read, or holds no certificate.
    """
    try:
        return ssl.create_default_context(cafile=cafile)
    except OSError as error:
        raise InvalidSettingError("cafile", f"{cafile}: {error.strerror or error}") from error


def check_timeout(seconds: float) -> float:
    """Return *seconds* if one can wait so long.

    Raises:
        InvalidSettingError: It is not more than zero, or more than a day.
    """
    if not 0 < seconds <= _LONGEST_TIMEOUT:
        raise InvalidSettingError("timeout", f"{seconds} is no time to wait")
    return seconds


def secure(connection: socket.socket, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    """Return *connection* as one of TLS to *host*; shaking hands is left to do, so that it can be interrupted."""
    return context.wrap_socket(connection, server_hostname=host, do_handshake_on_connect=False)


def hang_up(connection: socket.socket | None) -> None:
    """End *connection*, and whatever another thread is doing on it."""
    if connection is not None:
        with suppress(OSError):
            socket.socket.shutdown(connection, socket.SHUT_RDWR)  # not TLS's own: that thread is in the middle of it
