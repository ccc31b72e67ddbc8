"""What a dyno is told when it is made, and what serves it."""

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Literal

from attrs import frozen

from ._backoff import Backoff
from ._delivery import Delivery
from ._meter import Meter
from ._ports import Listening
from ._processes import Processes
from ._supervisor import Supervisor

#: Where a run's standard streams go: each to the log, both as one, or nowhere but to this program's own.
Output = Literal["apart", "merged", "attached"]


@frozen
class DynoSpec:
    """What makes one dyno different from another; times in seconds.

    Without ``backoff`` the dyno ends with its first run. With ``port`` it has that one and no other.
    """

    name: str
    boot_timeout: float
    grace: float
    web: bool = False
    one_off: bool = False
    port: int | None = None
    output: Output = "apart"
    terminal: bool = False
    on_line: Callable[[str], None] | None = None
    backoff: Backoff | None = None
    cycle_after: float | None = None


@frozen
class Threads:
    """What serves all dynos of a runner: the thread they live on, one for callbacks, some for what takes its time."""

    supervisor: Supervisor
    delivery: Delivery
    pool: Executor
    listening: Listening
    processes: Processes
    meter: Meter

    def aside(self, function: Callable[[], None]) -> None:
        """Run *function* where it may take its time; here, when the interpreter ends and has no threads to give."""
        try:
            self.pool.submit(function)
        except RuntimeError:
            function()
