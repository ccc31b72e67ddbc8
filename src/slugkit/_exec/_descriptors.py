"""What a command is given by descriptor: data files, hidden arguments, a pipe to report on, a lifeline."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

from ..command import INFO_FD, LIFELINE_FD, Command, DataFile, HiddenArgs


@contextmanager
def descriptors(
    command: Command,
) -> Iterator[tuple[list[str], list[int], int | None, int | None]]:
    """Open what *command* uses by descriptor; yield its plain argv, those descriptors, and our ends of its pipes."""
    theirs: list[int] = []
    ours: list[int] = []
    numbers: dict[str, str] = {}
    report = lifeline = None

    def plain(argument: str | DataFile | HiddenArgs) -> str:
        if isinstance(argument, str):
            return numbers.get(argument, argument)
        if isinstance(argument, HiddenArgs):
            words = [os.fsencode(plain(one)) for one in argument.args]
            if any(b"\0" in word for word in words):  # it would end the argument and start one of its own choosing
                raise ValueError("an argument holds a NUL")
            data = b"".join(word + b"\0" for word in words)
        else:
            data = argument.data
        theirs.append(_sealed(data))
        return str(theirs[-1])

    try:
        if command.info:
            report, give = os.pipe()
            theirs, ours, numbers[INFO_FD] = [*theirs, give], [*ours, report], str(give)
        if command.lifeline:
            take, lifeline = os.pipe()
            theirs, ours, numbers[LIFELINE_FD] = [*theirs, take], [*ours, lifeline], str(take)
        yield [plain(argument) for argument in command.argv], theirs, report, lifeline
    except BaseException:
        for fd in ours:
            os.close(fd)
        raise
    finally:
        for fd in theirs:
            os.close(fd)


def init_pid(report: int | None) -> int | None:
    """Read the sandbox's report (bwrap's ``--info-fd``); it ends before the app starts, or with the set-up."""
    if report is None:
        return None
    with os.fdopen(report, "rb") as file:
        text = file.read()
    try:
        return int(json.loads(text)["child-pid"])
    except (ValueError, KeyError):
        return None


def _sealed(data: bytes) -> int:
    """Return a descriptor of an anonymous file that holds *data*, at its start; no name, no disk."""
    fd = os.memfd_create("slugkit", os.MFD_CLOEXEC)
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
