"""Do as a container's engine does with a command, or as a machine that gives no namespaces, without either.

``python tests/container.py KIND UID ARGV...``, with the warden's own calls. "docker" is Docker's default profile: its
filter of system calls, as far as it refuses what sandboxes need, its capabilities, cgroups that cannot be written to, a
covered file in /proc. "ubuntu" makes user namespaces that give no right to mount. "sysctl" has
``user.max_user_namespaces=0``, in the user namespace that it is started in.
"""

import ctypes
import errno
import os
import struct
import sys

from slugkit._warden import seccomp
from slugkit._warden.syscalls import AT_FDCWD, AT_RECURSIVE, MACHINE, prctl, syscall

_DROP, _NO_NEW_PRIVS, _AMBIENT, _CLEAR = 24, 38, 47, 4
_CAPABILITIES = 0xA80425FB  # what `docker run` leaves to root
_MOUNTING = ("mount", "umount2", "pivot_root", "move_mount", "open_tree", "fsopen", "fsmount", "mount_setattr")
_REFUSED = {"docker": (*_MOUNTING, "setns", "unshare", "keyctl", "add_key", "request_key", "bpf"), "ubuntu": _MOUNTING}
_NEW_NS, _BIND, _PRIVATE = 0x20000, 0x1000, 0x44000


def _filter(kind: str) -> bytes:
    """Return the filter of *kind*, as classic BPF: EPERM, but ENOSYS for clone3, whose flags no filter sees."""
    column = 0 if MACHINE == "x86_64" else 1
    steps = [seccomp._step(seccomp._LOAD, seccomp._NUMBER)]
    for name in _REFUSED[kind]:
        number = seccomp._DENIED[name][column]
        assert number is not None
        steps += [seccomp._step(seccomp._EQUAL, number, 0, 1), seccomp._refuse(errno.EPERM)]
    if kind == "docker":
        steps += [seccomp._step(seccomp._EQUAL, seccomp._CLONE3[column], 0, 1), seccomp._refuse(errno.ENOSYS)]
        spaces = [seccomp._step(seccomp._ANY_BIT, seccomp._NEW_NAMESPACES, 0, 1), seccomp._refuse(errno.EPERM)]
        steps += seccomp._when(seccomp._CLONE[column], 0, spaces)
    return b"".join([*steps, seccomp._returning(seccomp._ALLOW)])


def _install(kind: str) -> None:
    steps = _filter(kind)
    buffer = ctypes.create_string_buffer(steps, len(steps))
    syscall("seccomp", 1, 0, struct.pack("@HP", len(steps) // 8, ctypes.addressof(buffer)))


def _cover() -> None:
    """Show cgroups that cannot be written to, and nothing for one file of /proc, in a mount namespace of its own."""
    if ctypes.CDLL(None).unshare(_NEW_NS) != 0:
        raise PermissionError("unshare")  # or it would be done to the machine
    syscall("mount", None, b"/", None, _PRIVATE, None)
    how = struct.pack("=QQQQ", 1, 0, 0, 0)  # read-only
    syscall("mount_setattr", AT_FDCWD, b"/sys/fs/cgroup", AT_RECURSIVE, how, len(how))
    syscall("mount", b"/dev/null", b"/proc/keys", None, _BIND, None)


def main() -> None:
    """Become what was asked for, and then the command."""
    kind, uid, argv = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    root = os.geteuid() == 0
    if kind == "sysctl":
        with open("/proc/sys/user/max_user_namespaces", "w") as file:
            file.write("0")
        prctl(_AMBIENT, _CLEAR)  # of those that this took nothing is left to the command
    else:
        if kind == "docker" and root:
            _cover()
        if not root:
            prctl(_NO_NEW_PRIVS, 1)
        _install(kind)
    for capability in range(41 if root else 0):
        if not _CAPABILITIES >> capability & 1:
            prctl(_DROP, capability)
    if root:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    os.execv(argv[0], argv)


if __name__ == "__main__":
    main()
