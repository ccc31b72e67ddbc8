"""Waiting for what other processes bring about: as long as a busy machine may take, and no longer."""

import socket
import time
from collections.abc import Callable

SECONDS = 20  # more than anything here takes on a busy machine


def until(condition: Callable[[], bool]) -> bool:
    """Return whether *condition* came true in time."""
    end = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def listens(port: int) -> bool:
    """Return whether something takes connections at *port* of this machine."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """Return a TCP port that nothing uses."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port
