"""All that descends from this process: told to end, and ended, whatever it does to get away (security.md 3)."""

from __future__ import annotations

import os
import time

from .light import signal

TYPE_CHECKING = False  # typing takes 4 ms of a start that takes 25
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import NoReturn

_DEEPER = 64  # looks at the children, for one at all processes
_QUICK = 2048  # looks without a pause


def signal_all(signum: int, *, alone: bool, wrapped: int = 0) -> None:
    """Send *signum* to every descendant; *alone*: they are all there is in this pid namespace.

    The first *wrapped* generations are a sandbox's own processes, which are spared.
    """
    if alone:
        _quietly(-1, signum)  # one call: nobody can fork past it
        return
    tree = _tree()
    spared = [os.getpid()]
    for _ in range(wrapped):
        spared = [child for parent in spared for child in tree.get(parent, ())]
    for pid in _below(tree, spared):
        _quietly(pid, signum)


def end(*, alone: bool) -> NoReturn:
    """Kill every descendant, and end when none is left. The end of a pid namespace's pid 1 is that already."""
    if not alone:
        extinguish()
    os._exit(0)


def extinguish(spared: Collection[int] = ()) -> None:
    """Kill and reap every descendant but the children *spared* and what is below those, until none is left.

    Orphans come to this process, so that whoever forks and ends to get away is a child of it the next moment: these are
    killed as soon as they are seen, 30 microseconds a look, and what is below others now and then, 5 milliseconds.
    """
    looks = 0
    while children := [pid for pid in _children() if pid not in spared]:
        # Whoever is reaped may have left a child that is not on the list: only an empty one is the end.
        living = [pid for pid in children if _lives(pid)]
        for pid in living:
            _quietly(pid, signal.SIGKILL)
        if looks % _DEEPER == 0:
            for pid in _below(_tree(), living):
                _quietly(pid, signal.SIGKILL)
        looks += 1
        if looks > _QUICK:  # not one to get away: one that the kernel is slow to end
            time.sleep(0.001)


def _lives(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == 0
    except ChildProcessError:
        return False


def _children() -> list[int]:
    """Return this process's children, the dead ones too."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", "rb") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:  # a kernel without CONFIG_PROC_CHILDREN
        return _tree().get(os.getpid(), [])


def _below(tree: dict[int, list[int]], parents: Collection[int]) -> list[int]:
    todo, found = [child for parent in parents for child in tree.get(parent, ())], []
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += tree.get(pid, ())
    return found


def _tree() -> dict[int, list[int]]:
    """Return the children of every process."""
    tree: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if not entry.isdecimal():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as file:
                parent = int(file.read().rpartition(b")")[2].split()[1])
        except (OSError, IndexError):  # gone
            continue
        tree.setdefault(parent, []).append(int(entry))
    return tree


def _quietly(pid: int, signum: int) -> None:
    try:
        os.kill(pid, signum)
    except (ProcessLookupError, PermissionError):
        return
