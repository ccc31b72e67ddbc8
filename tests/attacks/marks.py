"""Find processes by what they cannot shake off by changing name, session, parent or environment: a file they hold."""

import os
import re
import signal
import time
from contextlib import suppress
from pathlib import Path

_MARK = re.compile(r"/memfd:atk-(\w+)-([\w-]+)")
_SYS_PTRACE = 1 << 19


def check_sight() -> None:
    """Fail where nothing would be seen of what runs as another user: root in a container has not the capability."""
    if os.geteuid() == 0 and not int(status(os.getpid())["CapEff"], 16) & _SYS_PTRACE:
        raise PermissionError("who judges needs CAP_SYS_PTRACE: docker run --cap-add SYS_PTRACE")


def marked(run: str) -> dict[str, list[int]]:
    """Return the pids that hold each mark of *run*, zombies left out."""
    found: dict[str, list[int]] = {}
    for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))):
        for name in _marks(pid, run):
            found.setdefault(name, []).append(pid)
    return found


def _marks(pid: int, run: str) -> set[str]:
    names = set()
    with suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                mark = _MARK.match(os.readlink(f"/proc/{pid}/fd/{fd}"))
                if mark and mark[1] == run:
                    names.add(mark[2])
    return names


def left(run: str, name: str | None = None) -> list[int]:
    """Return the pids that hold the mark *name* of *run*, or any."""
    return sorted({pid for mark, pids in marked(run).items() if name in {None, mark} for pid in pids})


def wait_gone(run: str, name: str | None = None, seconds: float = 5.0) -> tuple[list[int], float]:
    """Wait until no process holds the mark; return those that still do, and how many seconds it took."""
    began = time.monotonic()
    while (found := left(run, name)) and time.monotonic() - began < seconds:
        time.sleep(0.01)
    return found, time.monotonic() - began


def end(run: str, names: set[str] | None = None) -> None:
    """Kill whatever holds a mark of *run*, or one of *names*, stopped first, so that nobody forks away."""
    for _ in range(500):
        pids = sorted({pid for name, pids in marked(run).items() if names is None or name in names for pid in pids})
        if not pids:
            return
        for signum in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                with suppress(OSError):
                    os.kill(pid, signum)
        time.sleep(0.01)


def descendants(pid: int) -> set[int]:
    """Return *pid* and everything below it."""
    children: dict[int, list[int]] = {}
    for one in map(int, filter(str.isdecimal, os.listdir("/proc"))):
        children.setdefault(int(stat(one).get("ppid", 0)), []).append(one)
    found, todo = set(), [pid]
    while todo:
        one = todo.pop()
        found.add(one)
        todo += children.get(one, [])
    return found


def stat(pid: int) -> dict[str, str]:
    """Return state, parent, nice value and policy of *pid* (proc(5)), nothing when it is gone."""
    with suppress(OSError):
        rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return {"state": rest[0], "ppid": rest[1], "nice": rest[16], "policy": rest[38]}
    return {}


def status(pid: int) -> dict[str, str]:
    """Return the fields of /proc/PID/status, nothing when it is gone."""
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return {}


def alive(pid: int) -> bool:
    """Return whether *pid* runs: neither gone nor a zombie."""
    return stat(pid).get("state", "Z") not in {"Z", "X"}
