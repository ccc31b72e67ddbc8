"""Sandboxes: what they ask bwrap for, how one is chosen, and how commands are started."""

import os
import pwd
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from attrs import field, frozen

from slugkit import _exec
from slugkit.command import INFO_FD, LIFELINE_FD, Command, DataFile, HiddenArgs
from slugkit.errors import SandboxUnavailableError
from slugkit.sandbox import (
    REGISTRY_ETC,
    Bind,
    Bubblewrap,
    File,
    Link,
    Mount,
    Sandbox,
    SandboxSpec,
    Tmpfs,
    Unconfined,
    _bubblewrap,
    _choice,
    _stack,
    choose,
    dyno_uid,
    stack_view,
)
from slugkit.sandbox._selftest import self_test
from slugkit.sandbox._stack import DYNO_UIDS

ROOT = os.geteuid() == 0
TRUE = Command(("true",))


@pytest.fixture
def new_bwrap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write argv as for /opt/bwrap 0.8.0, whatever is installed."""
    monkeypatch.setattr(_bubblewrap, "_program", lambda: "/opt/bwrap")
    monkeypatch.setattr(_bubblewrap, "_version", lambda: (0, 8, 0))


def hidden(command: Command) -> tuple[str | DataFile, ...]:
    """Return the arguments of a bwrap call that travel by descriptor."""
    (found,) = [argument for argument in command.argv if isinstance(argument, HiddenArgs)]
    return found.args


def words(command: Command) -> list[str]:
    """Return the hidden arguments as text, data as its content."""
    return [arg if isinstance(arg, str) else arg.data.decode() for arg in hidden(command)]


def after(command: Command, start: str) -> list[str]:
    """Return the hidden arguments from *start* on."""
    told = words(command)
    return told[told.index(start) :]


def confined(*mounts: Mount, uid: int | None = None, command: Command = TRUE) -> Command:
    return Bubblewrap().confine(command, SandboxSpec(mounts, uid))


# -- what bwrap is told ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("new_bwrap")
def test_the_whole_call_of_an_ordinary_user() -> None:
    """As a user, bwrap makes every namespace, forbids more of them, shows the view in order, and runs the command."""
    mounts = (Bind(Path("/usr"), "/usr"), Link("usr/bin", "/bin"), Tmpfs("/tmp", 4096))
    command = Command(("bash", "-c", "true"), {"A": "1", "B": "2"}, Path("/app"), lifeline=True)
    call = Bubblewrap().confine(command, SandboxSpec(mounts))

    assert call.argv[:4] == ("/opt/bwrap", "--info-fd", INFO_FD, "--args")
    assert call.argv[5:] == ("--", "bash", "-c", "true")
    assert (dict(call.env), call.cwd, call.info, call.lifeline) == ({}, None, True, True)
    assert words(call) == [
        *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--hostname", "localhost"),
        *("--die-with-parent", "--new-session", "--proc", "/proc", "--dev", "/dev"),
        *("--unshare-user", "--disable-userns"),
        *("--ro-bind", "/usr", "/usr"),
        *("--symlink", "usr/bin", "/bin"),
        *("--perms", "1777", "--size", "4096", "--tmpfs", "/tmp"),
        *("--remount-ro", "/dev", "--remount-ro", "/", "--clearenv"),
        *("--setenv", "A", "1", "--setenv", "B", "2", "--chdir", "/app"),
    ]


@pytest.mark.usefixtures("new_bwrap")
def test_the_whole_call_of_root() -> None:
    """As root there is no user namespace: capabilities to become someone else only, and setpriv drops them all."""
    call = confined(uid=61234, command=Command(("id",)))

    assert call.argv[4:] == (
        HiddenArgs(hidden(call)),
        *("--", "/usr/bin/setpriv", "--reuid", "61234", "--regid", "61234", "--clear-groups"),
        *("--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--"),
        *("/bin/bash", "--noprofile", "--norc", "-p", "-c", _bubblewrap._UNVEIL, "bash", "id"),
    )
    told = words(call)
    assert "--unshare-user" not in told
    assert after(call, "--cap-drop")[:8] == [
        *("--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP"),
    ]


def test_an_old_bwrap_is_not_asked_for_what_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    """--disable-userns came with 0.8.0; an older bwrap, or one that tells no version, is called without it."""
    for version, expected in (((0, 7, 0), False), ((), False), ((0, 8, 0), True), ((0, 11), True), ((1,), True)):
        monkeypatch.setattr(_bubblewrap, "_version", lambda version=version: version)
        assert ("--disable-userns" in words(confined())) is expected, version


@pytest.mark.parametrize("uid", [None, 61234])
def test_secrets_stand_in_no_argument(uid: int | None) -> None:
    """Config vars and file contents travel by descriptor: neither argv nor the environment of bwrap shows them."""
    secret = Command(("env",), {"TOKEN": "hunter2hunter2"})
    call = confined(File("/etc/passwd", b"hunter3hunter3"), uid=uid, command=secret)

    assert "hunter" not in repr(call)
    assert not any("hunter" in argument for argument in call.argv if isinstance(argument, str))
    assert dict(call.env) == {}
    veil = "" if uid is None else "_slugkit_env_"  # setpriv must not obey it: it still is root when it starts
    assert after(call, "--setenv") == ["--setenv", f"{veil}TOKEN", "hunter2hunter2"]


@pytest.mark.parametrize(
    ("mount", "arguments"),
    [
        (Bind(Path("/a"), "/b"), ["--ro-bind", "/a", "/b"]),
        (Bind(Path("/a"), "/b", writable=True), ["--bind", "/a", "/b"]),
        (Bind(Path("/a"), "/b", optional=True), ["--ro-bind-try", "/a", "/b"]),
        (Bind(Path("/a"), "/b", writable=True, optional=True), ["--bind-try", "/a", "/b"]),
        (Tmpfs("/b", 7), ["--perms", "1777", "--size", "7", "--tmpfs", "/b"]),
        (Link("t", "/b"), ["--symlink", "t", "/b"]),
        (File("/b", b"data"), ["--perms", "0644", "--file", "data", "/b"]),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, list) else value[0],
)
def test_each_kind_of_mount(mount: Mount, arguments: list[str]) -> None:
    """A view's mounts are read-only unless they say otherwise, and each is one request to bwrap."""
    assert words(confined(mount)) == [
        *words(confined())[: -words(confined())[::-1].index("/dev") - 2],
        *arguments,
        *TAIL,
    ]


TAIL = ("--remount-ro", "/dev", "--remount-ro", "/", "--clearenv")


def test_directories_above_a_mount_can_be_entered() -> None:
    """What bwrap would make 0700 above a mount is made 0755 first, outermost first; the dyno uid walks through it."""
    call = confined(Bind(Path("/x"), "/opt/slugkit/0"))

    assert after(call, "--perms") == [
        *("--perms", "0755", "--dir", "/opt", "--perms", "0755", "--dir", "/opt/slugkit"),
        *("--ro-bind", "/x", "/opt/slugkit/0", *TAIL),
    ]


def test_what_a_mount_brings_is_not_made_again() -> None:
    """Directories below an earlier mount are that mount's own; nothing is made in a read-only one."""
    call = confined(Bind(Path("/tree"), "/app"), Tmpfs("/app/tmp", 1), Bind(Path("/y"), "/app/a/b"))

    assert after(call, "--ro-bind") == [
        *("--ro-bind", "/tree", "/app", "--perms", "1777", "--size", "1", "--tmpfs", "/app/tmp"),
        *("--ro-bind", "/y", "/app/a/b", *TAIL),
    ]


def test_the_root_is_sealed_after_the_last_mount() -> None:
    """The order is the view's own, and what is left of / becomes read-only when all of it is there."""
    mounts = [Bind(Path(f"/{name}"), f"/{name}") for name in ("c", "a", "b")]
    told = words(confined(*mounts))

    assert [told[index + 2] for index, word in enumerate(told) if word == "--ro-bind"] == ["/c", "/a", "/b"]
    assert told.index("--remount-ro") > told.index("/b")


def test_where_a_path_is_inside() -> None:
    """The last mount that shows a path tells its name inside; a path that none shows keeps its own."""
    spec = SandboxSpec(
        (
            Bind(Path("/usr"), "/usr"),
            Bind(Path("/ws/tmp"), "/tmp", writable=True),
            Bind(Path("/ws/tmp/build"), "/app"),
            Tmpfs("/work", 1),
        )
    )
    inside = {
        path: Bubblewrap().inside(spec, Path(path))
        for path in (
            "/usr/bin/env",
            "/ws/tmp/cache/x",
            "/ws/tmp/build",
            "/ws/tmp/build/a b",
            "/ws/tmpx",
            "/etc",
        )
    }

    assert inside == {
        "/usr/bin/env": "/usr/bin/env",
        "/ws/tmp/cache/x": "/tmp/cache/x",
        "/ws/tmp/build": "/app",
        "/ws/tmp/build/a b": "/app/a b",
        "/ws/tmpx": "/ws/tmpx",
        "/etc": "/etc",
    }


def test_unconfined_changes_nothing() -> None:
    """Without a sandbox a command is itself and a path is itself; it is called none and always works."""
    none, command, spec = Unconfined(), Command(("a",), {"B": "c"}), SandboxSpec((Tmpfs("/tmp", 1),), 5)

    assert none.confine(command, spec) is command
    assert none.inside(spec, Path("/tmp/x")) == "/tmp/x"
    assert (none.name, none.check()) == ("none", None)


# -- the stack -------------------------------------------------------------------------------------------------


def test_the_stack_shows_no_secret_of_the_host() -> None:
    """No user's files, no passwords, no keys of the host are in the view, and none of it can be written."""
    view = stack_view(61234)
    shown = {str(mount.host) for mount in view if isinstance(mount, Bind)}

    assert "/usr" in shown
    assert "/etc/ssl/certs" in shown
    assert not [mount for mount in view if isinstance(mount, Bind) and mount.writable]
    for secret in ("/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/ssl/private", "/etc/ssh", "/root", "/home"):
        covering = [path for path in shown if Path(secret).is_relative_to(path)]
        assert covering == [], secret
    for whole in ("/", "/etc", "/var", "/run", "/sys", "/proc", "/dev", "/tmp"):
        assert whole not in shown


def test_the_stacks_user_database_names_the_dyno_only() -> None:
    """/etc/passwd and /etc/group are made for the view: root and the one who runs, nobody of the host."""
    files = {mount.inside: mount.data for mount in stack_view(61234) if isinstance(mount, File)}
    own = {mount.inside: mount.data for mount in stack_view(None) if isinstance(mount, File)}

    assert files["/etc/passwd"] == b"root:x:0:0:root:/root:/bin/bash\ndyno:x:61234:61234:dyno:/app:/bin/bash\n"
    assert files["/etc/group"] == b"root:x:0:\ndyno:x:61234:\n"
    assert f"dyno:x:{os.getuid()}:{os.getuid()}:".encode() in own["/etc/passwd"]


def test_only_what_anybody_may_read_is_copied(tmp_path: Path) -> None:
    """A small file of /etc is shown as a copy, unless its mode keeps it from others: a copy would lose that."""
    for name, mode in (("open", 0o644), ("secret", 0o600)):
        (tmp_path / name).write_text(name)
        (tmp_path / name).chmod(mode)

    assert _stack._shown(tmp_path / "open") == File(str(tmp_path / "open"), b"open")
    assert _stack._shown(tmp_path / "secret") == Bind(tmp_path / "secret", str(tmp_path / "secret"), optional=True)
    assert _stack._shown(tmp_path / "none") == Bind(tmp_path / "none", str(tmp_path / "none"), optional=True)


def test_builds_see_the_registries_settings_and_dynos_do_not() -> None:
    """/etc/pip.conf and its like may hold credentials: they are in a build's view only."""
    settings = {f"/etc/{name}" for name in REGISTRY_ETC}
    dyno = {mount.inside for mount in stack_view(61234)}
    build = {mount.inside for mount in stack_view(61234, REGISTRY_ETC)}

    assert not settings & dyno
    assert build - dyno == settings


def test_links_at_the_top_stay_links() -> None:
    """/bin and its like are shown as the host has them: a link where it is one, a directory where not."""
    for mount in stack_view(61234):
        if isinstance(mount, Link):
            assert os.readlink(mount.inside) == mount.target
        elif isinstance(mount, Bind) and mount.inside.count("/") == 1:
            assert not Path(mount.inside).is_symlink()


def test_root_runs_apps_as_nobodys_user() -> None:
    """As root a dyno gets a uid that no account has; an ordinary user cannot give one away."""
    uids = {dyno_uid() for _ in range(50)}

    if not ROOT:
        assert uids == {None}
        return
    assert all(uid in DYNO_UIDS for uid in uids)
    assert not uids & {entry.pw_uid for entry in pwd.getpwall()}
    assert len(uids) > 1


# -- choosing --------------------------------------------------------------------------------------------------


@frozen
class Fake:
    """A sandbox that answers to check, and counts."""

    name: str
    reason: str | None
    asked: list[str] = field(factory=list)

    def check(self) -> str | None:
        """Return the reason."""
        self.asked.append(self.name)
        return self.reason

    def confine(self, command: Command, spec: SandboxSpec) -> Command:
        """Return the command, to be refused by the spec."""
        assert spec
        return command

    def inside(self, spec: SandboxSpec, path: Path) -> str:
        """Return the path."""
        assert spec
        return str(path)


def preferring(monkeypatch: pytest.MonkeyPatch, *sandboxes: Sandbox) -> None:
    monkeypatch.setattr(_choice, "PREFERRED", sandboxes)


def test_auto_takes_the_first_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sandboxes are tried strongest first, and no further than needed."""
    broken, works, weaker = Fake("strong", "no kernel"), Fake("good", None), Fake("weak", None)
    preferring(monkeypatch, broken, works, weaker)

    assert choose("auto") is works
    assert (broken.asked, works.asked, weaker.asked) == (["strong"], ["good"], [])


def test_when_none_works_every_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Auto never falls to no sandbox at all: it is an error with each one's reason and the explicit way out."""
    preferring(monkeypatch, Fake("strong", "no kernel"), Fake("good", "EPERM at mount"))

    with pytest.raises(SandboxUnavailableError) as caught:
        choose("auto")
    assert caught.value.tried == (("strong", "no kernel"), ("good", "EPERM at mount"))
    assert str(caught.value) == "no sandbox works here\n  strong: no kernel\n  good: EPERM at mount"
    assert caught.value.hint is not None
    assert "--sandbox none" in caught.value.hint


def test_a_name_means_that_one_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox that was asked for by name is taken or refused; no other takes its place."""
    broken, works = Fake("strong", "no kernel"), Fake("good", None)
    preferring(monkeypatch, broken, works)

    assert choose("good") is works
    assert choose("none") == Unconfined()
    with pytest.raises(SandboxUnavailableError) as caught:
        choose("strong")
    assert caught.value.tried == (("strong", "no kernel"),)


def test_a_name_that_is_none_is_told_with_those_there_are() -> None:
    """An unknown name is an error that lists the names; the empty one too."""
    for name in ("docker", "", "AUTO"):
        with pytest.raises(SandboxUnavailableError) as caught:
            choose(name)
        assert caught.value.tried == ((name, "not one of auto, bubblewrap, none"),)


def test_an_object_is_tried_as_well() -> None:
    """A sandbox of the caller's own is tried before it is trusted."""
    own = Fake("own", None)

    assert choose(own) is own
    with pytest.raises(SandboxUnavailableError) as caught:
        choose(Fake("own", "it is raining"))
    assert caught.value.tried == (("own", "it is raining"),)


# -- the self-test ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("sandboxed")
def test_bubblewrap_keeps_its_promises_here() -> None:
    """Where bwrap works, its check says nothing; the self-test passes twice in a row."""
    assert Bubblewrap().check() is None
    assert self_test(Bubblewrap()) is None
    assert choose("auto") == Bubblewrap()


def test_the_self_test_sees_through_a_sandbox_that_promises_nothing() -> None:
    """A sandbox that runs commands as they are fails its self-test."""
    reason = self_test(Unconfined())

    assert reason


@frozen
class Leaky:
    """Bubblewrap, but for one thing."""

    hole: str
    name: str = "leaky"

    def check(self) -> str | None:
        """Return what the self-test finds."""
        return self_test(self)

    def confine(self, command: Command, spec: SandboxSpec) -> Command:
        """Confine *command*, and leave the hole open."""
        mounts: tuple[Mount, ...] = spec.mounts
        match self.hole:
            case "writable slug":
                mounts = tuple(
                    Bind(m.host, m.inside, writable=True) if isinstance(m, Bind) and m.inside == "/app" else m
                    for m in mounts
                )
                (app,) = [m.host for m in mounts if isinstance(m, Bind) and m.inside == "/app"]
                app.chmod(0o777)
                (app / "slug").chmod(0o666)
            case "host files":
                mounts = (*mounts, Bind(Path("/tmp"), "/tmp"))
            case "no tmp":
                mounts = tuple(m for m in mounts if not (isinstance(m, Tmpfs) and m.inside == "/app/tmp"))
            case "environment":
                command = Command(command.argv, {**command.env, "CANARY": "outside"}, command.cwd)
        return Bubblewrap().confine(command, SandboxSpec(mounts, spec.uid))

    def inside(self, spec: SandboxSpec, path: Path) -> str:
        """Return where bubblewrap shows it."""
        return Bubblewrap().inside(spec, path)


@pytest.mark.usefixtures("sandboxed")
@pytest.mark.parametrize(
    ("hole", "reason"),
    [
        ("writable slug", "self-test: the slug was changed"),
        ("host files", "self-test: host files outside the view can be seen"),
        ("no tmp", "self-test: tmp/ cannot be written"),
        ("environment", "self-test: the environment was not replaced"),
    ],
)
def test_the_self_test_names_the_broken_promise(
    hole: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sandbox with one hole fails the self-test, which says what is wrong."""
    if hole == "host files":
        monkeypatch.setattr("tempfile.tempdir", "/tmp")
    else:
        tmp_path.chmod(0o755)
    told = Leaky(hole).check()

    assert told is not None
    assert reason in told or (hole == "writable slug" and "the slug can be" in told)


def test_the_self_test_tells_why_the_program_did_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bwrap that cannot be executed is a reason in the system's words, not an exception."""
    monkeypatch.setattr(_bubblewrap, "_program", lambda: "/nonexistent/bwrap")

    assert self_test(Bubblewrap()) == "[Errno 2] No such file or directory: '/nonexistent/bwrap'"


def test_the_self_test_repeats_what_bwrap_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A bwrap that fails is quoted: its own words name the failing stage."""
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(_bubblewrap, "_program", lambda: str(fake))

    assert self_test(Bubblewrap()) == "bwrap: setting up uid map: Permission denied"
    fake.write_text("#!/bin/sh\nexit 3\n")
    assert self_test(Bubblewrap()) == "exited with status 3 and said nothing"


# -- starting processes ----------------------------------------------------------------------------------------


def command(script: str, *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Command:
    return Command(("/bin/bash", "-c", script), {"PATH": "/usr/bin:/bin", **(env or {})}, cwd)


def open_descriptors() -> set[str]:
    found = set()
    for entry in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{entry} {os.readlink(f'/proc/self/fd/{entry}')}")
        except OSError:  # the listing's own
            continue
    return {one for one in found if "/proc/" not in one}


def test_output_is_merged_and_live() -> None:
    """A command's two streams come as one, line by line, in the order written, with its status."""
    seen: list[str] = []
    done = _exec.run(command("echo a; echo b >&2; printf 'c\\r\\n'; printf d; exit 5"), on_line=seen.append)

    assert (done.status, done.output) == (5, "a\nb\nc\nd\n")
    assert seen == ["a", "b", "c", "d"]


def test_a_killed_command_has_its_signals_status() -> None:
    """128 + the signal, as shells tell it."""
    assert _exec.run(command("kill -TERM $$")).status == 143


def test_a_command_gets_its_own_environment_and_nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of the host, no standard input, no descriptor above 2, umask 022, the directory asked for."""
    monkeypatch.setenv("HOST_CANARY", "seen")
    before = os.umask(0o077)
    read, write = os.pipe()
    os.set_inheritable(write, True)
    script = "env | sort | grep -v '^_=\\|^SHLVL=\\|^PWD='; umask; pwd -P; wc -c; ls /proc/self/fd"
    try:
        done = _exec.run(command(script, env={"A": "1"}, cwd=tmp_path))
    finally:
        os.umask(before)
        os.close(read)
        os.close(write)

    told = done.output.split()
    assert told[:5] == ["A=1", "PATH=/usr/bin:/bin", "0022", str(tmp_path.resolve()), "0"]
    assert set(told[5:]) == {"0", "1", "2", "3"}  # the last is the directory that ls reads


def test_a_deadline_kills_the_family() -> None:
    """When the time is up it is a DeadlineError, and what the command started is dead."""
    mark = f"{os.getpid()}.{time.monotonic_ns()}"
    script = f"(exec -a mark-{mark} sleep 600) & echo started; exec -a mark-{mark} sleep 600"
    seen: list[str] = []

    with pytest.raises(_exec.DeadlineError):
        _exec.run(command(script), on_line=seen.append, deadline=time.monotonic() + 1.5)
    assert seen == ["started"]
    left = subprocess.run(["pgrep", "-f", f"^mark-{mark}"], capture_output=True, check=False)
    assert left.stdout == b""


def test_a_stray_that_holds_the_pipe_holds_nothing_up() -> None:
    """A process that left the family and keeps the output open does not keep the command from ending."""
    done = _exec.run(command("setsid sleep 30 & echo pid $!; echo done"))
    said = done.output.splitlines()

    assert (done.status, said[-1]) == (0, "done")
    stray = int(said[0].removeprefix("pid "))
    os.kill(stray, 9)  # it was still there: run() did not wait for it


@pytest.mark.parametrize("program", ["/nonexistent/program", "/etc/passwd", "/"])
def test_what_cannot_be_executed_is_a_start_error(program: str) -> None:
    """A program that is missing or none is a StartError, and leaves no descriptor open."""
    before = open_descriptors()
    asking = Command((program, "--args", HiddenArgs(("a",)), INFO_FD, LIFELINE_FD), info=True, lifeline=True)

    with pytest.raises(_exec.StartError, match=program):
        _exec.run(asking)
    assert open_descriptors() == before


@pytest.mark.usefixtures("sandboxed")
def test_fifty_runs_leave_no_descriptor() -> None:
    """Starting commands, in a sandbox or not, costs no descriptor once they have ended."""
    spec = SandboxSpec(stack_view(dyno_uid()), dyno_uid())
    confining = Bubblewrap().confine(command("true"), spec)
    before = open_descriptors()
    for number in range(50):
        assert _exec.run(confining if number % 5 == 0 else command("true")).status == 0

    assert open_descriptors() == before


def test_hidden_arguments_and_data_are_read_from_descriptors() -> None:
    """A command finds its hidden arguments NUL-separated and its data whole behind the numbers it is given."""
    reader = "import sys; print([open(int(fd), 'rb').read() for fd in sys.argv[1:]])"
    asking = Command((sys.executable, "-c", reader, HiddenArgs(("a b", "\udcff")), DataFile(b"x" * 3)), {"LC_ALL": "C"})

    assert _exec.run(asking).output == "[b'a b\\x00\\xff\\x00', b'xxx']\n"


@pytest.mark.usefixtures("sandboxed")
def test_killing_the_sandboxes_first_process_ends_all_of_it() -> None:
    """Spawn tells which host pid is pid 1 inside; when that dies, daemons of the command die with it."""
    spec = SandboxSpec(stack_view(dyno_uid()), dyno_uid())
    script = "setsid sleep 600 & setsid setsid sleep 600 & echo up; wait"
    process = _exec.spawn(Bubblewrap().confine(command(script), spec))
    assert process.popen.stdout is not None
    assert process.popen.stdout.readline() == b"up\n"
    deadline = time.monotonic() + 10
    while len(inside := _exec.members(process)) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)

    assert process.init is not None
    assert len(inside) >= 3
    _exec.end(process, _exec.open_init(process))
    assert [pid for pid in inside if Path("/proc", str(pid)).exists()] == []
