"""slugkit as most people run it: not as root. Where the tests run as root, a helper becomes an ordinary user."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import slugkit
from slugkit.testing import write_tree
from users import BECOME, ROOT, UID, python

DISABLES_USERNS = (0, 8)

SCRIPT = r"""
import json, os, sys, threading
from pathlib import Path
import slugkit

home = Path(sys.argv[1])
mark = home.parent.name
probe = '''
id -u; id -g; id -Gn 2>/dev/null | wc -w
grep -h "^Cap\\|^NoNewPrivs" /proc/self/status
for place in /app/new /app/run.sh /usr/new /etc/new /new /app/.profile.d; do
  (echo x > $place) 2>&1 | sed "s|.*: $place|refused $place|"
done
for place in /app/tmp/x /app/log/x /tmp/x; do
  ls -A $(dirname $place) | wc -l
  echo x > $place && echo accepted $place
done
unshare -U true 2>/dev/null && echo "user namespace made" || echo "no user namespace"
ls -d /home /root "$1" 2>/dev/null; echo end
'''
(home / "app").mkdir()
(home / "app/Procfile").write_text(f"web: ./run.sh {mark}\n")
(home / "app/run.sh").write_text('#!/bin/bash\nexec python3 -m http.server --directory "/app/$1" "$PORT"\n')
(home / "app/run.sh").chmod(0o755)
(home / "app/probe.sh").write_text("#!/bin/bash\n" + probe)
(home / "app/probe.sh").chmod(0o755)

def leftovers():
    # what of this run still runs, but this script itself; every command line of it holds the mark
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and int(entry.name) != os.getpid():
                command = (entry / "cmdline").read_bytes()
                found += [command.decode("utf-8", "replace")] if mark.encode() in command else []
        except OSError:
            continue
    return found

events = []
slug = slugkit.SlugBuilder(on_event=events.append).build(home / "app", home / "app.slug.tgz")
with slugkit.DynoRunner(sandbox="auto", boot_timeout=30) as runner:
    sandbox = runner._sandbox.name
    web = runner.start(slug, "web")
    web.wait_up()
    state, during = web.state, len(leftovers())
    first = runner.run(slug, f"./probe.sh {home}")
    second = runner.run(slug, f"./probe.sh {home}")
    stopped = web.stop()
alone = "up"
if sandbox == "namespaces":
    with slugkit.DynoRunner(boot_timeout=30, limits=slugkit.Limits(network=False)) as runner:
        web = runner.start(slug, "web")
        web.wait_up()
        alone = web.state

tree = next((home / "cache/slugkit/store/unpacked").iterdir())
print(json.dumps({
    "version": sys.version_info[:2], "uid": os.getuid(), "file": slugkit.__file__, "sandbox": sandbox,
    "events": [type(event).__name__ for event in events], "state": state, "stopped": stopped,
    "first": [first.status, first.output], "second": [second.status, second.output],
    "alone": alone, "during": during, "left": leftovers(), "threads": threading.active_count(),
    "owner": (home / "app.slug.tgz").stat().st_uid,
    "tree": sorted(str(path.relative_to(tree)) for path in tree.rglob("*")),
    "work": [path.name for path in (home / "cache/slugkit/builds").glob("*/*")],
}))
"""


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """Yield a directory of that user's, in one that everybody may enter, beside a copy of slugkit and attrs."""
    place = Path(tempfile.mkdtemp(prefix="slugkit-as-user-", dir="/tmp"))
    try:
        place.chmod(0o755)
        for package in ("slugkit", "attr", "attrs"):
            spec = find_spec(package)
            assert spec is not None
            assert spec.origin is not None
            source = Path(spec.origin).parent
            shutil.copytree(source, place / "lib" / package, ignore=shutil.ignore_patterns("__pycache__"))
        write_tree(place, {"script.py": SCRIPT, "home/cache/": ""})
        for path in (place, *place.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o111 else 0o644)
        for path in (place / "home", place / "home/cache"):
            os.chown(path, UID, UID if ROOT else -1)
        yield place / "home"
    finally:
        shutil.rmtree(place)


@pytest.fixture(scope="module")
def told(home: Path, sandboxed: None) -> dict[str, Any]:  # noqa: ARG001 - a condition
    """Run the script as the ordinary user and return what it tells."""
    env = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "PYTHONPATH": str(home.parent / "lib"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LC_ALL": "C.UTF-8",
    }
    argv = [*BECOME, python(), str(home.parent / "script.py"), str(home)]
    done = subprocess.run(argv, env=env, cwd=home, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def lines(told: dict[str, Any]) -> list[str]:
    """Return what the probe printed inside its dyno."""
    status, output = told["first"]
    assert status == 0
    return str(output).splitlines()


def test_it_was_an_ordinary_user(told: dict[str, Any], home: Path) -> None:
    """The test is about what it says: not root, this source, and files that are the user's own."""
    assert told["uid"] == told["owner"] == UID != 0
    assert told["file"] == str(home.parent / "lib/slugkit/__init__.py")
    assert Path(slugkit.__file__).read_bytes() == Path(told["file"]).read_bytes()
    assert tuple(told["version"]) >= (3, 11)


def test_a_user_builds(told: dict[str, Any]) -> None:
    """An ordinary user builds an app to its end, and the workspace is gone."""
    assert told["events"][0] == "BuildStarted"
    assert told["events"][-1] == "SlugPacked"
    assert sorted(told["work"]) == ["cache", "lock", "segments"]


def test_a_user_runs_confined(told: dict[str, Any]) -> None:
    """Auto finds a sandbox that works for a user, and a web dyno comes up in it and stops."""
    assert told["sandbox"] != "none"
    assert (told["state"], told["stopped"]) == ("up", 143)


def test_a_users_dyno_is_up_in_a_network_of_its_own(told: dict[str, Any]) -> None:
    """Where namespaces work for a user, a web dyno without the host's network is seen to listen."""
    assert told["alone"] == "up"


def test_the_users_dyno_is_the_user_without_privileges(lines: list[str]) -> None:
    """Inside it is the same uid, with no capability, none to gain, and no group but its own."""
    assert lines[:2] == [str(UID), str(UID) if ROOT else str(os.getgid())]
    status = dict(line.split(":\t") for line in lines if ":\t" in line)
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert status["CapBnd"] == "0" * 16
    assert status["NoNewPrivs"] == "1"


def test_a_user_sees_a_read_only_app(lines: list[str], told: dict[str, Any]) -> None:
    """Everything but tmp/, log/ and /tmp refuses to be written, in the words everybody knows."""
    places = ("/app/new", "/app/run.sh", "/usr/new", "/etc/new", "/new", "/app/.profile.d")

    assert [line for line in lines if line.startswith("refused")] == [
        f"refused {place}: Read-only file system" for place in places
    ]
    assert told["tree"] == ["Procfile", "log", "probe.sh", "run.sh", "tmp"]


def test_a_user_writes_where_nothing_stays(lines: list[str], told: dict[str, Any]) -> None:
    """tmp/, log/ and /tmp are empty at the start of every dyno, take what it writes, and lose it with it."""
    expected = [word for place in ("/app/tmp", "/app/log", "/tmp") for word in ("0", f"accepted {place}/x")]
    start = lines.index("accepted /app/tmp/x") - 1

    assert lines[start : start + 6] == expected
    assert told["second"] == told["first"]


def test_a_user_leaves_nothing(told: dict[str, Any]) -> None:
    """After the block no process of a dyno is left, and no thread of the runner's."""
    assert told["during"] > 0
    assert told["left"] == []
    assert told["threads"] == 1


def test_a_user_sees_no_home(lines: list[str]) -> None:
    """The user's own files, and everybody else's, are not in the dyno."""
    assert lines[-1] == "end"
    assert not [line for line in lines if line.startswith(("/home", "/root", "/tmp/slugkit"))]


def test_no_user_namespace_inside(lines: list[str]) -> None:
    """A dyno cannot make user namespaces, the kernel's largest door, where bubblewrap can close it (0.8)."""
    version = subprocess.run(["bwrap", "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    closes = tuple(int(part) for part in version.split(".")[:2]) >= DISABLES_USERNS

    assert ("no user namespace" in lines) or not closes
    assert ("no user namespace" in lines) != ("user namespace made" in lines)
