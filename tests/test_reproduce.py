"""Two real builds of one source: what is varied, what is found, what is left behind."""

import json
import locale
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

import pytest

import slugkit
from slugkit.archive import Slug
from slugkit.cli import run
from slugkit.errors import CompileFailedError, InvalidSettingError, OutputError, SourceNotFoundError
from slugkit.reproduction import Condition, Difference, Reproduction
from slugkit.source import GitSource
from slugkit.testing import FakeBuildpack, write_tree
from support import pids_with, small

pytestmark = pytest.mark.usefixtures("sandboxed")

# Each file fails to be reproducible in a way of its own; those that end in .same hold what must not be varied.
WAYS = r"""
cd "$1"
echo "built $(date +%s)" > seconds.txt
date -u +%Y-%m-%dT%H:%M:%SZ > iso.txt
date > local.txt
echo "prefix=$1/lib" > path.txt
echo "id $(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')" > random.txt
echo "pid $((10000 + RANDOM % 10000))" > pid.txt
echo "workers $(nproc)" > cpus.txt
echo "owner $(id -u)" > uid.txt
stat -c 'm %Y' Procfile > mtime.txt
seq 30 | shuf > order.txt
python3 -c 'print({"one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"})' > hash.txt
printf 'a\nB\nc\nD\n' | if [[ $TZ == UTC0 ]]; then LC_ALL=C sort; else sort -f; fi > locale.txt
echo text > notes; gzip -k notes
python3 -c 'import py_compile; py_compile.compile("mod.py", cfile="mod.pyc")'
if [[ $TZ == UTC0 ]]; then chmod +x run.sh; fi
ln -s "release-$(date +%s)" current
touch "seen-$(date +%s).log"
[[ $TZ == UTC0 ]] && touch only.txt
find . -type f -name 'f*' > listing.txt
umask > umask.same
echo "$LC_ALL $LANG $(hostname)" > env.same
"""
FILES: Mapping[str, str] = {
    "Procfile": "web: run\n",
    "run.sh": "exit\n",
    "mod.py": "x = 1\n",
    **{f"f{number}": "" for number in range(9)},
}


def named(came: Reproduction) -> dict[str, Condition]:
    return {one.name: one for one in came.conditions}


def by_path(came: Reproduction) -> dict[str, Difference]:
    return {one.path: one for one in came.differences}


@pytest.fixture(scope="module")
def varying(tmp_path_factory: pytest.TempPathFactory) -> Reproduction:
    """Build the pack that is not reproducible in any way, where the order of files can be varied if anywhere."""
    home = tmp_path_factory.mktemp("varying")
    pack = small(home, compile=WAYS)
    app = write_tree(home / "app", FILES)
    memory = Path("/dev/shm")
    cache = memory / f"slugkit-{uuid.uuid4().hex[:8]}" if os.access(memory, os.W_OK) else home / "cache"
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(cache))
            came = slugkit.reproduce(app, buildpacks=[pack])
        assert list((cache / "slugkit/reproduce").iterdir()) == []
    finally:
        subprocess.run(["rm", "-rf", cache], check=True)
    return came


@pytest.mark.parametrize(
    ("path", "code", "within"),
    [
        ("seconds.txt", "timestamp", (6, 15)),
        ("iso.txt", "timestamp", (0, 19)),
        ("local.txt", "timestamp", (0, 40)),
        ("path.txt", "build-path", (18, 25)),
        ("random.txt", "random", (3, 18)),
        ("pid.txt", "process-id", (4, 8)),
        ("mtime.txt", "file-time", (2, 11)),
        ("order.txt", "order", (0, 80)),
        ("hash.txt", "order", (0, 90)),
        ("locale.txt", "locale-order", (0, 7)),
        ("notes.gz", "timestamp", (4, 7)),
        ("mod.pyc", "file-time", (8, 11)),
    ],
)
def test_each_way_is_named(varying: Reproduction, path: str, code: str, within: tuple[int, int]) -> None:
    """A file that differs is named, with the bytes that do and the likely cause."""
    found = by_path(varying)[path]

    assert (found.kind, found.causes[0].code) == ("content", code), found
    assert within[0] <= found.ranges[0].first <= found.ranges[-1].last <= within[1]
    assert 0 < found.count <= within[1] - within[0] + 1


def test_modes_links_and_names_are_named(varying: Reproduction) -> None:
    """A run bit, a link's target, and what only one of the slugs has are differences of their own."""
    found = {one.path: (one.kind, one.causes[0].code) for one in varying.differences}

    assert found["run.sh"] == ("mode", "run-bit")
    assert found["current"] == ("link", "timestamp")
    assert found["only.txt"] == ("only-first", "unknown")
    assert sorted(kind for path, (kind, _) in found.items() if path.startswith("seen-")) == [
        "only-first",
        "only-second",
    ]
    assert {code for path, (_, code) in found.items() if path.startswith("seen-")} == {"timestamp"}


@pytest.mark.parametrize(
    ("path", "condition", "code"),
    [("cpus.txt", "cpus", "cpu-count"), ("uid.txt", "user id", "user-id"), ("listing.txt", "file order", "order")],
)
def test_what_is_said_to_be_varied_is(varying: Reproduction, path: str, condition: str, code: str) -> None:
    """Where a condition could be varied a build notices, and where it is said not to be, none does."""
    found = by_path(varying).get(path)

    assert named(varying)[condition].varied == (found is not None)
    assert found is None or found.causes[0].code == code


def test_what_builds_are_promised_is_not_varied(varying: Reproduction) -> None:
    """The umask, the locale and the host's name never reach a build, whatever those of slugkit are."""
    told = named(varying)

    assert [path for path in by_path(varying) if path.endswith(".same")] == []
    assert told["umask"].varied
    assert told["locale"].varied
    assert not told["host name"].varied
    assert all(told[name].varied for name in ("source path", "build path", "cache path", "time zone", "clock"))


def test_the_clock_is_told_as_it_was(varying: Reproduction) -> None:
    """Both times are shown; what put the clock forward, or that nothing did, stands beside them."""
    clock = named(varying)["clock"]

    assert ("libfaketime put it forward by" in clock.note) != ("install libfaketime" in clock.note)


def test_a_source_without_faults_is_reproducible(tmp_path: Path, own_cache: Path) -> None:
    """The same app twice is identical, the source is untouched, and nothing is left in the caches."""
    app = write_tree(tmp_path / "app", FILES)
    (app / ".git").mkdir()
    before = sorted((path, path.stat().st_mtime_ns) for path in app.rglob("*"))
    came = slugkit.reproduce(app)

    assert came.identical
    assert (came.differences, came.remedy) == ((), "")
    assert came.slugs[0].diff_id == came.slugs[1].diff_id
    assert [slug.path for slug in came.slugs] == [None, None]
    assert sorted((path, path.stat().st_mtime_ns) for path in app.rglob("*")) == before
    assert [path.name for path in own_cache.iterdir()] == ["reproduce"]
    assert list((own_cache / "reproduce").iterdir()) == []


def test_slugs_are_kept_on_request(tmp_path: Path) -> None:
    """Both slugs stay in the directory that was named, which may lie in the source without getting into them."""
    app = write_tree(tmp_path / "app", FILES)
    came = slugkit.reproduce(app, keep=app / "kept", config_vars={"A": "1"}, stack="mine")

    assert [path.name for path in sorted((app / "kept").iterdir())] == ["first.slug.tgz", "second.slug.tgz"]
    for slug in came.slugs:
        opened = Slug.open(slug.path or "")
        assert (opened.digest, opened.diff_id, opened.size) == (slug.digest, slug.diff_id, slug.size)
        assert opened.manifest.stack == "mine"
        assert "kept" not in [file.path for file in opened.files()]


def test_other_sources_are_built_as_well(tmp_path: Path) -> None:
    """A tarball and a git repository at a ref are built twice like a directory."""
    app = write_tree(tmp_path / "app", FILES)
    subprocess.run(["tar", "-czf", tmp_path / "app.tgz", "-C", tmp_path, "app"], check=True)
    git = ["git", "-C", str(app), "-c", "user.name=me", "-c", "user.email=me@example.com"]
    for words in ("init -q", "add .", "commit -qm all"):
        subprocess.run([*git, *words.split()], check=True)

    tarball, repository = (slugkit.reproduce(one) for one in (tmp_path / "app.tgz", GitSource(app, "HEAD")))

    assert tarball.identical
    assert repository.identical
    assert named(repository)["source path"].varied


def test_the_caller_is_left_as_it_was(tmp_path: Path) -> None:
    """From any thread, a program's umask, locale, time zone, CPUs, environment and directory stay its own."""

    def world() -> list[object]:
        umask = os.umask(0o022)
        os.umask(umask)
        return [
            umask,
            locale.setlocale(locale.LC_ALL),
            time.tzname,
            os.sched_getaffinity(0),
            dict(os.environ),
            Path.cwd(),
        ]

    app = write_tree(tmp_path / "app", FILES)
    before, came = world(), list[Reproduction]()
    threads = [threading.Thread(target=lambda: came.append(slugkit.reproduce(app))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert world() == before
    assert [one.identical for one in came] == [True, True]


def test_a_build_that_fails_raises_what_build_raises(tmp_path: Path, own_cache: Path) -> None:
    """The error of a build crosses from its process with its fields, and its lines were shown before."""
    heard: list[str] = []
    pack = small(tmp_path, compile="echo 'no luck'; exit 3")
    with pytest.raises(CompileFailedError) as caught:
        slugkit.reproduce(write_tree(tmp_path / "app", FILES), buildpacks=[pack], on_line=heard.append)

    assert caught.value.status == 3
    assert "no luck" in "".join(heard)
    assert list((own_cache / "reproduce").iterdir()) == []


def test_what_cannot_be_used_is_refused_first(tmp_path: Path) -> None:
    """No source, objects that no other process can have, and a place to keep slugs that is none: before any build."""
    app = write_tree(tmp_path / "app", FILES)
    with pytest.raises(SourceNotFoundError):
        slugkit.reproduce(tmp_path / "nothing")
    with pytest.raises(InvalidSettingError, match="is an object"):
        slugkit.reproduce(app, buildpacks=[FakeBuildpack("fake")])  # type: ignore[list-item]
    with pytest.raises(InvalidSettingError, match="a list of them"):
        slugkit.reproduce(app, buildpacks="python")
    with pytest.raises(OutputError):
        slugkit.reproduce(app, keep=app / "Procfile")
    with pytest.raises(OutputError):
        slugkit.reproduce(app, keep=tmp_path / "not/there")


# -- the command -----------------------------------------------------------------------------------------------

HOSTILE = r"""
printf '\e[2J%s' "$(od -An -N4 -tx1 /dev/urandom)" > "$1/"$'\e]0;x\a\xff\n::error::'
echo "id $(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')" > "$1/id"
"""


def test_the_command_tells_people(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """Differences go to stdout, one error and a hint to stderr, status 1; no name or content controls the terminal."""
    app = write_tree(tmp_path / "app", FILES)
    assert run(["reproduce", str(app), "-b", small(tmp_path, compile=HOSTILE)]) == 1
    out, err = capsysbinary.readouterr()

    assert b"\ndiffers   id: " in out
    assert b"bytes at 0x" in out
    assert b"\n  random: " in out
    assert b"not reproducible: sha256:" in out
    assert b"error[slug.not-reproducible]: two builds of " in err
    assert b"\nhint: " in err
    assert b"\x1b" not in out + err
    assert b"\n::error" not in out + err


def test_the_command_tells_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--json is one document, with conditions, both slugs and the differences; an error is in it."""
    app = write_tree(tmp_path / "app", FILES)
    pack = small(tmp_path, compile='cat "$3/SECRET" > "$1/s"; date +%s%N > "$1/t"')
    keep = tmp_path / "kept"
    assert run(["reproduce", str(app), "-b", pack, "-e", "SECRET=x", "--keep", str(keep), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)

    assert told["identical"] is False
    assert {"name", "first", "second", "varied", "note"} == set(told["conditions"][0])
    assert [slug["path"] for slug in told["slugs"]] == [str(keep / f"{name}.slug.tgz") for name in ("first", "second")]
    assert told["slugs"][0]["diff_id"] != told["slugs"][1]["diff_id"]
    (only,) = told["differences"]
    assert (only["path"], only["kind"], only["causes"][0]["code"]) == ("t", "content", "timestamp")
    assert told["error"]["code"] == "slug.not-reproducible"
    assert told["error"]["hint"] == "leave the time out, or take SOURCE_DATE_EPOCH for it"


def test_the_command_succeeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An app that is reproducible ends with status 0, says so, and says what was varied."""
    assert run(["reproduce", str(write_tree(tmp_path / "app", FILES))]) == 0
    out = capsys.readouterr().out

    assert "varied    time zone    UTC0 -> <+1345>-13:45" in out
    assert "\nreproducible: sha256:" in out


def started(tmp_path: Path, cache: Path) -> "tuple[subprocess.Popen[bytes], str]":
    """Start the command with a pack that never ends, and return it when that runs, with a mark of its processes."""
    mark = f"mark-{uuid.uuid4().hex}"
    pack = small(tmp_path, compile=f"exec -a {mark} sleep 600")
    app = write_tree(tmp_path / "app", FILES)
    env = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    argv = [sys.executable, "-m", "slugkit", "reproduce", str(app), "-b", pack]
    process = subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not pids_with(mark) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert pids_with(mark)
    return process, mark


def gone(mark: str) -> bool:
    deadline = time.monotonic() + 10
    while pids_with(mark) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not pids_with(mark)


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    """An interrupted run ends with status 130, every process of it is gone, and so are its files."""
    process, mark = started(tmp_path, tmp_path / "cache")
    process.send_signal(signal.SIGINT)

    assert process.wait(timeout=20) == 130
    assert gone(mark)
    assert list((tmp_path / "cache/slugkit/reproduce").iterdir()) == []


def test_a_killed_run_takes_its_builds_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After kill -9 no process is left, and the next run removes the files; it leaves those of one that still runs."""
    process, mark = started(tmp_path, tmp_path / "cache")
    process.kill()
    process.wait()
    assert gone(mark)
    left = tmp_path / "cache/slugkit/reproduce"
    assert len(list(left.iterdir())) == 1

    other, running = started(tmp_path / "other", tmp_path / "cache")
    used = list(left.iterdir())
    assert len(used) == 1
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert slugkit.reproduce(tmp_path / "app").identical
    assert list(left.iterdir()) == used
    other.send_signal(signal.SIGINT)
    other.wait(timeout=20)
    assert gone(running)


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("name", ["django", "flask", "procfile-only"])
def test_the_examples_are_reproducible(name: str) -> None:
    """What the built-in packs make is the same twice, whatever is varied."""
    came = slugkit.reproduce(Path(__file__).parent.parent / "examples" / name)

    assert came.differences == ()
    assert came.identical
