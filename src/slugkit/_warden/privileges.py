"""Give up what a process may do, for good: capabilities, groups, uid, new privileges, limits (security.md 2.4)."""

import os
import resource
import struct

from .syscalls import prctl, syscall

_PDEATHSIG, _DUMPABLE, _CAPBSET_DROP, _SECUREBITS, _NO_NEW_PRIVS, _SUBREAPER = 1, 4, 24, 28, 38, 36
# A uid of 0 gives nothing, no uid keeps anything, nothing ambient; and no way back from any of it.
_LOCKED = 0b11101011
_CAPABILITIES_3 = 0x20080522
_KEYCTL_JOIN = 1
_KINDS = {
    "open_files": resource.RLIMIT_NOFILE,
    "processes": resource.RLIMIT_NPROC,
    "core": resource.RLIMIT_CORE,
}


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    prctl(_SUBREAPER, 1)


def hide() -> None:
    """Let no process of the same user look into this one, or take its descriptors."""
    prctl(_DUMPABLE, 0)


def reset_libcs_signals() -> None:
    """Ignore no longer the two signals that glibc keeps to itself, for which Python has no call.

    glibc's posix_spawn has whatever it starts ignore them; Python starts programs by it from 3.13 on.
    """
    for number in (32, 33):
        try:
            syscall("rt_sigaction", number, bytes(32), None, 8)
        except OSError:  # a machine whose numbers are not known: nothing comes of it but a bit in /proc/PID/status
            return


def leave_keyring() -> None:
    """Have an empty session keyring: the host program's is readable by all that it starts."""
    try:
        syscall("keyctl", _KEYCTL_JOIN, None, 0, 0, 0)
    except OSError:  # no keys in this kernel, or a filter before ours: nothing to leave
        return


def be_killed_for_memory() -> None:
    """Be, with all that comes of it, as likely to be killed for want of memory as any: the host may be spared."""
    with open("/proc/self/oom_score_adj", "r+", encoding="utf-8") as file:
        if int(file.read()) < 0:
            file.seek(0)
            file.write("0")


def drop(uid: int | None) -> None:
    """Become *uid*, unless None, with no group of its own, no capability, and, after `lock`, no way to gain any.

    Raises:
        OSError: The kernel did not let it.
    """
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    syscall("capset", struct.pack("=Ii", _CAPABILITIES_3, 0), bytes(24))
    prctl(_NO_NEW_PRIVS, 1)


def lock() -> None:
    """Empty the bounding set and lock the rules, where this process may; who may not has no capability to lose."""
    try:
        for capability in range(64):
            prctl(_CAPBSET_DROP, capability)
    except OSError:  # EINVAL: that was the last one; EPERM: may not
        pass
    try:
        prctl(_SECUREBITS, _LOCKED)
    except PermissionError:
        return


def limit(limits: dict[str, int]) -> None:
    """Set what *limits* names; a limit that is lower already stays."""
    for name, value in limits.items():
        kind = _KINDS[name]
        most = resource.getrlimit(kind)[1]
        lower = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(kind, (lower, lower))
