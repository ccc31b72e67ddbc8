"""Landlock's rules: what each of them leaves to a process, and what older kernels cannot know."""

import shutil
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from alone import alone
from slugkit._warden import landlock

pytestmark = pytest.mark.skipif(landlock.abi() < 1, reason="this kernel has no Landlock")

# Everything that a process may want of a directory; "other" is the place that things are moved to and from.
SCRIPT = r"""
import shutil
version, port, bind, place, other, *rules = sys.argv[1:]
if int(version):
    landlock.abi = lambda: int(version)
parent = os.getppid()
access = {"read": landlock.READ, "write": landlock.WRITE, "use": landlock.USE}
rules = [(one.partition("=")[2].encode(), access[one.partition("=")[0]]) for one in rules]
landlock.restrict([(path, landlock.READ) for path in (b"/usr", b"/lib", b"/lib64", b"/bin", b"/etc")] + rules,
                  int(bind) or None)
os.chdir("/")
def path(name): return os.path.join(place, name)
def run(): assert os.waitpid(os.posix_spawn(path("true"), ["true"], {}), 0)[1] == 0
def abstract():
    with socket.socket(socket.AF_UNIX) as one: one.connect("\0" + f"slugkit-test-{port}")
def listen(number):
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", number))
answer({
    "read": tried(lambda: open(path("file")).read()), "list": tried(lambda: os.listdir(place)),
    "run": tried(run),
    "write": tried(lambda: os.close(os.open(path("file"), os.O_WRONLY))),
    "truncate": tried(lambda: os.truncate(path("file"), 1)),
    "make": tried(lambda: open(path("new"), "x")), "directory": tried(lambda: os.mkdir(path("newd"))),
    "link": tried(lambda: os.symlink("x", path("newl"))), "fifo": tried(lambda: os.mkfifo(path("newf"))),
    "rename": tried(lambda: os.rename(path("a"), path("b"))),
    "move out": tried(lambda: os.rename(path("c"), os.path.join(other, "c"))),
    "move in": tried(lambda: os.rename(os.path.join(other, "d"), path("d"))),
    "remove": tried(lambda: os.unlink(path("gone"))), "rmdir": tried(lambda: os.rmdir(path("goned"))),
    "signal": tried(lambda: os.kill(parent, 0)), "abstract": tried(abstract),
    "port": tried(lambda: listen(int(bind) or 0)), "other port": tried(lambda: listen(0)),
})
"""
READING = ("read", "list", "run")
CHANGING = ("write", "truncate")
MAKING = ("make", "directory", "link", "fifo", "rename", "remove", "rmdir")
MOVING = ("move out", "move in")
HOST = ("signal", "abstract")
PORTS = ("port", "other port")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a directory with something for every attempt, beside another one."""
    for name in ("place", "other"):
        (tmp_path / name).mkdir()
    place = tmp_path / "place"
    for name in ("file", "a", "c", "gone"):
        (place / name).write_text("text")
    (tmp_path / "other/d").write_text("text")
    (place / "goned").mkdir()
    shutil.copy("/bin/true", place / "true")
    return place


@pytest.fixture
def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def tried(place: Path, port: int, *rules: str, abi: int = 0, bind: bool = False) -> dict[str, str]:
    """Return what each attempt met under *rules*; there is an abstract socket to connect to."""
    with socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0slugkit-test-{port}")
        abstract.listen()
        told = alone(SCRIPT, abi, port, port if bind else 0, place, place.parent / "other", *rules)
    assert isinstance(told, dict)
    return told


def names(told: Mapping[str, str], answer: str, among: tuple[str, ...]) -> set[str]:
    return {name for name in among if told[name] == answer}


FILES = (*READING, *CHANGING, *MAKING, *MOVING)


@pytest.mark.parametrize(
    ("access", "allowed"),
    [
        ("write", {*READING, *CHANGING, *MAKING}),
        ("use", {*READING, *CHANGING}),
        ("read", {*READING}),
        (None, set()),
    ],
)
def test_a_rule_gives_what_it_says_and_nothing_else(
    access: str | None, allowed: set[str], place: Path, free_port: int
) -> None:
    """Below a path: read is to read, list and run; use is to write files as well; write all of it; no rule nothing."""
    told = tried(place, free_port, *([f"{access}={place}"] if access else []))

    assert names(told, "ok", FILES) == allowed
    assert names(told, "EACCES", FILES) | names(told, "EXDEV", FILES) == set(FILES) - allowed
    assert {told[name] for name in MOVING} <= {"EACCES", "EXDEV"}


def test_things_move_between_two_places_that_may_be_written(place: Path, free_port: int) -> None:
    """From one writable place to another a file can be moved, which the kernel refuses unless both rules say so."""
    told = tried(place, free_port, f"write={place}", f"write={place.parent / 'other'}")

    assert names(told, "ok", FILES) == set(FILES)


def test_a_rule_can_be_about_a_single_file(place: Path, free_port: int) -> None:
    """A rule's path may be a file: what only a directory can have is left out of it, and its neighbours stay shut."""
    told = tried(place, free_port, f"write={place / 'file'}", f"read={place / 'true'}")

    assert names(told, "ok", FILES) == {"read", "write", "truncate", "run"}


def test_a_rule_through_a_link_is_about_what_it_leads_to(place: Path, free_port: int) -> None:
    """A path is followed when the rule is made: the place is open by its own name, too."""
    link = place.parent / "link"
    link.symlink_to(place)

    assert names(tried(place, free_port, f"read={link}"), "ok", FILES) == set(READING)


def test_a_path_that_is_missing_is_left_out(place: Path, free_port: int) -> None:
    """Rules about what is not there, or lies below a file, are no error and open nothing."""
    missing = [f"write={place / 'none'}", f"write={place / 'file/below'}", f"read={place}"]

    assert names(tried(place, free_port, *missing), "ok", FILES) == set(READING)


@pytest.mark.parametrize("abi", [version for version in range(1, 8) if version <= landlock.abi()])
def test_an_older_kernel_holds_what_it_knows(abi: int, place: Path, free_port: int) -> None:
    """Up to ABI 2 files can be truncated; up to 3 any port taken; up to 5 processes signalled, sockets reached."""
    told = tried(place, free_port, f"read={place}", abi=abi, bind=True)

    opened = {"truncate"} if abi < 3 else set()
    assert names(told, "ok", FILES) == {*READING, *opened}
    assert told["port"] == "ok"
    assert told["other port"] == ("ok" if abi < 4 else "EACCES")
    assert {told[name] for name in HOST} == ({"ok"} if abi < 6 else {"EPERM"})


def test_nothing_moves_between_places_before_abi_2(place: Path, free_port: int) -> None:
    """The first Landlock refuses every move to another directory, and still lets things be renamed in their own."""
    told = tried(place, free_port, f"write={place}", f"write={place.parent / 'other'}", abi=1)

    assert {told[name] for name in MOVING} == {"EXDEV"}
    assert names(told, "ok", FILES) == set(FILES) - set(MOVING)


def test_ports_are_free_unless_one_is_named(place: Path, free_port: int) -> None:
    """Without a port to bind, all can be bound."""
    told = tried(place, free_port, f"read={place}")

    assert {told[name] for name in PORTS} == {"ok"}


def test_no_descriptor_is_left() -> None:
    """Restricting costs no descriptor, and brings no_new_privs: what comes of the process can gain nothing."""
    told = alone(
        """
before = os.listdir("/proc/self/fd")
landlock.restrict([(b"/", landlock.READ)] * 20)
answer([len(before) - len(os.listdir("/proc/self/fd")), "NoNewPrivs:\\t1" in open("/proc/self/status").read()])
"""
    )

    assert told == [0, True]


def test_without_landlock_it_is_an_error() -> None:
    """A kernel that has none is told as ENOSYS: nothing runs as if it were restricted."""
    assert alone("landlock.abi = lambda: 0; answer(tried(lambda: landlock.restrict([])))") == "ENOSYS"


def test_no_rules_leave_nothing() -> None:
    """A process under no rule can open nothing, not even what it has just read."""
    told = alone('landlock.restrict([]); answer([tried(lambda: open("/etc/passwd")), tried(lambda: os.listdir("/"))])')

    assert told == ["EACCES", "EACCES"]
