"""A web dyno of a test, and what it answers."""

import urllib.error
import urllib.request
from email.message import Message

from attrs import frozen

from ..dyno import Dyno
from ._outcome import UnexpectedOutcomeError


@frozen
class Response:
    """An HTTP response of a dyno; the names of ``headers`` may be spelled in any case."""

    status: int
    headers: Message
    text: str


@frozen
class WebDyno:
    """A dyno that listens; gone with the test."""

    dyno: Dyno

    def get(self, path: str = "/") -> Response:
        """Return the response to GET *path*, whatever its status; redirects are followed.

        Raises:
            UnexpectedOutcomeError: Nothing answers.
        """
        __tracebackhide__ = True
        request = urllib.request.Request(f"{self.dyno.url}/{path.removeprefix('/')}")  # noqa: S310 - http://127.0.0.1
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as response:
                return Response(response.status, response.headers, response.read().decode("utf-8", "replace"))
        except urllib.error.HTTPError as error:
            with error:
                return Response(error.code, error.headers, error.read().decode("utf-8", "replace"))
        except urllib.error.URLError as error:
            what = f"{self.dyno.name} does not answer on its $PORT: {error.reason}"
            raise UnexpectedOutcomeError(what, self.output) from None

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return "".join(f"{line.message}\n" for line in self.dyno.logs() if line.source == "app")

    def stop(self) -> None:
        """Stop it now rather than at the end of the test."""
        self.dyno.stop()
