"""What running dynos use, summed over their processes as /proc tells it."""

import os
from collections.abc import Collection, Iterator

from attrs import frozen

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICK = os.sysconf("SC_CLK_TCK")


@frozen
class Usage:
    """Of a dyno: ``memory`` in bytes resident, shared pages counted each time; ``cpu`` in seconds; ``processes``."""

    memory: int = 0
    cpu: float = 0.0
    processes: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        """Return the sum of both."""
        return Usage(self.memory + other.memory, self.cpu + other.cpu, self.processes + other.processes)


def usage(inits: Collection[int]) -> dict[int, Usage]:
    """Return what the processes below each of the processes *inits* use; one look at /proc for all of them."""
    found = dict(_processes())
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in found.items():
        children.setdefault(parent, []).append(pid)
    return {init: sum((found[pid][1] for pid in _below(init, children)), Usage()) for init in inits}


def _below(init: int, children: dict[int, list[int]]) -> Iterator[int]:
    todo = list(children.get(init, ()))
    while todo:
        pid = todo.pop()
        yield pid
        todo += children.get(pid, ())


def _processes() -> Iterator[tuple[int, tuple[int, Usage]]]:
    """Yield each process: its pid, its parent's, and what it uses itself."""
    for entry in os.listdir("/proc"):  # noqa: PTH208 - names, thousands of them
        if not entry.isdecimal():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as file:  # noqa: PTH123
                words = file.read().rpartition(b")")[2].split()
        except OSError:  # gone
            continue
        # proc_pid_stat(5): the state is word 3 there, the first one behind the name
        cpu = (int(words[11]) + int(words[12]) + int(words[13]) + int(words[14])) / _TICK
        yield int(entry), (int(words[1]), Usage(int(words[21]) * _PAGE, cpu, 1))
