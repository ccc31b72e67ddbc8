"""What takes its time: `script/test --all` runs it."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from slugkit.archive import Slug
from slugkit.build import SlugBuilder
from slugkit.dyno import DynoRunner
from slugkit.testing import FakeBuildpack, make_slug, write_tree

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("sandboxed")]

CHECKOUT = Path(__file__).parent.parent


def running(text: str) -> list[int]:
    """Return the processes whose command line holds *text*, but for a bwrap that never got as far as the app.

    When its parent is killed within bwrap's own set-up, its half-made pid 1 waits for ever (SECURITY.md): that one is
    ended here, not counted.
    """
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if text.encode() in (entry / "cmdline").read_bytes():
                alone = not (entry / f"task/{entry.name}/children").read_text()
                if alone and (entry / "exe").readlink().name == "bwrap" and _parent(entry) == 1:
                    os.kill(int(entry.name), signal.SIGKILL)
                    continue
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def _parent(entry: Path) -> int:
    return int((entry / "stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.network
def test_the_demo_works(tmp_path: Path) -> None:
    """script/demo, in a fresh clone, ends well within two minutes and says what it did."""
    subprocess.run(["git", "clone", "-q", CHECKOUT, tmp_path / "clone"], check=True)
    done = subprocess.run([tmp_path / "clone/script/demo"], check=True, capture_output=True, text=True, timeout=120)

    assert "GET /write?path=manage.py -> 403, refused: Read-only file system" in done.stdout
    assert "GET /write?path=tmp/note -> 200, accepted" in done.stdout
    assert "Stopped, and nothing is left behind." in done.stdout


HOST = """
import sys, threading, time
from slugkit import DynoRunner, Slug
runner = DynoRunner(store=sys.argv[2], grace=1)
threading.Thread(target=lambda: runner.start(Slug.open(sys.argv[1]), "worker"), daemon=True).start()
print("starting", flush=True)
time.sleep(600)
"""


def test_a_host_killed_at_any_moment_leaves_no_dyno(tmp_path: Path) -> None:
    """SIGKILL of the host program in the first 40 ms of a dyno's life, 60 times: no survivor."""
    name = f"early-{os.getpid()}"
    slug = make_slug(tmp_path, {}, worker=f"setsid bash -c 'exec -a {name} sleep 600' & exec sleep 600")
    with DynoRunner(store=tmp_path / "store") as runner:
        assert runner.run(slug, "true").status == 0
    for _ in range(60):
        argv = [sys.executable, "-c", HOST, str(slug.path), str(tmp_path / "store")]
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as host:
            assert host.stdout is not None
            assert host.stdout.readline() == b"starting\n"
            time.sleep(random.random() * 0.04)
            host.kill()
    deadline = time.monotonic() + 5
    while running(name) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert running(name) == []


BUILD = """
import sys
from slugkit import SlugBuilder
from slugkit.testing import FakeBuildpack
script = 'n=$(cat "$1/n" 2>/dev/null || echo 0); echo $((n+1)) > "$1/n"; seq 20000 > big; cp big "$1/big$n"'
pack = FakeBuildpack(on_compile=lambda c: c.run(["bash", "-c", script, "bash", c.cache_dir]))
print("building", flush=True)
SlugBuilder(buildpacks=(pack,), cache_dir=sys.argv[2]).build(sys.argv[1], sys.argv[3])
"""


def test_a_build_killed_at_any_moment_leaves_old_or_new(tmp_path: Path) -> None:
    """SIGKILL anywhere in a build, 40 times: the cache and the slug are the old or the new ones, never half."""
    source = write_tree(tmp_path / "app", {"Procfile": "web: a\n"})
    output = tmp_path / "o.tgz"
    for _ in range(40):
        argv = [sys.executable, "-c", BUILD, str(source), str(tmp_path / "cache"), str(output)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as host:
            assert host.stdout is not None
            assert host.stdout.readline() == b"building\n"
            time.sleep(random.random() * 0.25)
            host.kill()
        if output.exists():
            Slug.open(output).verify()
    SlugBuilder(buildpacks=(FakeBuildpack(),), cache_dir=tmp_path / "cache").build(source, output)
    cache = {path.name: path.read_text() for path in (tmp_path / "cache/cache").iterdir()}
    builds = int(cache.pop("n", "0"))

    assert set(cache) == {f"big{number}" for number in range(builds)}
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["cache", "lock", "segments"]
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".partial")] == []


@pytest.mark.network
@pytest.mark.parametrize("name", ["django", "flask"])
def test_examples_on_the_stacks_interpreter(tmp_path: Path, name: str) -> None:
    """The Python examples build and boot with runtime="stack" too."""
    builder = SlugBuilder(cache_dir=tmp_path / "cache", runtime="stack")
    slug = builder.build(CHECKOUT / "examples" / name, tmp_path / "o.tgz")
    with DynoRunner(store=tmp_path / "store") as runner:
        web = runner.start(slug, "web", config_vars={"SECRET_KEY": "x"})
        web.wait_up()

        assert web.state == "up"


MANY = """
import pytest

@pytest.mark.parametrize("number", range(200))
def test_it(app, number):
    build = app.write({"hello.txt": f"{number}\\n"}).build()
    assert build.run("greet").output == f"{number}\\n"
"""


def test_two_hundred_tests_of_a_pack_leave_nothing(tmp_path: Path) -> None:
    """200 tests of a buildpack in two parallel processes pass, and leave no process, mount or temporary directory."""
    mounts = Path("/proc/self/mountinfo").read_text()
    private = tmp_path / "private"
    private.mkdir()
    write_tree(tmp_path / "project", {"test_it.py": MANY, "pytest.ini": "[pytest]\n"})
    argv = [sys.executable, "-m", "pytest", "-q", "-n2", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*argv, "--buildpack", CHECKOUT / "tests/buildpacks/hello"],
        check=False,
        cwd=tmp_path / "project",
        env={**os.environ, "TMPDIR": str(private), "PYTEST_DEBUG_TEMPROOT": str(tmp_path)},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout
    assert "200 passed" in done.stdout
    assert list(private.iterdir()) == []
    assert running(str(private)) == []
    assert Path("/proc/self/mountinfo").read_text() == mounts
