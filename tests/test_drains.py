"""Drains, against receivers on loopback that fail in every way, and files on disks that are full."""

import os
import re
import resource
import socket
import subprocess
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from receivers import CA, babble, hang, hang_up, http_receiver, never_end, read_frames, status, syslog_receiver
from slugkit import DynoRunner, FileDrain, HttpDrain, SyslogDrain
from slugkit.drains import Drain, Pump, drain_to
from slugkit.drains._frames import frames
from slugkit.drains._pump import pause
from slugkit.dyno._delivery import Delivery
from slugkit.errors import DrainFailedError, DrainRefusedError, InvalidSettingError
from slugkit.events import DrainClosed, DrainFailed, DynoEvent
from slugkit.logline import LogLine, system_line
from slugkit.testing import make_slug

TOKEN = "d.fc6b856b-3332-4546-93de-7d0ee272c3bd"
NOON = datetime(2014, 7, 1, 12, 0, 0, 42, tzinfo=UTC)
HOSTILE = (
    "\x1b[2J\x1b]0;title\x07",
    "nul \0 here",
    "\ufffd\ufffd",
    "x\n83 <190>1 2014-07-01T12:00:00+00:00 host app web.1 - - forged",
    "<40>1 2014-07-01T12:00:00+00:00 host heroku web.1 - - State changed",
    "99999999 <190>1 ",
    "over\rwritten",
    "",
    " ",
    "\u2028\u202e\U0001f600",
    "\udcff",
    "x" * 10_000,
    "\N{REPLACEMENT CHARACTER}" * 10_000,
)


def line(message: str, source: str = "app", process: str = "web.1") -> LogLine:
    return LogLine(NOON, source, process, "stdout", message)


def numbered(count: int, start: int = 0) -> list[LogLine]:
    return [line(f"line {number}") for number in range(start, start + count)]


def texts(lines: Sequence[LogLine]) -> list[str]:
    return [each.message for each in lines]


def lost_in(messages: Sequence[str]) -> list[int]:
    """Return the counts that the loss notices among *messages* tell."""
    found = (
        re.fullmatch(r"Error L10 \(output buffer overflow\): (\d+) messages dropped since \S+\.", m) for m in messages
    )
    return [int(match[1]) for match in found if match]


@contextmanager
def drained(drain: Drain, *, flush: float = 20.0) -> Iterator[tuple[Delivery, list[DynoEvent]]]:
    """Yield a delivery with *drain* and the events it tells, which are complete after the block."""
    events: list[DynoEvent] = []
    delivery = Delivery(None, events.append, [drain], flush)
    delivery.start()
    try:
        yield delivery, events
    finally:
        delivery.close()


def closed(events: Sequence[DynoEvent]) -> tuple[int, int]:
    """Return what was sent and what lost, by the event that tells of it."""
    (event,) = (event for event in events if isinstance(event, DrainClosed))
    return event.sent, event.lost


@define(eq=False)
class Memory:
    """A drain of one's own: it keeps what it gets, while it is let."""

    buffer: int = 1024
    refuse: list[BaseException] = field(factory=list)
    gate: threading.Event = field(factory=threading.Event)
    entered: threading.Event = field(factory=threading.Event)
    got: list[LogLine] = field(factory=list)
    ends: int = 0

    def send(self, lines: Sequence[LogLine]) -> None:
        """Take them, or do as told."""
        self.entered.set()
        self.gate.wait(20)
        if self.refuse:
            raise self.refuse.pop(0)
        self.got += lines

    def close(self) -> None:
        """Count it, and let a send end."""
        self.ends += 1
        self.gate.set()


# -- frames ----------------------------------------------------------------------------------------------------


def test_a_syslog_frame_is_what_logplex_writes() -> None:
    """A frame is LEN <PRI>1 TIME TOKEN APP PROCID - - MSG, a newline, and no byte more (contract.md 5.4)."""
    message = f"<190>1 2014-07-01T12:00:00.000042+00:00 {TOKEN} app web.1 - - h\u00e9llo\n".encode()
    system = f"<45>1 2014-07-01T12:00:00.000042+00:00 {TOKEN} heroku web.1 - - Restarting\n".encode()

    assert [*frames([line("h\u00e9llo")], TOKEN, "app", "- -")] == [b"%d %b" % (len(message), message)]
    assert [*frames([line("Restarting", "heroku")], TOKEN, "shop", "- -")] == [b"%d %b" % (len(system), system)]


def test_frames_are_those_of_their_lines() -> None:
    """Many lines at once give the frames of each, whoever wrote them and when."""
    lines = [
        line("a"),
        line("b"),
        line("c", process="web.2"),
        line("d", "heroku"),
        system_line("web.1", "e"),
        line("f"),
    ]

    assert [*frames(lines, TOKEN, "x", "-")] == [frame for each in lines for frame in frames([each], TOKEN, "x", "-")]


def test_a_logplex_frame_has_one_dash() -> None:
    """HTTP frames leave out the structured data, against RFC 5424, as Logplex does (contract.md 5.4)."""
    message = b"<190>1 2014-07-01T12:00:00.000042+00:00 host shop web.1 - hello\n"

    assert [*frames([line("hello")], "host", "shop", "-")] == [b"%d %b" % (len(message), message)]


@pytest.mark.parametrize("dashes", ["-", "- -"])
@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:20]))
def test_hostile_text_stays_one_message(text: str, dashes: str) -> None:
    """Whatever a dyno prints, a receiver sees messages of that dyno only, none too long, and not a line more."""
    data = b"".join(frames([line(text)], TOKEN, "app", dashes))
    messages, rest = read_frames(data, structured=dashes == "- -")

    assert rest == b""
    assert {(m.pri, m.host, m.app, m.process) for m in messages} == {(190, TOKEN, "app", "web.1")}
    assert len(messages) == (4 if len(text.encode("utf-8", "replace")) > 10_000 else 1)
    assert all("\n" not in m.text and "\0" not in m.text for m in messages)


@given(st.text(), st.text(), st.text())
def test_no_line_forges_a_frame(message: str, source: str, process: str) -> None:
    """Even a line made by hand, with any text as its source and process, is one message."""
    data = b"".join(frames([LogLine(NOON, source, process, "stdout", message)], "host", "app", "- -"))
    messages, rest = read_frames(data, structured=True)

    assert (len(messages), rest) == (1, b"")


# -- the pump --------------------------------------------------------------------------------------------------


def test_a_drain_of_ones_own_gets_every_line_in_order() -> None:
    """An object with buffer, send and close is a drain; it gets every line, oldest first, and is closed."""
    drain = Memory()
    drain.gate.set()
    with drained(drain) as (delivery, events):
        delivery.put_lines(numbered(500))
        delivery.put_lines(numbered(500, 500))

    assert drain.got == numbered(1000)
    assert closed(events) == (1000, 0)
    assert drain.ends == 1


def test_overflow_drops_the_oldest_and_says_so() -> None:
    """A buffer keeps the newest 1024 lines; an L10 line in their place says how many went, and none is uncounted."""
    drain = Memory()
    with drained(drain) as (delivery, events):
        delivery.put_lines([line("first")])
        assert drain.entered.wait(20)  # it has "first" in its hands, and will not have done with it
        for start in range(0, 5000, 500):
            delivery.put_lines(numbered(500, start))
        drain.gate.set()
    got = texts(drain.got)

    assert got[0] == "first"
    assert lost_in([got[1]]) == [5000 - 1024]
    assert got[2:] == texts(numbered(1024, 5000 - 1024))
    assert (drain.got[1].source, drain.got[1].process) == ("heroku", "logplex")
    assert closed(events) == (1025, 5000 - 1024)


def test_what_failed_is_sent_again_and_told_once() -> None:
    """OSError means again: nothing is lost, nothing comes twice, and one event tells of all failures in a row."""
    drain = Memory(refuse=[OSError("no \x1b[2J route"), TimeoutError(), ConnectionResetError("x")])
    drain.gate.set()
    with drained(drain) as (delivery, events):
        delivery.put_lines(numbered(10))

    assert drain.got == numbered(10)
    assert [event.reason for event in events if isinstance(event, DrainFailed)] == ["no \\x1b[2J route"]
    assert closed(events) == (10, 0)


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), ZeroDivisionError()])
def test_any_other_error_loses_its_lines_only(error: BaseException) -> None:
    """What raises something else than OSError has lost those lines, which are counted; the next are sent."""
    drain = Memory(refuse=[error])
    drain.gate.set()
    with drained(drain) as (delivery, events):
        delivery.put_lines(numbered(3))
        deadline = time.monotonic() + 20
        while not events:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        delivery.put_lines(numbered(2, 3))
    got = texts(drain.got)

    assert lost_in(got[:1]) == [3]
    assert got[1:] == ["line 3", "line 4"]
    assert closed(events) == (2, 3)


def test_closing_gives_up_at_the_deadline() -> None:
    """Closing waits no longer than it was told to, interrupts what hangs, and says how many lines were lost."""
    drain = Memory(refuse=[OSError("interrupted")])
    started = time.monotonic()
    with drained(drain, flush=0.2) as (delivery, events):
        delivery.put_lines(numbered(10))

    assert time.monotonic() - started < 10
    assert closed(events) == (0, 10)
    assert drain.ends == 2  # once to interrupt, once at the end


def test_a_drain_that_fails_to_close_is_closed(capsys: pytest.CaptureFixture[str]) -> None:
    """An error of close changes nothing, prints nothing, and the end is told once however often one closes."""

    class Stubborn(Memory):
        def close(self) -> None:
            raise ValueError("no")

    drain = Stubborn()
    drain.gate.set()
    with drained(drain, flush=float("inf")) as (delivery, events):
        delivery.put_lines(numbered(3))
        delivery.close()

    assert closed(events) == (3, 0)
    assert capsys.readouterr() == ("", "")


def test_closing_does_not_wait_for_the_next_attempt() -> None:
    """However long the pause between attempts has grown, closing makes one more at once."""
    drain = Memory(refuse=[OSError("no")] * 8)
    drain.gate.set()
    with drained(drain) as (delivery, events):
        delivery.put_lines(numbered(1))
        deadline = time.monotonic() + 20
        while drain.refuse[4:]:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    assert closed(events) == (1, 0)


def test_pauses_grow_and_end() -> None:
    """Pauses double from a tenth of a second up to half a minute, with a jitter of up to a half."""
    longest = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]

    for failures, most in enumerate(longest, 1):
        assert all(most / 2 <= pause(failures) <= most for _ in range(20))
    assert len({pause(5) for _ in range(20)}) > 1
    assert pause(10**6) <= 30


def test_a_drain_has_one_thread() -> None:
    """A drain costs a thread of the runner's, from the first dyno until closing, and none before."""
    drain, before = Memory(), threading.active_count()
    drain.gate.set()
    delivery = Delivery(None, None, [drain], 5.0)
    assert threading.active_count() == before
    delivery.start()
    assert threading.active_count() == before + 1
    delivery.close()
    assert threading.active_count() == before


# -- files -----------------------------------------------------------------------------------------------------


def read(path: Path) -> list[str]:
    """Return the lines of a file that ends with a whole one."""
    text = path.read_text()
    assert text.endswith("\n")
    return text.split("\n")[:-1]


def test_a_file_gets_the_lines_of_heroku_logs(tmp_path: Path) -> None:
    """A file has a line a line, escapes made harmless, and is for its owner's eyes."""
    path = tmp_path / "app.log"
    drain = FileDrain(path)
    drain.send([line("one"), line("\x1b[2J\n")])
    drain.send([line("Restarting", "heroku")])

    assert read(path) == [
        "2014-07-01T12:00:00.000042+00:00 app[web.1]: one",
        "2014-07-01T12:00:00.000042+00:00 app[web.1]: \\x1b[2J\\x0a",
        "2014-07-01T12:00:00.000042+00:00 heroku[web.1]: Restarting",
    ]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("keep", [0, 1, 3])
def test_full_files_are_rotated(tmp_path: Path, keep: int) -> None:
    """No file grows past its size, as many are kept as asked for, the newest lines are in them, in order, none cut."""
    path = tmp_path / "app.log"
    drain = FileDrain(path, max_size=1000, keep=keep)
    for start in range(0, 200, 7):
        drain.send(numbered(7, start))
    names = [path, *(tmp_path / f"app.log.{number}" for number in range(1, keep + 1))]
    found = [text.rpartition(": ")[2] for name in reversed(names) for text in read(name)]

    assert sorted(tmp_path.iterdir()) == sorted(names)
    assert all(name.stat().st_size <= 1000 for name in names)
    assert found == texts(numbered(203))[-len(found) :]
    assert len(found) > keep * 15


def test_a_line_longer_than_a_file_gets_one(tmp_path: Path) -> None:
    """A line is never cut: one that is too long is alone in its file."""
    path = tmp_path / "app.log"
    FileDrain(path, max_size=100, keep=2).send([line("a"), line("x" * 500), line("b")])

    assert [read(tmp_path / name)[0][-3:] for name in ("app.log.2", "app.log.1", "app.log")] == [": a", "xxx", ": b"]


def test_a_file_that_is_taken_away_is_made_anew(tmp_path: Path) -> None:
    """Another program may rename or remove the file at any time."""
    path = tmp_path / "app.log"
    drain = FileDrain(path)
    drain.send([line("one")])
    path.rename(tmp_path / "elsewhere")
    drain.send([line("two")])

    assert [text[-3:] for text in read(path)] == ["two"]


def test_a_failed_rotation_writes_nothing_twice(tmp_path: Path) -> None:
    """Lines that were written before the file could not be rotated are not written again."""
    path = tmp_path / "app.log"
    obstacle = tmp_path / "app.log.1"
    (obstacle / "x").mkdir(parents=True)
    drain = FileDrain(path, max_size=150, keep=1)
    lines = numbered(4)
    for _ in range(2):
        with pytest.raises(OSError, match="directory"):
            drain.send(lines)
    (obstacle / "x").rmdir()
    obstacle.rmdir()
    drain.send(lines)

    assert [text[-1] for name in (obstacle, path) for text in read(name)] == ["0", "1", "2", "3"]


@contextmanager
def full_disk(directory: Path) -> Iterator[Callable[[], None]]:
    """Let there be hardly any room in *directory*, and yield what makes some: a small tmpfs, or a small file size."""
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "slugkit-test", str(directory)]
    if os.geteuid() == 0 and subprocess.run(command, check=False, capture_output=True).returncode == 0:
        (directory / "ballast").write_bytes(b"x" * 60 * 1024)
        try:
            yield (directory / "ballast").unlink
        finally:
            subprocess.run(["umount", str(directory)], check=True)
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_told_and_counted(tmp_path: Path) -> None:
    """Lines wait while the disk is full; what no longer fits the buffer is counted; there is never half a line."""
    path = tmp_path / "tiny" / "app.log"
    with full_disk(path.parent) as make_room:
        with drained(FileDrain(path, buffer=200)) as (delivery, events):
            for start in range(0, 1000, 100):
                delivery.put_lines(numbered(100, start))
                time.sleep(0.02)
            deadline = time.monotonic() + 20
            while not events:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert not path.read_text() or read(path)
            make_room()
        written = [text.partition(": ")[2] for text in read(path)]
    lost = sum(lost_in(written))
    lines = [text for text in written if text.startswith("line ")]

    assert isinstance(events[0], DrainFailed)
    assert "No space left" in events[0].reason or "File too large" in events[0].reason
    assert lost > 0
    assert len(lines) + lost == 1000
    assert lines == sorted(set(lines), key=lambda text: int(text[5:]))
    assert closed(events) == (len(lines), lost)


def test_a_file_that_cannot_be_opened_harms_nothing(tmp_path: Path) -> None:
    """A path without a directory is told as an event, and its lines as lost."""
    with drained(FileDrain(tmp_path / "none" / "app.log"), flush=0.1) as (delivery, events):
        delivery.put_lines(numbered(3))

    assert isinstance(events[0], DrainFailed)
    assert closed(events) == (0, 3)


# -- syslog ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True])
def test_syslog_receives_every_line(tls: bool) -> None:  # noqa: FBT001 - a parameter
    """Every line arrives, in order, over TCP and over TLS, all of it on one connection."""
    scheme = "syslog+tls" if tls else "syslog"
    with syslog_receiver(tls=tls) as (port, received):
        drain = SyslogDrain(f"{scheme}://localhost:{port}", token=TOKEN, cafile=CA if tls else None)
        with drained(drain) as (delivery, events):
            delivery.put_lines([*numbered(500), line("Restarting", "heroku")])

    assert received.texts == [*texts(numbered(500)), "Restarting"]
    assert {(m.pri, m.host, m.app) for m in received.messages} == {(190, TOKEN, "app"), (45, TOKEN, "heroku")}
    assert (received.connections, received.torn) == (1, [b""])
    assert closed(events) == (501, 0)


@pytest.mark.parametrize("tls", [False, True])
def test_a_connection_closed_in_the_middle_of_a_frame_tears_nothing(tls: bool) -> None:  # noqa: FBT001 - a parameter
    """When the receiver leaves, the drain comes back by itself, with whole frames, and from then on loses nothing."""
    scheme = "syslog+tls" if tls else "syslog"
    with syslog_receiver(tls=tls, close_after=1000) as (port, received):
        drain = SyslogDrain(f"{scheme}://localhost:{port}", cafile=CA if tls else None)
        with drained(drain) as (delivery, events):
            delivery.put_lines(numbered(3))
            received.wait_for(lambda r: len(r.messages) >= 3)
            deadline, count = time.monotonic() + 20, 3
            while received.connections < 2:
                assert time.monotonic() < deadline
                delivery.put_lines([line("x" * 900)])
                count += 1
                time.sleep(0.01)
            delivery.put_lines(numbered(10))

    assert received.torn[0] != b""
    assert set(received.torn[1:]) == {b""}
    assert set(received.texts[3:-10]) <= {"x" * 900}
    assert received.texts[:3] == texts(numbered(3))
    assert received.texts[-10:] == texts(numbered(10))
    assert closed(events) == (count + 10, 0)


def test_a_receiver_that_left_while_nothing_was_sent_costs_no_line() -> None:
    """A connection that the other end has closed is noticed before a line is sent into nothing."""
    with syslog_receiver() as (port, first):
        drain = SyslogDrain(f"syslog://127.0.0.1:{port}")
        with drained(drain) as (delivery, events):
            delivery.put_lines([line("one")])
            first.wait_for(lambda r: r.texts == ["one"])
            _hang_up_on(drain)
            delivery.put_lines([line("two")])
            first.wait_for(lambda r: r.texts == ["one", "two"])

    assert first.connections == 2
    assert closed(events) == (2, 0)


def _hang_up_on(drain: SyslogDrain) -> None:
    """Let the receiver's side of *drain*'s connection end."""
    connection = drain._socket
    assert connection is not None
    connection.shutdown(socket.SHUT_WR)  # the receiver sees the end and closes
    deadline = time.monotonic() + 20
    while drain._alive(connection):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_receiver_that_comes_late_hears_what_it_missed() -> None:
    """While nobody listens the newest 1024 lines wait; who then does hears how many it missed, first."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with drained(SyslogDrain(f"syslog://127.0.0.1:{port}")) as (delivery, events):
        delivery.put_lines([line("first")])
        while not events:
            time.sleep(0.01)
        for start in range(0, 3000, 1000):
            delivery.put_lines(numbered(1000, start))
        with syslog_receiver(port=port) as (_, received):
            received.wait_for(lambda r: len(r.messages) >= 1026)

    assert received.texts[0] == "first"
    assert lost_in(received.texts) == [3000 - 1024]
    assert received.texts[2:] == texts(numbered(1024, 3000 - 1024))
    assert closed(events) == (1025, 3000 - 1024)


def test_tls_is_verified() -> None:
    """A certificate that nobody trusted here vouches for, or that names another host, gets no line."""
    with syslog_receiver(tls=True) as (port, received):
        for drain in (
            SyslogDrain(f"syslog+tls://localhost:{port}"),
            SyslogDrain(f"syslog+tls://127.0.0.2:{port}", cafile=CA),
        ):
            with drained(drain, flush=0.1) as (delivery, events):
                delivery.put_lines([line("secret")])
            assert closed(events) == (0, 1)

    assert received.texts == []


@pytest.mark.parametrize("scheme", ["syslog+tls", "https"])
def test_a_handshake_without_an_answer_is_interrupted(scheme: str) -> None:
    """Who accepts connections and says nothing holds up the end no longer than it was given."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"{scheme}://127.0.0.1:{deaf.getsockname()[1]}"
        drain = HttpDrain(url, timeout=60) if scheme == "https" else SyslogDrain(url, timeout=60)
        before = threading.active_count()
        with drained(drain, flush=0.2) as (delivery, events):
            delivery.put_lines(numbered(1))

        assert threading.active_count() == before
        assert closed(events) == (0, 1)


def test_a_receiver_that_reads_nothing_blocks_nobody() -> None:
    """Who connects and never reads costs its own lines, counted, and no more time at the end than was given."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        started = time.monotonic()
        with drained(SyslogDrain(f"syslog://127.0.0.1:{port}"), flush=0.3) as (delivery, events):
            for _ in range(20):
                delivery.put_lines([line("x" * 10_000)] * 1000)
        sent, lost = closed(events)

        assert time.monotonic() - started < 15
        assert sent + lost == 20_000
        assert lost > 0


# -- HTTP ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True])
def test_http_posts_as_logplex_does(tls: bool) -> None:  # noqa: FBT001 - a parameter
    """Lines come as application/logplex-1, with the headers of Logplex, a count that is right, and one connection."""
    scheme = "https" if tls else "http"
    with http_receiver(tls=tls) as server:
        url = f"{scheme}://me%40home:se%3Acret@localhost:{server.server_port}/in/1?x=y"
        with drained(HttpDrain(url, app="shop", token=TOKEN, cafile=CA if tls else None)) as (delivery, events):
            delivery.put_lines([*numbered(300), line("Restarting", "heroku")])

    assert server.texts == [*texts(numbered(300)), "Restarting"]
    assert {(m.pri, m.host, m.app) for post in server.posts for m in post.messages} == {
        (190, "host", "shop"),
        (45, "host", "heroku"),
    }
    assert len({post.headers["Logplex-Frame-Id"] for post in server.posts}) == len(server.posts)
    for post in server.posts:
        assert post.path == "/in/1?x=y"
        assert post.headers["Content-Type"] == "application/logplex-1"
        assert post.headers["Logplex-Msg-Count"] == str(len(post.messages))
        assert post.headers["Logplex-Drain-Token"] == TOKEN
        assert post.headers["Authorization"] == "Basic bWVAaG9tZTpzZTpjcmV0"
    assert closed(events) == (301, 0)


@pytest.mark.parametrize("failure", [status(500), status(503), status(429), hang_up, hang, babble])
def test_a_batch_that_fails_is_posted_again_under_its_id(failure: Any) -> None:  # noqa: ANN401 - an answer
    """A receiver that fails, hangs or leaves in its answer gets the batch again with the same frame id."""
    with http_receiver({1: failure}) as server:
        url = f"https://localhost:{server.server_port}"
        with drained(HttpDrain(url, cafile=CA, timeout=0.5)) as (delivery, events):
            delivery.put_lines(numbered(3))
            server.wait_for(2)
            delivery.put_lines(numbered(1, 3))

    first, second, third = server.posts
    assert first.messages == second.messages
    assert first.headers["Logplex-Frame-Id"] == second.headers["Logplex-Frame-Id"]
    assert third.headers["Logplex-Frame-Id"] != second.headers["Logplex-Frame-Id"]
    assert [m.text for m in third.messages] == ["line 3"]
    assert isinstance(events[0], DrainFailed)
    assert events[0].reason.isprintable()
    assert closed(events) == (4, 0)


def test_a_receiver_that_leaves_in_the_middle_of_a_frame_gets_it_all_later() -> None:
    """A request that was read in part is made again, whole."""
    with (
        http_receiver(cuts=2) as server,
        drained(HttpDrain(f"https://localhost:{server.server_port}", cafile=CA)) as (delivery, events),
    ):
        delivery.put_lines([line("x" * 10_000)] * 100)

    assert server.texts == ["x" * 10_000] * 100
    assert closed(events) == (100, 0)


def test_an_answer_without_end_is_not_read() -> None:
    """What a receiver says after its status is nobody's business: it holds up nothing."""
    with (
        http_receiver({1: never_end}) as server,
        drained(HttpDrain(f"https://localhost:{server.server_port}", cafile=CA)) as (delivery, events),
    ):
        delivery.put_lines(numbered(1))
        server.wait_for(1)
        delivery.put_lines(numbered(1, 1))

    assert server.texts == ["line 0", "line 1"]
    assert closed(events) == (2, 0)


@pytest.mark.parametrize("code", [301, 400, 401, 404, 413])
def test_what_is_refused_is_lost_and_counted(code: int) -> None:
    """A 3xx or 4xx means these lines are not wanted: the receiver hears of the loss with the next ones."""
    with http_receiver({1: status(code)}) as server:
        drain = HttpDrain(f"https://localhost:{server.server_port}", cafile=CA)
        with drained(drain) as (delivery, events):
            delivery.put_lines(numbered(3))
            server.wait_for(1)
            delivery.put_lines(numbered(1, 3))

    assert [len(post.messages) for post in server.posts] == [3, 2]
    assert lost_in(server.texts) == [3]
    assert server.texts[-1] == "line 3"
    assert str(code) in next(event.reason for event in events if isinstance(event, DrainFailed))
    assert closed(events) == (1, 3)


def test_errors_of_http_say_what_to_do() -> None:
    """A failure is an OSError, worth another try; a refusal is none, and its error names the way out."""
    with http_receiver({1: status(500), 2: status(401)}, tls=False) as server:
        drain = HttpDrain(f"http://localhost:{server.server_port}")
        with pytest.raises(DrainFailedError, match="500"):
            drain.send(numbered(1))
        with pytest.raises(DrainRefusedError, match="401") as caught:
            drain.send(numbered(1))
        drain.close()

    assert "password" in (caught.value.hint or "")


# -- settings --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "url"),
    [
        (SyslogDrain, "https://localhost"),
        (SyslogDrain, "syslog://"),
        (SyslogDrain, "syslog://host:99999"),
        (SyslogDrain, "syslog://host:0"),
        (SyslogDrain, "host:514"),
        (SyslogDrain, "syslog://ho st:1"),
        (HttpDrain, "syslog://localhost"),
        (HttpDrain, "https://user:hunter2@"),
        (HttpDrain, "https://user:hunter2@[::1"),
        (HttpDrain, "https://user:hunter2@host/a\r\nX-Forged: 1"),
        (HttpDrain, "https://user:hunter2@host:port/"),
        (HttpDrain, ""),
    ],
)
def test_what_is_no_address_is_refused_at_the_door(make: Any, url: str) -> None:  # noqa: ANN401 - either class
    """A URL of the wrong kind, without a host, or with odd characters is an error that does not show the URL."""
    with pytest.raises(InvalidSettingError) as caught:
        make(url)

    assert "hunter2" not in f"{caught.value}{caught.value!r}"
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "settings",
    [
        {"token": "d.x y"},
        {"token": ""},
        {"app": "two words"},
        {"app": "a\r\nb"},
        {"timeout": 0.0},
        {"timeout": float("nan")},
        {"timeout": float("inf")},
        {"cafile": "/no/such/file"},
        {"cafile": os.devnull},
    ],
    ids=str,
)
@pytest.mark.parametrize("make", [SyslogDrain, HttpDrain])
def test_settings_are_checked(make: Any, settings: dict[str, Any]) -> None:  # noqa: ANN401 - either class
    """What cannot be a token, an app, a time or a list of certificates is refused when the drain is made."""
    url = "syslog+tls://localhost" if make is SyslogDrain else "https://localhost"

    with pytest.raises(InvalidSettingError):
        make(url, **settings)


def test_sizes_are_checked(tmp_path: Path) -> None:
    """Files hold a byte and are kept or not; buffers hold a line; waiting takes no negative time."""
    for settings in ({"max_size": 0}, {"keep": -1}):
        with pytest.raises(InvalidSettingError):
            FileDrain(tmp_path / "x", **settings)
    with pytest.raises(InvalidSettingError):
        Pump(FileDrain(tmp_path / "x", buffer=0), print)
    with pytest.raises(InvalidSettingError):
        DynoRunner(store=tmp_path / "store", flush_timeout=-1)


def test_secrets_of_a_url_are_shown_nowhere() -> None:
    """User, password, path and query of a drain's URL are in no repr, no event and no error."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    secret = HttpDrain(f"https://user:hunter2@127.0.0.1:{port}/in/tok3n?key=s3cret")
    with drained(secret, flush=0.1) as (delivery, events):
        delivery.put_lines(numbered(1))
    shown = repr(secret) + repr(vars(secret)["_address"]) + repr(events)

    assert isinstance(events[0], DrainFailed)
    assert f"https://127.0.0.1:{port}" in shown
    assert not [word for word in ("user", "hunter2", "tok3n", "s3cret") if word in shown]


@pytest.mark.parametrize(
    ("place", "drain"),
    [
        ("app.log", "FileDrain('app.log')"),
        ("/var/log/app.log", "FileDrain('/var/log/app.log')"),
        ("./syslog:x", "FileDrain('syslog:x')"),
        ("syslog://logs.example.com", "SyslogDrain('syslog://logs.example.com:514')"),
        ("syslog+tcp://logs.example.com:1514", "SyslogDrain('syslog+tcp://logs.example.com:1514')"),
        ("SYSLOG+TLS://[::1]", "SyslogDrain('syslog+tls://[::1]:6514')"),
        ("https://me:hunter2@logs.example.com/in?key=tok3n", "HttpDrain('https://logs.example.com:443')"),
        ("http://localhost:80/", "HttpDrain('http://localhost:80')"),
    ],
)
def test_a_drain_by_its_place(place: str, drain: str) -> None:
    """A drain is named by a file's path, or by a URL as Heroku's drains:add takes it."""
    assert repr(drain_to(place)) == drain


@pytest.mark.parametrize(
    ("place", "named"),
    [
        ("gopher://logs.example.com/hunter2", "'gopher://logs.example.com...'"),
        ("gopher://me:hunter2@logs.example.com", "'gopher:...'"),
        ("logs.example.com:514", "'logs.example.com:...'"),
        ("https://", "'https://...'"),
        ("https://me:hunter2", "'https://me...'"),
        ("https://me:hun/hunter2@logs.example.com:port/", "'https:...'"),
        ("syslog+tls:logs.example.com", "'syslog+tls:...'"),
        ("syslog://logs.example.com:99999/?hunter2", "'syslog://logs.example.com...'"),
        ("me:hunter2@logs.example.com", "'me:...'"),
        ("", "''"),
        ("a\0b", r"'a\x00b'"),
    ],
)
def test_a_place_that_is_none_is_named_without_its_secrets(place: str, named: str) -> None:
    """What leads nowhere is an error that names it and the schemes there are, and nothing that may be a secret."""
    with pytest.raises(InvalidSettingError) as caught:
        drain_to(place)
    error = caught.value

    assert str(error).startswith(f"drain: {named} is no file, and no URL of a host: those begin with syslog://, ")
    assert all(f"{scheme}://" in error.reason for scheme in ("syslog+tcp", "syslog+tls", "https", "http"))
    assert "hunter2" not in f"{error!r}{error.__cause__}" + "".join(traceback.format_exception(error))


def test_tokens_are_logplexs_and_ones_own() -> None:
    """A drain without a token gets a new one, d. and a UUID."""
    tokens = {SyslogDrain("syslog://host").token for _ in range(3)}

    assert len(tokens) == 3
    assert all(re.fullmatch(r"d\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", token) for token in tokens)


# -- with dynos ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("sandboxed")
def test_dynos_feed_all_drains(tmp_path: Path) -> None:
    """Every line of every dyno, and of the platform about it, goes to every drain."""
    path, seen = tmp_path / "app.log", list[LogLine]()
    slug = make_slug(tmp_path, {}, worker="seq 200; echo oops >&2")
    with syslog_receiver() as (port, received):
        drains: list[Drain] = [FileDrain(path), SyslogDrain(f"syslog://localhost:{port}")]
        with DynoRunner(store=tmp_path / "store", drains=drains, on_log=seen.append) as runner:
            runner.start(slug, "worker").wait()

    assert len(seen) == 205
    assert read(path) == [str(each) for each in seen]
    assert received.texts == texts(seen)


@pytest.mark.usefixtures("sandboxed")
def test_what_a_dyno_prints_forges_nothing(tmp_path: Path) -> None:
    """Frames, NULs, escapes and bytes that are no text, printed by a dyno, reach a receiver as that dyno's lines."""
    forged = b"99 <40>1 2014-07-01T12:00:00+00:00 d.x heroku web.9 - - forged"
    printed = b"\n".join([forged, b"a\0b", b"\x1b[2J", b"\xff\xfe", b"\r" + forged, b"x" * 10_001, b""])
    slug = make_slug(tmp_path, {"printed": printed}, worker="cat printed")
    with (
        syslog_receiver() as (port, received),
        DynoRunner(store=tmp_path / "store", drains=[SyslogDrain(f"syslog://localhost:{port}")]) as runner,
    ):
        runner.start(slug, "worker").wait()
    app = [message for message in received.messages if message.app == "app"]

    assert len({message.host for message in received.messages}) == 1
    assert {message.process for message in received.messages} == {"worker.1"}
    assert [message.text for message in app] == [
        forged.decode(),
        "a\\x00b",
        "\x1b[2J",
        "\ufffd\ufffd",
        "\r" + forged.decode(),
        "x" * 10_000,
        "x",
    ]


@pytest.mark.usefixtures("sandboxed")
def test_a_drain_that_fails_harms_no_dyno(tmp_path: Path) -> None:
    """A dyno neither waits for a drain nor hears of it; the end is told with what was lost."""
    events: list[DynoEvent] = []
    slug = make_slug(tmp_path, {}, worker="seq 20000")
    drain = FileDrain(tmp_path / "none" / "app.log", buffer=10)
    with DynoRunner(store=tmp_path / "s", drains=[drain], on_event=events.append, flush_timeout=0.1) as runner:
        assert runner.start(slug, "worker").wait() == 0

    assert closed(events) == (0, 20_004)
