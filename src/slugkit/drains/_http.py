"""`HttpDrain`: lines to an HTTP receiver, as Logplex posts them."""

import os
import ssl
import threading
from base64 import b64encode
from collections.abc import Sequence
from functools import partial
from http.client import HTTPConnection, HTTPException
from uuid import uuid4

from .._version import __version__
from ..errors import DrainFailedError, DrainRefusedError
from ..logline import LogLine
from ._address import parse
from ._drain import BUFFER
from ._frames import check_field, drain_token, frames
from ._wire import check_timeout, hang_up, secure, trust

_PORTS = {"https": 443, "http": 80}
_LONGEST_ANSWER = 65536  # bytes read of an answer that means nothing; more ends the connection
_LATER = (408, 425, 429)  # of the 4xx, those that mean "not now"


class HttpDrain:
    """POST lines in batches, as ``application/logplex-1`` (contract.md 5.4).

    A batch that was not answered is sent again with the same ``Logplex-Frame-Id``, so that a receiver knows what it
    has; so is one that was answered with 5xx. One that was answered with 3xx or 4xx is lost, as with Logplex.

    Args:
        url: ``https://user:password@host/path``, or ``http://``; user and password are shown nowhere.
        app: What a dyno's lines name as their app; the platform's own say "heroku".
        token: What the header ``Logplex-Drain-Token`` says, ``d.<uuid>``; a new one if None.
        cafile: A PEM file with the certificates to trust, instead of the system's.
        timeout: Seconds to connect, and between any two signs of life of the receiver.
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
        address, timeout = parse(url, _PORTS), check_timeout(timeout)
        self.token = check_field("token", drain_token() if token is None else token)
        self._app, self.buffer = check_field("app", app), buffer
        connection = partial(_Secured, trust(cafile)) if address.scheme == "https" else HTTPConnection
        self._connection: HTTPConnection = connection(address.host, address.port, timeout=timeout)
        self._address = address
        self._sending = threading.Lock()
        self._batch: tuple[Sequence[LogLine], str] | None = None  # the last one that failed, and its frame id

    def __repr__(self) -> str:
        return f"HttpDrain({str(self._address)!r})"

    def send(self, lines: Sequence[LogLine]) -> None:
        """Send *lines* as one request.

        Raises:
            DrainFailedError: It was not taken now.
            DrainRefusedError: It will never be.
        """
        if self._batch is None or self._batch[0] is not lines:
            self._batch = (lines, uuid4().hex.upper())
        parts = [*frames(lines, "host", self._app, "-")]
        with self._sending:
            try:
                status = self._post(b"".join(parts), self._headers(len(parts), self._batch[1]))
            except (OSError, HTTPException) as error:
                self._connection.close()
                raise DrainFailedError(str(error) or type(error).__name__) from error
        if not 200 <= status < 300:  # noqa: PLR2004 - success
            later = status >= 500 or status in _LATER  # noqa: PLR2004 - the receiver's fault
            raise (DrainFailedError if later else DrainRefusedError)(f"the receiver answered with status {status}")
        self._batch = None

    def close(self) -> None:
        """Close the connection; while something is being sent, interrupt that."""
        if self._sending.acquire(blocking=False):
            self._connection.close()
            self._sending.release()
        else:
            hang_up(self._connection.sock)

    def _headers(self, count: int, frame: str) -> dict[str, str]:
        headers = {
            "Content-Type": "application/logplex-1",
            "Logplex-Msg-Count": str(count),
            "Logplex-Frame-Id": frame,
            "Logplex-Drain-Token": self.token,
            "User-Agent": f"slugkit/{__version__}",
        }
        if self._address.user is not None:
            secret = f"{self._address.user}:{self._address.password}".encode()
            headers["Authorization"] = f"Basic {b64encode(secret).decode()}"
        return headers

    def _post(self, body: bytes, headers: dict[str, str]) -> int:
        self._connection.request("POST", self._address.target, body, headers)
        response = self._connection.getresponse()
        response.read(_LONGEST_ANSWER)
        if not response.isclosed():
            self._connection.close()
        return response.status


class _Secured(HTTPConnection):
    """HTTPS whose handshake another thread can end, unlike that of the standard library's."""

    default_port = _PORTS["https"]

    def __init__(self, context: ssl.SSLContext, host: str, port: int, *, timeout: float) -> None:
        super().__init__(host, port, timeout=timeout)
        self._context = context

    def connect(self) -> None:
        """Connect, verify who answers, and shake hands."""
        super().connect()
        self.sock = secured = secure(self.sock, self._context, self.host)
        secured.do_handshake()
