"""Namespaces and a root of one's own: what a command sees of the file system (security.md 2.2, 2.3).

Everything is mounted by descriptor, with the kernel's newer calls: a mount point is found without following a link
and cannot be exchanged between the look and the mount.
"""

from __future__ import annotations

import errno
import os
import socket
import stat

from .syscalls import AT_EMPTY_PATH, AT_FDCWD, AT_RECURSIVE, openat2, prctl, syscall

TYPE_CHECKING = False  # typing takes 4 ms of a start that takes 30
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

NEW_NS, NEW_CGROUP, NEW_UTS, NEW_IPC = 0x20000, 0x02000000, 0x04000000, 0x08000000
NEW_USER, NEW_PID, NEW_NET = 0x10000000, 0x20000000, 0x40000000

_PRIVATE, _REC, _DETACH = 1 << 18, 1 << 14, 2
_CLONE_TREE, _CLOEXEC = 1, os.O_CLOEXEC
_MOVE_BY_FD = 0x4 | 0x40  # F_EMPTY_PATH, T_EMPTY_PATH
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _IDMAP = 1, 2, 4, 8, 1 << 20
_SIGCHLD, _DUMPABLE = 17, 4
_NO_SYMLINKS, _IN_ROOT = 0x04, 0x10
_SET_FLAG, _SET_STRING, _CREATE = 0, 1, 6
_PATH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_AMONG = b"/usr"  # where the new root is put before it is the root: any directory that every stack has

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_DEVICE_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx"}
_KERNEL_SETTINGS = ("sys", "irq", "bus", "fs", "sysrq-trigger", "acpi", "scsi")
_MACHINES_OWN = ("keys", "key-users", "kcore", "timer_list", "latency_stats", "sched_debug")  # read by any of its uid


def flags(spec: dict[str, Any]) -> int:
    """Return the namespaces that *spec* asks for, as clone(2) takes them."""
    user = NEW_USER if spec["user"] else 0
    network = 0 if spec["network"] else NEW_NET
    return NEW_NS | NEW_CGROUP | NEW_UTS | NEW_IPC | NEW_PID | user | network


def opened(spec: dict[str, Any] | None) -> list[int]:
    """Return the descriptors that *spec* names: those that `mapping` made."""
    return [mount["mapping"] for mount in spec["mounts"] if "mapping" in mount] if spec else []


def map_user(uid: int, gid: int) -> None:
    """Be *uid* and *gid* in the new user namespace, too: there is nobody else in it."""
    prctl(_DUMPABLE, 1)  # the files below are the user's again, whom the warden hides from
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def enter(spec: dict[str, Any]) -> None:
    """Build the root that *spec* describes and make it this process's; nothing of the host's is left in sight.

    Raises:
        OSError: A mount was refused.
    """
    syscall("mount", None, b"/", None, _REC | _PRIVATE, None)
    sources = [_tree(mount["host"], mount) if "host" in mount else None for mount in spec["mounts"]]
    root = _filesystem("tmpfs", {"mode": "0755", "size": "4m"}, _NOSUID | _NODEV)
    _attach(root, os.open(_AMONG, _PATH | os.O_DIRECTORY))
    devices = _devices(root)
    for mount, source in zip(spec["mounts"], sources, strict=True):
        _place(root, mount, source)
    _processes(root)
    os.fchdir(root)
    syscall("pivot_root", b".", b".")
    syscall("umount2", b".", _DETACH)
    os.chdir("/")
    for one in (root, devices):
        _restrict(one, _RDONLY | _NOSUID | _NODEV, recursive=False)

    socket.sethostname(spec["hostname"])  # the host's own name must not reach a slug, and this one resolves


def _tree(path: str, mount: dict[str, Any]) -> int | None:
    """Return a copy, nowhere yet, of what is mounted at *path* and below, with no more rights than *mount* gives."""
    try:
        tree = syscall("open_tree", AT_FDCWD, os.fsencode(path), _CLONE_TREE | _CLOEXEC | AT_RECURSIVE)
    except FileNotFoundError:
        if mount["optional"]:
            return None
        raise
    _restrict(tree, _NOSUID | _NODEV | (0 if mount["writable"] else _RDONLY))
    return tree


def _restrict(tree: int, attributes: int, *, recursive: bool = True) -> None:
    how = attributes.to_bytes(8, "little") + bytes(24)
    syscall("mount_setattr", tree, b"", AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0), how, len(how))


def _filesystem(kind: str, options: Mapping[str, str | None], attributes: int) -> int:
    """Return a new file system that is mounted nowhere yet."""
    context = syscall("fsopen", kind.encode(), 1)
    try:
        for name, value in options.items():
            command, given = (_SET_FLAG, None) if value is None else (_SET_STRING, value.encode())
            syscall("fsconfig", context, command, name.encode(), given, 0)
        syscall("fsconfig", context, _CREATE, None, None, 0)
        return syscall("fsmount", context, 1, attributes)
    finally:
        os.close(context)


def _attach(tree: int, point: int) -> None:
    try:
        syscall("move_mount", tree, b"", point, b"", _MOVE_BY_FD)
    finally:
        os.close(point)


def _place(root: int, mount: dict[str, Any], source: int | None) -> None:
    inside = os.fsencode(mount["inside"])
    match mount["kind"]:
        case "bind" if source is not None:
            _attach(source, _point(root, inside, directory=stat.S_ISDIR(os.fstat(source).st_mode)))
            os.close(source)
        case "tmpfs":
            made = _filesystem("tmpfs", {"mode": "1777"} | _sizes(mount), _NOSUID | _NODEV)
            _attach(made, _point(root, inside, directory=True))
            os.close(made)
        case "overlay" if source is not None:
            _overlay(_point(root, inside, directory=True), source, mount)
            os.close(source)
        case "link":
            parent, name = os.path.split(inside)
            with _Directory(root, parent) as fd:
                os.symlink(os.fsencode(mount["target"]), name, dir_fd=fd)
        case "file":
            parent, name = os.path.split(inside)
            with _Directory(root, parent) as fd, _new_file(name, fd) as file:
                file.write(mount["data"].encode("latin-1"))


def _sizes(mount: dict[str, Any]) -> dict[str, str]:
    return {"size": str(mount["size"]), "nr_inodes": str(mount["inodes"])}


def _new_file(name: bytes, directory: int) -> Any:  # noqa: ANN401 - a binary file
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(name, flags, 0o644, dir_fd=directory), "wb")


class _Directory:
    """The directory *path* below *root*, made where it is not there, open for the block."""

    def __init__(self, root: int, path: bytes) -> None:
        self._fd = _point(root, path, directory=True)

    def __enter__(self) -> int:
        return self._fd

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def _point(root: int, path: bytes, *, directory: bool) -> int:
    """Return a descriptor of *path* below *root*, made - in our own file systems - where it is not there.

    Raises:
        OSError: It is, or lies behind, a link; or is no directory when one is wanted, or one when none is.
    """
    relative = path.strip(b"/") or b"."
    try:
        fd = openat2(root, relative, _PATH, _NO_SYMLINKS | _IN_ROOT)
    except FileNotFoundError:
        parent, name = os.path.split(relative)
        with _Directory(root, parent) as fd:
            if directory:
                os.mkdir(name, 0o755, dir_fd=fd)
            else:
                _new_file(name, fd).close()
        fd = openat2(root, relative, _PATH, _NO_SYMLINKS | _IN_ROOT)
    if stat.S_ISDIR(os.fstat(fd).st_mode) != directory:
        os.close(fd)
        number = errno.ENOTDIR if directory else errno.EISDIR
        raise OSError(number, os.strerror(number), path)
    return fd


def _overlay(point: int, lower: int, mount: dict[str, Any]) -> None:
    """Show *lower* at *point*, writable: what is written lies in memory, and goes with the command.

    Three mounts on one another: only the last one is in sight.
    """
    if "mapping" in mount:
        _give(lower, mount["mapping"])
    memory = _filesystem("tmpfs", {"mode": "0755"} | _sizes(mount), _NOSUID | _NODEV)
    _attach(lower, point)
    _attach(memory, os.dup(lower))
    for name in ("upper", "work"):
        os.mkdir(name, 0o755, dir_fd=memory)
    if mount["uid"] is not None:
        os.chown("upper", mount["uid"], mount["uid"], dir_fd=memory)
    below = f"/proc/self/fd/{memory}"
    layers: dict[str, str | None] = {
        "lowerdir": f"/proc/self/fd/{lower}",
        "upperdir": f"{below}/upper",
        "workdir": f"{below}/work",
    }
    if "mapping" not in mount:
        layers["userxattr"] = None  # in a user namespace: its own are root's, and no directory could be removed
    made = _filesystem("overlay", layers, _NOSUID | _NODEV)
    _attach(made, os.dup(memory))
    for fd in (made, memory):
        os.close(fd)


def _give(tree: int, namespace: int) -> None:
    """Let the owners in *tree*, in this mount of it, be those that *namespace* maps them to."""
    how = b"".join(word.to_bytes(8, "little") for word in (_IDMAP, 0, 0, namespace))
    syscall("mount_setattr", tree, b"", AT_EMPTY_PATH, how, len(how))


def mapping(owner: int, uid: int) -> int:
    """Return a descriptor of a user namespace in which *owner* is *uid*; called where /proc shows this process."""
    read, write = os.pipe()
    pid = syscall("clone", NEW_USER | _SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os.close(write)
        os.read(read, 1)  # until it was looked at
        os._exit(0)
    try:
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/{pid}/{name}", "w", encoding="ascii") as file:
                file.write(f"{owner} {uid} 1")
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(write)
        os.close(read)
        os.waitpid(pid, 0)


def _devices(root: int) -> int:
    """Make /dev: the harmless devices, those who come as links, terminals of its own; return its file system."""
    devices = _filesystem("tmpfs", {"mode": "0755", "size": "64k"}, _NOSUID)
    _attach(devices, _point(root, b"/dev", directory=True))
    for name in _DEVICES:
        tree = syscall("open_tree", AT_FDCWD, b"/dev/" + name.encode(), _CLONE_TREE | _CLOEXEC)
        _restrict(tree, _NOSUID | _NOEXEC)
        _attach(tree, _point(devices, name.encode(), directory=False))
        os.close(tree)
    terminals = _filesystem("devpts", {"ptmxmode": "0666", "mode": "0620"}, _NOSUID | _NOEXEC)
    _attach(terminals, _point(devices, b"pts", directory=True))
    os.close(terminals)
    for name, target in _DEVICE_LINKS.items():
        os.symlink(target, name, dir_fd=devices)
    return devices


def _processes(root: int) -> None:
    """Make /proc, of this namespace's processes, without a way to change what is the kernel's."""
    processes = _filesystem("proc", {}, _NOSUID | _NODEV | _NOEXEC)
    _attach(processes, _point(root, b"/proc", directory=True))
    for name in _KERNEL_SETTINGS:
        _cover(processes, name, processes, name.encode(), _RDONLY | _NOSUID | _NODEV | _NOEXEC)
    for name in _MACHINES_OWN:
        _cover(processes, name, AT_FDCWD, b"/dev/null", _RDONLY | _NOSUID | _NOEXEC)
    os.close(processes)


def _cover(processes: int, name: str, directory: int, path: bytes, attributes: int) -> None:
    """Mount *path* below *directory*, with *attributes*, over *name* in /proc, if that is there."""
    try:
        point = openat2(processes, name.encode(), _PATH, _NO_SYMLINKS | _IN_ROOT)
    except FileNotFoundError:
        return
    tree = syscall("open_tree", directory, path, _CLONE_TREE | _CLOEXEC)
    _restrict(tree, attributes)
    _attach(tree, point)
    os.close(tree)
