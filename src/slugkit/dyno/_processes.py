"""The processes of a runner's dynos: started by its warden, their ends told on the supervisor's thread."""

from collections.abc import Callable, Sequence

from attrs import define, field

from .. import _exec
from ..command import Command
from ._supervisor import Supervisor


@define(eq=False)
class Processes:
    """Those that run. On the supervisor's thread only, but for `close`."""

    _supervisor: Supervisor
    _warden: _exec.Warden = field(factory=_exec.Warden, init=False)
    _on_gone: dict[_exec.Process, Callable[[], None]] = field(factory=dict, init=False)
    _watched: int | None = field(default=None, init=False)

    def start(
        self, command: Command, streams: Sequence[int], on_gone: Callable[[], None], *, terminal: bool = False
    ) -> _exec.Process:
        """Start *command* with *streams*, or a *terminal* of its own, and call *on_gone* when nothing of it is left.

        Raises:
            OSError: The warden could not be started.
        """
        process = self._warden.spawn(command, streams, terminal=terminal)
        self._on_gone[process] = on_gone
        if self._watched is None:
            self._watched = self._warden.fileno()
            self._supervisor.watch(self._watched, self._collect)
        return process

    def _collect(self) -> None:
        for process in self._warden.collect():
            if (on_gone := self._on_gone.pop(process, None)) is not None:
                on_gone()
        if self._watched is not None and not self._warden.alive:  # somebody killed it: the next start has a new one
            self._supervisor.unwatch(self._watched)
            self._watched = None
            self._warden.close()

    def close(self) -> None:
        """End the warden, and what it still runs."""
        self._warden.close()
