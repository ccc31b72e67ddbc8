"""What a sandbox promises, and what was found when it was tried: the report that says so."""

from collections.abc import Mapping
from typing import Any, Literal

from attrs import asdict, frozen

from ._obstacles import Obstacles, circumstances, obstacles

Level = Literal["isolated", "confined", "owned", "none"]
Kept = Literal["kept", "not kept"]

#: What can be promised, in the order of the report: the sentence of each.
PROMISES: Mapping[str, str] = {
    "read_only": "the slug cannot be changed",
    "private_writes": "nothing outside of tmp/ and log/ can be written",
    "hidden_files": "files of the host, and of other dynos, cannot be read",
    "private_tmp": "/tmp is the dyno's own",  # noqa: S108 - a sentence
    "private_pids": "processes of the host, and of other dynos, cannot be seen",
    "no_signals": "they cannot be signalled",
    "no_tracing": "they cannot be traced or looked into",
    "private_ipc": "shared memory, semaphores and message queues are the dyno's own",
    "clean_environment": "nothing of the host's environment is in sight",
    "no_privileges": "no uid 0, no capability, no way to gain any",
    "syscall_filter": "system calls that no dyno needs are refused",
    "private_sockets": "abstract sockets of the host are out of reach",
    "private_network": "the host's network is out of reach",
    "no_survivors": "every process dies with the dyno, and with the host program",
    "bounded_memory": "the kernel holds its limits of memory and CPU",
}

#: What a sandbox of each level has to keep: without any of it, it does not work here.
REQUIRED: Mapping[Level, frozenset[str]] = {
    "isolated": frozenset(PROMISES) - {"private_sockets", "private_network", "bounded_memory"},
    "confined": frozenset(
        {"read_only", "private_writes", "hidden_files", "no_tracing", "clean_environment", "no_privileges"}
        | {"syscall_filter", "no_survivors"}
    ),
    "owned": frozenset({"read_only", "clean_environment", "no_survivors"}),
    "none": frozenset(),
}

_ASKED = "Limits(network=False); a web dyno is then out of the host's reach, too"
_CGROUPS = "a cgroup of its own to make others in: systemd's Delegate=yes, or as root one that can be written to"
_EVIDENCE = {"bounded_memory": "a cgroup was made"}


@frozen
class Promise:
    """A promise, whether it is ``kept``, by what ``evidence``; if not, the ``cause`` and the ``remedy``."""

    name: str
    text: str
    kept: Kept
    evidence: str
    cause: str = ""
    remedy: str = ""


@frozen
class SandboxReport:
    """What the sandbox that is in use here promises: its ``name``, its ``level``, and each promise.

    ``others`` are the stronger ones that do not work here, each with the reason.
    """

    name: str
    level: Level
    promises: tuple[Promise, ...]
    others: tuple[tuple[str, str], ...] = ()

    def kept(self) -> frozenset[str]:
        """Return the names of the promises that are kept in full."""
        return frozenset(promise.name for promise in self.promises if promise.kept == "kept")

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data for JSON."""
        return asdict(self) | {"others": [{"name": name, "reason": reason} for name, reason in self.others]}


def report(
    name: str,
    level: Level,
    found: Mapping[str, str],
    others: tuple[tuple[str, str], ...] = (),
    better: str | None = None,
) -> SandboxReport:
    """Return what *found* - for each promise "" or what was possible all the same - says of the sandbox *name*.

    *others* are the stronger ones that do not work here, with the reasons; *better* one that does.
    """
    if better:
        more = Obstacles("this sandbox does not do that", f"sandbox={better!r} keeps more")
    else:
        more = obstacles(circumstances()) if others else Obstacles("it was not asked for", "")
    return SandboxReport(
        name, level, tuple(_promise(one, found.get(one, "not tried"), more) for one in PROMISES), others
    )


def _promise(name: str, hole: str, more: Obstacles) -> Promise:
    """Return the promise *name*, with the *hole* that was found in it; *more* is about sandboxes that keep more."""
    text = PROMISES[name]
    if not hole:
        return Promise(name, text, "kept", _EVIDENCE.get(name, "tried, and refused"))
    match name:
        case "bounded_memory":
            cause, remedy = "there is no cgroup for it", _CGROUPS
        case "private_sockets":
            cause, remedy = "this kernel's Landlock does not know them", "a kernel with Landlock ABI 6 (Linux 6.12)"
        case "private_network":
            cause, remedy = more.cause, more.remedy or _ASKED
        case _:
            cause, remedy = more.cause, more.remedy
    return Promise(name, text, "not kept", hole, cause, remedy)
