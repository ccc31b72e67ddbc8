"""Download an archive over HTTP, with the host's proxies and certificates and nothing else of it."""

import ssl
import time
import urllib.request as http
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

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
        TimeoutError: The monotonic clock reached *deadline*.
    """
    for left in reversed(range(_TRIES)):
        try:
            _try(origin, target, env, deadline)
        except (BuildpackFetchError, TimeoutError):
            raise
        except (OSError, HTTPException) as error:  # urllib's errors are OSErrors
            status = getattr(error, "code", None)
            if not left or (status is not None and status < _SERVERS_FAULT):
                reason = str(getattr(error, "reason", error)) or type(error).__name__
                raise BuildpackFetchError(origin.shown, f"HTTP {status} {reason}" if status else reason) from error
        else:
            return


def _try(origin: Origin, target: Path, env: Mapping[str, str], deadline: float) -> None:
    with _open(origin, env) as response, target.open("wb") as file:
        while data := response.read(2**16):
            file.write(data)
            if file.tell() > _LARGEST:
                raise BuildpackFetchError(origin.shown, f"it is larger than {_LARGEST} bytes")
            if time.monotonic() > deadline:
                raise TimeoutError


def _open(origin: Origin, env: Mapping[str, str]) -> IO[bytes]:
    """Ask for *origin*; a redirect leads to HTTP only, never to a file of this machine."""
    proxies = {name.lower().removesuffix("_proxy"): value for name, value in env.items() if value}
    if http.proxy_bypass_environment(urlsplit(origin.url).hostname or "", proxies):  # type: ignore[attr-defined]
        proxies = {}
    trust = ssl.create_default_context(cafile=env.get("SSL_CERT_FILE"), capath=env.get("SSL_CERT_DIR"))
    opener = http.OpenerDirector()
    for handler in (
        http.ProxyHandler({scheme: proxies[scheme] for scheme in ("http", "https") if scheme in proxies}),
        http.HTTPHandler(),
        http.HTTPSHandler(context=trust),
        http.HTTPRedirectHandler(),
        http.HTTPDefaultErrorHandler(),
        http.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    request = http.Request(origin.url)  # noqa: S310 - there is no handler for another scheme
    if origin.authorization:
        request.add_unredirected_header("Authorization", origin.authorization)
    response: IO[bytes] | None = opener.open(request, timeout=_SILENCE)
    if response is None:
        raise BuildpackFetchError(origin.shown, "it leads to something other than http or https")
    return response
