"""Many dynos of one runner: all answer, and nothing of any is left."""

import gc
import os
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from attacks import ATTACKERS, marks
from slugkit import Dyno, DynoRunner, Slug
from slugkit.testing import make_slug

pytestmark = pytest.mark.usefixtures("sandboxed")

ALMOST_NONE = 4 * 2**20  # bytes a host program may grow by when it goes up to many dynos and back, once it has been


@pytest.fixture
def run() -> Iterator[str]:
    """Yield the mark of all dynos of a test; nothing that holds it outlives the test."""
    name = uuid4().hex[:12]
    yield name
    marks.end(name)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what is temporary in a directory of the test's own."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))


@pytest.fixture
def slug(tmp_path: Path) -> Slug:
    """Return an app that answers with its name."""
    files = {"answering.py": (ATTACKERS / "answering.py").read_bytes()}
    return make_slug(tmp_path, files, web="exec python3 -I -S answering.py")


def state() -> dict[str, object]:
    """Return what of this program and its machine a dyno may not add to."""
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "mounts": Path("/proc/self/mounts").read_text().count("slugkit"),
        "children": sorted(marks.descendants(os.getpid())),
        "temporary": os.listdir(tempfile.gettempdir()),
    }


def cgroups(pid: int) -> list[Path]:
    """Return the directories of the cgroups of *pid*, wherever each hierarchy is mounted."""
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    names = {path.lstrip("/") for _, _, path in (line.split(":", 2) for line in lines)} - {""}
    return [top / name for name in names for top in (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*"))]


def up(runner: DynoRunner, slug: Slug, run: str, count: int) -> list[Dyno]:
    """Start *count* dynos at once and wait until all are up."""
    with ThreadPoolExecutor(8) as pool:
        mark = {"MARK": f"atk-{run}-many"}
        dynos = list(pool.map(lambda _: runner.start(slug, "web", config_vars=mark), range(count)))
    for dyno in dynos:
        dyno.wait_up()
    return dynos


def stopped(dynos: list[Dyno]) -> None:
    """Stop all at once."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(Dyno.stop, dynos))


def name_told(dyno: Dyno) -> str:
    """Return what *dyno* answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(dyno.url, timeout=30) as response:
        return str(response.read().decode())


def check_many(tmp_path: Path, slug: Slug, run: str, count: int) -> None:
    """Start many, ask each, stop all, and compare what is there with what was."""
    DynoRunner(store=tmp_path / "store").close()
    before = state()
    with DynoRunner(store=tmp_path / "store", boot_timeout=120.0) as runner:
        dynos = up(runner, slug, run, count)
        assert [name_told(dyno) for dyno in dynos] == [dyno.name for dyno in dynos]
        assert len({dyno.name for dyno in dynos}) == len({dyno.port for dyno in dynos}) == count
        pids = marks.left(run)
        groups = {path for pid in pids for path in cgroups(pid)} - set(cgroups(os.getpid()))
        assert len(pids) >= count
        stopped(dynos)
        assert marks.left(run) == []
    assert state() == before
    assert [str(path) for path in groups if path.exists()] == []


def test_twenty_dynos_at_once(tmp_path: Path, slug: Slug, run: str) -> None:
    """All are up, each answers for itself, and when they are stopped nothing of them is left."""
    check_many(tmp_path, slug, run, 20)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_hundred_dynos_at_once(tmp_path: Path, slug: Slug, run: str) -> None:
    """The same with two hundred."""
    check_many(tmp_path, slug, run, 200)


def check_up_and_down(tmp_path: Path, slug: Slug, run: str, count: int) -> None:
    """Go from one dyno up to many and back, five times; what the first time takes does not count."""
    sizes = []
    with DynoRunner(store=tmp_path / "store", boot_timeout=120.0) as runner:
        formation = runner.formation(slug, {"web": 1}, config_vars={"MARK": f"atk-{run}-many"})
        for _ in range(6):
            formation.scale(web=count)
            formation.wait_up()
            assert len(marks.left(run)) == count
            formation.scale(web=1)
            gc.collect()
            sizes.append(1024 * int(marks.status(os.getpid())["RssAnon"].split()[0]))
            assert len(marks.left(run)) == 1
    print(sizes)  # noqa: T201 - for whoever asks

    assert sizes[-1] - sizes[0] < ALMOST_NONE


def test_up_and_down_costs_no_memory(tmp_path: Path, slug: Slug, run: str) -> None:
    """Going from one dyno to ten and back does not make the host program grow."""
    check_up_and_down(tmp_path, slug, run, 10)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_up_and_down_again_and_again_costs_no_memory(tmp_path: Path, slug: Slug, run: str) -> None:
    """Going from one dyno to two hundred and back does not make the host program grow."""
    check_up_and_down(tmp_path, slug, run, 200)
