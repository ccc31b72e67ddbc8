"""What gets through where: the one table to edit, as sets of attempts per back end and user.

An attempt counts only where it gets through without protection (see `suite.CONTROL`): what this kernel or this user
cannot do anyway is in no set that is compared. A back end without sets of its own fails the test.
"""

import os

from . import marks
from .catalogue import CATALOGUE

_ALL = frozenset(one.name for one in CATALOGUE)
_CAP_SYS_ADMIN = 21

#: A network of the host's own, and what hangs on it: no private network is promised.
_NETWORK = {
    "abstract-host",
    "abstract-neighbour",
    "listen-elsewhere",
    "loopback-host",
    "loopback-neighbour",
    "netlink-events",
}
#: The kernel's larger doors, which only a filter of system calls shuts.
_DOORS = {
    "file-events",
    "foreign-calls",
    "io-uring",
    "own-keyring",
    "page-faults",
    "perf-events",
    "personality",
    "trace-own",
}
#: What plain processes of slugkit's are spared: it hands on no environment, no descriptors, no session of keys, and
#: puts every dyno into a group of its own.
_NEVER = {
    "environment-above",
    "config-in-arguments",
    "inherited",
    "inherited-message",
    "inherited-pipe",
    "kill-group",
    "own-environment",
    "session-key",
    "standard-input",
}
#: Never tried where it would reach the machine; harmless in a copy of the app that goes with the dyno.
_HARMLESS = {"kill-all", "link-in-tmp", "log-to-link", "stop-all", "tmp-to-link"}
#: Where nothing but the watchdog bounds a dyno it is ended, or was quicker: neither is wrong.
RACES: dict[str, frozenset[str]] = {"none": frozenset({"fork-bomb", "garbage", "memory-sum"})}
#: What the warden keeps to itself from whoever is the same user.
_WARDENS = {"memory-above", "open-above", "take-above", "trace-above"}
#: Stopped, read and cleaned up after even so.
_HANDLED = {
    *(
        "close-lifeline",
        "deep-directory",
        "endless-line",
        "forking",
        "hog",
        "kill-above",
        "locked-directory",
        "log-flood",
    ),
    *("outlive-parent", "signals-above", "stop-above", "trace-above-and-hold"),
}

#: Anybody may type into the terminal of their own session, which the host program's is not; who has CAP_SYS_ADMIN, into
#: any.
_TYPED = {"type-for-host", "type-on-output"}
_ADMINISTERED = int(marks.status(os.getpid())["CapEff"], 16) >> _CAP_SYS_ADMIN & 1

#: What a sandbox that mounts nothing leaves: the host's own paths, names, tables, directories and named sockets.
_UNMOUNTED = {"fill-inodes", "fill-log", "fill-tmp", "host-name", "processes-seen", "unix-host", "unix-run"}
#: What else an ordinary user can do to what else is that user's.
_SAME_USER = {
    *("as-started", "keys-seen", "message-queue", "semaphore", "shared-memory"),
    *("slug-touch", "slug-xattr"),  # of its own copy
    "victims-processors",
}
#: What anybody on the machine may read or make anew.
_NAMES_APART = {
    *("fill-slash-tmp", "kernel-nodes", "posix-segment", "read-machine-id"),
    *("read-store", "routes", "users", "write-host", "write-shm", "write-tmp", "write-var-tmp"),
}
_SCOPED = _NETWORK - {"abstract-host", "abstract-neighbour"}

EXPECTED: dict[tuple[str, str], frozenset[str]] = {
    ("bubblewrap", "root"): frozenset(),  # it refuses: root has namespaces
    # It has no Landlock, no limit of inodes, and its pid 1 is as much the user's as the app is.
    ("bubblewrap", "user"): frozenset(_NETWORK | {"fill-inodes", "host-paths", "keys-seen", "memory-above"}),
    # "host-paths": where the tree lies shows in mountinfo; names, and nothing behind them.
    ("namespaces", "root"): frozenset(_SCOPED | {"host-paths"}),
    ("namespaces", "user"): frozenset(_SCOPED | {"host-paths"}),
    ("landlock", "root"): frozenset(_SCOPED | {"host-paths"} | _UNMOUNTED),
    ("landlock", "user"): frozenset(_SCOPED | {"host-paths"} | _UNMOUNTED | _SAME_USER),
    ("owned", "root"): frozenset(
        _NETWORK | _DOORS | {"host-paths"} | _UNMOUNTED | {"cloned-user-namespace", "new-user-namespace"} | _NAMES_APART
    ),
    ("owned", "user"): frozenset(),  # it refuses
    ("none", "root"): _ALL - _NEVER - _HARMLESS - _HANDLED - (set() if _ADMINISTERED else _TYPED),
    ("none", "user"): _ALL - _NEVER - _HARMLESS - _HANDLED - {"immutable-file"} - _WARDENS - _TYPED,
}

#: Kinds of descendants that may outlive a dyno, per back end and way to end: none.
SURVIVORS: dict[tuple[str, str], frozenset[str]] = {}
