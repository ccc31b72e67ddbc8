"""Where the warden of a build or a runner comes from: a new one each time, or one that another had before."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Self

from attrs import define, field

from ._warden import Warden

#: Lends a warden for a block; `Warden` itself starts one, and ends it with the block.
Lender = Callable[[], AbstractContextManager[Warden]]


@define(eq=False)
class Wardens:
    """Wardens that outlive who had them, for programs with many short builds and runs; threads may share it.

    Leaving its block ends those that nobody has.
    """

    _idle: dict[tuple[int, int], list[Warden]] = field(factory=dict, init=False)
    _closed: bool = field(default=False, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def lent(self) -> Iterator[Warden]:
        """Lend the block a warden that nobody else has, and that runs nothing.

        Raises:
            OSError: It cannot be started.
        """
        # A fork must leave them to its parent, and those of another user's would run as that user.
        whose = os.getpid(), os.geteuid()
        warden = self._taken(whose)
        try:
            yield warden
        except Exception:
            self._give_back(whose, warden)
            raise
        except BaseException:  # Ctrl-C, maybe while it was waited for the last of a command
            warden.close()
            raise
        self._give_back(whose, warden)

    def close(self) -> None:
        """End the wardens that nobody has, and each of the others when it is given back; again is fine."""
        with self._lock:
            self._closed = True
            idle = [warden for wardens in self._idle.values() for warden in wardens]
            self._idle.clear()
        for warden in idle:
            warden.close()

    def _taken(self, whose: tuple[int, int]) -> Warden:
        with self._lock:
            idle = self._idle.get(whose)
            warden = idle.pop() if idle else Warden()
        warden.collect()  # which hears of its end, if somebody has killed it
        if not warden.alive:
            warden.close()
        warden.fileno()  # started by now: the borrower has something else to do meanwhile
        return warden

    def _give_back(self, whose: tuple[int, int], warden: Warden) -> None:
        with self._lock:
            if not self._closed:
                self._idle.setdefault(whose, []).append(warden)
                return
        warden.close()
