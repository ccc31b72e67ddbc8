"""What becomes of a one-off dyno that somebody waits for."""

from ._dyno import Dyno

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
