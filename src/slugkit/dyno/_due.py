"""The run of a dyno that is due: later, or as soon as it is prepared; never two."""

from collections.abc import Callable

from attrs import define, field

from ._prepare import RunSpec
from ._spec import Threads
from ._supervisor import Timer


@define(eq=False)
class Due:
    """What is due at most; its methods are for the supervisor's thread only, where its callbacks are called as well.

    What is being prepared on another thread bears the turn in which it was asked for: of an earlier turn, it is late.
    """

    _threads: Threads
    _turn: int = field(default=0, init=False)
    _timer: Timer | None = field(default=None, init=False)

    def void(self) -> None:
        """Let nothing be due."""
        self._turn += 1
        if self._timer is not None:
            self._threads.supervisor.cancel(self._timer)
            self._timer = None

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call *callback* in so many *seconds*, instead of what was due."""
        self.void()
        self._timer = self._threads.supervisor.after(seconds, callback)

    def soon(
        self,
        prepare: Callable[[], RunSpec],
        arrived: Callable[[RunSpec], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Call *prepare* where it may take its time, then *arrived* or *failed*, instead of what was due."""
        self.void()
        turn, post = self._turn, self._threads.supervisor.post

        def arrive(spec: RunSpec) -> None:
            if turn == self._turn:
                arrived(spec)
            else:
                spec.clean_up()

        def fail(error: Exception) -> None:
            if turn == self._turn:
                failed(error)

        def work() -> None:
            try:
                spec = prepare()
            except Exception as error:  # noqa: BLE001 - it is told on the other thread
                failure = error
                post(lambda: fail(failure))
            else:
                post(lambda: arrive(spec))

        self._threads.aside(work)
