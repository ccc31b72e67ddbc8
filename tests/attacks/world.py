"""What there is to attack: canaries, victims, sockets and keys of the host's, all made for this and gone afterwards."""

import array
import ctypes
import json
import os
import random
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from attrs import define, field

import kernel
from slugkit._tree import remove_tree
from slugkit.testing import make_slug

from . import ATTACKERS, marks

ATTACK = "exec python3 -S -B attack"
VICTIMS = (
    *("kill", "stop", "tgkill", "pidfd", "queue", "owner"),
    *("score", "limits", "nice", "affinity", "group", "namespaced"),
)
_TARGETS = ("write", "truncate", "rename", "unlink", "touch", "xattr", "reopen", "remount", "hard", "store")
LIMITS = {  # what a dyno is to have: contract.md 4.8, and what this project's documentation says of its directories
    "processes": 256,
    "memory": 512 * 2**20,
    "tmp": 512 * 2**20,
    "inodes": 20_000,
    "files": 10_000,
}
_FIRST_KEY = 0x41544B00


@define
class World:
    """The host side of an attack: what was made, where it is, and the secrets that only attackers could bring back."""

    scratch: Path
    run: str = field(factory=lambda: secrets.token_hex(6))
    tokens: dict[str, str] = field(factory=dict)
    told: dict[str, Any] = field(factory=dict)
    pids: dict[str, int] = field(factory=dict)
    fds: list[int] = field(factory=list)
    processes: dict[str, "subprocess.Popen[bytes]"] = field(factory=dict)
    undo: ExitStack = field(factory=ExitStack)
    pipe: int = -1
    semaphore: int = -1

    def token(self, name: str) -> str:
        """Make the secret *name*."""
        return self.tokens.setdefault(name, secrets.token_hex(16))


@contextmanager
def world(names: list[str]) -> Iterator[World]:
    """Make everything for the attempts *names*, and remove it."""
    scratch = Path(tempfile.mkdtemp(prefix="slugkit-atk-", dir="/tmp"))
    made = World(scratch)
    try:
        with made.undo:
            scratch.chmod(0o755)
            made.told |= {
                "run": made.run,
                "pidns": os.readlink("/proc/self/ns/pid"),
                "uid": os.getuid(),
                "limits": LIMITS,
            }
            for make in (_files, _victims, _resident, _ipc, _keys, _descriptors, _cgroup):
                make(made)
            _slugs(made, names)
            yield made
    finally:
        marks.end(made.run)
        _unlock(scratch)
        remove_tree(scratch)


def _unlock(scratch: Path) -> None:
    """Take away what keeps files from being removed; the attack suite's own mess only."""
    if os.geteuid() == 0:
        subprocess.run(["chattr", "-R", "-i", scratch], capture_output=True, check=False)


def _files(made: World) -> None:
    scratch = made.scratch
    for directory in ("home", "drop", "precious/below"):
        (scratch / directory).mkdir(parents=True)
    (scratch / "drop").chmod(0o777)
    for name in ("file", "below/file"):
        (scratch / "precious" / name).write_text("precious")
    canary = scratch / "home/secret"
    canary.write_text(made.token("home"))
    canary.chmod(0o600)
    made.told |= {
        "home_canary": str(canary),
        "drop": str(scratch / "drop"),
        "precious": str(scratch / "precious"),
        "handle": _handle(canary),
        "root_canary": "/root/nothing",
    }
    if os.geteuid() == 0:
        root = Path("/root", f".slugkit-atk-{made.run}")
        made.undo.callback(root.unlink)
        root.write_text(made.token("root"))
        root.chmod(0o600)
        made.told["root_canary"] = str(root)
    for directory in ("/tmp", "/var/tmp", "/dev/shm"):
        made.undo.callback(Path(directory, f"atk-{made.run}").unlink, missing_ok=True)


def _handle(path: Path) -> str:
    """Return the kernel's handle of a file, as those who attack by it guess it."""
    buffer = ctypes.create_string_buffer((128).to_bytes(4, sys.byteorder), 8 + 128)
    try:
        kernel.call("name_to_handle_at", -100, bytes(path), buffer, ctypes.byref(ctypes.c_int()), 0)
    except OSError:
        return ""
    return buffer.raw.hex()


def _slugs(made: World, names: list[str]) -> None:
    """Make the slug of the attackers, with a process type for each who needs a dyno to itself, and another app's."""
    files: dict[str, str | bytes] = {f"attack/{path.name}": path.read_bytes() for path in ATTACKERS.glob("*.py")}
    files |= {f"slug/{name}": "original" for name in _TARGETS} | {"other/file": "original"}
    types = dict.fromkeys((*names, "together"), ATTACK)
    make_slug(made.scratch / "slug", files, neighbour="exec python3 -S -B attack/resident.py", **types)
    make_slug(made.scratch / "other", {"secret": made.token("other")}, worker="true")
    made.told["slug"] = str(made.scratch / "slug/app.slug.tgz")
    made.told["other_slug"] = str(made.scratch / "other/app.slug.tgz")


def _victims(made: World) -> None:
    """Start processes of the host's, one for each way to be harmed."""
    for name in VICTIMS:
        group = 0 if name == "group" else None
        argv = ["sleep", "600"]
        if name == "namespaced":
            argv = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--user"]), *argv]
        made.processes[name] = subprocess.Popen(argv, process_group=group, stderr=subprocess.DEVNULL)
        made.pids[name] = made.processes[name].pid
    made.undo.callback(_end, made)
    made.told["pids"] = made.pids


def _end(made: World) -> None:
    for process in made.processes.values():
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()


def _resident(made: World) -> None:
    """Start the victim that holds secrets and listens."""
    scratch, run = made.scratch, made.run
    made.told["abstract"] = {"victim": f"atk-{run}-victim", "neighbour": f"atk-{run}-neighbour"}
    made.told["unix"] = str(scratch / "host.sock")
    run_socket = Path("/run", f"slugkit-atk-{run}.sock") if os.geteuid() == 0 else scratch / "run.sock"
    made.undo.callback(run_socket.unlink, missing_ok=True)
    made.told["unix_run"] = str(run_socket)
    vsock = random.randint(20_000, 2**30)
    made.told["ports"] = {"vsock": vsock, "low": _free_low()}
    told = resident(made, "victim") | {"unix": made.told["unix"], "unix_run": str(run_socket), "vsock": vsock}
    process = subprocess.Popen(
        [sys.executable, "-S", "-B", ATTACKERS / "resident.py", made.token("victim-argument"), "-"],
        env={"PATH": os.environ["PATH"], "SECRET": made.token("victim-environment")},
        cwd=scratch,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    made.processes["victim"], made.pids["victim"] = process, process.pid
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(told).encode() + b"\n")
    process.stdin.flush()
    said = json.loads(process.stdout.readline().removeprefix(b"RESIDENT "))
    made.told["addresses"] = {"victim": said["memory"], "scribble": said["scribble"]}
    made.told["ports"]["victim"] = said["port"]


def resident(made: World, mark: str) -> dict[str, Any]:
    """Return what a resident is told, whose secrets are those of *mark*."""
    kinds = ("memory", "memfd", "socket") if mark == "victim" else ("memory", "memfd", "socket", "tmp", "log")
    tokens = {kind: made.token(f"{mark}-{kind}") for kind in kinds}
    return {"run": made.run, "mark": mark, "tokens": tokens, "abstract": made.told["abstract"][mark]}


def _free_low() -> int:
    """Return a port below 1024 that nobody listens on."""
    taken = {int(line.split()[1].split(":")[1], 16) for line in Path("/proc/net/tcp").read_text().splitlines()[1:]}
    return next(port for port in random.sample(range(600, 1000), 100) if port not in taken)


def _ipc(made: World) -> None:
    key = made.told["ipc"] = _FIRST_KEY + random.randrange(1 << 20)
    shm = kernel.call("shmget", key, 4096, 0o1600)
    made.undo.callback(kernel.call, "shmctl", shm, 0, None)
    address = kernel.call("shmat", shm, None, 0)
    ctypes.memmove(address, made.token("shm").encode(), 32)
    made.semaphore = kernel.call("semget", key, 1, 0o1600)
    made.undo.callback(kernel.call, "semctl", made.semaphore, 0, 0, 0)
    queue = kernel.call("msgget", key, 0o1600)
    made.undo.callback(kernel.call, "msgctl", queue, 0, None)
    kernel.call("msgsnd", queue, (1).to_bytes(8, sys.byteorder) + made.token("message").encode(), 32, 0)
    made.told["mq"] = f"atk-{made.run}"
    fd = kernel.call("mq_open", made.told["mq"].encode(), os.O_RDWR | os.O_CREAT, 0o600, None)
    made.undo.callback(kernel.call, "mq_unlink", made.told["mq"].encode())
    kernel.call("mq_timedsend", fd, made.token("mq").encode(), 32, 0, None)
    os.close(fd)
    made.told["segment"] = f"atk-{made.run}-segment"
    segment = Path("/dev/shm", made.told["segment"])
    made.undo.callback(segment.unlink, missing_ok=True)
    segment.write_text(made.token("segment"))


def _keys(made: World) -> None:
    """Leave keys in a session keyring of this program's own, and in its user's, where a container's filter lets it."""
    made.told |= {"session_key": f"atk-session-{made.run}", "user_key": f"atk-user-{made.run}"}
    tokens = {name: made.token(name).encode() for name in ("session_key", "user_key")}
    try:
        kernel.call("keyctl", 1, None)  # join a new session: what was there is not ours to show
    except PermissionError:
        return
    kernel.call("keyctl", 8, -4, -3)  # and link the user's keys to it, as a login does
    for ring, name in ((-3, "session_key"), (-4, "user_key")):
        token = tokens[name]
        key = kernel.call("add_key", b"user", made.told[name].encode(), token, len(token), ring)
        kernel.call("keyctl", 5, key, 0x3F3F0000)  # its possessor and its owner may do anything
        made.undo.callback(kernel.call, "keyctl", 9, key, ring)
    made.undo.callback(forget_key, made)


def forget_key(made: World) -> bool:
    """Remove the key that an attacker left with the user, and return whether there was one."""
    try:
        key = kernel.call("keyctl", 10, -4, b"user", f"atk-left-{made.run}".encode(), 0)
    except OSError:
        return False
    kernel.call("keyctl", 9, key, -4)
    return True


def _descriptors(made: World) -> None:
    """Open what the host program is to inherit, and its dynos are not."""
    fd = os.memfd_create("inherited")
    os.write(fd, made.token("inherited").encode())
    sent = os.memfd_create("sent")
    os.write(sent, made.token("sent").encode())
    ours, theirs = socket.socketpair()
    ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [sent]))])
    made.pipe, end = os.pipe()
    os.set_blocking(made.pipe, False)
    made.fds = [fd, theirs.detach(), end, ours.detach(), sent]
    for one in (*made.fds, made.pipe):
        made.undo.callback(os.close, one)


def _cgroup(made: World) -> None:
    """Make a cgroup to flee to, where that is allowed."""
    made.told["cgroup"] = "/sys/fs/cgroup/nothing"
    for place in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup/pids", "/sys/fs/cgroup"):
        group = Path(place, f"slugkit-atk-{made.run}")
        with suppress(OSError):
            group.mkdir()
            if (group / "cgroup.procs").exists():
                made.told["cgroup"] = str(group)
                made.undo.callback(_remove_cgroup, group)
                return
            group.rmdir()  # in a container: a directory like any other


def _remove_cgroup(group: Path) -> None:
    for _ in range(100):
        for pid in (group / "cgroup.procs").read_text().split():
            with suppress(OSError):
                os.kill(int(pid), 9)
        with suppress(OSError):
            group.rmdir()
            return
        time.sleep(0.02)
