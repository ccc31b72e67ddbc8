"""What becomes of a one-off dyno that somebody waits for."""

import termios
from contextlib import ExitStack

from ..errors import DynoStartError
from ._dyno import Dyno
from ._terminal import Terminal

_LAST_LINES = 20


def last_lines(output: str) -> tuple[str, ...]:
    """Return the last few lines of *output*."""
    return tuple(output.split("\n")[:-1][-_LAST_LINES:])


def to_the_end(dyno: Dyno) -> int:
    """Wait until *dyno* has ended and return its status; nothing of it survives the call, Ctrl-C included.

    Raises:
        DynoStartError: Its sandbox could not be made.
    """
    ended_within(dyno, None)
    return dyno.wait()


def relayed_to_the_end(dyno: Dyno, master: int) -> int:
    """Do what `to_the_end` does while this program's terminal is relayed to that of *dyno*, by its end *master*.

    Raises:
        DynoStartError: As there; or this program's terminal is gone (R13, contract.md 5.5).
    """
    with ExitStack() as relaying:
        try:
            terminal = relaying.enter_context(Terminal(master))
            relaying.enter_context(terminal.relayed(dyno.request_stop))
        except BaseException as error:
            dyno.say("Error R13 (Attach error) -> Failed to attach to process")
            dyno.stop()
            if isinstance(error, OSError | termios.error):
                raise DynoStartError(dyno.name, f"terminal: {error.args[-1]}") from error
            raise
        return to_the_end(dyno)


def ended_within(dyno: Dyno, timeout: float | None) -> int | None:
    """Wait until *dyno* has ended and return its status; None if it had to be stopped after *timeout* seconds."""
    try:
        status = dyno.wait(timeout)
    except BaseException:
        dyno.stop()
        raise
    if status is None:
        dyno.stop()
    dyno.check_started()
    return status
