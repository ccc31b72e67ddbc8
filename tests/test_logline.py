import pickle
import re
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from slugkit.logline import LONGEST, LineSplitter, LogLine, harmless, system_line

NOON = datetime(2014, 7, 1, 12, 0, 0, 42, tzinfo=UTC)
# contract.md 5.2: how Heroku's command line takes a log line apart to colour it.
HEROKU_CLI = re.compile(r"^(.*?\[([\w-]+)([\d.]+)?]:)(.*)?$")


def split(*chunks: bytes) -> list[str]:
    splitter = LineSplitter()
    lines = [line for chunk in chunks for line in splitter.feed(chunk)]
    return lines + list(splitter.flush())


def expected(stream: bytes) -> list[str]:
    """Say, from the whole stream at once, which lines it has."""
    *lines, rest = stream.split(b"\n")
    lines += [rest] if rest else []
    whole = [line.removesuffix(b"\r").decode("ascii") for line in lines]
    return [line[at : at + LONGEST] for line in whole for at in range(0, max(len(line), 1), LONGEST)]


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        ([], []),
        ([b""], []),
        ([b"a\nb\n"], ["a", "b"]),
        ([b"a\n", b"b"], ["a", "b"]),
        ([b"a", b"b\nc", b"\n"], ["ab", "c"]),
        ([b"\n\n"], ["", ""]),
        ([b"a\r\nb\r", b"\n"], ["a", "b"]),
        ([b"a\r"], ["a"]),
        ([b"50%\r100%\n"], ["50%\r100%"]),
        ([b"a\r\r\n"], ["a\r"]),
        ([b"a\x0bb\x0cc\x1cd\n"], ["a\x0bb\x0cc\x1cd"]),
        (["x\u2028y\u0085z\n".encode()], ["x\u2028y\u0085z"]),
        ([b"\xc3", b"\xa9\n"], ["\u00e9"]),
        ([b"\xff\xfe\n"], ["\ufffd\ufffd"]),
        ([b"a\0b\n"], ["a\0b"]),
    ],
)
def test_lines_end_at_newlines_only(chunks: list[bytes], lines: list[str]) -> None:
    """A line ends at a newline and nowhere else, loses one carriage return, and odd bytes do no harm."""
    assert split(*chunks) == lines


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b""])
@pytest.mark.parametrize("size", [9_999, 10_000, 10_001, 20_000, 20_001, 35_000])
def test_long_lines_are_cut_at_10_000_bytes(size: int, ending: bytes) -> None:
    """A line longer than 10 000 bytes arrives as lines of 10 000 bytes and a rest, without an empty one."""
    lines = split(b"x" * size + ending)

    assert [len(line) for line in lines] == [10_000] * (size // 10_000) + [size % 10_000] * (size % 10_000 > 0)


CHUNKS = st.lists(
    st.lists(st.tuples(st.sampled_from([b"x", b"\r", b"\n"]), st.integers(1, 12_000)), max_size=4).map(
        lambda runs: b"".join(byte * (count if byte == b"x" else count % 3) for byte, count in runs)
    ),
    max_size=8,
)


@given(CHUNKS)
@example([b"x" * LONGEST + b"\r", b"\n"])
@example([b"x" * LONGEST, b"\r", b"\r", b"\n"])
@example([b"x" * LONGEST, b"\n", b"y"])
def test_cutting_does_not_depend_on_how_bytes_arrive(chunks: list[bytes]) -> None:
    """However a dyno's output is cut into reads, its lines are those of the whole stream."""
    same = split(*chunks) == expected(b"".join(chunks))  # not in the assert: nobody reads 10 000 letters

    assert same


@given(st.lists(st.text(alphabet="ab\u00e9\u20ac\U0001f600\r\x0b\u2028", max_size=20)), st.integers(1, 7))
def test_pieces_rejoin(texts: list[str], size: int) -> None:
    """Text read a few bytes at a time comes out letter by letter the same."""
    stream = "".join(f"{text}.\n" for text in texts).encode()
    chunks = [stream[at : at + size] for at in range(0, len(stream), size)]

    assert split(*chunks) == [f"{text}." for text in texts]


def test_memory_stays_bounded() -> None:
    """A dyno that never prints a newline costs no more memory than one longest line."""
    splitter = LineSplitter()

    for _ in range(64):
        for line in splitter.feed(b"x" * 65_536):
            assert len(line) == LONGEST
        assert sum(len(line) for line in [*_copy(splitter).flush()]) <= LONGEST + 1


def _copy(splitter: LineSplitter) -> LineSplitter:
    twin: LineSplitter = pickle.loads(pickle.dumps(splitter))
    return twin


def test_flush_starts_afresh() -> None:
    """What was flushed does not come back with the next bytes."""
    splitter = LineSplitter()

    assert [*splitter.feed(b"half"), *splitter.flush(), *splitter.flush(), *splitter.feed(b"new\n")] == ["half", "new"]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain \u00e9\ttab", "plain \u00e9\ttab"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("over\rwritten", "over\\x0dwritten"),
        ("two\nlines", "two\\x0alines"),
        ("\x9b2J\x7f\x00", "\\x9b2J\\x7f\\x00"),
    ],
)
def test_control_characters_are_shown_not_obeyed(raw: str, shown: str) -> None:
    """What would move a cursor, set a title or fake a line is spelled out instead."""
    assert harmless(raw) == shown


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[1;31mred\x1b[m", "\x1b[1;31mred\x1b[m"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x1b[?25l", "\\x1b[?25l"),
        ("\x1b\x1b[31m", "\\x1b\x1b[31m"),
        ("end\x1b", "end\\x1b"),
    ],
)
def test_colours_may_stay(raw: str, shown: str) -> None:
    """Where colours are kept, nothing but colours is."""
    assert harmless(raw, keep_colour=True) == shown


@given(st.text())
def test_nothing_harmful_passes(text: str) -> None:
    """Whatever a dyno prints, what is shown holds no control character but tabs."""
    assert not re.search("[\x00-\x08\x0a-\x1f\x7f-\x9f]", harmless(text))
    assert not re.search("[\x00-\x08\x0a-\x1a\x1c-\x1f\x7f-\x9f]", harmless(text, keep_colour=True))


def test_renders_as_heroku_logs_does() -> None:
    """A log line reads TIME SOURCE[PROCESS]: MESSAGE, with microseconds and an offset."""
    line = LogLine(NOON, "app", "web.1", "stdout", "hello")

    assert str(line) == "2014-07-01T12:00:00.000042+00:00 app[web.1]: hello"
    assert str(LogLine(NOON.replace(microsecond=0), "app", "w.1", "stderr", "")).startswith(
        "2014-07-01T12:00:00.000000"
    )


@given(st.sampled_from(["web.1", "run.9157", "my-worker.12", "router", "api"]), st.text())
@example("web.1", "] [fake.1]: x")
def test_heroku_s_command_line_can_colour_it(process: str, message: str) -> None:
    """Every rendered line is one line and matches the expression by which Heroku's client finds the process."""
    rendered = str(LogLine(NOON, "app", process, "stdout", message))
    match = HEROKU_CLI.match(rendered)

    assert match
    assert match[1] == f"2014-07-01T12:00:00.000042+00:00 app[{process}]:"
    assert (match[2] + (match[3] or ""), match[4]) == (process, f" {harmless(message)}")


def test_the_message_is_kept_as_it_came() -> None:
    """Escapes are made harmless when shown; the data keeps them."""
    line = LogLine(NOON, "app", "web.1", "stdout", "\x1b[2J")

    assert line.to_dict() == {
        "time": "2014-07-01T12:00:00.000042+00:00",
        "source": "app",
        "process": "web.1",
        "stream": "stdout",
        "message": "\x1b[2J",
    }
    assert pickle.loads(pickle.dumps(line)) == line


def test_the_platform_speaks_as_heroku() -> None:
    """A line of the platform itself has the source "heroku" and a time with an offset."""
    line = system_line("web.1", "Process exited with status 0")

    assert (line.source, line.process, line.stream) == ("heroku", "web.1", "system")
    assert line.time.utcoffset() is not None
