"""Download an archive over HTTP, with the host's proxies and certificates and nothing else of it."""

import socket
import ssl
import threading
import time
import urllib.request as http
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from .._exec import DeadlineError
from ..errors import BuildpackFetchError
from ._origin import Origin

_TRIES = 3  # as the slug compiler (contract.md 2.5)
_SILENCE = 30.0  # seconds without a byte
_LARGEST = 512 * 2**20  # bytes
_SERVERS_FAULT = 500  # HTTP statuses from here on are worth another try


def download(origin: Origin, target: Path, env: Mapping[str, str], deadline: float) -> None:
    """Write what is at *origin* to *target*; *env* has the host's proxy and certificate variables.

    Raises:
        BuildpackFetchError: It cannot be had, or is larger than 512 MiB.
        DeadlineError: The monotonic clock reached *deadline*.
    """
    for left in reversed(range(_TRIES)):
        sockets = _Sockets(deadline)
        try:
            with sockets:
                _try(origin, target, env, sockets)
        except BuildpackFetchError:
            raise
        except (OSError, HTTPException, ValueError) as error:  # urllib's errors are OSErrors
            if sockets.shut:
                raise DeadlineError from None
            status = getattr(error, "code", None)
            if isinstance(error, http.HTTPError):
                error.close()
            if not left or (status is not None and status < _SERVERS_FAULT):
                reason = origin.masked(str(getattr(error, "reason", error)) or type(error).__name__)
                fix = "" if status else "behind a proxy or with own certificates: set https_proxy, SSL_CERT_FILE"
                raise BuildpackFetchError(origin.shown, f"HTTP {status} {reason}" if status else reason, fix) from None
        else:
            return


class _Sockets:
    """The connections of one try, all shut down at the deadline: a server may drip bytes for ever."""

    def __init__(self, deadline: float) -> None:
        self.shut = False
        self._open: list[socket.socket] = []
        self._timer = threading.Timer(max(deadline - time.monotonic(), 0), self._shut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def add(self, connected: socket.socket) -> None:
        self._open.append(connected)
        if self.shut:
            self._shut()

    def _shut(self) -> None:
        self.shut = True
        for connected in self._open:
            try:
                connected.shutdown(socket.SHUT_RDWR)
            except OSError:  # it is closed
                continue


def _try(origin: Origin, target: Path, env: Mapping[str, str], sockets: _Sockets) -> None:
    with _open(origin, env, sockets) as response, target.open("wb") as file:
        while data := response.read1(2**16):
            file.write(data)
            if file.tell() > _LARGEST:
                raise BuildpackFetchError(origin.shown, f"it is larger than {_LARGEST} bytes")
        if response.length or sockets.shut:
            raise OSError("it was cut short")


def _open(origin: Origin, env: Mapping[str, str], sockets: _Sockets) -> HTTPResponse:
    """Ask for *origin*; a redirect leads to HTTP only, never to a file of this machine."""
    proxies = {name.lower().removesuffix("_proxy"): value for name, value in env.items() if value}
    if http.proxy_bypass_environment(urlsplit(origin.url).hostname or "", proxies):  # type: ignore[attr-defined]
        proxies = {}
    trust = ssl.create_default_context(cafile=env.get("SSL_CERT_FILE"), capath=env.get("SSL_CERT_DIR"))
    opener = http.OpenerDirector()
    for handler in (
        http.ProxyHandler({scheme: proxies[scheme] for scheme in ("http", "https") if scheme in proxies}),
        *_handlers(trust, sockets),
        http.HTTPRedirectHandler(),
        http.HTTPDefaultErrorHandler(),
        http.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    request = http.Request(origin.url)  # noqa: S310 - there is no handler for another scheme
    if origin.authorization:
        request.add_unredirected_header("Authorization", origin.authorization)
    response: HTTPResponse | None = opener.open(request, timeout=_SILENCE)
    if response is None:
        raise BuildpackFetchError(origin.shown, "it leads to something other than http or https")
    return response


def _handlers(trust: ssl.SSLContext, sockets: _Sockets) -> tuple[http.BaseHandler, ...]:
    """Return urllib's handlers of http and https, which tell *sockets* of each connection."""

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            sockets.add(self.sock)

    class Encrypted(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            sockets.add(self.sock)

    class PlainHandler(http.HTTPHandler):
        def http_open(self, request: http.Request) -> HTTPResponse:
            return self.do_open(Plain, request)

    class EncryptedHandler(http.HTTPSHandler):
        def https_open(self, request: http.Request) -> HTTPResponse:
            return self.do_open(Encrypted, request, context=trust)

    return PlainHandler(), EncryptedHandler(context=trust)
