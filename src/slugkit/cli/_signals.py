"""Signals while a command runs, and as they were again afterwards: a library has none of its own."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager


@contextmanager
def handled(signals: Sequence[signal.Signals], handler: Callable[[int, object], None]) -> Iterator[None]:
    """Let *handler* have *signals* within the block."""
    before = {signum: signal.signal(signum, handler) for signum in signals}
    try:
        yield
    finally:
        for signum, handler_before in before.items():
            signal.signal(signum, handler_before)


@contextmanager
def interrupting() -> Iterator[None]:
    """Let SIGTERM and SIGHUP, if not ignored, end a one-off as Ctrl-C does: a terminal must be given back as it was."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    heard = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) is not signal.SIG_IGN]
    with handled(heard, interrupt):
        yield
