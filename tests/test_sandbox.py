"""Sandboxes: what they ask bwrap for, how one is chosen, and how commands are started."""

import os
import pwd
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from attrs import evolve, field, frozen

from slugkit import _exec
from slugkit._warden.seccomp import program
from slugkit.command import LIFELINE_FD, Command, DataFile, HiddenArgs
from slugkit.errors import SandboxUnavailableError
from slugkit.sandbox import (
    NAMES,
    PROMISES,
    REGISTRY_ETC,
    Bind,
    Bubblewrap,
    File,
    Landlock,
    Link,
    Mount,
    Namespaces,
    Overlay,
    Sandbox,
    SandboxSpec,
    Tmpfs,
    Unconfined,
    _bubblewrap,
    _choice,
    _selftest,
    choose,
    dyno_uid,
    examine,
    stack_view,
)
from slugkit.sandbox._selftest import Tried, self_test
from slugkit.sandbox._stack import DYNO_UIDS
from support import NOBODY, as_nobody

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
    return [arg if isinstance(arg, str) else arg.data.decode("latin-1") for arg in hidden(command)]


def after(command: Command, start: str) -> list[str]:
    """Return the hidden arguments from *start* on."""
    told = words(command)
    return told[told.index(start) :]


def confined(*mounts: Mount, command: Command = TRUE) -> Command:
    return Bubblewrap().confine(command, SandboxSpec(mounts))


# -- what bwrap is told ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("new_bwrap")
def test_the_whole_call_of_an_ordinary_user() -> None:
    """As a user, bwrap makes every namespace, forbids more of them, shows the view in order, and runs the command."""
    mounts = (Bind(Path("/usr"), "/usr"), Link("usr/bin", "/bin"), Tmpfs("/tmp", 4096))
    command = Command(("bash", "-c", "true"), {"A": "1", "B": "2"}, Path("/app"))
    call = Bubblewrap().confine(command, SandboxSpec(mounts, limits={"processes": 9}))

    assert call.argv[:2] == ("/opt/bwrap", "--args")
    assert call.argv[3:] == ("--", "bash", "-c", "true")
    assert (dict(call.env), call.cwd) == ({}, None)
    assert call.confinement == {"wrapped": 2, "limits": {"core": 0, "processes": 9}}
    (filtering,) = [arg for arg in hidden(call) if isinstance(arg, DataFile)]
    assert filtering.data == program()
    told = [arg for arg in hidden(call) if isinstance(arg, str)]
    assert told == [
        *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
        *("--hostname", "localhost", "--die-with-parent", "--new-session", "--proc", "/proc", "--dev", "/dev"),
        *("--disable-userns", "--seccomp"),
        *("--ro-bind", "/usr", "/usr"),
        *("--symlink", "usr/bin", "/bin"),
        *("--perms", "1777", "--size", "4096", "--tmpfs", "/tmp"),
        *("--remount-ro", "/dev", "--remount-ro", "/", "--clearenv"),
        *("--setenv", "A", "1", "--setenv", "B", "2", "--chdir", "/app"),
    ]


def test_bubblewrap_is_for_ordinary_users() -> None:
    """As root its check says so, and what is better; for a user it is what the self-test found."""
    reason = Bubblewrap().check()

    if ROOT:
        assert reason == "it is for ordinary users: root needs no user namespace, and has namespaces without one"
    else:
        assert reason == self_test(Bubblewrap()).missing("isolated")


@pytest.mark.usefixtures("new_bwrap")
def test_the_network_is_left_out_when_asked() -> None:
    """Without the network bwrap makes one with loopback only."""
    without = Bubblewrap().confine(TRUE, SandboxSpec((), network=False))

    assert [word for word in words(without) if word not in words(confined())] == ["--unshare-net"]


def test_an_overlay_is_more_than_bubblewrap_has() -> None:
    """A view that can be written to and kept from the host is refused, not shown read-only or writable for real."""
    with pytest.raises(ValueError, match="copy-on-write"):
        confined(Overlay(Path("/a"), "/a", 4096))


def test_an_old_bwrap_is_not_asked_for_what_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    """--disable-userns came with 0.8.0; an older bwrap, or one that tells no version, is called without it."""
    for version, expected in (((0, 7, 0), False), ((), False), ((0, 8, 0), True), ((0, 11), True), ((1,), True)):
        monkeypatch.setattr(_bubblewrap, "_version", lambda version=version: version)
        assert ("--disable-userns" in words(confined())) is expected, version


def test_secrets_stand_in_no_argument() -> None:
    """Config vars and file contents travel by descriptor: neither argv nor the environment of bwrap shows them."""
    secret = Command(("env",), {"TOKEN": "hunter2hunter2"})
    call = confined(File("/etc/passwd", b"hunter3hunter3"), command=secret)

    assert "hunter" not in repr(call)
    assert not any("hunter" in argument for argument in call.argv if isinstance(argument, str))
    assert dict(call.env) == {}
    assert after(call, "--setenv") == ["--setenv", "TOKEN", "hunter2hunter2"]


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

    assert evolve(none.confine(command, spec), confinement={}) == command
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
    """Bwrap is given a small file as a copy, unless its mode keeps it from others: a copy would lose that."""
    for name, mode, text in (("open", 0o644, "open"), ("secret", 0o600, "secret"), ("large", 0o644, "x" * 300_000)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(mode)
    shown = {
        name: after(confined(Bind(tmp_path / name, "/x")), option)[:3]
        for name, option in (("open", "--file"), *((name, "--ro-bind") for name in ("secret", "large", "none")))
    }

    assert shown == {"open": ["--file", "open", "/x"]} | {
        name: ["--ro-bind", str(tmp_path / name), "/x"] for name in ("secret", "large", "none")
    }
    assert after(confined(Bind(tmp_path / "open", "/x", writable=True)), "--bind")[1] == str(tmp_path / "open")


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
    mounts: bool = True

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
        assert caught.value.tried == ((name, f"not one of {', '.join(NAMES)}"),)


def test_an_object_is_tried_as_well() -> None:
    """A sandbox of the caller's own is tried before it is trusted."""
    own = Fake("own", None)

    assert choose(own) is own
    with pytest.raises(SandboxUnavailableError) as caught:
        choose(Fake("own", "it is raining"))
    assert caught.value.tried == (("own", "it is raining"),)


# -- the self-test ---------------------------------------------------------------------------------------------


#: What works here of those that auto may take.
WORKING = [sandbox for sandbox in (Namespaces(), Bubblewrap(), Landlock()) if sandbox.check() is None]


def test_a_sandbox_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Choosing one, asking for promises and for the report take one self-test for each user, and none the next time."""
    runs: list[tuple[str, int]] = []

    def counted(sandbox: Sandbox) -> Tried:
        runs.append((sandbox.name, os.geteuid()))
        return Tried(dict.fromkeys(PROMISES, ""))

    monkeypatch.setattr(_selftest, "self_test", counted)
    _selftest._once.cache_clear()
    try:
        for _ in range(2):
            kept = examine(choose("auto", {"read_only", "no_tracing"})).kept()
            assert kept | {"bounded_memory"} == set(PROMISES)  # that one is not for a self-test to find out
        with as_nobody():
            choose("auto", {"read_only"})
    finally:
        _selftest._once.cache_clear()

    assert runs == [("namespaces", uid) for uid in dict.fromkeys((os.geteuid(), NOBODY if ROOT else os.geteuid()))]


def test_a_sandbox_of_ones_own_need_not_be_hashable() -> None:
    """One that is no value to remember is tried each time, and that is no error."""

    class Odd(Unconfined):
        __hash__ = None  # type: ignore[assignment]

    assert "read_only" not in examine(Odd()).kept()


@pytest.mark.usefixtures("sandboxed")
def test_namespaces_keep_their_promises_here() -> None:
    """Where namespaces work, the check says nothing, the self-test passes twice in a row, and auto takes them."""
    assert Namespaces().check() is None
    assert self_test(Namespaces()).missing("isolated") is None
    assert choose("auto") == Namespaces()
    assert NAMES == ("auto", "namespaces", "bubblewrap", "landlock", "owned", "none")


def test_the_self_test_sees_through_a_sandbox_that_promises_nothing() -> None:
    """A sandbox that runs commands as they are keeps none of what level owned asks for but its own processes."""
    reason = self_test(Unconfined()).missing("confined")

    assert reason is not None
    for broken in ("hidden_files", "private_writes", "read_only", "syscall_filter"):
        assert f"{broken}: " in reason


@frozen
class Leaky:
    """A sandbox that works, but for one thing."""

    real: Sandbox
    hole: str
    name: str = "leaky"

    @property
    def mounts(self) -> bool:
        """Return what the real one says."""
        return self.real.mounts

    def check(self) -> str | None:
        """Return what the self-test finds."""
        return self_test(self).missing(getattr(self.real, "level", "none"))

    def confine(self, command: Command, spec: SandboxSpec) -> Command:
        """Confine *command*, and leave the hole open."""
        mounts: tuple[Mount, ...] = spec.mounts
        match self.hole:
            case "writable slug":
                (app,) = [m.host for m in mounts if isinstance(m, Bind) and m.host.name == "app"]
                mounts = tuple(evolve(m, writable=True) if isinstance(m, Bind) and m.host == app else m for m in mounts)
                app.chmod(0o777)
                (app / "slug").chmod(0o666)
            case "host files":
                (app,) = [m.host for m in mounts if isinstance(m, Bind) and m.host.name == "app"]
                mounts = (*mounts, Bind(app.parent, str(app.parent)))
            case "no tmp":
                mounts = tuple(m for m in mounts if not str(getattr(m, "inside", "")).endswith("/tmp"))
            case "environment":
                command = evolve(command, env={**command.env, "CANARY": "outside"})
        return self.real.confine(command, evolve(spec, mounts=mounts))

    def inside(self, spec: SandboxSpec, path: Path) -> str:
        """Return where the real one shows it."""
        return self.real.inside(spec, path)


@pytest.mark.parametrize("sandbox", WORKING, ids=lambda sandbox: str(sandbox.name))
@pytest.mark.parametrize(
    ("hole", "reason"),
    [
        ("writable slug", "read_only: "),
        ("host files", "hidden_files: a directory of the host"),
        ("no tmp", "private_writes: "),
        ("environment", "clean_environment: a variable of the host's"),
    ],
)
def test_the_self_test_names_the_broken_promise(sandbox: Sandbox, hole: str, reason: str) -> None:
    """A sandbox with one hole fails the self-test, which says what is wrong."""
    told = Leaky(sandbox, hole).check()

    assert told is not None
    assert told.startswith("self-test: ")
    assert reason in told


def test_the_self_test_tells_why_the_program_did_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bwrap that cannot be executed is a reason in the system's words, not an exception."""
    monkeypatch.setattr(_bubblewrap, "_program", lambda: "/nonexistent/bwrap")

    assert self_test(Bubblewrap()).failure == "[Errno 2] No such file or directory: '/nonexistent/bwrap'"


def test_the_self_test_repeats_what_bwrap_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A bwrap that fails is quoted: its own words name the failing stage."""
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(_bubblewrap, "_program", lambda: str(fake))

    assert self_test(Bubblewrap()).failure == "bwrap: setting up uid map: Permission denied"
    fake.write_text("#!/bin/sh\nexit 3\n")
    assert self_test(Bubblewrap()).failure == "exited with status 3 and said nothing"


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
    """A process that left the family of a plain command, and keeps the output open, does not keep it from ending."""
    done = _exec.run(command("setsid sleep 30 & echo pid $!; echo done"))
    said = done.output.splitlines()

    assert (done.status, said[-1]) == (0, "done")
    stray = int(said[0].removeprefix("pid "))
    os.kill(stray, 9)  # it was still there: run() did not wait for it


@pytest.mark.parametrize("program", ["/nonexistent/program", "/etc/passwd", "/"])
def test_what_cannot_be_executed_is_a_start_error(program: str) -> None:
    """A program that is missing or none is a StartError, and leaves no descriptor open."""
    before = open_descriptors()
    asking = Command((program, "--args", HiddenArgs(("a",)), LIFELINE_FD))

    with pytest.raises(_exec.StartError, match=program):
        _exec.run(asking)
    assert open_descriptors() == before


@pytest.mark.usefixtures("sandboxed")
def test_fifty_runs_leave_no_descriptor() -> None:
    """Starting commands, in a sandbox or not, costs no descriptor once they have ended."""
    spec = SandboxSpec(stack_view(dyno_uid()), dyno_uid())
    confining = Namespaces().confine(command("true"), spec)
    before = open_descriptors()
    for number in range(50):
        assert _exec.run(confining if number % 5 == 0 else command("true")).status == 0

    assert open_descriptors() == before


def test_hidden_arguments_and_data_are_read_from_descriptors() -> None:
    """A command finds its hidden arguments NUL-separated and its data whole behind the numbers it is given."""
    reader = "import sys; print([open(int(fd), 'rb').read() for fd in sys.argv[1:]])"
    asking = Command((sys.executable, "-c", reader, HiddenArgs(("a b", "\udcff")), DataFile(b"x" * 3)), {"LC_ALL": "C"})

    assert _exec.run(asking).output == "[b'a b\\x00\\xff\\x00', b'xxx']\n"


def test_a_lifeline_ends_with_the_call() -> None:
    """LIFELINE_FD among the arguments is the end of a pipe to read from, whose other end nobody but the caller has."""
    script = "import os, select, sys; print(select.select([int(sys.argv[1])], [], [], 0.2)[0])"
    asking = Command((sys.executable, "-c", script, LIFELINE_FD), {"LC_ALL": "C"})

    assert _exec.run(asking).output == "[]\n"


def test_a_confined_deadline_leaves_nothing() -> None:
    """When the time of a confined command is up, all that it started is dead, whatever it did to get away."""
    mark = f"6{time.monotonic_ns() % 10**9}.25"
    spec = SandboxSpec(stack_view(dyno_uid()), dyno_uid())
    confining = WORKING[0].confine(command(f"setsid sleep {mark} & (setsid sleep {mark} &) & sleep {mark}"), spec)

    with pytest.raises(_exec.DeadlineError):
        _exec.run(confining, deadline=time.monotonic() + 1)
    left = subprocess.run(["pgrep", "-f", f"^sleep {mark}"], capture_output=True, check=False)
    assert left.stdout == b""
