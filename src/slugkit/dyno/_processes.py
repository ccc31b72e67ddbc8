"""The processes of a runner's dynos: started by its warden, their ends told on the supervisor's thread."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from attrs import define, field

from .. import _exec
from ..command import Command
from ._supervisor import Supervisor


@define(eq=False)
class Processes:
    """Those that run. On the supervisor's thread only, but for `close`."""

    _supervisor: Supervisor
    _wardens: _exec.Lender
    _warden: _exec.Warden | None = field(default=None, init=False)
    _lent: ExitStack = field(factory=ExitStack, init=False)
    _on_gone: dict[_exec.Process, Callable[[], None]] = field(factory=dict, init=False)

    def start(
        self, command: Command, streams: Sequence[int], on_gone: Callable[[], None], *, terminal: bool = False
    ) -> _exec.Process:
        """Start *command* with *streams*, or a *terminal* of its own, and call *on_gone* when nothing of it is left.

        Raises:
            OSError: The warden could not be started.
        """
        warden = self._warden or self._borrow()
        process = warden.spawn(command, streams, terminal=terminal)
        self._on_gone[process] = on_gone
        return process

    def _borrow(self) -> _exec.Warden:
        self._warden = warden = self._lent.enter_context(self._wardens())
        self._supervisor.watch(warden.fileno(), self._collect)
        return warden

    def _collect(self) -> None:
        warden = self._warden
        if warden is None:
            return
        for process in warden.collect():
            if (on_gone := self._on_gone.pop(process, None)) is not None:
                on_gone()
        if not warden.alive:  # somebody killed it: the next start has a new one
            self._supervisor.unwatch(warden.fileno())
            self._warden = None
            warden.close()
            self._lent.close()

    def close(self) -> None:
        """Let go of the warden, and end what it still runs."""
        if self._on_gone and self._warden is not None:
            self._warden.close()
        self._lent.close()
