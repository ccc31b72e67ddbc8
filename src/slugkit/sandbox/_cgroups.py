"""Control groups, version 2 or 1, where this process may make them: what bounds a dyno as a whole."""

import os
import uuid
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from attrs import field, frozen

_MOUNTED = Path("/sys/fs/cgroup")
_CONTROLLERS = ("memory", "pids", "cpu")


@frozen
class Cgroups:
    """Where a dyno is to have a cgroup of its own, and what to write into the files of that name that it has."""

    bases: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(factory=dict)


def cgroups(memory: int | None, processes: int | None, cpu: int | None) -> Cgroups:
    """Return where a dyno is to have cgroups for at most *memory* bytes and *processes*, and the weight *cpu*.

    100 is the normal weight. None are returned where this process may not make them; that was tried.
    """
    bases = _writable()
    if not bases:
        return Cgroups()
    settings: dict[str, str] = {}
    if memory is not None:
        settings |= dict.fromkeys(("memory.max", "memory.limit_in_bytes"), str(memory)) | {"memory.swap.max": "0"}
    if processes is not None:
        settings["pids.max"] = str(processes)
    if cpu is not None:
        settings |= {"cpu.weight": str(cpu), "cpu.shares": str(max(2, cpu * 1024 // 100))}
    wanted = {"memory": memory, "pids": processes, "cpu": cpu}
    used = [base for base in bases if len(bases) == 1 or any(wanted[one] is not None for one in _controllers(base))]
    return Cgroups(tuple(map(str, used)), settings)


@cache
def _controllers(base: Path) -> tuple[str, ...]:
    """Return which controllers count in *base*, of version 1: each cgroup that is joined costs a start 3 ms."""
    return tuple(name for name in _CONTROLLERS if name in base.relative_to(_MOUNTED).parts[0].split(","))


def memory_cgroup(directories: tuple[str, ...]) -> str | None:
    """Return which of a dyno's cgroups tells how much memory it uses; None without any."""
    return next((one for one in directories if "/memory/" in one or len(directories) == 1), None)


def memory_used(directory: str) -> int | None:
    """Return how many bytes of memory and swap the cgroup *directory* uses, caches of files left out; None: gone."""
    try:
        lines = Path(directory, "memory.stat").read_text().splitlines()
    except OSError:
        return None
    told = {name: int(value) for name, _, value in (line.partition(" ") for line in lines) if value.isdecimal()}
    names = ("anon", "shmem", "swapcached") if "anon" in told else ("total_rss", "total_shmem", "total_swap")
    return sum(told.get(name, 0) for name in names)


@cache
def _writable() -> tuple[Path, ...]:
    """Return this process's own cgroups with a controller that counts, of either version, if children can be made."""
    for bases in (_version_2(), tuple(_version_1())):
        if bases and all(_takes_children(base) for base in bases):
            return bases
    return ()


def _own() -> dict[str, str]:
    """Return the paths of this process's cgroups by the controllers; "" is version 2."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return {}
    return {names: path for _, names, path in (line.split(":", 2) for line in lines)}


def _version_2() -> tuple[Path, ...]:
    base = _MOUNTED / _own().get("", "/").strip("/")
    try:
        enabled = (base / "cgroup.subtree_control").read_text().split()
        lacking = [name for name in _CONTROLLERS if name not in enabled]
        if lacking:
            (base / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in lacking))
    except OSError:  # none; or processes are in it, which keeps it from having children that count
        return ()
    return (base,)


def _version_1() -> Iterator[Path]:
    for names, path in _own().items():
        if set(names.split(",")) & set(_CONTROLLERS):
            yield _MOUNTED / names / path.strip("/")


def _takes_children(base: Path) -> bool:
    probe = base / f"slugkit-{uuid.uuid4().hex}"
    try:
        probe.mkdir()
        os.close(os.open(probe / "cgroup.procs", os.O_WRONLY))
    except OSError:
        return False
    finally:
        if probe.is_dir():
            probe.rmdir()
    return True
