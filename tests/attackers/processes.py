"""Other processes: their memory, their tracing, their limits and their place in line."""

import ctypes
import os
import resource
import time
from collections.abc import Iterator
from contextlib import suppress

import kernel
from kit import HELD, Outcome, Told, above, loot


def trace_victim(told: Told) -> Outcome:
    """Trace a process of the host's."""
    kernel.trace(told["pids"]["victim"])
    return HELD


def trace_neighbour(told: Told) -> Outcome:
    """Trace another dyno's process."""
    kernel.trace(told["pids"]["neighbour"])
    return HELD


def trace_above(told: Told) -> Outcome:
    """Trace pid 1 of the app's own namespace, or who started the app."""
    kernel.trace(above(told))
    return HELD


def trace_own(_told: Told) -> Outcome:
    """Trace a process of the app's own: what a debugger does, and what many kernel holes were opened with."""
    child = os.fork()
    if child == 0:
        time.sleep(120)
    kernel.trace(child)
    return HELD


def read_memory(told: Told) -> Outcome:
    """Read the memory of a process of the host's with process_vm_readv."""
    return kernel.copy_memory(told["pids"]["victim"], told["addresses"]["victim"], 64)


def read_neighbour_memory(told: Told) -> Outcome:
    """Read the memory of another dyno's process."""
    return kernel.copy_memory(told["pids"]["neighbour"], told["addresses"]["neighbour"], 64)


def write_memory(told: Told) -> None:
    """Write the memory of a process of the host's with process_vm_writev."""
    kernel.poke_memory(told["pids"]["victim"], told["addresses"]["scribble"], b"changed")


def proc_mem(told: Told) -> Outcome:
    """Read the memory of a process of the host's through /proc/PID/mem."""
    with open(f"/proc/{told['pids']['victim']}/mem", "rb", buffering=0) as file:
        file.seek(told["addresses"]["victim"])
        return file.read(64)


def memory_above(told: Told) -> Outcome:
    """Open the memory of the process above the app."""
    os.open(f"/proc/{above(told)}/mem", os.O_RDONLY)
    return HELD


def proc_cwd(told: Told) -> Outcome:
    """Read a file through the working directory of a process of the host's."""
    return loot(f"/proc/{told['pids']['victim']}/cwd/home/secret")


def kernel_memory(_told: Told) -> Outcome:
    """Open the kernel's memory."""
    os.open("/proc/kcore", os.O_RDONLY)
    return HELD


def kernel_addresses(_told: Told) -> Outcome:
    """Read where the kernel is."""
    with open("/proc/kallsyms") as file:
        for line in file:
            if line.split()[2] == "commit_creds":
                return line.split()[0].encode()
    return None


def kernel_log(_told: Told) -> Outcome:
    """Read the kernel's messages."""
    buffer = ctypes.create_string_buffer(1 << 20)
    size = kernel.call("syslog", 3, buffer, 1 << 20)
    return buffer.raw[:size][-1000:]


def victims_score(told: Told) -> None:
    """Make a process of the host's the first to die when memory is short."""
    with open(f"/proc/{told['pids']['score']}/oom_score_adj", "w") as file:
        file.write("777")


def victims_limits(told: Told) -> None:
    """Take a process of the host's its open files."""
    resource.prlimit(told["pids"]["limits"], resource.RLIMIT_NOFILE, (7, 7))


def victims_nice(told: Told) -> None:
    """Put a process of the host's at the end of the line."""
    os.setpriority(os.PRIO_PROCESS, told["pids"]["nice"], 17)


def victims_processors(told: Told) -> None:
    """Tie a process of the host's to one processor."""
    os.sched_setaffinity(told["pids"]["affinity"], {min(os.sched_getaffinity(0))})


def own_score(_told: Told) -> Outcome:
    """Be the last to die when memory is short."""
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("-900")
    return HELD


def first_in_line(_told: Told) -> Outcome:
    """Go before every other process of the machine."""
    os.nice(-10)
    return HELD


def real_time(_told: Told) -> Outcome:
    """Be scheduled in real time, before whoever would stop it."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    return HELD


def processes_seen(told: Told) -> Outcome:
    """See a process of the host's in a listing, by what it calls itself."""
    return b"".join(_names(told))


def _names(told: Told) -> Iterator[bytes]:
    for name in (str(told["pids"]["victim"]), *filter(str.isdecimal, os.listdir("/proc"))):
        with suppress(OSError):
            with open(f"/proc/{name}/cmdline", "rb") as file:
                line = file.read()
            if b"resident" in line:
                yield line
