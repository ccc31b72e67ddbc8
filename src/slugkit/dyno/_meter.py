"""How much memory dynos use, looked at now and then, and what Heroku says and does about it (contract.md 4.8)."""

import time
from typing import Protocol

from attrs import define, field

from ..sandbox import memory_used
from ._limits import MOST_MEMORY
from ._record import Record
from ._supervisor import Supervisor
from ._usage import usage

_LOOK = 1.0  # seconds between looks
_SHARE = 20  # of the time at most one part in so many is spent looking
_SAID = 20.0  # seconds until it is said again
_MIB = 2**20


class Metered(Protocol):
    """A run whose memory is looked at."""

    stopping: bool

    @property
    def pid(self) -> int | None:
        """Its init's pid, once that is known."""

    @property
    def memory(self) -> str | None:
        """The cgroup that tells how much it uses, if it has one."""

    def kill(self) -> None:
        """End it."""


@define(eq=False)
class Meter:
    """Looks at the runs of a runner's dynos, each of which may use ``limit`` bytes. On the supervisor's thread only."""

    limit: int | None
    _supervisor: Supervisor
    _runs: dict[Metered, tuple[Record, float]] = field(factory=dict, init=False)
    _looking: bool = field(default=False, init=False)

    def watch(self, run: Metered, record: Record) -> None:
        """Look at *run* from now on, and tell *record*."""
        if self.limit is None:
            return
        self._runs[run] = record, 0.0
        if not self._looking:
            self._looking = True
            self._supervisor.after(_LOOK, self._look)

    def forget(self, run: Metered) -> None:
        """Look at it no longer."""
        self._runs.pop(run, None)

    def _look(self) -> None:
        self._looking = bool(self._runs)
        if not self._looking:
            return
        began = time.monotonic()
        summed = usage([run.pid for run in self._runs if run.pid is not None and run.memory is None])
        for run in tuple(self._runs):
            if run.memory is not None:
                self._judge(run, memory_used(run.memory) or 0)
            elif run.pid in summed:
                self._judge(run, summed[run.pid].memory)
        self._supervisor.after(max(_LOOK, _SHARE * (time.monotonic() - began)), self._look)

    def _judge(self, run: Metered, used: int) -> None:
        limit, (record, said) = self.limit or 0, self._runs[run]
        if used <= limit or run.stopping:
            return
        if used > MOST_MEMORY * limit:
            _exceed_vastly(run, record, used, limit)
            self.forget(run)
        elif time.monotonic() - said > _SAID:
            self._runs[run] = record, time.monotonic()
            record.say(_running(used, limit))
            record.say("Error R14 (Memory quota exceeded)")


def _exceed_vastly(run: Metered, record: Record, used: int, limit: int) -> None:
    """Say so, and kill *run*."""
    record.say(_running(used, limit))
    record.say("Error R15 (Memory quota vastly exceeded)")
    record.say("Stopping process with SIGKILL")
    run.kill()


def _running(used: int, limit: int) -> str:
    return f"Process running mem={used // _MIB}M({100 * used / limit:.1f}%)"
