"""What an attempt is given and gives back, and small things that many share."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

Told = dict[str, Any]
"""What the host tells the attackers: paths, pids, ports, names; never the tokens they are to bring back."""

HELD: Final = "held"
"""What an attempt returns whose process is to stay as it is now, for the host to look at."""

Outcome = bytes | str | None
"""Loot, or `HELD`, or nothing: the host will see."""

OWN: set[int] = set()
"""Descriptors through which an attempt reports, not to be played with."""

MOST = 3000  # bytes of loot; a line of a dyno's log holds 10 000


def loot(path: str | Path) -> bytes:
    """Return the beginning of a file."""
    with open(path, "rb", buffering=0) as file:
        return file.read(MOST)


def grabbed(paths: Iterator[str]) -> bytes:
    """Return the beginnings of all files that can be read."""
    found = []
    for path in paths:
        try:
            found.append(loot(path))
        except OSError:
            continue
    if not found:
        raise PermissionError("none can be read")
    return b"\n".join(found)


def pids() -> list[int]:
    """Return every process that can be seen, but for this one."""
    return [int(name) for name in os.listdir("/proc") if name.isdecimal() and int(name) != os.getpid()]


def above(told: Told) -> int:
    """Return the process above the app: pid 1 of its own namespace, or who started it."""
    return 1 if shut_in(told) else int(os.environ["ATTACK_PARENT"])


def shut_in(told: Told) -> bool:
    """Return whether the app has a pid namespace of its own."""
    return os.readlink("/proc/self/ns/pid") != str(told["pidns"])


def hold_open(paths: Iterator[str], flags: int) -> str:
    """Open what of *paths* can be, change nothing, and keep it open."""
    opened, error = 0, OSError("nothing to open")
    for path in paths:
        try:
            os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
            opened += 1
        except OSError as refused:
            error = refused
    if not opened:
        raise error
    return HELD
