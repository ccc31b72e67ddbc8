"""What a command is given by descriptor, not by name: data files, hidden arguments, a lifeline."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ..command import LIFELINE_FD, Command, DataFile, HiddenArgs


@contextmanager
def given(command: Command) -> Iterator[tuple[list[str], list[int]]]:
    """Open what *command* reads by descriptor; yield its plain argv, and those descriptors, whose numbers are in it.

    They, and the other end of a lifeline, are closed after the block.
    """
    opened: list[int] = []
    kept: list[int] = []

    def plain(argument: str | DataFile | HiddenArgs) -> str:
        if argument == LIFELINE_FD:
            for fds, fd in zip((opened, kept), os.pipe2(os.O_CLOEXEC), strict=True):
                fds.append(fd)
            return str(opened[-1])
        if isinstance(argument, str):
            return argument
        if isinstance(argument, HiddenArgs):
            words = [os.fsencode(plain(one)) for one in argument.args]
            if any(b"\0" in word for word in words):  # it would end the argument and start one of its own choosing
                raise ValueError("an argument holds a NUL")
            data = b"".join(word + b"\0" for word in words)
        else:
            data = argument.data
        opened.append(sealed(data))
        return str(opened[-1])

    try:
        yield [plain(argument) for argument in command.argv], opened
    finally:
        for fd in (*opened, *kept):
            os.close(fd)


def sealed(data: bytes) -> int:
    """Return a descriptor of an anonymous file that holds *data*, at its start; no name, no disk."""
    fd = os.memfd_create("slugkit", os.MFD_CLOEXEC)
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
