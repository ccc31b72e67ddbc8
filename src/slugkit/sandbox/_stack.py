"""The *stack*: the minimal read-only view of the host that builds and dynos share."""

import os
import random
from collections.abc import Collection
from functools import cache
from pathlib import Path

from ._spec import Bind, File, Link, Mount, Tmpfs

#: systemd's range for dynamic users: free on every distribution, and within a container's usual uid map.
DYNO_UIDS = range(61184, 65520)

_MIB = 2**20
_TOP_LEVEL = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
# What programs need of /etc to resolve names, trust certificates, tell the time and find libraries; no secrets.
_ETC = (
    *(
        "alternatives",
        "ca-certificates",
        "ca-certificates.conf",
        "crypto-policies",
        "debian_version",
    ),
    *(
        "gai.conf",
        "host.conf",
        "hosts",
        "ld.so.cache",
        "ld.so.conf",
        "ld.so.conf.d",
        "locale.alias",
    ),
    *(
        "localtime",
        "magic",
        "mime.types",
        "nsswitch.conf",
        "os-release",
        "pki/ca-trust",
        "pki/tls/certs",
    ),
    *("protocols", "resolv.conf", "services", "ssl/certs", "ssl/openssl.cnf", "timezone"),
)
#: Where system-wide settings of package managers live; builds see them, dynos do not.
REGISTRY_ETC = ("apt", "gemrc", "npmrc", "pip.conf")


def stack_view(uid: int | None, etc: tuple[str, ...] = ()) -> tuple[Mount, ...]:
    """Return the mounts of the stack: /usr and its links, the harmless part of /etc plus *etc*, /dev/shm.

    The user database names root, nobody and the one who runs: *uid*, or the caller when that is None. What is the same
    for all comes first: it can be mounted before it is known who comes.
    """
    who = os.getuid() if uid is None else uid
    passwd = f"root:x:0:0:root:/root:/bin/bash\ndyno:x:{who}:{who}:dyno:/app:/bin/bash\n"
    return (
        *_same_for_all(etc),
        File("/etc/passwd", passwd.encode()),
        File("/etc/group", f"root:x:0:\ndyno:x:{who}:\n".encode()),
    )


@cache
def _same_for_all(etc: tuple[str, ...]) -> tuple[Mount, ...]:
    shown = (Bind(Path("/etc", name), f"/etc/{name}", optional=True) for name in (*_ETC, *etc))
    shm = Tmpfs("/dev/shm", 64 * _MIB)  # noqa: S108 - inside the sandbox
    return (Bind(Path("/usr"), "/usr"), *_top_level(), *shown, shm)


def dyno_uid(taken: Collection[int] = ()) -> int | None:
    """Return a uid of nobody's, and none of *taken*, for a build or a dyno to run as, when this program is root."""
    if os.geteuid() != 0:
        return None
    while (uid := random.choice(DYNO_UIDS)) in _passwd_uids() or uid in taken:  # noqa: S311 - not a secret
        continue
    return uid


@cache
def _passwd_uids() -> frozenset[int]:
    import pwd  # noqa: PLC0415 - not on every platform that can import slugkit

    return frozenset(entry.pw_uid for entry in pwd.getpwall())


def _top_level() -> tuple[Mount, ...]:
    """Show /bin and its like as they are on the host: links into /usr where it is merged, directories else."""
    mounts: list[Mount] = []
    for name in _TOP_LEVEL:
        path = Path("/", name)
        if path.is_symlink():
            mounts.append(Link(os.readlink(path), str(path)))  # noqa: PTH115 - as it is spelled
        elif path.is_dir():
            mounts.append(Bind(path, str(path)))
    return tuple(mounts)
