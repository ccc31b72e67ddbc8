"""Landlock: what of the file system a process and all that come of it may use, without a mount (security.md 1, 2.6)."""

from __future__ import annotations

import errno
import os
import struct

from .syscalls import prctl, syscall

TYPE_CHECKING = False  # typing takes 4 ms of a start that takes 25
if TYPE_CHECKING:
    from collections.abc import Iterable

_VERSION = 1  # flag of landlock_create_ruleset
_PATH_BENEATH, _NET_PORT = 1, 2
_NO_NEW_PRIVS = 38

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = (1 << bit for bit in range(6))
_MAKE_CHAR, _MAKE_DIR, _MAKE_REG, _MAKE_SOCK, _MAKE_FIFO, _MAKE_BLOCK, _MAKE_SYM = (1 << bit for bit in range(6, 13))
_REFER, _TRUNCATE, _IOCTL_DEV = (1 << bit for bit in range(13, 16))
_SINCE = {2: _REFER, 3: _TRUNCATE, 5: _IOCTL_DEV}  # ABI versions
_BIND_TCP = 1
_SINCE_NET, _SINCE_SCOPE = 4, 6
_SCOPES = 3  # abstract Unix sockets, and signals, of processes outside

READ = _EXECUTE | _READ_FILE | _READ_DIR
WRITE = READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _MAKE_SOCK | _MAKE_FIFO | _MAKE_SYM
WRITE |= _REFER | _TRUNCATE | _IOCTL_DEV
USE = READ | _WRITE_FILE | _TRUNCATE | _IOCTL_DEV  # devices and /proc: written to, but nothing made there
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV


def version() -> int:
    """Return the version of the ABI that this kernel offers.

    Raises:
        OSError: None: ENOSYS, EOPNOTSUPP when it is switched off, or what a filter of system calls answers.
    """
    return syscall("landlock_create_ruleset", None, 0, _VERSION)


def abi() -> int:
    """Return the version of the ABI that this kernel offers; 0 for none."""
    try:
        return version()
    except OSError:
        return 0


def restrict(rules: Iterable[tuple[bytes, int]], bind: int | None = None) -> None:
    """Allow what *rules* say of paths (READ, WRITE, USE) and what is below them, and nothing else.

    A path that is not there is left out. With *bind*, no other TCP port can be bound, where the kernel knows how.

    Raises:
        OSError: The kernel has no Landlock.
    """
    known = abi()
    if not known:
        raise OSError(errno.ENOSYS, "this kernel has no Landlock")
    handled = (1 << 13) - 1 | sum(bits for since, bits in _SINCE.items() if known >= since)
    ports = _BIND_TCP if bind is not None and known >= _SINCE_NET else 0
    scopes = _SCOPES if known >= _SINCE_SCOPE else 0
    described = struct.pack("=QQQ", handled, ports, scopes)
    size = 8 if known < _SINCE_NET else 16 if known < _SINCE_SCOPE else 24
    ruleset = syscall("landlock_create_ruleset", described, size, 0)
    try:
        for path, access in rules:
            _allow(ruleset, path, access & handled)
        if ports:
            syscall("landlock_add_rule", ruleset, _NET_PORT, struct.pack("=QQ", ports, bind), 0)
        prctl(_NO_NEW_PRIVS, 1)
        syscall("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: bytes, access: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # there is nothing to allow
        return
    try:
        if not os.path.isdir(fd):
            access &= _OF_FILES
        syscall("landlock_add_rule", ruleset, _PATH_BENEATH, struct.pack("=Qi", access, fd), 0)
    finally:
        os.close(fd)
