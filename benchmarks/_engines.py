"""Other ways to start a command: bwrap, container runtimes and engines with the binds of a dyno, and Procfile runners.

The runtimes and engines show what `_bwrap` shows, in all namespaces but those of network and user, without a terminal.
"""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import field, frozen

from benchmarks import _bwrap
from benchmarks._pair import left_out

Argv = list[str]

_IMAGE = "slugkit-benchmark"
_LINKS = ("bin", "sbin", "lib", "lib64")
_RUNTIME = 0.4  # of its time a dyno's start is to take
_ENGINE = 0.05
# Theirs are beyond what root may raise where it has no CAP_SYS_RESOURCE; a dyno has limits, too.
_ULIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]


def _nothing(_: str) -> Argv:
    return []


@frozen
class Peer:
    """Something that starts a command by ``start``, which like ``undo`` is given a name of the caller's.

    ``undo`` is what clears away what was killed; one without any ends all it has started when it is told to. ``count``
    is how many processes one start starts.
    """

    name: str
    start: Callable[[str], Argv]
    target: float
    undo: Callable[[str], Argv] = field(default=_nothing)
    count: int = 1


@frozen
class Running:
    """A peer's processes."""

    peer: Peer
    name: str
    process: "subprocess.Popen[bytes]"

    def heard(self) -> None:
        """Wait until each process has written a line that ends with ``up``, whatever stands before it.

        Raises:
            RuntimeError: It ended; with its last words.
        """
        assert self.process.stdout is not None  # noqa: S101 - it was asked for a pipe
        last, silent = b"", self.peer.count
        while silent:
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError(last.decode(errors="replace").strip() or "it said nothing")
            last = line.strip() or last
            silent -= line.rstrip().endswith(b"up")

    def end(self) -> None:
        """Leave nothing of it."""
        undo = self.peer.undo(self.name)
        (self.process.kill if undo else self.process.terminate)()
        if undo:
            subprocess.run(undo, check=False, capture_output=True)
        self.process.wait()
        assert self.process.stdout is not None  # noqa: S101 - as above
        self.process.stdout.close()


def started(peer: Peer, name: str = "slugkit-benchmark") -> Running:
    """Start *peer*."""
    argv = peer.start(name)
    return Running(peer, name, subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))


@contextmanager
def peers(scratch: Path, tree: Path, command: str, count: int = 1) -> Iterator[list[Peer]]:
    """Yield those that start *command*, which says ``up``, in a directory of theirs; others are named on stderr.

    *tree* is the app; Procfile runners start *count* processes each.
    """
    write_bundle(bundle := scratch / "bundle", tree, command)
    procfile = scratch / "Procfile"
    procfile.write_text(f"app: {command}\n", encoding="utf-8")
    with _docker_image(bundle / "rootfs") as image:
        state = str(scratch / "state")
        found = [Peer("bwrap", lambda _: _bwrap.call(tree, command), 1.0)]
        found += [crun(str(bundle), state), runc(str(bundle), state)]
        found += [docker(tree, command) if image else podman(scratch, bundle / "rootfs", tree, command)]
        found += [honcho(str(procfile), count), foreman(str(procfile), count)]
        yield [peer for peer in found if _works(peer)]


def _works(peer: Peer) -> bool:
    """Return whether *peer* starts anything here."""
    if shutil.which(peer.start("")[0]) is None:
        left_out(peer.name, "not installed")
        return False
    running = started(peer)
    try:
        running.heard()
    except RuntimeError as error:
        left_out(peer.name, str(error))
        return False
    finally:
        running.end()
    return True


def crun(bundle: str, state: str) -> Peer:
    """Return crun at its quickest: without a cgroup, of which the dyno that it is measured against has none either."""
    call = ["crun", "--root", f"{state}-crun", "--cgroup-manager=disabled"]
    return Peer(
        "crun run",
        lambda name: [*call, "run", "--bundle", bundle, name],
        _RUNTIME,
        lambda name: [*call, "delete", "--force", name],
    )


def runc(bundle: str, state: str) -> Peer:
    """Return runc, which always makes a cgroup."""
    call = ["runc", "--root", f"{state}-runc"]
    return Peer(
        "runc run",
        lambda name: [*call, "run", "--bundle", bundle, name],
        _RUNTIME,
        lambda name: [*call, "delete", "--force", name],
    )


def podman(scratch: Path, rootfs: Path, tree: Path, command: str) -> Peer:
    """Return podman, which stands for docker where there is none, with a storage of its own that holds nothing."""
    call = ["podman", "--root", f"{scratch}/podman", "--runroot", f"{scratch}/podman-run", "--storage-driver", "vfs"]
    return Peer(
        "podman run",
        lambda name: [*call, *_run(name, tree), "--rootfs", str(rootfs), *_bwrap.boot(command)],
        _ENGINE,
        lambda name: [*call, "rm", "--force", "--time", "0", name],
    )


def docker(tree: Path, command: str) -> Peer:
    """Return docker, with an image that holds mount points and nothing else."""
    return Peer(
        "docker run",
        lambda name: ["docker", *_run(name, tree), _IMAGE, *_bwrap.boot(command)],
        _ENGINE,
        lambda name: ["docker", "rm", "--force", name],
    )


def honcho(procfile: str, count: int) -> Peer:
    """Return honcho with *count* processes of the type ``app``."""
    argv = ["honcho", "-f", procfile, "start", "-c", f"app={count}"]
    return Peer("honcho start", lambda _: argv, 1.0, count=count)


def foreman(procfile: str, count: int) -> Peer:
    """Return foreman with *count* processes of the type ``app``."""
    argv = ["foreman", "start", "-f", procfile, "-m", f"app={count}"]
    return Peer("foreman start", lambda _: argv, 1.0, count=count)


def _run(name: str, tree: Path) -> Argv:
    argv = ["run", "--rm", "--name", name, "--network", "host", "--read-only", "--log-driver", "none", *_ULIMITS]
    argv += ["-v", "/usr:/usr:ro", "-v", f"{tree}:/app:ro", "-w", "/app"]
    for directory in _bwrap.WRITABLE:
        argv += ["--tmpfs", directory]
    for variable, value in _bwrap.ENV.items():
        argv += ["-e", f"{variable}={value}"]
    return argv


def write_bundle(bundle: Path, tree: Path, command: str) -> None:
    """Write an OCI bundle that shows *tree* and runs *command*."""
    rootfs = bundle / "rootfs"
    rootfs.mkdir(parents=True)
    for name in _LINKS:
        (rootfs / name).symlink_to(f"usr/{name}")
    (bundle / "config.json").write_text(json.dumps(config(tree, _bwrap.boot(command))))


def config(tree: Path, argv: Sequence[str]) -> dict[str, Any]:
    """Return what an OCI runtime is to do (OCI runtime specification 1.0)."""
    binds = {"/usr": "/usr", **{path: path for path in _bwrap.stack()}, "/app": str(tree)}
    mounts = [
        {"destination": "/proc", "source": "proc", "type": "proc"},
        {"destination": "/dev", "source": "dev", "type": "tmpfs", "options": ["nosuid", "mode=755"]},
        *(_mounted(inside, host, "bind", "rbind", "ro") for inside, host in binds.items()),
        *(_mounted(inside, "tmpfs", "tmpfs", "nosuid", "nodev") for inside in _bwrap.WRITABLE),
    ]
    return {
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "dyno",
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "cwd": "/app",
            "args": list(argv),
            "env": [f"{name}={value}" for name, value in _bwrap.ENV.items()],
            "noNewPrivileges": True,
        },
        "mounts": mounts,
        "linux": {"namespaces": [{"type": kind} for kind in ("mount", "pid", "ipc", "uts", "cgroup")]},
    }


def _mounted(inside: str, host: str, kind: str, *options: str) -> dict[str, Any]:
    return {"destination": inside, "source": host, "type": kind, "options": list(options)}


@contextmanager
def _docker_image(rootfs: Path) -> Iterator[bool]:
    """Have the image that `docker` runs, where its engine answers; yield whether it does."""
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], check=False, capture_output=True).returncode
    ):
        left_out("docker run", "no engine answers")
        yield False
        return
    tar = subprocess.run(["tar", "-C", str(rootfs), "-c", "."], check=True, capture_output=True).stdout
    subprocess.run(["docker", "import", "-", _IMAGE], input=tar, check=True, capture_output=True)
    try:
        yield True
    finally:
        subprocess.run(["docker", "image", "rm", _IMAGE], check=False, capture_output=True)
