"""The view of a command in namespaces: what it shows, what it refuses to mount on, and what is said when it fails."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from slugkit import _exec
from slugkit.command import Command, DataFile
from slugkit.sandbox import Bind, File, Link, Mount, Namespaces, Overlay, SandboxSpec, Tmpfs, dyno_uid, stack_view

ROOT = os.geteuid() == 0
pytestmark = pytest.mark.usefixtures("sandboxed")
ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


def confined(script: str, *mounts: Mount, arguments: tuple[DataFile | str, ...] = (), **more: Any) -> Command:  # noqa: ANN401 - fields of a spec
    """Return bash running *script* in a view of the stack and *mounts*."""
    uid = dyno_uid()
    spec = SandboxSpec((*stack_view(uid), *mounts), uid, **more)
    return Namespaces().confine(Command(("/bin/bash", "-c", script, "bash", *arguments), ENV), spec)


def told(script: str, *mounts: Mount, arguments: tuple[DataFile | str, ...] = (), **more: Any) -> list[str]:  # noqa: ANN401 - fields of a spec
    """Return the lines that *script* prints in that view."""
    done = _exec.run(confined(script, *mounts, arguments=arguments, **more))
    assert done.status == 0, done.output
    return done.output.splitlines()


def failure(*mounts: Mount, **more: Any) -> str:  # noqa: ANN401 - fields of a spec
    """Return why a view cannot be made."""
    with pytest.raises(_exec.StartError) as caught:
        _exec.run(confined("echo it ran", *mounts, **more))
    return str(caught.value)


def snapshot(root: Path) -> dict[str, tuple[int, bytes]]:
    """Return the kind and content of everything below *root*."""
    return {
        str(path.relative_to(root)): (
            stat.S_IFMT(path.lstat().st_mode),
            os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b"",
        )
        for path in root.rglob("*")
    }


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """Return an app's tree that the dyno uid may read."""
    app = tmp_path / "app"
    (app / "tmp").mkdir(parents=True)
    (app / "slug").write_text("slug\n")
    for path in (tmp_path, *tmp_path.parents):
        if path != Path("/") and path.stat().st_uid == os.getuid() and path.name.startswith(("pytest-", "test_")):
            path.chmod(0o755)
    return app


# -- what is shown ---------------------------------------------------------------------------------------------


def test_every_mount_is_as_closed_as_it_can_be(app: Path) -> None:
    """Read-only but for what the view lets be written; no setuid program and no device works, but those of /dev."""
    view = (Bind(app, "/app"), Tmpfs("/app/tmp", 2**20), Tmpfs("/tmp", 2**20), Bind(app, "/rw", writable=True))
    mounts = {line.split()[4]: set(line.split()[5].split(",")) for line in told("cat /proc/self/mountinfo", *view)}

    assert {"/", "/app", "/app/tmp", "/usr", "/proc", "/dev", "/dev/null", "/dev/pts", "/dev/shm"} <= mounts.keys()
    devices = {f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty")}
    writable = {path for path, options in mounts.items() if "rw" in options}
    assert writable == {"/app/tmp", "/tmp", "/rw", "/proc", "/dev/pts", "/dev/shm", *devices}
    assert [path for path, options in mounts.items() if "nosuid" not in options] == []
    covered = {f"/proc/{name}" for name in ("keys", "key-users", "kcore", "timer_list", "latency_stats", "sched_debug")}
    assert {path for path, options in mounts.items() if "nodev" not in options} - covered == {"/dev/pts", *devices}
    assert told("cat /proc/keys /proc/timer_list", *view) == []


def test_submounts_of_a_bind_are_as_closed_as_it_is(app: Path) -> None:
    """What is mounted below a directory that is shown comes with it, and is no more open: /dev with its /dev/pts."""
    mounts = [
        line.split() for line in told("cat /proc/self/mountinfo", Bind(Path("/dev"), "/shown"), Bind(app, "/app"))
    ]
    shown = {words[4]: set(words[5].split(",")) for words in mounts if words[4].startswith("/shown")}

    assert len(shown) > 1
    assert all({"ro", "nosuid", "nodev"} <= options for options in shown.values())


def test_nothing_can_be_written_but_where_it_may(app: Path) -> None:
    """The root, the stack, /dev and the app refuse in the words of a read-only file system."""
    places = ("/x", "/usr/x", "/etc/x", "/dev/x", "/app/x")
    script = (
        f'for place in {" ".join(places)}; do (: > $place) 2>&1 | sed "s/.*: //"; done; : > /app/tmp/x && echo fine'
    )

    answers = told(script, Bind(app, "/app"), Tmpfs("/app/tmp", 2**20))
    assert answers == ["Read-only file system"] * len(places) + ["fine"]


def test_the_roots_own_content(app: Path) -> None:
    """At the top there is what the view names, and nothing of the host's root."""
    stack = {mount.inside.split("/")[1] for mount in stack_view(None)}

    assert set(told("ls -A /", Bind(app, "/app"), Tmpfs("/tmp", 2**20))) == stack | {"app", "tmp", "proc", "dev"}


def test_the_devices_are_the_harmless_ones() -> None:
    """/dev holds six devices, links, and terminals of its own, of which there are none yet."""
    assert told("ls -A /dev /dev/pts /dev/shm") == [
        *("/dev:", "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty"),
        *("urandom", "zero", "", "/dev/pts:", "ptmx", "", "/dev/shm:"),
    ]
    assert told("echo lost >/dev/null; head -c2 /dev/zero | od -An -tx1; echo x 2>&1 >/dev/full | sed 's/.*: //'") == [
        " 00 00",
        "No space left on device",
    ]
    assert told("python3 -c 'import os; print(os.ttyname(os.openpty()[1]))'") == ["/dev/pts/0"]


def test_the_processes_are_its_own(app: Path) -> None:
    """It sees its init as pid 1, itself, and no process of the host; what is the kernel's can only be read."""
    assert told("cd /proc; echo [0-9]*; echo $$ $PPID", Bind(app, "/app"))[1] == "2 1"
    assert set(told("cd /proc; echo [0-9]*")[0].split()) <= {"1", "2", "3"}
    kernels = told(
        "for file in sys/kernel/core_pattern sys/kernel/hostname sysrq-trigger fs irq bus;"
        " do [ -w /proc/$file ] && echo $file can be written; done; echo end"
    )
    assert kernels == ["end"]


def test_the_hosts_name_is_not_in_sight() -> None:
    """Its name is localhost; it cannot be changed."""
    assert told("hostname; cat /proc/sys/kernel/hostname; hostname evil 2>/dev/null || echo no") == [
        *("localhost", "localhost", "no"),
    ]


def test_every_namespace_is_its_own_but_the_network() -> None:
    """Processes, mounts, names, IPC and cgroups are its own, a user's users as well; the network when told."""
    kinds = ("pid", "mnt", "uts", "ipc", "cgroup", "user", "net")
    script = f"for kind in {' '.join(kinds)}; do readlink /proc/self/ns/$kind; done"
    host = [os.readlink(f"/proc/self/ns/{kind}") for kind in kinds]

    shared = {kind for kind, own, theirs in zip(kinds, told(script), host, strict=True) if own == theirs}
    alone = {kind for kind, own, theirs in zip(kinds, told(script, network=False), host, strict=True) if own == theirs}
    assert shared == ({"net", "user"} if ROOT else {"net"})
    assert alone == shared - {"net"}


def test_without_the_network_there_is_loopback() -> None:
    """A network of its own has one interface, which is up."""
    script = "import socket; one = socket.create_server(('127.0.0.1', 0)); socket.create_connection(one.getsockname())"

    assert told(f'python3 -c "{script}" && cut -d: -f1 -s /proc/net/dev', network=False) == ["    lo"]


def test_it_is_nobody_and_stays_so() -> None:
    """Its uid is the one asked for or the caller's, its groups one, its capabilities none, its securebits locked."""
    lines = told("grep -h '^Cap\\|^NoNewPrivs\\|^Seccomp:\\|^Uid\\|^Gid\\|^Groups' /proc/self/status")
    status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}

    assert len(set(status["Uid"])) == len(set(status["Gid"])) == 1
    assert status["Uid"] != ["0"] * 4
    assert {name: status[name] for name in status if name.startswith("Cap")} == {
        name: ["0" * 16] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
    }
    assert (status["NoNewPrivs"], status["Seccomp"]) == (["1"], ["2"])
    assert not ROOT or status["Groups"] == []


def test_the_init_shows_nothing() -> None:
    """Its pid 1 is a fork of the warden, which has read other commands: nothing of it can be read or changed."""
    script = (
        "for file in environ maps mem smaps auxv fd/0 fd/3 cwd root exe map_files ns/mnt stack syscall io; do"
        " (cat /proc/1/$file || ls /proc/1/$file/ || readlink /proc/1/$file) >/dev/null 2>&1 && echo open $file; done;"
        " for file in mem oom_score_adj comm coredump_filter sched attr/current clear_refs; do"
        " (echo 0 >/proc/1/$file) 2>/dev/null && echo changed $file; done; ls /proc/1/fd 2>/dev/null | wc -l"
    )

    assert told(script) == ["0"]


@pytest.mark.parametrize("name", ["KILL", "STOP", "TERM", "INT", "HUP", "ABRT", "SEGV", "ALRM", "CHLD", "USR1", "CONT"])
def test_no_signal_does_anything_to_the_init(name: str) -> None:
    """Whatever its app sends to pid 1, it goes on, and tells how the app ended."""
    assert _exec.run(confined(f"kill -{name} 1; sleep 0.05; exit 7")).status == 7


# -- what a view is made of ------------------------------------------------------------------------------------


def test_each_kind_of_mount(app: Path) -> None:
    """Binds of files and directories, memory of a size, links and files, with the directories above them."""
    view = (
        *(Bind(app, "/a/b/c"), Bind(app / "slug", "/a/file"), Tmpfs("/a/mem", 8192, 16)),
        *(Link("b/c/slug", "/a/link"), File("/a/deep/er/made", b"made\xff\n")),
    )
    script = (
        "cat /a/b/c/slug /a/file /a/link; od -An -c /a/deep/er/made; stat -c '%a %F' /a /a/deep/er/made /a/mem;"
        " stat -f -c '%b %c' /a/mem; head -c 9000 /dev/zero 2>&1 >/a/mem/x | wc -l; stat -c %s /a/mem/x"
    )
    assert told(script, *view) == [
        *("slug", "slug", "slug", "   m   a   d   e 377  \\n"),
        *("755 directory", "644 regular file", "1777 directory", "2 16", "1", "8192"),
    ]


def test_a_later_mount_covers_an_earlier_one(app: Path, tmp_path: Path) -> None:
    """The order is the view's: what comes later lies on top."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "slug").write_text("other\n")

    assert told("cat /app/slug", Bind(app, "/app"), Bind(other, "/app")) == ["other"]
    assert told("cat /app/slug", Bind(other, "/app"), Bind(app, "/app")) == ["slug"]


def test_what_is_optional_may_be_missing(app: Path) -> None:
    """An optional bind that is not there, or leads nowhere, leaves no trace; one that is needed is an error."""
    (app.parent / "dangling").symlink_to("/nonexistent")
    optional = [Bind(app.parent / name, f"/{name}", optional=True) for name in ("none", "dangling")]

    assert told("ls -d /none /dangling 2>/dev/null; echo end", *optional) == ["end"]
    assert failure(Bind(app.parent / "none", "/none")).startswith("namespaces: ")


def test_an_overlay_takes_every_change_and_keeps_none(app: Path) -> None:
    """What an overlay shows can be changed, removed and made anew, whoever owns it; the host's stays."""
    (app / "lib/deep").mkdir(parents=True)
    (app / "lib/deep/file").write_text("old\n")
    before = snapshot(app)
    script = (
        "cd /app; stat -c %u slug lib | sort -u | diff - <(id -u) && echo mine; echo new >> slug; cat slug;"
        " rm -r lib && mkdir -p lib/deep && ls -A lib/deep; mv slug moved; ln -s x link; chmod 700 tmp; ls -A"
    )

    changed = told(script, Overlay(app, "/app", 2**20))
    assert changed == ["mine", "slug", "new", "lib", "link", "moved", "tmp"]
    assert snapshot(app) == before
    assert told("cat /app/slug", Overlay(app, "/app", 2**20)) == ["slug"]


def test_an_overlay_is_as_large_as_it_is_said_to_be(app: Path) -> None:
    """What is written into an overlay is bounded in bytes and in entries."""
    script = "head -c 100000 /dev/zero 2>&1 >/app/large | sed 's/.*: //'; for i in {1..40}; do : >/app/$i; done 2>&1"

    answers = told(f"{script} | sed 's/.*: //' | sort -u; ls /app | wc -l", Overlay(app, "/app", 65536, 20))
    assert answers[:2] == ["No space left on device"] * 2
    assert int(answers[2]) < 25


def test_an_overlay_and_descriptors_go_together(app: Path) -> None:
    """However the numbers fall, a command that reads by descriptor has its data, and the overlay its owner."""
    taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(20)]
    try:
        data = tuple(DataFile(str(number).encode()) for number in range(40))
        answers = told('for fd; do cat /dev/fd/$fd; done; stat -c " %u" /app/slug; id -u', Overlay(app, "/app", 2**20),
                       arguments=data)  # fmt: skip
    finally:
        for fd in taken:
            os.close(fd)
    mine = answers[1]
    assert answers == ["".join(map(str, range(40))) + f" {mine}", mine]


# -- what is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "target"),
    [
        ("tmp", "{outside}"),
        ("tmp", "{outside}/missing"),
        ("tmp", "../outside"),
        ("tmp", "lib"),
        ("tmp", "/tmp"),
        ("tmp", "slug"),
        ("tmp", "tmp"),
        ("deep", "{outside}"),
        ("deep", "../../../../../../../.."),
        ("deep", "/"),
    ],
)
@pytest.mark.parametrize("kind", ["tmpfs", "bind", "overlay", "file", "link", "bound file"])
def test_a_mount_point_behind_a_link_is_refused(where: str, target: str, kind: str, app: Path, tmp_path: Path) -> None:
    """A slug whose tmp is a link, to wherever, gets no mount on what it leads to, and nothing is made on the host.

    The shape of CVE-2026-87766.
    """
    outside = tmp_path / "outside"
    outside.mkdir()
    (app / "lib").mkdir()
    (app / "tmp").rmdir()
    (app / where).symlink_to(target.format(outside=outside))
    inside = {"tmp": "/app/tmp", "deep": "/app/deep/down/tmp"}[where]
    mounts: Mapping[str, Mount] = {
        "tmpfs": Tmpfs(inside, 4096),
        "bind": Bind(outside, inside),
        "overlay": Overlay(outside, inside, 65536),
        "file": File(inside, b"data"),
        "link": Link("x", inside),
        "bound file": Bind(app / "slug", inside),
    }
    before = snapshot(tmp_path)

    for writable in (False, True):
        try:
            _exec.run(confined("echo it ran", Bind(app, "/app", writable=writable), mounts[kind]))
        except _exec.StartError as error:
            assert str(error).startswith("namespaces: ")  # noqa: PT017 - a mount on the link itself is none behind it
        else:
            assert (kind, where) == ("bound file", "tmp")
        assert snapshot(tmp_path) == before


def test_a_file_mounted_on_a_link_covers_the_link(app: Path, tmp_path: Path) -> None:
    """A file can be shown where the app has a link: it lies on the link, not on what that leads to."""
    (tmp_path / "other").write_text("other\n")
    (app / "link").symlink_to("slug")
    view = (Bind(app, "/app"), Bind(tmp_path / "other", "/app/link"))

    assert told("cat /app/slug", *view) == ["slug"]


@pytest.mark.parametrize(
    ("inside", "kind"), [("/app/slug", "directory"), ("/app/tmp", "file"), ("/app/slug/x", "file")]
)
def test_a_mount_point_of_another_kind_is_refused(inside: str, kind: str, app: Path) -> None:
    """A directory is not mounted on a file, nor a file on a directory or below a file."""
    mount = Tmpfs(inside, 4096) if kind == "directory" else Bind(app / "slug", inside)

    assert failure(Bind(app, "/app"), mount).startswith("namespaces: ")
    assert sorted(os.listdir(app)) == ["slug", "tmp"]


def test_nothing_is_made_in_a_read_only_tree(app: Path) -> None:
    """A mount point that the app lacks is not made in it: the view cannot be had."""
    assert (
        failure(Bind(app, "/app"), Tmpfs("/app/none", 4096)) == "namespaces: [Errno 30] Read-only file system: b'none'"
    )
    assert sorted(os.listdir(app)) == ["slug", "tmp"]


@pytest.mark.parametrize(
    ("more", "stage"),
    [
        ({"cgroups": ("/proc/nothing/of/that/kind",)}, "init: "),
        ({"limits": {"open_files": -5}}, "limits: "),
        ({"port": 70000}, "landlock: "),
    ],
)
def test_what_fails_names_its_stage(more: Mapping[str, object], stage: str) -> None:
    """An error says at which stage of the sandbox it came up, with the system's words."""
    assert failure(**more).startswith(stage)


def test_a_program_or_directory_that_is_missing_is_told_as_by_any_shell(app: Path) -> None:
    """What concerns the command itself has no stage: the words are the system's, and name the path."""
    uid = dyno_uid()
    spec = SandboxSpec((*stack_view(uid), Bind(app, "/app")), uid)
    for command, words in (
        (Command(("/nonexistent",), ENV), "[Errno 2] No such file or directory: '/nonexistent'"),
        (Command(("nonexistent",), ENV), "[Errno 2] no such program: 'nonexistent'"),
        (Command(("/app/slug",), ENV), "[Errno 13] Permission denied: '/app/slug'"),
        (Command(("/usr",), ENV), "[Errno 13] Permission denied: '/usr'"),
        (Command(("true",), ENV, Path("/gone")), "[Errno 2] No such file or directory: '/gone'"),
    ):
        with pytest.raises(_exec.StartError) as caught:
            _exec.run(Namespaces().confine(command, spec))
        assert str(caught.value) == words
