"""What the host sees of one attempt, and the judges: functions that tell from it whether the attempt got through."""

import ctypes
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from attrs import define, field

import kernel

from . import marks
from .world import World, forget_key

Judge = Callable[["Scene"], bool]


@define
class Scene:
    """One attempt: who made it, what it brought back, and, when its dyno has been stopped, what came of that."""

    world: World
    name: str
    host: int
    main: int | None = None
    pids: list[int] = field(factory=list)
    above: set[int] = field(factory=set)
    loot: bytes = b""
    said: str | None = None
    error: str = ""
    home: Path | None = None
    trouble: list[str] = field(factory=list)

    def path(self, relative: str) -> Path:
        """Return a file of the app as the attacker sees it."""
        return Path(f"/proc/{self.main}/cwd/{relative}")


def loot(*names: str) -> Judge:
    """It brought back one of these secrets."""
    return lambda scene: any(scene.world.tokens.get(name, "\0").encode() in scene.loot for name in names)


def changed(relative: str, original: str = "original") -> Judge:
    """The app's own file is not what it was."""

    def judge(scene: Scene) -> bool:
        try:
            return scene.path(relative).read_text() != original
        except OSError:
            return True

    return judge


def made(relative: str) -> Judge:
    """There is a file now that was not."""
    return lambda scene: scene.main is not None and os.path.lexists(scene.path(relative))


def host_made(path: str) -> Judge:
    """There is a file on the host now; the path may name what the attackers were told."""
    return lambda scene: os.path.lexists(path.format(**scene.world.told))


def host_changed(name: str) -> Judge:
    """A file of the host's is not what it was."""
    return lambda scene: Path(str(scene.world.told[name])).read_text() != "original"


def dead(name: str) -> Judge:
    """A process of the host's, or of another dyno, is gone."""
    return lambda scene: not marks.alive(scene.world.pids[name])


def process(name: str, key: str, value: str) -> Judge:
    """A process of the host's has this state, nice value or policy."""
    return lambda scene: marks.stat(scene.world.pids[name]).get(key) == value


def own(key: str, test: Callable[[str], bool]) -> Judge:
    """A process of the attacker's has this state, nice value or policy."""
    return lambda scene: any(test(found[key]) for pid in scene.pids if (found := marks.stat(pid)))


def traced(name: str) -> Judge:
    """A process of the host's, or of another dyno, has a tracer."""
    return lambda scene: _tracer(scene.world.pids[name])


def traced_above(scene: Scene) -> bool:
    """A process above the app has a tracer."""
    return any(_tracer(pid) for pid in scene.above)


def traced_own(scene: Scene) -> bool:
    """A process of the app's has a tracer."""
    return any(_tracer(pid) for pid in scene.pids)


def _tracer(pid: int) -> bool:
    return marks.status(pid).get("TracerPid", "0") != "0"


def holds(pattern: str) -> Judge:
    """The attacker holds a descriptor of such a file."""

    def judge(scene: Scene) -> bool:
        return any(re.search(pattern, link) for pid in scene.pids for link in links(pid).values())

    return judge


def links(pid: int) -> dict[int, str]:
    """Return what the descriptors of *pid* lead to."""
    found = {}
    with suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
    return found


def holds_disk(scene: Scene) -> bool:
    """The attacker holds a block device."""
    for pid in scene.pids:
        for fd in links(pid):
            with suppress(OSError):
                if os.stat(f"/proc/{pid}/fd/{fd}").st_mode & 0o170000 == 0o060000:
                    return True
    return False


def holds_memory_above(scene: Scene) -> bool:
    """The attacker holds the memory of a process that is not its own."""
    return any(link.endswith("/mem") for pid in scene.pids for link in links(pid).values())


def shares_descriptor(scene: Scene) -> bool:
    """The attacker holds a pipe, socket or anonymous file of a process above the app; its own output is its own."""
    kinds = ("pipe:", "socket:", "/memfd:")
    known = {link for fd, link in links(scene.main or 0).items()}
    theirs = {link for pid in scene.above for link in links(pid).values() if link.startswith(kinds)} - known
    return any(link in theirs for pid in scene.pids for link in links(pid).values())


def socket_in(table: str) -> Judge:
    """The attacker holds a socket that this table of the kernel's lists."""

    def judge(scene: Scene) -> bool:
        for pid in scene.pids:
            inodes = {link[8:-1] for link in links(pid).values() if link.startswith("socket:")}
            with suppress(OSError):
                lines = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()
                if any(inodes.intersection(line.split()) for line in lines):
                    return True
        return False

    return judge


def listening(scene: Scene) -> bool:
    """The attacker listens where the host's own network is: the kernel of the host lists its socket."""
    inodes = {link[8:-1] for pid in scene.pids for link in links(pid).values() if link.startswith("socket:")}
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return any(line[3] == "0A" and line[9] in inodes for line in lines)


def listening_low(scene: Scene) -> bool:
    """It listens there, and the port belongs to root: in Docker's networks none does."""
    first = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    return scene.world.told["ports"]["low"] < first and listening(scene)


def status(name: str, test: Callable[[str], bool]) -> Judge:
    """A process of the attacker's has such a field in its /proc/PID/status."""
    return lambda scene: any(test(found[name]) for pid in scene.pids if (found := marks.status(pid)))


def someone_is_root(scene: Scene) -> bool:
    """A process below the attempt runs as root: the host's, not that of a namespace."""
    below = {pid for one in scene.pids for pid in marks.descendants(one)}
    return any(marks.status(pid).get("Uid", "1").split()[1:2] == ["0"] for pid in below)


def namespace(kind: str) -> Judge:
    """The attacker has a namespace that its app has not."""
    return lambda scene: any(_namespace(pid, kind) not in {_namespace(scene.main, kind), None} for pid in scene.pids)


def namespace_of(name: str, kind: str) -> Judge:
    """The attacker is in the namespace of a process of the host's."""
    return lambda scene: any(_namespace(pid, kind) == _namespace(scene.world.pids[name], kind) for pid in scene.pids)


def _namespace(pid: int | None, kind: str) -> str | None:
    with suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/{kind}")
    return None


def mounted(scene: Scene) -> bool:
    """The attacker sees a mount that it made."""
    for pid in scene.pids:
        with suppress(OSError):
            if f"atk-{scene.world.run}" in Path(f"/proc/{pid}/mountinfo").read_text().replace("slugkit-atk", ""):
                return True
    return False


def mount_held(scene: Scene) -> bool:
    """The attacker stands in a mount that it made."""
    return any(os.path.lexists(f"/proc/{pid}/cwd/made") for pid in scene.pids)


def written_in_own_mount(relative: str) -> Judge:
    """The attacker's own view of a file has changed."""

    def judge(scene: Scene) -> bool:
        for pid in scene.pids:
            with suppress(OSError):
                if Path(f"/proc/{pid}/cwd/{relative}").read_text() == "changed":
                    return True
        return False

    return judge


def tmp_is_no_mount(scene: Scene) -> bool:
    """The attacker has a mount namespace of its own in which tmp/ is no mount."""
    with suppress(OSError):
        tmp = os.readlink(f"/proc/{scene.main}/cwd") + "/tmp"
        for pid in scene.pids:
            if _namespace(pid, "mnt") != _namespace(scene.main, "mnt"):
                points = [line.split()[4] for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines()]
                return tmp not in points
    return False


def rooted(scene: Scene) -> bool:
    """The attacker has another root than its app."""
    with suppress(OSError):
        return any(
            os.stat(f"/proc/{pid}/root").st_ino != os.stat(f"/proc/{scene.main}/root").st_ino for pid in scene.pids
        )
    return False


def named(comm: str) -> Judge:
    """A process of the attacker's bears this name."""
    return lambda scene: any(marks.status(pid).get("Name") == comm for pid in scene.pids)


def personality(value: int) -> Judge:
    """A process of the attacker's has these bits of personality."""

    def judge(scene: Scene) -> bool:
        for pid in scene.pids:
            with suppress(OSError):
                if int(Path(f"/proc/{pid}/personality").read_text(), 16) & value == value:
                    return True
        return False

    return judge


def proc_file(name: str, file: str, test: Callable[[str], bool]) -> Judge:
    """A file of the host's victim, or of the attacker when *name* is "", in /proc says so."""

    def judge(scene: Scene) -> bool:
        for pid in scene.pids if not name else [scene.world.pids[name]]:
            with suppress(OSError):
                if test(Path(f"/proc/{pid}/{file}").read_text()):
                    return True
        return False

    return judge


def scribbled(scene: Scene) -> bool:
    """The memory of a process of the host's is not what it was."""
    with open(f"/proc/{scene.world.pids['victim']}/mem", "rb", buffering=0) as file:
        file.seek(scene.world.told["addresses"]["scribble"])
        return file.read(8) != b"original"


def affinity(name: str) -> Judge:
    """A process of the host's may run on fewer processors than we."""
    return lambda scene: len(os.sched_getaffinity(scene.world.pids[name])) < len(os.sched_getaffinity(0))


def told(word: str) -> Judge:
    """The attacker says so itself, of what cannot be tried for real: the kernel asked for no permission."""
    return lambda scene: scene.said == word


def key_left(scene: Scene) -> bool:
    """There is a key that the attacker left."""
    return forget_key(scene.world)


def semaphore_set(scene: Scene) -> bool:
    """The host's semaphore has the attacker's value."""
    return kernel.call("semctl", scene.world.semaphore, 0, 12, 0) == 777


def typed(scene: Scene) -> bool:
    """What it pushed came out of the host program's terminal as if somebody had typed it."""
    return f"#typed-{scene.world.run}".encode() in scene.loot


def garbage_came(scene: Scene) -> bool:
    """Something came through the pipe that the host program inherited."""
    try:
        return b"garbage" in os.read(scene.world.pipe, 65536)
    except BlockingIOError:
        return False


def more_processes(most: int) -> Judge:
    """The attacker has more processes than *most*."""
    return lambda scene: len(scene.pids) > most


def more_threads(most: int) -> Judge:
    """The attacker has more threads than *most*."""
    return lambda scene: sum(int(marks.status(pid).get("Threads", 0)) for pid in scene.pids) > most


def more_memory(most: int) -> Judge:
    """The attacker's processes have more memory of their own than *most* bytes."""

    def own_bytes(pid: int) -> int:
        return 1024 * int(marks.status(pid).get("RssShmem", "0").split()[0]) + 1024 * int(
            marks.status(pid).get("RssAnon", "0").split()[0]
        )

    return lambda scene: sum(own_bytes(pid) for pid in scene.pids) > 1.1 * most  # what forks share counts for each


def more_bytes(most: int) -> Judge:
    """The attacker holds a file of more than *most* bytes of real blocks."""

    def judge(scene: Scene) -> bool:
        for pid in scene.pids:
            for fd, link in links(pid).items():
                with suppress(OSError):
                    if "filled" in link and os.stat(f"/proc/{pid}/fd/{fd}").st_blocks * 512 > most:
                        return True
        return False

    return judge


def more_files(most: int) -> Judge:
    """There are more than *most* files in the app's tmp/."""
    return lambda scene: scene.main is not None and len(os.listdir(scene.path("tmp"))) > most


def more_descriptors(most: int) -> Judge:
    """The attacker has more open files than *most*."""
    return lambda scene: any(len(links(pid)) > most for pid in scene.pids)


def trouble(*kinds: str) -> Judge:
    """When its dyno was stopped there was trouble, of one of these kinds if any are given."""
    return lambda scene: any(not kinds or one.split(":")[0] in kinds for one in scene.trouble)


def in_neighbour(relative: str) -> Judge:
    """There is a file in another dyno that was not."""
    return lambda scene: os.path.lexists(f"/proc/{scene.world.pids['neighbour']}/cwd/{relative}")


def hard_linked(scene: Scene) -> bool:
    """The host's private file has a second name."""
    return os.stat(scene.world.told["home_canary"]).st_nlink > 1


def has_attribute(relative: str, name: str) -> Judge:
    """A file of the app's has this extended attribute."""
    return lambda scene: name in os.listxattr(scene.path(relative))


def kernel_said(scene: Scene) -> bool:
    """It brought back what the kernel has said."""
    buffer = ctypes.create_string_buffer(1 << 20)
    with suppress(OSError):
        size = kernel.call("syslog", 3, buffer, 1 << 20)
        stamps = re.findall(rb"\[ *\d+\.\d{6}\]", scene.loot)
        return bool(stamps) and all(stamp in buffer.raw[:size] for stamp in stamps)
    return False
