"""Files: the slug, the host's, other dynos', and what kernel and devices show as files."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import kernel
from kit import HELD, Outcome, Told, grabbed, hold_open, loot, pids


def slug_write(_told: Told) -> None:
    """Write to a file of the slug."""
    Path("slug/write").write_text("changed")


def slug_truncate(_told: Told) -> None:
    """Make a file of the slug writable and cut it off."""
    with suppress(OSError):
        os.chmod("slug", 0o777)
    os.chmod("slug/truncate", 0o666)
    os.truncate("slug/truncate", 0)


def slug_rename(_told: Told) -> None:
    """Rename a file of the slug."""
    os.rename("slug/rename", "slug/renamed")


def slug_unlink(_told: Told) -> None:
    """Remove a file of the slug."""
    os.unlink("slug/unlink")


def slug_create(_told: Told) -> None:
    """Add a file to the slug."""
    Path("slug/created").write_text("changed")


def slug_touch(_told: Told) -> None:
    """Set the time of a file of the slug."""
    os.utime("slug/touch", (1, 1))


def slug_xattr(_told: Told) -> None:
    """Give a file of the slug an attribute."""
    os.setxattr("slug/xattr", "user.attack", b"changed")


def slug_reopen(_told: Told) -> None:
    """Open a file of the slug for reading, and that descriptor again for writing."""
    fd = os.open("slug/reopen", os.O_RDONLY)
    with open(f"/proc/self/fd/{fd}", "w") as file:
        file.write("changed")


def slug_replace(_told: Told) -> None:
    """Move the whole directory aside and put another in its place."""
    os.rename("other", "other.old")
    os.mkdir("other")


def profile_write(_told: Told) -> None:
    """Leave a script that the next dyno would boot through."""
    with suppress(FileExistsError):
        os.mkdir(".profile.d")
    Path(".profile.d/evil.sh").write_text("changed")


def mount_over(told: Told) -> Outcome:
    """Mount a directory in memory over one of the slug."""
    kernel.own_mounts()
    kernel.mount(f"atk-{told['run']}", "other", "tmpfs")
    return HELD


def mount_new_interface(told: Told) -> Outcome:
    """Make a file system with fsopen and fsmount, which filters of mount(2) miss; held by descriptor only."""
    fd = kernel.call("fsopen", b"tmpfs", 0)
    kernel.call("fsconfig", fd, 1, b"source", f"atk-{told['run']}".encode(), 0)
    kernel.call("fsconfig", fd, 6, None, None, 0)
    mounted = kernel.call("fsmount", fd, 0, 0)
    os.fchdir(mounted)
    Path("made").write_text("changed")
    return HELD


def mount_proc(told: Told) -> Outcome:
    """Mount a procfs of our own."""
    kernel.own_mounts()
    kernel.mount(f"atk-{told['run']}", "tmp", "proc")
    return HELD


def remount_writable(_told: Told) -> Outcome:
    """Make the read-only mount of the app writable, and write."""
    kernel.own_mounts()
    home = os.getcwd()
    try:
        kernel.mount("none", home, None, kernel.MS_REMOUNT | kernel.MS_BIND)
    except OSError:  # it is no mount, so make it a read-only one first
        kernel.mount(home, home, None, kernel.MS_BIND)
        kernel.mount("none", home, None, kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY)
        kernel.mount("none", home, None, kernel.MS_REMOUNT | kernel.MS_BIND)
    Path(home, "slug/remount").write_text("changed")
    return HELD


def unmount_app(_told: Told) -> Outcome:
    """Take the mount of tmp/ away, and see what is under it."""
    kernel.own_mounts()
    home = os.getcwd()
    with suppress(OSError):
        kernel.mount(f"{home}/tmp", f"{home}/tmp", None, kernel.MS_BIND)
    kernel.call("umount2", f"{home}/tmp".encode(), 2)
    return HELD


def read_home(told: Told) -> Outcome:
    """Read a private file in the home of the user who runs the host program."""
    return loot(told["home_canary"])


def read_root(told: Told) -> Outcome:
    """Read a private file in /root."""
    return loot(told["root_canary"])


def read_shadow(_told: Told) -> Outcome:
    """Read the machine's passwords; bring their digest home."""
    return hashlib.sha256(Path("/etc/shadow").read_bytes()).hexdigest().encode()


def read_machine_id(_told: Told) -> Outcome:
    """Read what tells this machine from all others."""
    return loot("/etc/machine-id")


def read_store(told: Told) -> Outcome:
    """Read a file of another app in the store."""
    return loot(told["other_app"])


def write_store(told: Told) -> None:
    """Change the tree in the store that every dyno of this slug is started from."""
    with suppress(OSError):
        os.chmod(told["store_file"], 0o666)
    Path(told["store_file"]).write_text("changed")


def write_host(told: Told) -> None:
    """Write to a directory of the host that everybody may write to."""
    Path(told["drop"], "written").write_text("changed")


def write_tmp(told: Told) -> None:
    """Write to the host's /tmp, under a name that all the machine can see."""
    Path("/tmp", f"atk-{told['run']}").write_text("changed")


def write_var_tmp(told: Told) -> None:
    """Write to the host's /var/tmp."""
    Path("/var/tmp", f"atk-{told['run']}").write_text("changed")


def write_shm(told: Told) -> None:
    """Write to the host's /dev/shm."""
    Path("/dev/shm", f"atk-{told['run']}").write_text("changed")


def neighbour_tmp(told: Told) -> Outcome:
    """Read what another dyno wrote to its tmp/, by its path on the host and by every process's view."""
    return grabbed(_views(told["neighbour_home"] + "/tmp/secret"))


def neighbour_log(told: Told) -> Outcome:
    """Read what another dyno wrote to its log/."""
    return grabbed(_views(told["neighbour_home"] + "/log/secret"))


def neighbour_write(told: Told) -> None:
    """Write into another dyno's tmp/."""
    Path(told["neighbour_home"], "tmp/written").write_text("changed")


def proc_root(told: Told) -> Outcome:
    """Reach a file of the host through /proc/1/root."""
    return loot("/proc/1/root" + told["home_canary"])


def proc_any_root(told: Told) -> Outcome:
    """Reach a file of the host through the root or the working directory of whatever process shows one."""
    return grabbed(_views(told["home_canary"]))


def _views(path: str) -> Iterator[str]:
    yield path
    for pid in pids():
        yield f"/proc/{pid}/root{path}"
        yield f"/proc/{pid}/cwd/{'../' * 20}{path}"


def open_by_handle(told: Told) -> Outcome:
    """Open a file of the host by its handle, through any directory on the same file system."""
    handle = bytes.fromhex(told["handle"])
    for through in (".", "tmp", "/usr", "/etc", "/"):
        with suppress(OSError):
            fd = kernel.call("open_by_handle_at", os.open(through, os.O_RDONLY), handle, os.O_RDONLY)
            return os.read(fd, 1000)
    raise PermissionError("no handle can be opened")


def core_pattern(_told: Told) -> Outcome:
    """Get hold of the program that the kernel runs as root when a process crashes."""
    return hold_open(iter(["/proc/sys/kernel/core_pattern"]), os.O_WRONLY)


def sysrq(_told: Told) -> Outcome:
    """Get hold of the kernel's panic button."""
    return hold_open(iter(["/proc/sysrq-trigger"]), os.O_WRONLY)


def any_sysctl(_told: Told) -> Outcome:
    """Get hold of any kernel parameter."""
    wanted = ("kernel/modprobe", "kernel/hotplug", "vm/drop_caches", "kernel/hostname", "fs/file-max", "vm/swappiness")
    return hold_open((f"/proc/sys/{name}" for name in wanted), os.O_WRONLY)


def any_sys(_told: Told) -> Outcome:
    """Get hold of anything in /sys that can be written."""
    wanted = ("kernel/uevent_helper", "power/state", "kernel/mm/ksm/run", "kernel/profiling", "module/loop/uevent")
    return hold_open((f"/sys/{name}" for name in wanted), os.O_WRONLY)


def proc_bus_irq(_told: Told) -> Outcome:
    """Get hold of interrupts and of memory types."""
    return hold_open(iter(["/proc/irq/default_smp_affinity", "/proc/mtrr"]), os.O_WRONLY)


def release_agent(_told: Told) -> Outcome:
    """Get hold of the program that the kernel runs as root when a cgroup empties."""
    places = [f"/sys/fs/cgroup/{name}" for name in (*_listed("/sys/fs/cgroup"), ".")]
    return hold_open((f"{place}/release_agent" for place in places), os.O_WRONLY)


def mount_cgroup(told: Told) -> Outcome:
    """Mount cgroups anew, where their release agent can be set."""
    kernel.own_mounts()
    kernel.mount(f"atk-{told['run']}", "tmp", "cgroup2")
    return HELD


def leave_cgroup(told: Told) -> Outcome:
    """Move to another cgroup, away from every limit."""
    Path(told["cgroup"], "cgroup.procs").write_text(str(os.getpid()))
    return HELD


def disks(_told: Told) -> Outcome:
    """Open a disk of the machine."""
    return hold_open(_nodes(stat.S_ISBLK), os.O_RDONLY)


def kernel_nodes(_told: Told) -> Outcome:
    """Open the devices that show or make kernel memory, messages, mounts, disks and machines."""
    wanted = ("mem", "kmem", "port", "kmsg", "fuse", "kvm", "loop-control", "net/tun", "vhost-net", "cpu_dma_latency")
    return hold_open((f"/dev/{name}" for name in wanted), os.O_RDONLY)


def mknod(_told: Told) -> Outcome:
    """Make a node for the device of the root file system, and open it."""
    os.mknod("tmp/disk", 0o600 | stat.S_IFBLK, os.makedev(7, 0))
    return hold_open(iter(["tmp/disk"]), os.O_RDONLY)


def _nodes(kind: object) -> Iterator[str]:
    for name in _listed("/dev"):
        path = f"/dev/{name}"
        with suppress(OSError):
            if callable(kind) and kind(os.stat(path).st_mode):
                yield path


def _listed(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []
