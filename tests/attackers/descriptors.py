"""Descriptors: what was inherited, what can be opened or taken from others, and what garbage in them does."""

import array
import os
import socket
from collections.abc import Iterator
from contextlib import suppress

import kernel
from kit import HELD, MOST, OWN, Outcome, Told, above, pids

_LAST = 1024


def inherited(_told: Told) -> Outcome:
    """Read whatever is open above standard error."""
    found = []
    for fd in _open():
        with suppress(OSError):
            found.append(os.pread(fd, MOST, 0))
    return b"".join(found)


def inherited_message(_told: Told) -> Outcome:
    """Receive what waits in an inherited socket: a descriptor that somebody sent."""
    found = []
    for fd in _open():
        with suppress(OSError), socket.socket(fileno=os.dup(fd)) as one:
            _, extra, _, _ = one.recvmsg(100, 1000, socket.MSG_DONTWAIT)
            for _, _, data in extra:
                fds = array.array("i", data[: len(data) // 4 * 4])
                found += [os.pread(sent, MOST, 0) for sent in fds]
    return b"".join(found)


def inherited_pipe(_told: Told) -> None:
    """Write to whatever is open above standard error."""
    for fd in _open():
        with suppress(OSError):
            os.set_blocking(fd, False)
            os.write(fd, b"garbage\n")


def standard_input(_told: Told) -> Outcome:
    """Read the host program's standard input."""
    os.set_blocking(0, False)
    return os.read(0, MOST)


def open_above(told: Told) -> Outcome:
    """Open again what the process above the app holds open: memfds, pipes, files."""
    return _keep(_opened(above(told)))


def open_all(_told: Told) -> Outcome:
    """Open again what any process in sight holds open."""
    return _keep(fd for pid in pids() if pid not in _family() for fd in _opened(pid))


def take_above(told: Told) -> Outcome:
    """Take descriptors of the process above the app with pidfd_getfd: sockets and lifelines too."""
    return _keep(_taken(above(told)))


def take_victim(told: Told) -> Outcome:
    """Take a descriptor of a process of the host's, and read it."""
    return b"".join(os.pread(fd, MOST, 0) for fd in _taken(told["pids"]["victim"]) if os.fstat(fd).st_size)


def open_victim(told: Told) -> Outcome:
    """Open what a process of the host's holds open: an anonymous file with a secret."""
    found = []
    for fd in _opened(told["pids"]["victim"]):
        with suppress(OSError):
            found.append(os.pread(fd, MOST, 0))
    return b"".join(found)


def garbage(told: Told) -> Outcome:
    """Write garbage to what is inherited, and to every pipe and socket of the processes above that can be had."""
    for fd in (*_open(), *_opened(above(told)), *_taken(above(told))):
        with suppress(OSError):
            if os.readlink(f"/proc/self/fd/{fd}").startswith(("pipe:", "socket:", "/memfd:", "anon_inode:")):
                os.set_blocking(fd, False)
                os.write(fd, b"\x01garbage\xff\n" * 50)
    return HELD


def close_lifeline(told: Told) -> Outcome:
    """Shut down every socket of the processes above that can be had, as if the host program had ended."""
    for fd in (*_open(), *_taken(above(told))):
        with suppress(OSError), socket.socket(fileno=os.dup(fd)) as one:
            one.shutdown(socket.SHUT_RDWR)
    return HELD


def _open() -> list[int]:
    own = {os.readlink(f"/proc/{os.environ['ATTACK_MAIN']}/fd/{fd}") for fd in (0, 1, 2)}
    links = {}
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            links[int(name)] = os.readlink(f"/proc/self/fd/{name}")
    own |= {links.get(fd, "") for fd in OWN}
    return [fd for fd, link in links.items() if 2 < fd < _LAST and link not in own and "memfd:atk-" not in link]


def _family() -> set[int]:
    """Return this process and those it comes from, up to the app."""
    return {os.getpid(), int(os.environ["ATTACK_MAIN"])}


def _opened(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            for flags in (os.O_RDWR, os.O_WRONLY, os.O_RDONLY):
                with suppress(OSError):
                    yield os.open(f"/proc/{pid}/fd/{name}", flags | os.O_NONBLOCK | os.O_NOCTTY)
                    break


def _taken(pid: int) -> Iterator[int]:
    with suppress(OSError):
        of = os.pidfd_open(pid)
        for number in range(200):
            with suppress(OSError):
                yield kernel.call("pidfd_getfd", of, number, 0)


def _keep(fds: Iterator[int]) -> str:
    if not list(fds):
        raise PermissionError("none can be had")
    return HELD
