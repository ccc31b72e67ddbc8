"""Terminals: words put into the mouth of the one at the host program's terminal, for the shell that reads on."""

import fcntl
import os
import select
from collections.abc import Callable, Iterator
from contextlib import suppress

from kit import MOST, Outcome, Told, above

_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_SELECT_ALL, _PASTE = bytes([2, *[0] * 10]), bytes([3])
_SECONDS = 1.0


def type_for_host(told: Told) -> Outcome:
    """Push characters into the input of the terminal that this is attached to, and see what comes of it."""
    return _heard(told, lambda fd: [fcntl.ioctl(fd, _TIOCSTI, bytes([key])) for key in _text(told)])


def type_on_output(told: Told) -> Outcome:
    """Push characters into the input of the terminal that standard output is."""
    return type_for_host(told)


def paste_for_host(told: Told) -> Outcome:
    """Select what a console shows, and paste it where its input is read."""

    def paste(fd: int) -> None:
        os.write(fd, _text(told))
        fcntl.ioctl(fd, _TIOCLINUX, _SELECT_ALL)
        fcntl.ioctl(fd, _TIOCLINUX, _PASTE)

    return _heard(told, paste)


def _text(told: Told) -> bytes:
    return f"#typed-{told['run']}\n".encode()


def _heard(told: Told, do: Callable[[int], object]) -> Outcome:
    """Do it to every way to the terminal; return what then comes from standard input, which may be its relay."""
    done, error = 0, OSError("no terminal to be had")
    for fd in _ways(told):
        try:
            do(fd)
            done += 1
        except OSError as refused:
            error = refused
    if not done:
        raise error
    ready, _, _ = select.select([0], [], [], _SECONDS)
    return os.read(0, MOST) if ready else b""


def _ways(told: Told) -> Iterator[int]:
    for fd in filter(os.isatty, (0, 1, 2)):
        with suppress(OSError):  # one that is not in this /dev has no name
            if told["place"] == "output" or os.ttyname(fd) == told["terminal"]:
                yield fd
    for path in (told["terminal"], *(f"/proc/{above(told)}/fd/{number}" for number in range(20))):
        with suppress(OSError):
            fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            if os.isatty(fd):
                yield fd
