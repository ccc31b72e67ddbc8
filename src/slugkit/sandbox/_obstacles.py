"""What stands in the way of namespaces, and what to change: looked up to explain a failure, never to expect one."""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import field, frozen

_FILTERED = "2"  # SECCOMP_MODE_FILTER
_SYS_ADMIN = 1 << 21
_RESTRICTED = "kernel.apparmor_restrict_unprivileged_userns"
#: Sysctls that forbid namespaces, each with the value that does, and one that does not.
_SYSCTLS = {
    _RESTRICTED: (1, 0),
    "kernel.unprivileged_userns_clone": (0, 1),
    **{f"user.max_{kind}_namespaces": (0, 10_000) for kind in ("user", "mnt", "pid", "ipc", "uts", "cgroup")},
}
_FOR_USERS = (_RESTRICTED, "kernel.unprivileged_userns_clone", "user.max_user_namespaces")
# Mounted on hosts as well; the kernel does not mind.
_EMPTY = ("/proc/sys/fs/binfmt_misc", "/proc/fs/nfsd", "/proc/xen")
_UNKNOWN = "the kernel does not say why"
_ELSEWHERE = "a machine, or a virtual one, of one's own"


@frozen
class Circumstances:
    """What of this process and its kernel may forbid namespaces.

    ``filtered``: system calls are filtered. ``capable``: it has CAP_SYS_ADMIN. ``covered``: something is mounted over
    parts of /proc. ``profile`` is AppArmor's; ``program`` what it would have to name.
    """

    root: bool
    filtered: bool = False
    capable: bool = True
    covered: bool = False
    profile: str = ""
    program: str = "python3"
    sysctls: Mapping[str, int] = field(factory=dict)


@frozen
class Obstacles:
    """Why there are no namespaces here, and how to have them: a sentence each."""

    cause: str
    remedy: str


def circumstances() -> Circumstances:
    """Return those of this process."""
    status = dict(re.findall(r"(?m)^(\w+):\t(.*)$", _text("/proc/self/status")))
    mounts = [line.split()[4] for line in _text("/proc/self/mountinfo").splitlines()]
    values = {name: _text(f"/proc/sys/{name.replace('.', '/')}").strip() for name in _SYSCTLS}
    return Circumstances(
        os.geteuid() == 0,
        status.get("Seccomp") == _FILTERED,
        bool(int(status.get("CapEff", "0"), 16) & _SYS_ADMIN),
        any(one.startswith("/proc/") and one not in _EMPTY for one in mounts),
        _text("/proc/self/attr/apparmor/current").partition(" ")[0].strip(),
        os.path.realpath(sys.executable),
        {name: int(value) for name, value in values.items() if value.isdecimal()},
    )


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:  # not on this kernel
        return ""


def obstacles(here: Circumstances) -> Obstacles:
    """Return what *here* forbids namespaces, all of it: when one is out of the way the next one stands there.

    >>> obstacles(Circumstances(root=False, sysctls={"user.max_user_namespaces": 0})).remedy
    'sysctl user.max_user_namespaces=10000'
    """
    container, sysctls = dict(_container(here)), dict(_sysctls(here))
    causes = [*container, *sysctls]
    options = " ".join(container.values())
    remedies = [*([f"docker run {options}"] if options else []), *sysctls.values()]
    return Obstacles("; ".join(causes) or _UNKNOWN, "; and ".join(remedies) or _ELSEWHERE)


def _container(here: Circumstances) -> Iterator[tuple[str, str]]:
    """Yield what a container lacks, and the option of docker's that gives it.

    Also with CAP_SYS_ADMIN Docker's default profile refuses pivot_root(2).
    """
    if here.root and not here.capable:
        yield "this root has no CAP_SYS_ADMIN", "--cap-add SYS_ADMIN"
    if here.filtered:
        yield (
            "a filter of system calls refuses them, as Docker's default profile does",
            "--security-opt seccomp=unconfined",
        )
    if here.covered and not here.root:
        yield "parts of /proc are covered, so that no other can be mounted", "--security-opt systempaths=unconfined"
    if here.profile not in {"", "unconfined"}:
        yield f"AppArmor's profile {here.profile} is on this program", "--security-opt apparmor=unconfined"


def _sysctls(here: Circumstances) -> Iterator[tuple[str, str]]:
    for name, (forbids, allows) in _SYSCTLS.items():
        if here.sysctls.get(name) != forbids or (here.root and name in _FOR_USERS):
            continue
        profile = f", or an AppArmor profile with userns for {here.program}" if name == _RESTRICTED else ""
        yield f"{name} is {forbids}", f"sysctl {name}={allows}{profile}"
