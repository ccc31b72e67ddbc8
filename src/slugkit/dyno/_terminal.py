"""The terminal of the person who attached, relayed to the dyno's own and back."""

import fcntl
import os
import select
import signal
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import Any, Self

_IN, _OUT = 0, 1  # this program's standard streams, whatever sys.stdin has become
_CHUNK = 65536
_LOOK = 0.25  # seconds between looks at the window's size, where no signal tells
_DRAIN = 1.0  # seconds for what is left to be shown when a stray process holds the terminal


def on_a_terminal() -> bool:
    """Return whether this program's standard input and output are a terminal."""
    return os.isatty(_IN) and os.isatty(_OUT)


def config_vars() -> dict[str, str]:
    """Return what an attached dyno is told of this program's terminal (contract.md 4.10)."""
    columns, lines = _size()
    told = {"TERM": os.environ.get("TERM", ""), "COLUMNS": str(columns or ""), "LINES": str(lines or "")}
    return {name: value for name, value in told.items() if value}


def _size() -> tuple[int, int]:
    try:
        return os.get_terminal_size(_OUT)
    except OSError:  # it has just gone: that is told when nobody can be attached
        return 0, 0


class Terminal:
    """The dyno's terminal, by its other end *master*, as large as this program's; it is closed after the block."""

    def __init__(self, master: int) -> None:
        self._master = master
        os.set_blocking(self._master, False)
        self._resize()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._master)

    @contextmanager
    def relayed(self, hang_up: Callable[[], None]) -> Iterator[None]:
        """Relay keys, output and size within the block; this program's terminal is as it was afterwards.

        *hang_up* is called, on another thread, when this program's terminal is gone.
        """
        before = termios.tcgetattr(_IN)
        ended, end = os.pipe()
        with ExitStack() as undone:
            undone.callback(os.close, ended)
            closing = undone.enter_context(ExitStack())
            closing.callback(os.close, end)
            undone.callback(_restore, before)
            tty.setraw(_IN, termios.TCSADRAIN)
            patience = self._follow_size(undone)
            relay = threading.Thread(target=self._relay, args=(ended, patience, hang_up), name="slugkit-terminal")
            relay.daemon = True
            relay.start()
            try:
                yield
            finally:
                closing.close()
                relay.join()

    def _resize(self) -> None:
        """Make it as large as this program's own; whoever is in the dyno's foreground gets a SIGWINCH if it was not."""
        with suppress(OSError):
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, fcntl.ioctl(_OUT, termios.TIOCGWINSZ, bytes(8)))

    def _follow_size(self, undone: ExitStack) -> float | None:
        """Follow the size by signal where that is ours to have; else return how often to look, in seconds."""
        if threading.current_thread() is threading.main_thread():
            before = signal.getsignal(signal.SIGWINCH)
            if before is not None:  # one that was not set by Python could not be given back
                undone.callback(signal.signal, signal.SIGWINCH, before)
                signal.signal(signal.SIGWINCH, lambda *_: self._resize())
                self._resize()
                return None
        return _LOOK

    def _relay(self, ended: int, patience: float | None, hang_up: Callable[[], None]) -> None:
        try:
            self._copy(ended, patience, hang_up)
            self._drain()
        except OSError:  # nobody sees it any more
            hang_up()

    def _copy(self, ended: int, patience: float | None, hang_up: Callable[[], None]) -> None:
        """Copy both ways until *ended* is closed at its other end; keys wait until the command reads them."""
        poll, keys = select.poll(), b""
        for fd in (self._master, _IN, ended):
            poll.register(fd, select.POLLIN)
        while ended not in (ready := dict(poll.poll(patience and patience * 1000))):
            if patience is not None:
                self._resize()
            if ready.get(self._master, 0) & select.POLLIN:
                _write(_OUT, os.read(self._master, _CHUNK))
            if keys and ready.get(self._master, 0) & select.POLLOUT:
                with suppress(BlockingIOError):
                    keys = keys[os.write(self._master, keys) :]
            if _IN in ready:
                pressed = _read(_IN)
                keys += pressed
                if not pressed:
                    poll.unregister(_IN)
                    hang_up()
            poll.modify(self._master, select.POLLIN | (select.POLLOUT if keys else 0))

    def _drain(self) -> None:
        """Show what is left: its end is an error, as nobody has the other end open."""
        poll, deadline = select.poll(), time.monotonic() + _DRAIN
        poll.register(self._master, select.POLLIN)
        while poll.poll(max(deadline - time.monotonic(), 0) * 1000):
            try:
                data = os.read(self._master, _CHUNK)
            except OSError:
                return
            _write(_OUT, data)


def _restore(modes: list[Any]) -> None:
    with suppress(termios.error):  # it may be gone
        termios.tcsetattr(_IN, termios.TCSADRAIN, modes)


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 1024)
    except OSError:  # a terminal that is gone
        return b""


def _write(fd: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:  # whoever shares it made it so
            poll = select.poll()
            poll.register(fd, select.POLLOUT)
            poll.poll()
