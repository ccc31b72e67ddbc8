"""How lines and events reach whoever reads them: history, filters, tails, callbacks; and what happens to the slow."""

import asyncio
import gc
import pickle
import re
import resource
import threading
import time
import tracemalloc
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import assert_type

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slugkit import DynoRunner, LogLine, Tail
from slugkit._buffer import HEAVIEST, Buffer
from slugkit.dyno import RunnerEvent
from slugkit.dyno._delivery import Delivery
from slugkit.errors import InvalidSettingError
from slugkit.events import DynoStateChanged
from slugkit.logline import LONGEST, LineSplitter, system_line, wanted
from slugkit.testing import make_slug

NOON = datetime(2014, 7, 1, 12, tzinfo=UTC)
UP = DynoStateChanged("web.1", "starting", "up")
SAID = 4  # lines of the platform's own about a dyno that starts and ends
FEW = 5_000  # lines that a slow reader is slow with
BOUNDED = 64 * 2**20  # bytes of memory that lines may take: twice 100 000 that wait


def line(message: str, process: str = "web.1", source: str = "app") -> LogLine:
    return LogLine(NOON, source, process, "stdout", message)


def numbered(count: int, start: int = 0) -> list[LogLine]:
    return [line(str(number)) for number in range(start, start + count)]


def texts(lines: Sequence[RunnerEvent]) -> list[str]:
    return [each.message for each in lines if isinstance(each, LogLine)]


def lost_in(items: Sequence[RunnerEvent], code: str) -> int:
    """Return how many items the notices of *code* among *items* say were lost."""
    return sum(int(n) for text in texts(items) for n in re.findall(rf"Error {code} .*?(\d+) messages", text))


@pytest.fixture
def delivery() -> Iterator[Delivery]:
    delivery = Delivery(None, None, (), 5.0)
    delivery.start()
    yield delivery
    delivery.close()


# -- the buffer ------------------------------------------------------------------------------------------------


@given(
    st.integers(1, 12),
    st.lists(st.one_of(st.tuples(st.just("put"), st.integers(1, 20)), st.tuples(st.just("take"), st.integers(1, 20)))),
)
def test_a_buffer_is_a_bounded_queue_that_counts(most: int, steps: list[tuple[str, int]]) -> None:
    """Whatever is put and taken, in whatever portions: the newest are held, in order, and each is taken or counted."""
    buffer: Buffer[int] = Buffer(most)
    put, held, lost = 0, list[int](), 0
    for step, count in steps:
        if step == "put":
            buffer.put(range(put, put + count))
            held += range(put, put + count)
            put += count
            lost += max(len(held) - most, 0)
            held = held[-most:]
        else:
            taken = buffer.take(count, wait=False)
            assert (taken.items, taken.lost) == (held[:count], lost)
            held, lost = held[count:], 0

    assert buffer.take(wait=False).items == held
    assert buffer.total == put


def test_a_buffer_is_bounded_in_characters_too() -> None:
    """Lines of the longest kind push out the oldest long before there are as many as short ones may be."""
    buffer: Buffer[str] = Buffer()
    for _ in range(2 * HEAVIEST // LONGEST):
        buffer.put(["x" * LONGEST], LONGEST)
    taken = buffer.take()

    assert HEAVIEST - LONGEST < sum(map(len, taken.items)) <= HEAVIEST
    assert len(taken.items) + taken.lost == 2 * HEAVIEST // LONGEST


def test_a_batch_taken_in_parts_gives_its_weight_back() -> None:
    """What has been taken weighs nothing, however small the portions."""
    buffer: Buffer[str] = Buffer()
    for _ in range(20):
        buffer.put(["x", "y", "z"], HEAVIEST // 2)
        while buffer.take(1, wait=False).items:
            continue

    assert buffer.lost == 0


# -- lines -----------------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_decoding_at_once_is_decoding_each(chunks: list[bytes]) -> None:
    """Bytes that are no UTF-8 become the same lines, however they are read."""
    stream = b"".join(chunks)
    splitter = LineSplitter()
    found = [text for chunk in chunks for text in splitter.feed(chunk)] + splitter.flush()
    *whole, rest = stream.split(b"\n")

    assert found == [
        each.removesuffix(b"\r").decode("utf-8", "replace") for each in [*whole, *([rest] if rest else [])]
    ]


def test_a_gigabyte_without_a_newline_costs_no_memory() -> None:
    """A line that never ends is handed on in pieces; what is held stays below two of the longest and a read."""
    splitter, chunk = LineSplitter(), b"x" * 65536
    pieces = len(splitter.feed(chunk))
    tracemalloc.start()
    for _ in range(2**30 // len(chunk) // 16):  # the sixteenth part: it is the growth that counts
        pieces += len(splitter.feed(chunk))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert pieces == (2**26 + len(chunk)) // LONGEST
    assert peak < 4 * len(chunk)


@pytest.mark.parametrize(
    ("source", "process", "passing"),
    [
        (None, None, {"web.1", "web.12", "webhook.1", "worker.1", "web", "router"}),
        ("app", None, {"web.1", "web.12", "webhook.1", "worker.1", "web"}),
        ("heroku", None, {"router"}),
        ("ap", None, set()),
        (None, "web", {"web.1", "web.12", "web"}),
        (None, "web.1", {"web.1"}),
        (None, "web.", set()),
        (None, "we", set()),
        ("heroku", "web", set()),
        ("", "", set()),
    ],
)
def test_filters_are_logplexs(source: str | None, process: str | None, passing: set[str]) -> None:
    """A source is equal; a process is equal or goes on after a dot; both must hold (contract.md 5.2)."""
    lines = [line("x", name) for name in ("web.1", "web.12", "webhook.1", "worker.1", "web")]
    lines.append(line("x", "router", "heroku"))

    assert {each.process for each in filter(wanted(source, process), lines)} == passing


# -- history ---------------------------------------------------------------------------------------------------


def test_the_history_is_1500_lines_of_all_dynos(delivery: Delivery) -> None:
    """The newest 1500 lines are kept, whoever wrote them; 100 are returned, the oldest of them first."""
    delivery.put_lines(numbered(2000))
    delivery.put_lines([line("other", "worker.1")])

    assert texts(delivery.logs(None, None, 10_000)) == [*texts(numbered(1499, 501)), "other"]
    assert texts(delivery.logs(None, None, 2)) == ["1999", "other"]
    assert delivery.logs(None, None, 0) == delivery.logs(None, None, -1) == ()


def test_lines_are_counted_after_filtering(delivery: Delivery) -> None:
    """The number is how many come back, not how many are looked at: a quiet dyno is found among loud ones."""
    delivery.put_lines([line("quiet", "worker.1")])
    delivery.put_lines(numbered(1000))

    assert texts(delivery.logs("app", "worker", 1)) == ["quiet"]


# -- tails -----------------------------------------------------------------------------------------------------


def test_a_tail_is_the_backlog_and_then_every_line(delivery: Delivery) -> None:
    """No line between the old ones and the new ones is missing or comes twice, while others write all the time."""
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            delivery.put_lines(numbered(10, number))
            number += 10

    writer = threading.Thread(target=write)
    writer.start()
    tails = [delivery.tail(None, None, 50, 10**9) for _ in range(20) if not stop.wait(0.005)]
    stop.set()
    writer.join()
    delivery.close()

    assert len(tails) == 20
    for tail in tails:
        seen = [int(each.message) for each in tail]
        assert all(after == before + 1 for before, after in pairwise(seen))
        assert tail.lost == 0


def test_a_tail_is_filtered(delivery: Delivery) -> None:
    """A tail has only the lines that pass, and no events."""
    tail = delivery.tail("app", "web", 100, 100)
    delivery.put_lines([line("a"), line("b", "worker.1"), system_line("web.1", "c"), line("d", "web.2")])
    delivery.put(UP)
    delivery.close()

    assert texts(list(tail)) == ["a", "d"]


def test_events_are_lines_and_states_in_order(delivery: Delivery) -> None:
    """One stream has both; each reader may ask for less."""
    everything, states, lines = (delivery.events(kinds, 100) for kinds in ((), (DynoStateChanged,), (LogLine,)))
    delivery.put_lines(numbered(2))
    delivery.put(UP)
    delivery.put_lines(numbered(1, 2))
    delivery.close()

    assert list(everything) == [*numbered(2), UP, *numbered(1, 2)]
    assert list(states) == [UP]
    assert list(lines) == numbered(3)


def test_a_slow_reader_loses_its_oldest_and_is_told(delivery: Delivery) -> None:
    """Each reader has a buffer of its own; an L11 line in the place of what went says how many, exactly."""
    slow, quick = delivery.events((), 1024), delivery.events((), 10**6)
    delivery.put_lines(numbered(3000))
    first = [next(slow) for _ in range(3)]
    delivery.put_lines(numbered(3000, 3000))
    delivery.close()
    items = first + list(slow)

    assert list(quick) == numbered(6000)
    assert texts(items[:1])[0].startswith("Error L11 (Tail buffer overflow) -> This tail session dropped 1976 messages")
    assert lost_in(items, "L11") == slow.lost
    assert slow.lost + len([text for text in texts(items) if text.isdecimal()]) == 6000
    assert quick.lost == 0


def test_a_slow_reader_of_states_counts_without_a_line(delivery: Delivery) -> None:
    """Who asked for states gets no line, but can see how many were lost."""
    states = delivery.events((DynoStateChanged,), 1)
    for _ in range(5):
        delivery.put(UP)
    delivery.close()

    assert list(states) == [UP]
    assert states.lost == 4


def test_a_tail_ends_when_the_runner_is_closed(delivery: Delivery) -> None:
    """A reader that waits is woken by the end, in its own thread; later readers end at once."""
    tail, seen = delivery.events((), 100), list[RunnerEvent]()
    reader = threading.Thread(target=lambda: seen.extend(tail))
    reader.start()
    delivery.put(UP)
    delivery.close()
    reader.join(20)

    assert not reader.is_alive()
    assert seen == [UP]
    assert list(tail) == list(delivery.events((), 100)) == list(delivery.tail(None, None, 5, 5)) == []


def test_a_closed_tail_takes_no_more(delivery: Delivery) -> None:
    """Leaving its block ends one reader and nothing else."""
    with delivery.events((), 100) as tail:
        delivery.put(UP)
    delivery.put(UP)

    assert list(tail) == [UP]


def test_a_forgotten_reader_is_gone(delivery: Delivery) -> None:
    """Who leaves a loop in the middle leaves nothing behind that would fill up."""
    delivery.put_lines(numbered(1))
    for item in (tail := delivery.tail(None, None, 1, 5)):
        assert item == line("0")
        break
    buffer = weakref.ref(tail._buffer)
    del tail
    gc.collect()
    delivery.put_lines(numbered(1))

    assert buffer() is None
    assert len(delivery._readers) == 0


def test_a_buffer_of_nothing_is_refused(delivery: Delivery) -> None:
    """A reader needs room for one item."""
    with pytest.raises(InvalidSettingError):
        delivery.events((), 0)


# -- asyncio ---------------------------------------------------------------------------------------------------


def test_async_readers_get_everything_without_a_thread(delivery: Delivery) -> None:
    """Two tasks read one stream each while a thread writes; nothing is lost and no thread is started for them."""

    async def read(tail: Tail[RunnerEvent]) -> list[RunnerEvent]:
        return [item async for item in tail]

    async def main() -> list[list[RunnerEvent]]:
        tails = [delivery.events((), 10**6) for _ in range(2)]
        before = threading.active_count()
        tasks = [asyncio.create_task(read(tail)) for tail in tails]
        await asyncio.sleep(0.02)  # both wait by now
        assert threading.active_count() == before
        writer = threading.Thread(target=write)
        writer.start()
        done = await asyncio.wait_for(asyncio.gather(*tasks), 30)
        writer.join()
        return done

    def write() -> None:
        for start in range(0, 1000, 10):
            delivery.put_lines(numbered(10, start))
            time.sleep(0.0005)
        delivery.close()

    assert asyncio.run(main()) == [numbered(1000)] * 2


def test_an_async_reader_may_be_cancelled(delivery: Delivery) -> None:
    """A wait that times out loses nothing: the next one has what came in between, and nothing is left registered."""

    async def main() -> list[RunnerEvent]:
        tail = delivery.events((), 100)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(tail), 0.01)
        assert tail._buffer._wakers == []
        delivery.put_lines(numbered(2))
        return [await asyncio.wait_for(anext(tail), 20) for _ in range(2)]

    assert asyncio.run(main()) == numbered(2)


def test_a_loop_that_is_gone_harms_nobody(delivery: Delivery) -> None:
    """Lines go on after the event loop of a reader was closed under it."""
    loop, tail = asyncio.new_event_loop(), delivery.events((), 100)
    waiting = tail.__anext__()
    task = loop.create_task(waiting)
    loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()
    delivery.put_lines(numbered(1))

    assert delivery.logs(None, None, 1) == (line("0"),)
    assert not task.done()
    task._log_destroy_pending = False  # type: ignore[attr-defined]


# -- callbacks -------------------------------------------------------------------------------------------------


def test_a_callback_that_closes_the_runner_does_not_wait_for_itself() -> None:
    """Closing from within a callback returns; the rest is still delivered."""
    seen: list[str] = []

    def on_log(each: LogLine) -> None:
        seen.append(each.message)
        own.close()

    own = Delivery(on_log, None, (), 5.0)
    own.start()
    own.put_lines(numbered(3))
    deadline = time.monotonic() + 20
    while len(seen) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)

    assert seen == ["0", "1", "2"]


def test_lines_travel_between_processes() -> None:
    """What a reader gets is data: it pickles."""
    assert pickle.loads(pickle.dumps(line("x"))) == line("x")


# -- with dynos ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("sandboxed")
def test_a_runner_s_logs_are_those_of_its_dynos(tmp_path: Path) -> None:
    """The runner has the newest lines of all its dynos, filtered on request, also after it was closed."""
    slug = make_slug(tmp_path, {}, web="true", worker="echo one; echo two >&2", webhook="echo three")
    with DynoRunner(store=tmp_path / "store") as runner:
        runner.start(slug, "worker").wait()
        runner.start(slug, "webhook").wait()
        tail = runner.logs(source="app", process="worker", num=1, tail=True)

    assert {each.message: each.stream for each in runner.logs(source="app")} == {
        "one": "stdout",
        "two": "stderr",
        "three": "stdout",
    }
    assert runner.logs(process="web") == ()
    assert len(runner.logs()) == 3 + 8
    assert len(runner.logs(num=2)) == len(runner.logs(process="webhook", num=2)) == 2
    assert len(list(tail)) == 1


@pytest.mark.usefixtures("sandboxed")
def test_a_runner_s_events_are_its_whole_story(tmp_path: Path) -> None:
    """From before the first dyno to the end: every line and state of it, in order, as callbacks have them too."""
    seen: list[RunnerEvent] = []
    slug = make_slug(tmp_path, {}, worker="echo one")
    with DynoRunner(store=tmp_path / "store", on_log=seen.append, on_event=seen.append) as runner:
        events = runner.events()
        states = runner.events(DynoStateChanged)
        runner.start(slug, "worker").wait()

    assert list(events) == seen
    assert [state.new for state in states] == ["starting", "up", "crashed"]
    assert [item.message for item in seen if isinstance(item, LogLine) and item.source == "app"] == ["one"]


def test_a_runner_that_never_ran_has_no_thread_and_ends_its_readers(tmp_path: Path) -> None:
    """Making a runner starts nothing; closing it ends who listens."""
    before = threading.active_count()
    with DynoRunner(store=tmp_path / "store", sandbox="none", on_log=print) as runner:
        events = runner.events()
        assert threading.active_count() == before

    assert list(events) == []


def test_what_readers_return_is_typed(tmp_path: Path) -> None:
    """A type checker knows what each way of reading yields; this runs, so that the types are those of the values."""
    with DynoRunner(store=tmp_path / "store", sandbox="none") as runner:
        assert assert_type(runner.logs(), tuple[LogLine, ...]) == ()
        assert assert_type(runner.logs(tail=True), Tail[LogLine]).lost == 0
        assert assert_type(runner.events(), Tail[RunnerEvent]).lost == 0
        assert assert_type(runner.events(DynoStateChanged), Tail[DynoStateChanged]).lost == 0
        assert assert_type(runner.events(DynoStateChanged, LogLine), Tail[DynoStateChanged | LogLine]).lost == 0


def flood(tmp_path: Path, lines: int) -> None:
    """Let 10 dynos write *lines* lines as fast as they can, and hold every reader to all of them."""
    each = lines // 10
    slug = make_slug(tmp_path, {}, worker=f'exec seq -f "$NUMBER %.0f" {each}')
    counts: dict[str, Counter[str]] = {"callback": Counter(), "tail": Counter()}
    disorder: list[tuple[str, str]] = []  # an error in a callback would be lost

    def counter(name: str) -> Callable[[LogLine], None]:
        def count(item: LogLine) -> None:
            if item.source == "app":
                dyno, number = item.message.split()
                counts[name][dyno] += 1
                if int(number) != counts[name][dyno]:
                    disorder.append((name, item.message))

        return count

    count_tailed = counter("tail")
    with DynoRunner(store=tmp_path / "store", on_log=counter("callback")) as runner:
        tail = runner.logs(tail=True, num=0)
        reader = threading.Thread(target=lambda: [*map(count_tailed, tail)])
        reader.start()
        dynos = [runner.start(slug, "worker", config_vars={"NUMBER": str(number)}) for number in range(10)]
        assert [dyno.wait() for dyno in dynos] == [0] * 10
    reader.join()
    expected = dict.fromkeys(map(str, range(10)), each)

    assert (counts["callback"], counts["tail"], tail.lost, disorder[:9]) == (expected, expected, 0, [])


@pytest.mark.usefixtures("sandboxed")
def test_readers_that_are_fast_lose_nothing(tmp_path: Path) -> None:
    """Lines of ten dynos at once reach a callback and a tail, all of them, each dyno's in order."""
    flood(tmp_path, 50_000)


@pytest.mark.slow
@pytest.mark.usefixtures("sandboxed")
def test_a_million_lines(tmp_path: Path) -> None:
    """A million lines of ten dynos reach a callback and a tail, all of them, each dyno's in order."""
    flood(tmp_path, 1_000_000)


@contextmanager
def measured() -> Iterator[list[int]]:
    """Yield a list of which the last is the most memory, in bytes, that this program has gained by then."""
    before, sizes, over = resident(), [0], threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            sizes.append(max(sizes[-1], resident() - before))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield sizes
    finally:
        over.set()
        thread.join()


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.slow
@pytest.mark.usefixtures("sandboxed")
def test_a_million_lines_and_a_slow_reader(tmp_path: Path) -> None:
    """Of a million lines of ten dynos a slow callback gets some, in order, and a count of the rest; memory is flat."""
    slug = make_slug(tmp_path, {}, worker='exec seq -f "$NUMBER %.0f" 100000')
    got, lost, last, disorder = Counter[str](), [0], Counter[str](), list[str]()

    def slow(item: LogLine) -> None:
        if item.process == "logplex":
            lost.append(lost_in([item], "L10"))
        else:
            got[item.source] += 1
        if item.source == "app":
            dyno, number = item.message.split()
            disorder.extend([item.message] if int(number) <= last[dyno] else [])
            last[dyno] = int(number)
            if got["app"] < FEW:
                time.sleep(0.001)

    with measured() as sizes, DynoRunner(store=tmp_path / "store", on_log=slow) as runner:
        dynos = [runner.start(slug, "worker", config_vars={"NUMBER": str(number)}) for number in range(10)]
        assert [dyno.wait() for dyno in dynos] == [0] * 10
    print(sizes[-1], got, sum(lost))  # noqa: T201 - for whoever asks

    assert sum(lost) > 0
    assert sum(got.values()) + sum(lost) == 1_000_000 + 10 * SAID
    assert disorder == []
    assert sizes[-1] < BOUNDED


@pytest.mark.slow
@pytest.mark.usefixtures("sandboxed")
def test_a_gigabyte_of_a_dyno_without_a_newline(tmp_path: Path) -> None:
    """A dyno's line that never ends arrives in pieces, or is counted; the host program's memory is bounded."""
    slug = make_slug(tmp_path, {}, worker=f"exec head -c {2**30} /dev/zero")
    size, pieces, lost = [0], [0], [0]

    def count(item: LogLine) -> None:
        if item.process == "logplex":
            lost.append(lost_in([item], "L10"))
        elif item.source == "app":
            pieces.append(pieces.pop() + 1)
            size.append(size.pop() + len(item.message))

    with measured() as sizes, DynoRunner(store=tmp_path / "store", on_log=count) as runner:
        assert runner.start(slug, "worker").wait() == 0
    print(sizes[-1], pieces, lost)  # noqa: T201 - for whoever asks

    assert pieces[0] + sum(lost) == -(-(2**30) // LONGEST)
    assert size[0] == 2**30 - sum(lost) * LONGEST
    assert sizes[-1] < BOUNDED


@pytest.mark.usefixtures("sandboxed")
def test_whoever_is_slow_is_told_exactly(tmp_path: Path) -> None:
    """A slow callback and a slow tail block no dyno; what each got and what it was told it lost is what was written."""
    gate, seen = threading.Event(), list[LogLine]()

    def slow(item: LogLine) -> None:
        gate.wait(20)
        seen.append(item)

    slug = make_slug(tmp_path, {}, worker="seq 200000")
    with DynoRunner(store=tmp_path / "store", on_log=slow) as runner:
        tail = runner.logs(tail=True, num=0, buffer=1024)
        assert runner.start(slug, "worker").wait() == 0
        gate.set()
    tailed, written = list(tail), 200_000 + 4

    for items, code in ((seen, "L10"), (tailed, "L11")):
        notices = [item for item in items if item.process == "logplex"]
        assert lost_in(items, code) > 0
        assert len(items) - len(notices) + lost_in(items, code) == written
    assert len(tailed) == 1025
    assert tail.lost == written - 1024
