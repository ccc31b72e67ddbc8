"""`Dyno`: one numbered process of a slug, by name; whatever runs under that name is the same dyno."""

from concurrent.futures import Future
from contextlib import suppress
from typing import overload

from attrs import define

from ..errors import DynoStartError, RunnerClosedError
from ..logline import LogLine
from ._life import Life
from ._prepare import Recipe
from ._record import DynoState, Record
from ._supervisor import Supervisor


@define(eq=False, repr=False)
class Dyno:
    """A started dyno; made by `DynoRunner` and `Formation`. Its methods may be called from any thread.

    A dyno of a formation is one place in it: restarts and deploys are runs of the same dyno.
    """

    _record: Record
    _life: Life
    _supervisor: Supervisor

    def __repr__(self) -> str:
        return f"<Dyno {self.name}: {self.state}>"

    @property
    def name(self) -> str:
        """``web.1``, ``run.1234``."""
        return self._record.name

    @property
    def port(self) -> int:
        """The port told to the dyno in $PORT; another after a restart or deploy, but for a port that was asked for."""
        return self._record.port

    @property
    def url(self) -> str:
        """Where a web dyno answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def state(self) -> DynoState:
        """Heroku's own word for what it is doing (contract.md 4.12)."""
        return self._record.state

    @property
    def status(self) -> int | None:
        """The exit status once it has ended for good, 128 + the signal when killed; None before."""
        return self._record.status

    @property
    def restarts(self) -> int:
        """How often it was started again, after a crash or because it was asked for."""
        return max(self._record.runs - 1, 0)

    @property
    def pid(self) -> int | None:
        """The process that all of its processes descend from, as the host knows it, while it runs."""
        return self._life.pid

    def logs(self) -> tuple[LogLine, ...]:
        """Return the newest 1500 lines of its log, oldest first."""
        return self._record.log()

    def wait_up(self) -> None:
        """Wait until it is up, through restarts that come at once.

        Raises:
            DynoCrashedError: It has ended, before it was up or after, or cools off before its next start (contract.md
                4.6); holds its status and last lines.
            BootTimeoutError: It did not listen on $PORT in time, and was killed (R10).
            SlugkitError: It could not be started again.
        """
        self._record.wait_up()

    @overload
    def wait(self) -> int: ...
    @overload
    def wait(self, timeout: float | None) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait until it has ended for good, its last process gone, and return its exit status.

        With a *timeout* in seconds, return None if that is over before.
        """
        return self._record.wait(timeout)

    def stop(self) -> int:
        """End every process in it - SIGTERM, the grace, SIGKILL - and return its status when none is left.

        A formation has one dyno less then.
        """
        self.request_stop()
        return self.wait()

    # What follows is the runner's and the formation's to call.

    @property
    def recipe(self) -> Recipe:
        """What it runs."""
        return self._life.recipe

    def begin(self) -> "Future[None]":
        """Begin its first run; the future tells how that went.

        Raises:
            SlugkitError: It cannot be prepared.
        """
        spec = self._life.prepared(self._life.recipe)
        try:
            return self._supervisor.post(lambda: self._life.start(spec))
        except RunnerClosedError:
            spec.clean_up()
            raise

    def check_started(self) -> None:
        """Raise DynoStartError if it never ran."""
        if isinstance(self._record.failure, DynoStartError):
            raise self._record.failure

    def master(self) -> int | None:
        """Return this program's end of its terminal, the caller's to close; None if it has none, or ended before."""
        return self._life.master()

    def say(self, message: str) -> None:
        """Log a line of the platform's own."""
        with suppress(RunnerClosedError):
            self._supervisor.call(lambda: self._record.say(message))

    def request_stop(self) -> None:
        """Begin what `stop` does, without waiting for it."""
        with suppress(RunnerClosedError):  # closed in between: it has ended
            self._supervisor.post(self._life.stop)

    def kill(self) -> None:
        """End every process in it at once, or see that it is never started; without waiting for it."""
        with suppress(RunnerClosedError):
            self._supervisor.post(self._life.kill)

    def restart(self, recipe: Recipe | None = None) -> None:
        """Begin a new run, of *recipe* if that is given; the old one is stopped meanwhile."""
        self._supervisor.call(lambda: self._life.restart(recipe=recipe))

    def replace(self, recipe: Recipe) -> None:
        """Run *recipe* from now on; where the dyno has no port of its own, the old run goes on until the new one is up.

        Raises:
            SlugkitError: It did not come up. Without a port of its own, the old run still goes on.
        """
        life = self._life
        if life.spec.port is not None:
            self.restart(recipe)
            self.wait_up()
            return
        spec = life.prepared(recipe)
        try:
            verdict = self._supervisor.call(lambda: life.attempt(recipe, spec))
            verdict.result()
        except BaseException:
            with suppress(RunnerClosedError):
                self._supervisor.call(life.give_up)
            raise
