"""Signals: to the host, to other dynos, to what is above the app, to everything."""

import ctypes
import fcntl
import os
import signal
import socket
import time
from contextlib import suppress

import kernel
from kit import HELD, Outcome, Told, above, shut_in

_F_SETOWN, _F_SETSIG = 8, 10


def kill_victim(told: Told) -> None:
    """Kill a process of the host's."""
    os.kill(told["pids"]["kill"], signal.SIGKILL)


def stop_victim(told: Told) -> None:
    """Stop a process of the host's."""
    os.kill(told["pids"]["stop"], signal.SIGSTOP)


def kill_thread(told: Told) -> None:
    """Kill a process of the host's by one of its threads."""
    kernel.call("tgkill", told["pids"]["tgkill"], told["pids"]["tgkill"], signal.SIGKILL)


def kill_by_descriptor(told: Told) -> None:
    """Kill a process of the host's through a descriptor of it."""
    signal.pidfd_send_signal(os.pidfd_open(told["pids"]["pidfd"]), signal.SIGKILL)


def kill_queued(told: Told) -> None:
    """Kill a process of the host's with a queued signal."""
    info = ctypes.create_string_buffer(128)
    ctypes.cast(info, ctypes.POINTER(ctypes.c_int))[0] = signal.SIGTERM
    ctypes.cast(info, ctypes.POINTER(ctypes.c_int))[2] = -1  # SI_QUEUE
    pid = told["pids"]["queue"]
    kernel.call("rt_tgsigqueueinfo", pid, pid, signal.SIGTERM, info)


def kill_by_owner(told: Told) -> Outcome:
    """Have the kernel signal a process of the host's, as the owner of a socket of the app's."""
    ours, theirs = socket.socketpair()
    fcntl.fcntl(ours, _F_SETOWN, told["pids"]["owner"])
    fcntl.fcntl(ours, _F_SETSIG, signal.SIGTERM)
    fcntl.fcntl(ours, fcntl.F_SETFL, fcntl.fcntl(ours, fcntl.F_GETFL) | os.O_ASYNC)
    theirs.send(b"x")
    return HELD


def kill_neighbour(told: Told) -> None:
    """Kill another dyno's process."""
    os.kill(told["pids"]["neighbour"], signal.SIGKILL)


def kill_group(_told: Told) -> None:
    """Kill the process group the app was started in."""
    os.killpg(0, signal.SIGKILL)


def kill_all(told: Told) -> None:
    """Kill every process that may be killed; only where those are not the host's own."""
    _all(told, signal.SIGKILL)


def stop_all(told: Told) -> None:
    """Stop every process that may be stopped, for whoever has to wait for them."""
    _all(told, signal.SIGSTOP)


def _all(told: Told, signum: int) -> None:
    if not shut_in(told) and os.getuid() in {0, told["uid"]}:
        raise RuntimeError("not here: this would reach the whole machine")
    os.kill(-1, signum)


def signals_above(told: Told) -> Outcome:
    """Send every signal but SIGKILL to the process above the app."""
    for number in range(1, signal.SIGRTMAX + 1):
        if number != signal.SIGKILL:
            with suppress(OSError):
                os.kill(above(told), number)
    return HELD


def kill_above(told: Told) -> Outcome:
    """Kill the process above the app, and leave a stranger behind."""
    _leave_stranger()
    with suppress(OSError):
        os.kill(above(told), signal.SIGKILL)
    return HELD


def stop_above(told: Told) -> Outcome:
    """Stop the process above the app, which would have to reap it."""
    _leave_stranger()
    with suppress(OSError):
        os.kill(above(told), signal.SIGSTOP)
    return HELD


def trace_above_and_hold(told: Told) -> Outcome:
    """Trace the process above the app, so that its death waits for the tracer."""
    kernel.call("ptrace", kernel.PTRACE_SEIZE, above(told), 0, 1 << 6)  # PTRACE_O_TRACEEXIT
    return HELD


def outlive_parent(_told: Told) -> Outcome:
    """Ask for no signal when the parent dies, ignore all that can be ignored, and leave the session."""
    kernel.call("prctl", 1, 0, 0, 0, 0)  # PR_SET_PDEATHSIG
    kernel.call("prctl", 36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    _leave_stranger()
    return HELD


def _leave_stranger() -> None:
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        time.sleep(120)
