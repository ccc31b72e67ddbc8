"""The filter of system calls: a program for either machine, run here by an interpreter of the test's own."""

import errno
import re
import struct
from pathlib import Path

import pytest

from alone import alone
from slugkit._warden import seccomp

ALLOWED, KILLED, REFUSED = 0x7FFF0000, 0x80000000, 0x00050000
ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
MACHINES = pytest.mark.parametrize("machine", list(ARCHES))
CLONE, CLONE3, IOCTL, SOCKET = (
    {"x86_64": 56, "aarch64": 220},
    {"x86_64": 435, "aarch64": 435},
    {"x86_64": 16, "aarch64": 29},
    {"x86_64": 41, "aarch64": 198},
)
HEADERS = {
    "x86_64": ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"),
    "aarch64": ("/usr/include/asm-generic/unistd.h",),
}
INSTALLED = [(machine, Path(path)) for machine, paths in HEADERS.items() for path in paths if Path(path).is_file()]
# What security.md 2.6 names, and what else changes the machine, looks into others or makes a root of its own.
PROMISED = {
    *("keyctl", "add_key", "request_key", "io_uring_setup", "io_uring_enter", "io_uring_register", "ptrace"),
    *("mount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick"),
    *("mount_setattr", "bpf", "perf_event_open", "userfaultfd", "kexec_load", "kexec_file_load", "init_module"),
    *("finit_module", "delete_module", "unshare", "setns", "process_vm_readv", "process_vm_writev", "pidfd_getfd"),
    *("reboot", "swapon", "swapoff", "open_by_handle_at", "fanotify_init", "syslog", "settimeofday", "sethostname"),
}
NAMESPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)


def verdict(machine: str, number: int, *arguments: int, arch: int | None = None) -> int:
    """Return what the filter for *machine* says of a call: classic BPF over struct seccomp_data."""
    words = [*arguments, *([0] * (6 - len(arguments)))]
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, ARCHES[machine] if arch is None else arch, 0, *words)
    steps = list(struct.iter_unpack("=HBBI", seccomp.program(machine)))
    at = accumulator = 0
    while True:
        code, if_true, if_false, value = steps[at]
        at += 1
        match code:
            case 0x20:  # BPF_LD | BPF_W | BPF_ABS
                accumulator = int.from_bytes(data[value : value + 4], "little")
            case 0x06:  # BPF_RET | BPF_K
                return int(value)
            case 0x15:  # BPF_JMP | BPF_JEQ
                at += if_true if accumulator == value else if_false
            case 0x35:  # BPF_JMP | BPF_JGE
                at += if_true if accumulator >= value else if_false
            case 0x45:  # BPF_JMP | BPF_JSET
                at += if_true if accumulator & value else if_false
            case _:
                pytest.fail(f"an instruction that the filter has no need of: {code:#x}")


def denied(machine: str) -> dict[str, int]:
    column = list(ARCHES).index(machine)
    return {name: number for name, row in seccomp._DENIED.items() if (number := row[column]) is not None}


@MACHINES
def test_what_is_denied_is_refused_whatever_it_is_asked(machine: str) -> None:
    """Each call on the list gets EPERM, with any argument; all that is promised is on the list."""
    for name, number in denied(machine).items():
        for argument in (0, 1, 2**64 - 1):
            assert verdict(machine, number, *[argument] * 6) == REFUSED | errno.EPERM, name
    assert denied(machine).keys() >= PROMISED


@MACHINES
def test_everything_else_is_allowed(machine: str) -> None:
    """A list of what is denied: every other number, known or not yet, gets through."""
    special = {*denied(machine).values(), *(one[machine] for one in (CLONE3, SOCKET))}
    others = [number for number in (*range(1024), 0x3FFFFFFF) if number not in special]

    assert {verdict(machine, number) for number in others} == {ALLOWED}
    assert len(others) > 900


@MACHINES
def test_clone3_does_not_exist(machine: str) -> None:
    """The flags of clone3 lie in memory, where no filter sees them: ENOSYS, upon which glibc takes clone."""
    assert verdict(machine, CLONE3[machine], 2**63, 88) == REFUSED | errno.ENOSYS


@MACHINES
def test_clone_makes_processes_and_threads_but_no_namespaces(machine: str) -> None:
    """Each flag of a new namespace is refused, alone or among others; fork's and pthread_create's flags are not."""
    fork, vfork, thread = 17, 0x4111, 0x003D0F00

    assert {verdict(machine, CLONE[machine], flags) for flags in (0, fork, vfork, thread)} == {ALLOWED}
    assert {verdict(machine, CLONE[machine], flags | more) for flags in NAMESPACES for more in (0, fork, thread)} == {
        REFUSED | errno.EPERM
    }


@MACHINES
def test_nobody_types_for_the_one_at_the_terminal(machine: str) -> None:
    """TIOCSTI and TIOCLINUX are refused, also with bits above that no kernel looks at; other ioctls are not."""
    for request in (0x5412, 0x541C):
        for above in (0, 1 << 32, 0xFFFFFFFF << 32):
            assert verdict(machine, IOCTL[machine], 0, request | above) == REFUSED | errno.EPERM
    for request in (0x5401, 0x5413, 0x541B, 0x8914, 0x5412 | 0x10000):
        assert verdict(machine, IOCTL[machine], 0, request) == ALLOWED


@MACHINES
def test_sockets_are_of_the_families_that_apps_use(machine: str) -> None:
    """Unix, IPv4, IPv6 and netlink sockets can be made; all others, vsock to the host among them, cannot."""
    allowed = {family for family in range(64) if verdict(machine, SOCKET[machine], family) == ALLOWED}

    assert allowed == {0, 1, 2, 10, 16}
    assert verdict(machine, SOCKET[machine], 40) == REFUSED | errno.EAFNOSUPPORT
    assert verdict(machine, SOCKET[machine], 2**32 - 1) == REFUSED | errno.EAFNOSUPPORT


@MACHINES
def test_other_sets_of_numbers_kill(machine: str) -> None:
    """A call by another architecture's numbers (i386, arm, x32) ends the process: they are not on the list."""
    for arch in (0x40000003, 0x40000028, 0, *(set(ARCHES.values()) - {ARCHES[machine]})):
        assert verdict(machine, 1, arch=arch) == KILLED
    for number in (0x40000000, 0x40000000 | 101, 0xFFFFFFFF):
        assert (verdict(machine, number) == KILLED) == (machine == "x86_64")


@MACHINES
def test_every_way_through_the_program_ends(machine: str) -> None:
    """The kernel's rules for a program: jumps go forward and stay inside, the last step returns, at most 4096 steps."""
    steps = list(struct.iter_unpack("=HBBI", seccomp.program(machine)))

    assert steps[-1][0] == 0x06
    assert len(steps) <= 4096
    for at, (code, if_true, if_false, _) in enumerate(steps):
        if code in {0x15, 0x35, 0x45}:
            assert at + 1 + max(if_true, if_false) < len(steps)


def test_no_filter_is_made_for_a_machine_whose_numbers_are_not_known() -> None:
    """A wrong filter would be worse than none: the program is empty, and restrict() says so."""
    assert seccomp.program("riscv64") == b""


@pytest.mark.parametrize(("machine", "header"), INSTALLED, ids=str)
def test_the_numbers_are_the_kernels(machine: str, header: Path) -> None:
    """Every number is that of the kernel's own header; a name that it lacks came after it, with a larger number."""
    told = {name: int(number) for name, number in re.findall(r"#define __NR_(\w+)\s+(\d+)\b", header.read_text())}
    asked = denied(machine) | {"clone": CLONE[machine], "clone3": CLONE3[machine]}
    asked |= {"ioctl": IOCTL[machine], "socket": SOCKET[machine]}
    newest = max(number for name, number in told.items() if name not in {"syscalls", "arch_specific_syscall"})

    wrong = {name: (number, told.get(name)) for name, number in asked.items() if told.get(name, newest + 1) != number}
    assert {name: one for name, one in wrong.items() if one[1] is not None or one[0] <= newest} == {}


@pytest.mark.parametrize(("machine", "header"), INSTALLED, ids=str)
def test_what_a_machine_lacks_is_not_in_its_header(machine: str, header: Path) -> None:
    """A call that is said not to be there is not: a column is empty for no other reason."""
    told = set(re.findall(r"#define __NR_(\w+)\s+\d+\b", header.read_text()))

    assert set(seccomp._DENIED) - set(denied(machine)) <= set(seccomp._DENIED) - told


def test_the_kernel_takes_it_and_does_as_it_says() -> None:
    """In this machine's kernel: refused with EPERM, families unknown, and programs, threads and pipes as ever."""
    told = alone(
        """
import ctypes, fcntl, subprocess, threading
seccomp.restrict()
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    ctypes.set_errno(0)
    done = getattr(libc, name)(*arguments)
    return "ok" if done >= 0 else errno.errorcode[ctypes.get_errno()]
ran = []
thread = threading.Thread(target=ran.append, args=(1,)); thread.start(); thread.join()
answer({
    "unshare": call("unshare", 0x10000000), "setns": call("setns", 0, 0), "ptrace": call("ptrace", 0, 0, 0, 0),
    "mount": call("mount", None, b"/", None, 0, None), "chroot": call("chroot", b"/"),
    "keyctl": tried(lambda: syscalls.syscall("keyctl", 0, -3, 0, 0, 0)),
    "newuser": tried(lambda: syscalls.syscall("clone", 0x10000000 | 17, 0, 0, 0, 0)),
    "tiocsti": tried(lambda: fcntl.ioctl(0, 0x5412, b"x")),
    "vsock": tried(lambda: socket.socket(40, socket.SOCK_STREAM)),
    "alg": tried(lambda: socket.socket(38, socket.SOCK_SEQPACKET)),
    "unix": tried(lambda: socket.socketpair()), "inet": tried(lambda: socket.socket()),
    "inet6": tried(lambda: socket.socket(socket.AF_INET6) if socket.has_ipv6 else None),
    "thread": ran,
    "program": subprocess.run(["/bin/sh", "-c", "echo $(echo fine)"], capture_output=True).stdout.decode(),
})
"""
    )

    refused = dict.fromkeys(("unshare", "setns", "ptrace", "mount", "chroot", "keyctl", "newuser", "tiocsti"), "EPERM")
    unknown = dict.fromkeys(("vsock", "alg"), "EAFNOSUPPORT")
    fine = dict.fromkeys(("unix", "inet", "inet6"), "ok")
    assert told == refused | unknown | fine | {"thread": [1], "program": "fine\n"}


def test_the_filter_cannot_be_taken_off() -> None:
    """It holds for what comes of the process, it cannot be replaced, and no_new_privs came with it."""
    told = alone(
        """
import subprocess
seccomp.restrict()
script = "grep -h '^Seccomp:\\\\|^NoNewPrivs' /proc/self/status; unshare -U true || echo no"
answer(subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True).stdout.split())
"""
    )

    assert told == ["NoNewPrivs:", "1", "Seccomp:", "2", "no"]
