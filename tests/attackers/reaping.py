"""Make one kind of descendant that is hard to reap, as $KIND names it, and stay; each holds the mark $MARK."""

import os
import signal
import time

_LONGEST = 120  # seconds; nobody stays longer


def main() -> None:
    """Make it, say so, and wait."""
    signal.alarm(_LONGEST)
    os.memfd_create(os.environ["MARK"])
    KINDS[os.environ["KIND"]]()
    os.write(1, b"RESIDENT {}\n")
    stay()


def stay() -> None:
    """Sleep for ever."""
    signal.alarm(_LONGEST)
    while True:
        time.sleep(_LONGEST)


def _child() -> bool:
    """Fork and return whether this is the child."""
    return os.fork() == 0


def double_fork() -> None:
    """Have a grandchild whose parent is gone."""
    if _child():
        if _child():
            stay()
        os._exit(0)


def own_session() -> None:
    """Have a child in a session and a group of its own."""
    if _child():
        os.setsid()
        stay()


def pid_hopper() -> None:
    """Have a descendant that is another process every few milliseconds."""
    if _child():
        end = time.monotonic() + _LONGEST / 4
        while time.monotonic() < end:
            if os.fork():
                os._exit(0)
            os.setsid()
            time.sleep(0.003)
        os._exit(0)


def cleared_environment() -> None:
    """Have a child that has shed its environment and its name."""
    if _child():
        os.setsid()
        fd = os.memfd_create(os.environ["MARK"], 0)  # stays open in what is executed
        os.set_inheritable(fd, True)
        os.execve("/bin/sleep", ["kworker/0:1", str(_LONGEST)], {})


def background() -> None:
    """Have a child in the same group, as a shell's ``&`` does."""
    if _child():
        stay()


def term_ignorer() -> None:
    """Have a child that ignores all that can be ignored, and do so as well."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    background()


def stopped_child() -> None:
    """Have a child that is stopped."""
    pid = os.fork()
    if pid == 0:
        stay()
    os.kill(pid, signal.SIGSTOP)


def pipe_holder() -> None:
    """Have a stranger that holds the output open and outlives its parents."""
    if _child():
        os.setsid()
        if _child():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            stay()
        os._exit(0)


def unbound() -> None:
    """Have a stranger that has asked for no signal when its parent dies, and adopts its own descendants."""
    import ctypes  # noqa: PLC0415 - the others need none

    if _child():
        os.setsid()
        for option, value in ((1, 0), (36, 1)):  # PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER
            ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
        double_fork()
        stay()


def fork_bomb() -> None:
    """Have fifty children that ignore SIGTERM, half of them in sessions of their own."""
    for number in range(50):
        if _child():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if number % 2:
                os.setsid()
            stay()


KINDS = {
    kind.__name__.replace("_", "-"): kind
    for kind in (
        double_fork,
        own_session,
        pid_hopper,
        cleared_environment,
        background,
        term_ignorer,
        stopped_child,
        pipe_holder,
        unbound,
        fork_bomb,
    )
}

if __name__ == "__main__":
    main()
