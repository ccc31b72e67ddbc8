"""Namespaces and a root of one's own: what a command sees of the file system (security.md 2.2, 2.3).

What is the same for every command - the stack, devices, processes - is laid out before it is known which one comes.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct

from . import mounts
from .light import socket
from .mounts import NODEV, NOEXEC, NOSUID, RDONLY, Directory
from .syscalls import AT_FDCWD, prctl, syscall

TYPE_CHECKING = False  # typing takes 4 ms of a start that takes 25
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

NEW_NS, NEW_CGROUP, NEW_UTS, NEW_IPC = 0x20000, 0x02000000, 0x04000000, 0x08000000
NEW_USER, NEW_PID, NEW_NET = 0x10000000, 0x20000000, 0x40000000

_PRIVATE, _REC, _DETACH = 1 << 18, 1 << 14, 2
_SIGCHLD, _DUMPABLE = 17, 4
_SIOCSIFFLAGS, _UP = 0x8914, 1  # of an interface
# Where the new root is put before it is the root: a directory that every host has, and that no slug lies in.
_AMONG = b"/sys"

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_DEVICE_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx"}
_KERNEL_SETTINGS = ("sys", "irq", "bus", "fs", "sysrq-trigger", "acpi", "scsi")
_MACHINES_OWN = ("keys", "key-users", "kcore", "timer_list", "latency_stats", "sched_debug")  # read by any of its uid


def flags(spec: dict[str, Any]) -> int:
    """Return the namespaces that *spec* asks for, as clone(2) takes them."""
    user = NEW_USER if spec["user"] else 0
    network = 0 if spec["network"] else NEW_NET
    return NEW_NS | NEW_CGROUP | NEW_UTS | NEW_IPC | NEW_PID | user | network


def map_user(uid: int, gid: int) -> None:
    """Be *uid* and *gid* in the new user namespace, too: there is nobody else in it."""
    prctl(_DUMPABLE, 1)  # the files below are the user's again, whom the warden hides from
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="utf-8") as file:
            file.write(text)


def lay(spec: dict[str, Any]) -> tuple[int, int]:
    """Build a root with what *spec* has in it; return descriptors of it and of its /dev. It is not entered yet.

    Raises:
        OSError: A mount was refused.
    """
    socket.sethostname(spec["hostname"])
    if not spec["network"]:
        fcntl.ioctl(socket.socket(), _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _UP))
    syscall("mount", None, b"/", None, _REC | _PRIVATE, None)
    root = mounts.filesystem("tmpfs", {"mode": "0755", "size": "4m"}, NOSUID | NODEV)
    mounts.attach(root, os.open(_AMONG, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
    devices = _devices(root)
    for mount in spec["mounts"]:
        _place(root, mount)
    _processes(root)
    return root, devices


def enter(root: int, devices: int, own: Sequence[dict[str, Any]]) -> None:
    """Put the mounts *own* on what `lay` built, and make it this process's root; the host's is out of sight.

    Raises:
        OSError: A mount was refused.
    """
    for mount in own:
        _place(root, mount)
    os.fchdir(root)
    syscall("pivot_root", b".", b".")
    syscall("umount2", b".", _DETACH)
    os.chdir("/")
    for one in (root, devices):
        mounts.restrict(one, RDONLY | NOSUID | NODEV)
        os.close(one)


def _place(root: int, mount: dict[str, Any]) -> None:
    inside = os.fsencode(mount["inside"])
    match mount["kind"]:
        case "bind":
            _bind(root, inside, mount)
        case "tmpfs":
            made = mounts.filesystem("tmpfs", {"mode": "1777"} | _sizes(mount), NOSUID | NODEV)
            mounts.attach(made, mounts.point(root, inside, directory=True))
            os.close(made)
        case "overlay":
            _overlay(mounts.point(root, inside, directory=True), _source(mount), mount)
        case "link":
            parent, name = os.path.split(inside)
            with Directory(root, parent) as fd:
                os.symlink(os.fsencode(mount["target"]), name, dir_fd=fd)
        case "file":
            parent, name = os.path.split(inside)
            with Directory(root, parent) as fd, mounts.new_file(name, fd) as file:
                file.write(mount["data"].encode("latin-1"))


def _source(mount: dict[str, Any]) -> int:
    """Return a copy of what is mounted on the host, with no more rights than *mount* gives."""
    attributes = NOSUID | NODEV | (0 if mount["writable"] else RDONLY)
    return mounts.tree(os.fsencode(mount["host"]), attributes, recursive=True)


def _bind(root: int, inside: bytes, mount: dict[str, Any]) -> None:
    try:
        source = _source(mount)
    except FileNotFoundError:
        if mount["optional"]:
            return
        raise
    mounts.attach(source, mounts.point(root, inside, directory=stat.S_ISDIR(os.fstat(source).st_mode)))
    os.close(source)


def _sizes(mount: dict[str, Any]) -> dict[str, str]:
    return {"size": str(mount["size"]), "nr_inodes": str(mount["inodes"])}


def _overlay(point: int, lower: int, mount: dict[str, Any]) -> None:
    """Show *lower* at *point*, writable: what is written lies in memory, and goes with the command.

    Three mounts on one another: only the last one is in sight.
    """
    if "mapping" in mount:
        mounts.give(lower, mount["mapping"])
    memory = mounts.filesystem("tmpfs", {"mode": "0755"} | _sizes(mount), NOSUID | NODEV)
    mounts.attach(lower, point)
    mounts.attach(memory, os.dup(lower))
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
    made = mounts.filesystem("overlay", layers, NOSUID | NODEV)
    mounts.attach(made, os.dup(memory))
    for fd in (made, memory, lower):
        os.close(fd)


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
            with open(f"/proc/{pid}/{name}", "w", encoding="utf-8") as file:
                file.write(f"{owner} {uid} 1")
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(write)
        os.close(read)
        os.waitpid(pid, 0)


def _devices(root: int) -> int:
    """Make /dev: the harmless devices, those who come as links, terminals of its own; return its file system."""
    devices = mounts.filesystem("tmpfs", {"mode": "0755", "size": "64k"}, NOSUID)
    mounts.attach(devices, mounts.point(root, b"/dev", directory=True))
    for name in map(str.encode, _DEVICES):
        mounts.new_file(name, devices).close()
        _cover(devices, name, AT_FDCWD, b"/dev/" + name, NOSUID | NOEXEC)
    terminals = mounts.filesystem("devpts", {"ptmxmode": "0666", "mode": "0620"}, NOSUID | NOEXEC)
    mounts.attach(terminals, mounts.point(devices, b"pts", directory=True))
    os.close(terminals)
    for link, target in _DEVICE_LINKS.items():
        os.symlink(target, link, dir_fd=devices)
    return devices


def _processes(root: int) -> None:
    """Make /proc, of this namespace's processes, without a way to change what is the kernel's."""
    processes = mounts.filesystem("proc", {}, NOSUID | NODEV | NOEXEC)
    mounts.attach(processes, mounts.point(root, b"/proc", directory=True))
    for name in map(str.encode, _KERNEL_SETTINGS):
        _cover(processes, name, processes, name, RDONLY | NOSUID | NODEV | NOEXEC)
    for name in map(str.encode, _MACHINES_OWN):
        _cover(processes, name, AT_FDCWD, b"/dev/null", RDONLY | NOSUID | NOEXEC)
    os.close(processes)


def _cover(where: int, name: bytes, directory: int, path: bytes, attributes: int) -> None:
    """Mount *path* below *directory*, with *attributes*, over *name* in *where*, if that is there."""
    try:
        point = mounts.found(where, name)
    except FileNotFoundError:
        return
    tree = mounts.tree(path, attributes, directory=directory)
    mounts.attach(tree, point)
    os.close(tree)
