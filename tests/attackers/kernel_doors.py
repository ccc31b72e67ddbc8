"""What processes share through the kernel - segments, queues, keys - and the kernel's larger doors."""

import ctypes
import os
import struct

import kernel
from kit import HELD, Outcome, Told

_NOFOLLOW = os.O_CLOEXEC
_SESSION, _USER, _PROCESS = -3, -4, -2  # keyrings
_SEARCH, _READ, _LINK = 10, 11, 8


def shared_memory(told: Told) -> Outcome:
    """Read a System V segment of the host's."""
    address = kernel.call("shmat", kernel.call("shmget", told["ipc"], 0, 0), None, 0o10000)
    return ctypes.string_at(address, 64)


def semaphore(told: Told) -> None:
    """Set a System V semaphore of the host's."""
    kernel.call("semctl", kernel.call("semget", told["ipc"], 0, 0), 0, 16, 777)


def message_queue(told: Told) -> Outcome:
    """Take a message from a System V queue of the host's."""
    buffer = ctypes.create_string_buffer(200)
    size = kernel.call("msgrcv", kernel.call("msgget", told["ipc"], 0), buffer, 192, 0, 0o4000)
    return buffer.raw[8 : 8 + size]


def posix_queue(told: Told) -> Outcome:
    """Take a message from a POSIX queue of the host's."""
    fd = kernel.call("mq_open", told["mq"].encode(), os.O_RDWR | os.O_NONBLOCK, 0, None)
    buffer = ctypes.create_string_buffer(8192)
    size = kernel.call("mq_timedreceive", fd, buffer, 8192, None, None)
    return buffer.raw[:size]


def posix_segment(told: Told) -> Outcome:
    """Read a POSIX segment of the host's."""
    with open(f"/dev/shm/{told['segment']}", "rb") as file:
        return file.read(64)


def session_key(told: Told) -> Outcome:
    """Read a key of the host program's session."""
    return _key(_SESSION, told["session_key"])


def user_key(told: Told) -> Outcome:
    """Read a key of the user's who runs the host program."""
    return _key(_USER, told["user_key"])


def _key(ring: int, name: str) -> bytes:
    number = kernel.call("keyctl", _SEARCH, ring, b"user", name.encode(), 0)
    buffer = ctypes.create_string_buffer(200)
    size = kernel.call("keyctl", _READ, number, buffer, 200, 0)
    return buffer.raw[:size]


def leave_key(told: Told) -> None:
    """Leave a key with the user who runs the host program, for the next dyno to find."""
    kernel.call("add_key", b"user", f"atk-left-{told['run']}".encode(), b"changed", 7, _USER)


def keys_seen(_told: Told) -> Outcome:
    """See the names of the host's keys."""
    with open("/proc/keys") as file:
        return "\n".join(line for line in file if "atk-" in line).encode()


def own_keyring(told: Told) -> Outcome:
    """Use the kernel's keys at all, a door of many holes."""
    kernel.call("add_key", b"keyring", f"atk-own-{told['run']}".encode(), None, 0, _PROCESS)
    with open("/proc/keys") as file:
        return next(line for line in file if f"atk-own-{told['run']}" in line).encode()


def io_uring(_told: Told) -> Outcome:
    """Make an io_uring."""
    kernel.call("io_uring_setup", 4, ctypes.create_string_buffer(120))
    return HELD


def bpf(_told: Told) -> Outcome:
    """Make a map for programs in the kernel."""
    kernel.call("bpf", 0, struct.pack("IIII", 1, 4, 4, 1) + bytes(100), 72)
    return HELD


def perf_events(_told: Told) -> Outcome:
    """Count what this process does."""
    attributes = ctypes.create_string_buffer(struct.pack("IIQQQQQ", 1, 112, 1, 0, 0, 0, 0b1100001) + bytes(64))
    kernel.call("perf_event_open", attributes, 0, -1, -1, 0)
    return HELD


def page_faults(_told: Told) -> Outcome:
    """Handle our own page faults."""
    kernel.call("userfaultfd", 1 | os.O_CLOEXEC)  # of user mode only: the kind that users may have
    return HELD


def file_events(_told: Told) -> Outcome:
    """Watch file systems with fanotify."""
    kernel.call("fanotify_init", 0x200, 0)  # FAN_REPORT_FID: the kind that users may have
    return HELD


def load_module(_told: Told) -> Outcome:
    """Load a kernel module; there is none, so what comes is a word about it or about permissions."""
    return _refused_for("init_module", None, 0, b"")


def load_kernel(_told: Told) -> Outcome:
    """Load another kernel, of more segments than there can be."""
    return _refused_for("kexec_load", 0, 1000, None, 0)


def restart_machine(_told: Told) -> Outcome:
    """Restart the machine, without the numbers that make it do so."""
    return _refused_for("reboot", 0, 0, 0, None)


def swap_on(_told: Told) -> Outcome:
    """Swap to a file of no name."""
    return _refused_for("swapon", None, 0)


def _refused_for(name: str, *arguments: object) -> str:
    """Return "allowed" if the kernel has looked at permissions first, and gone on to the arguments."""
    try:
        kernel.call(name, *arguments)
    except PermissionError:
        raise
    except OSError as error:
        return "allowed" if error.errno != 38 else "no such call"
    return "allowed"
