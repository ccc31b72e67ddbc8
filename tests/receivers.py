"""Receivers on loopback for what drains send: they read strictly, and misbehave when told to."""

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from attrs import define, field, frozen

CERTIFICATES = Path(__file__).parent / "certificates"
CA = str(CERTIFICATES / "ca.pem")
_HEAD = re.compile(rb"<(\d+)>1 (\S+) (\S+) (\S+) (\S+) (-) (- )?(?s:(.*))\n")


@frozen
class Message:
    """One syslog message, taken apart."""

    pri: int
    time: str
    host: str
    app: str
    process: str
    text: str


def read_frames(data: bytes, *, structured: bool) -> tuple[list[Message], bytes]:
    """Return the messages in *data*, octet counted, and what is left of a frame cut short."""
    messages = []
    while (match := re.match(rb"(\d+) ", data)) and len(data) >= match.end() + int(match[1]):
        end = match.end() + int(match[1])
        messages.append(_message(data[match.end() : end], structured=structured))
        data = data[end:]
    return messages, data


def _message(frame: bytes, *, structured: bool) -> Message:
    assert len(frame) <= 10_240, "Logplex and others drop what is longer"
    match = _HEAD.fullmatch(frame)
    assert match, frame
    assert (match[7] is not None) == structured
    pri, time, host, app, process = (part.decode("ascii") for part in match.groups()[:5])
    return Message(int(pri), time, host, app, process, match[8].decode("utf-8"))


@define(eq=False)
class Received:
    """What has come in; `wait_for` waits until it is enough."""

    messages: list[Message] = field(factory=list)
    torn: list[bytes] = field(factory=list)
    connections: int = 0
    _changed: threading.Condition = field(factory=threading.Condition)

    def add(self, messages: list[Message]) -> None:
        """Keep *messages*."""
        with self._changed:
            self.messages += messages
            self._changed.notify_all()

    def connected(self) -> int:
        """Count a connection and return its number."""
        with self._changed:
            self.connections += 1
            self._changed.notify_all()
            return self.connections

    def wait_for(self, enough: Callable[["Received"], bool], seconds: float = 20.0) -> None:
        """Wait until there is enough."""
        with self._changed:
            assert self._changed.wait_for(lambda: enough(self), seconds), (self.connections, self.texts[-5:])

    @property
    def texts(self) -> list[str]:
        """What the messages say."""
        return [message.text for message in self.messages]


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "localhost.pem")
    return context


@contextmanager
def syslog_receiver(*, tls: bool = False, port: int = 0, close_after: int = 0) -> Iterator[tuple[int, Received]]:
    """Yield the port of a syslog receiver; it closes its first connection after *close_after* bytes, if not 0."""
    received = Received()
    listener = socket.create_server(("127.0.0.1", port))
    threads: list[threading.Thread] = []
    connections: list[socket.socket] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connections.append(connection)
                threads.append(threading.Thread(target=serve, args=(connection, received.connected())))
                threads[-1].start()

    def serve(connection: socket.socket, number: int) -> None:
        data, total = b"", 0
        limit = close_after if number == 1 and close_after else 2**62
        with suppress(OSError), _secured(connection, tls=tls) as stream:
            stream.settimeout(20)
            while total < limit and (chunk := stream.recv(min(65536, limit - total))):
                total += len(chunk)
                messages, data = read_frames(data + chunk, structured=True)
                received.add(messages)
        received.torn.append(data)

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[1], received
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
        for each in threads:
            each.join()


def _secured(connection: socket.socket, *, tls: bool) -> socket.socket:
    if not tls:
        return connection
    try:
        return server_context().wrap_socket(connection, server_side=True)
    except OSError:
        connection.close()
        raise


@frozen
class Post:
    """One request."""

    path: str
    headers: dict[str, str]
    messages: list[Message]


Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Keep each request, then answer as the receiver was told to."""

    protocol_version = "HTTP/1.1"
    timeout = 20
    server: "_Server"

    def do_POST(self) -> None:
        """Keep it and answer."""
        length = int(self.headers["Content-Length"])
        if self.server.cuts:
            self.server.cuts -= 1
            self.rfile.read(length // 2)
            self.close_connection = True
            return
        body = self.rfile.read(length)
        messages, rest = read_frames(body, structured=False)
        assert rest == b""
        post = Post(self.path, dict(self.headers.items()), messages)
        with self.server.changed:
            self.server.posts.append(post)
            number = len(self.server.posts)
            self.server.changed.notify_all()
        self.server.answers.get(number, status(204))(self)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def status(code: int) -> Answer:
    """Return what answers with *code*."""

    def answer(handler: Handler) -> None:
        handler.send_response(code)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def hang_up(handler: Handler) -> None:
    """End the connection in the middle of an answer."""
    handler.wfile.write(b"HTTP/1.1 20")
    handler.close_connection = True


def babble(handler: Handler) -> None:
    """Answer with what is no HTTP."""
    handler.wfile.write(b"SSH-2.0-\x1b[2J\r\n" * 100)
    handler.close_connection = True


def never_end(handler: Handler) -> None:
    """Answer well, and at a length that nobody should read."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(2**40))
    handler.end_headers()
    with suppress(OSError):
        while True:
            handler.wfile.write(b"x" * 65536)


def hang(handler: Handler) -> None:
    """Say nothing until the test is over."""
    handler.server.over.wait(20)
    handler.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, answers: dict[int, Answer], cuts: int, *, tls: bool) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.cuts, self.posts = answers, cuts, list[Post]()
        self.changed, self.over = threading.Condition(), threading.Event()
        if tls:
            self.socket = server_context().wrap_socket(self.socket, server_side=True)

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients that leave are what some tests are about."""

    def wait_for(self, count: int, seconds: float = 20.0) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.posts) >= count, seconds), self.posts

    @property
    def texts(self) -> list[str]:
        return [message.text for post in self.posts for message in post.messages]


@contextmanager
def http_receiver(answers: dict[int, Answer] | None = None, *, tls: bool = True, cuts: int = 0) -> Iterator[_Server]:
    """Yield an HTTP receiver that answers request number N, from 1, as *answers* says, and with 204 otherwise.

    Of the first *cuts* requests it reads half, and leaves.
    """
    server = _Server(answers or {}, cuts, tls=tls)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
