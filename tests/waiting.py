"""Waiting for what other processes bring about: as long as a busy machine may take, and no longer."""

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
