"""Secrets: the host program's environment, command lines, config vars of another dyno, the host's names."""

import os
import socket
from contextlib import suppress
from pathlib import Path

from kit import Outcome, Told, above, loot, pids


def own_environment(_told: Told) -> Outcome:
    """Find a variable of the host program's in the app's own environment."""
    return os.environ.get("HOST_CANARY", "").encode()


def environment_above(told: Told) -> Outcome:
    """Read the environment of pid 1 of the app's namespace, or of who started the app."""
    return _variables(above(told), b"HOST_CANARY")


def any_environment(_told: Told) -> Outcome:
    """Find the host program's variable in the environment of any process in sight."""
    return b"".join(_variables(pid, b"HOST_CANARY") for pid in pids())


def victims_environment(told: Told) -> Outcome:
    """Read the environment of a process of the host's."""
    return _variables(told["pids"]["victim"], b"SECRET")


def neighbours_config(told: Told) -> Outcome:
    """Read another dyno's config vars in the environment of its process, or of any."""
    return b"".join(_variables(pid, b"SECRET") for pid in (told["pids"]["neighbour"], *pids()))


def config_in_arguments(_told: Told) -> Outcome:
    """Find another dyno's config var in any command line."""
    found = []
    for pid in pids():
        with suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            found += [word for word in words if b"SECRET" in word]
    return b"".join(found)


def host_name(_told: Told) -> Outcome:
    """Learn the machine's name."""
    return socket.gethostname().encode()


def host_paths(_told: Told) -> Outcome:
    """Learn from the list of mounts where on the host the app lies."""
    text = Path("/proc/self/mountinfo").read_text() + os.getcwd()
    return "\n".join(line for line in text.splitlines() if "slugkit" in line or "atk" in line).encode()


def users(_told: Told) -> Outcome:
    """Learn the names of the machine's users."""
    return loot("/etc/passwd")


def routes(_told: Told) -> Outcome:
    """Learn the machine's network addresses."""
    return b" ".join(loot(path) for path in Path("/sys/class/net").glob("*/address")) + loot("/proc/net/fib_trie")


def _variables(pid: int, name: bytes) -> bytes:
    try:
        data = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""
    return b"\n".join(one for one in data.split(b"\0") if one.startswith(name + b"="))
