"""Where nothing can be mounted: Docker's default profile, and machines that give no user namespaces.

Done to a program by `container.py`, on any machine; in a container that is one already, the engine's own profile is it.
"""

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from slugkit._warden import landlock
from slugkit.cli import run
from slugkit.sandbox import PROMISES, Landlock, _landlock, _obstacles, _promises, _selftest
from slugkit.sandbox._obstacles import Circumstances, circumstances, obstacles
from slugkit.sandbox._promises import REQUIRED
from slugkit.testing import write_tree
from users import BECOME, ROOT, UID, USERS, python, readable_by_all

SCRIPT = r"""
import json, os, pathlib, sys
import slugkit

here = pathlib.Path.home() / sys.argv[1]
events = []
builder = slugkit.SlugBuilder(buildpacks=[str(here / "pack")], on_event=events.append)
slug = builder.build(here / "app", here / "app.slug.tgz")
limits = slugkit.Limits(memory=24 * 2**20, processes=None)  # counted by uid here, and other tests have the same
with slugkit.DynoRunner(limits=limits) as runner:
    report = runner.report()
    ran = runner.run(slug, "cat count; id -u; echo x > $HOME/new || echo refused; echo x > tmp/new && echo made")
    big = runner.run(slug, "exec python3 -c 'x = bytearray(200 * 2**20); import time; time.sleep(20)'")
    log = [line.message for line in runner.logs() if "R15" in line.message]
try:
    slugkit.DynoRunner(require=["private_pids"])
except slugkit.SlugkitError as error:
    refused = [error.code, [name for name, _ in error.tried], error.hint]
print(json.dumps({
    "report": report.to_dict(), "ran": [ran.status, ran.output], "big": big.status, "log": log, "refused": refused,
    "euid": os.geteuid(),
    "left": sorted(path.name for path in pathlib.Path(os.environ["XDG_CACHE_HOME"]).glob("slugkit/builds/*/*")),
}))
"""
KINDS = [("docker", user) for user in USERS] + [("ubuntu", "user"), ("sysctl", "user")]
Contain = Callable[[str, str], dict[str, Any]]


def _can(argv: list[str], env: Mapping[str, str]) -> bool:
    return subprocess.run([*argv, "/usr/bin/env", "true"], env=env, capture_output=True, check=False).returncode == 0


def _contained(place: Path, kind: str, user: str) -> dict[str, Any]:
    """Return what the script tells as *user*, with namespaces kept from it as *kind* does."""
    home = place / f"home-{user}" / kind
    write_tree(
        home,
        {
            "app/Procfile": "web: true\n",
            "pack/bin/detect": "#!/bin/bash\necho Counting\n",
            "pack/bin/compile": '#!/bin/bash\necho more >> "$2/count"\ncp "$2/count" "$1/count"\n',
        },
    )
    for path in (home.parent, *home.parent.rglob("*")):
        path.chmod(0o755)
        os.chown(path, UID if user == "user" and ROOT else os.getuid(), -1)
    before = [*BECOME, "unshare", "--user", "--map-current-user", "--keep-caps"] if kind == "sysctl" else []
    wrap = [*before, python(), str(place / "container.py"), kind, str(UID if user == "user" else 0)]
    env = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home.parent),
        "XDG_CACHE_HOME": str(home / "cache"),
        "PYTHONPATH": str(place / "lib"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LC_ALL": "C.UTF-8",
    }
    made = _can(wrap, env)
    if not made:  # the machine that the tests run on is such a one itself
        wrap = [*(BECOME if user == "user" else ()), "env"]
    argv = [*wrap, python(), str(place / "script.py"), kind]
    done = subprocess.run(argv, env=env, cwd=home, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told | {"made": made}


@pytest.fixture(scope="module")
def contained() -> Iterator[Contain]:
    """Yield what runs the script where no namespaces are to be had, once for each kind and user."""
    with readable_by_all("slugkit", "attr", "attrs") as place:
        shutil.copy(Path(__file__).with_name("container.py"), place)
        (place / "script.py").write_text(SCRIPT)
        yield cache(lambda kind, user: _contained(place, kind, user))


@pytest.mark.parametrize(("kind", "user"), KINDS)
def test_auto_is_confined_and_works(contained: Contain, kind: str, user: str) -> None:
    """Where nothing can be mounted auto is Landlock: it builds, keeps the cache, and runs what writes its own only."""
    told = contained(kind, user)
    status, output = told["ran"]
    lines = output.splitlines()

    assert (told["report"]["name"], told["report"]["level"]) == ("landlock", "confined")
    assert (status, lines[:1], lines[-2:]) == (0, ["more"], ["refused", "made"])
    assert int(lines[1]) != 0
    assert told["left"] == ["cache", "lock", "segments"]


@pytest.mark.parametrize(("kind", "user"), KINDS)
def test_the_report_says_what_is_lacking_and_why(contained: Contain, kind: str, user: str) -> None:
    """Each promise that is not kept comes with what was found, the cause that applies here and what changes it."""
    told = contained(kind, user)
    report = told["report"]
    promises = {one["name"]: one for one in report["promises"]}
    lacking = {name for name, one in promises.items() if one["kept"] != "kept"}

    assert promises.keys() == PROMISES.keys()
    assert lacking >= {"private_tmp", "private_pids", "private_ipc", "private_network"}
    assert not lacking & REQUIRED["confined"]
    assert [one["name"] for one in report["others"]] == ["namespaces", "bubblewrap"]
    assert "[Errno " in report["others"][0]["reason"]
    assert all(promises[name]["cause"] and promises[name]["remedy"] for name in lacking)
    cause, remedy = (promises["private_pids"][name] for name in ("cause", "remedy"))
    if not told["made"]:  # the words are this machine's
        return
    if kind == "sysctl":
        assert "user.max_user_namespaces is 0" in cause
        assert "sysctl user.max_user_namespaces=10000" in remedy
    else:
        assert "a filter of system calls refuses them" in cause
        assert "--security-opt seccomp=unconfined" in remedy
    assert ("--cap-add SYS_ADMIN" in remedy) is (user == "root")


@pytest.mark.parametrize(("kind", "user"), KINDS)
def test_memory_is_watched_where_no_cgroup_can_be_made(contained: Contain, kind: str, user: str) -> None:
    """Cgroups that cannot be written to leave the limit to who adds up: the dyno still ends by R15, and it is told."""
    told = contained(kind, user)
    (bounded,) = [one for one in told["report"]["promises"] if one["name"] == "bounded_memory"]

    assert (bounded["kept"], bounded["evidence"]) == ("not kept", "it is added up once a second")
    assert "Delegate=yes" in bounded["remedy"]
    assert (told["big"], told["log"]) == (137, ["Error R15 (Memory quota vastly exceeded)"])


@pytest.mark.parametrize(("kind", "user"), KINDS)
def test_who_needs_more_is_told_what_to_change(contained: Contain, kind: str, user: str) -> None:
    """A promise that is required and not kept is an error with every sandbox's reason, and the remedy as its hint."""
    told = contained(kind, user)
    code, tried, hint = told["refused"]
    (pids,) = [one for one in told["report"]["promises"] if one["name"] == "private_pids"]

    assert (code, tried) == ("sandbox.unavailable", ["namespaces", "bubblewrap", "landlock"])
    assert hint.startswith(pids["remedy"])


def test_the_command_tells_why_and_what_to_change(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`slugkit sandbox` names each sandbox that does not work; promises with one cause and remedy are told together."""
    here = Circumstances(root=False, sysctls={"user.max_user_namespaces": 0})
    monkeypatch.setattr(_promises, "circumstances", lambda: here)
    kept = dict.fromkeys(REQUIRED["confined"], "")
    told = _promises.report("landlock", "confined", kept, (("namespaces", "clone: [Errno 28]"),))
    monkeypatch.setattr("slugkit.cli._sandbox.choose", lambda *_: Landlock())
    monkeypatch.setattr("slugkit.cli._sandbox.examine", lambda _: told)

    assert run(["sandbox"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[lines.index("namespaces does not work here: clone: [Errno 28]") + 1 :][:3] == [
        "private_tmp, private_pids, no_signals, private_ipc, private_network",
        "  why: user.max_user_namespaces is 0",
        "  to have it: sysctl user.max_user_namespaces=10000",
    ]
    (shown,) = [line for line in lines if line.startswith("  not kept  private_pids ")]
    assert shown.endswith("not tried")


# -- causes and remedies ---------------------------------------------------------------------------------------

APPARMOR = "kernel.apparmor_restrict_unprivileged_userns"
FILTER = "a filter of system calls refuses them, as Docker's default profile does"
OLD_DOCKER = "a filter of system calls refuses it, as Docker's default profile does before 20.10.18"
PROFILE = "or an AppArmor profile with userns for"


@pytest.mark.parametrize(
    ("here", "cause", "remedy"),
    [
        (
            Circumstances(root=True, filtered=True, capable=False, covered=True),
            f"this root has no CAP_SYS_ADMIN; {FILTER}",
            "docker run --cap-add SYS_ADMIN --security-opt seccomp=unconfined",
        ),
        (
            Circumstances(root=False, filtered=True, capable=False, covered=True),
            f"{FILTER}; parts of /proc are covered, so that no other can be mounted",
            "docker run --security-opt seccomp=unconfined --security-opt systempaths=unconfined",
        ),
        (
            Circumstances(root=False, program="/opt/bin/python3.11", sysctls={APPARMOR: 1}, profile="unconfined"),
            f"{APPARMOR} is 1",
            f"sysctl {APPARMOR}=0, {PROFILE} /opt/bin/python3.11",
        ),
        (
            Circumstances(root=False, sysctls={"kernel.unprivileged_userns_clone": 0, APPARMOR: 0}),
            "kernel.unprivileged_userns_clone is 0",
            "sysctl kernel.unprivileged_userns_clone=1",
        ),
        (
            Circumstances(root=True, sysctls={"user.max_user_namespaces": 0, "user.max_pid_namespaces": 0}),
            "user.max_pid_namespaces is 0",
            "sysctl user.max_pid_namespaces=10000",
        ),
        (
            Circumstances(root=False, profile="docker-default", sysctls={APPARMOR: 1}),
            f"AppArmor's profile docker-default is on this program; {APPARMOR} is 1",
            f"docker run --security-opt apparmor=unconfined; and sysctl {APPARMOR}=0, {PROFILE} python3",
        ),
        (Circumstances(root=False), "the kernel does not say why", "a machine, or a virtual one, of one's own"),
        (
            Circumstances(root=True, sysctls={APPARMOR: 1, "kernel.unprivileged_userns_clone": 0}),
            "the kernel does not say why",
            "a machine, or a virtual one, of one's own",
        ),
    ],
    ids=["root in Docker", "user in Docker", "Ubuntu", "Debian", "no pids", "both", "unknown", "not root's"],
)
def test_each_obstacle_has_its_remedy(here: Circumstances, cause: str, remedy: str) -> None:
    """What forbids namespaces is named with what changes it, all of it; what does not apply to the user is not."""
    assert obstacles(here) == _obstacles.Obstacles(cause, remedy)


def test_the_circumstances_are_read_where_the_kernel_tells_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sysctls that are there, a filter, capabilities, AppArmor's label and what covers /proc are found; others not."""
    files = {
        "/proc/self/status": "Name:\tpython\nCapEff:\t00000000a82425fb\nSeccomp:\t2\n",
        "/proc/self/mountinfo": "57 91 0:44 /null /proc/keys rw,nosuid - tmpfs tmpfs rw\n",
        "/proc/self/attr/apparmor/current": "docker-default (enforce)\n",
        f"/proc/sys/{APPARMOR.replace('.', '/')}": "1\n",
    }
    monkeypatch.setattr(_obstacles, "_text", lambda path: files.get(path, ""))
    program = os.path.realpath(sys.executable)

    assert circumstances() == Circumstances(
        ROOT,
        filtered=True,
        capable=True,
        covered=True,
        profile="docker-default",
        program=program,
        sysctls={APPARMOR: 1},
    )
    files["/proc/self/mountinfo"] = (
        "22 1 0:21 / /proc rw - proc proc rw\n30 22 0:26 / /proc/sys/fs/binfmt_misc rw - x x rw\n"
    )
    assert not circumstances().covered


@pytest.mark.parametrize(
    ("number", "filtered", "reason"),
    [
        (errno.EPERM, True, OLD_DOCKER),
        (errno.ENOSYS, True, OLD_DOCKER),
        (errno.ENOSYS, False, "this kernel has none (Linux 6.2)"),
        (errno.EOPNOTSUPP, False, "this kernel was started without it, say lsm=landlock,... to it"),
    ],
)
def test_a_refused_landlock_says_by_whom(
    monkeypatch: pytest.MonkeyPatch, number: int, reason: str, *, filtered: bool
) -> None:
    """Landlock that is refused is the kernel's, its command line's or an engine's doing, and the text says whose."""

    def refused() -> int:
        raise OSError(number, "landlock_create_ruleset: no")

    monkeypatch.setattr(landlock, "version", refused)
    monkeypatch.setattr(_landlock, "circumstances", lambda: Circumstances(ROOT, filtered=filtered))

    assert Landlock().check() == f"[Errno {number}] landlock_create_ruleset: no: {reason}"


def test_a_root_without_capabilities_is_told_which(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root that may not give files away is no traceback: the reason names what it lacks, and who needs none of it."""

    def refused(*_: object) -> Path:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), "/tmp/x")

    monkeypatch.setattr(_selftest, "_made", refused)

    reason = _selftest.self_test(Landlock()).missing("confined")

    assert reason == f"[Errno 1] Operation not permitted: '/tmp/x': {_selftest._POWERLESS}"
    assert "an ordinary user needs none" in reason


@pytest.mark.parametrize(("mode", "flags"), [(0o755, 0), (0o700, 0), (0o755, os.ST_NOEXEC)])
def test_a_directory_that_no_dyno_can_live_in_is_told(monkeypatch: pytest.MonkeyPatch, mode: int, flags: int) -> None:
    """Where nothing is mounted dynos live in the temporary directory: it has to let them in and execute."""
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=flags))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        home = Path(place, "home")
        home.mkdir()
        Path(place).chmod(mode)
        told = _landlock._unfit(home)

    if flags:
        assert told == f"nothing can be executed in {home} (noexec), where dynos live: set TMPDIR"
    elif mode == 0o700:
        assert told == f"only its owner enters {place}, and dynos live in {home}: set TMPDIR"
    else:
        assert told is None
