"""The life of a dyno: its runs, one after the other or two for a while, and what follows from the end of each."""

import random
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from attrs import define, field, frozen

from ..errors import RunnerClosedError
from ..logline import Stream
from ._backoff import Backoff
from ._due import Due
from ._prepare import Recipe, RunSpec, Workshop
from ._record import Record
from ._run import Run
from ._sequence import begin, ended, terminate
from ._spec import DynoSpec, Threads

_SPREAD = 0.15  # of the time between cycles, at random: Heroku's 216 minutes of 24 hours (contract.md 4.7)


@frozen
class _Trial:
    """A run of another recipe, and whoever waits to hear whether it comes up."""

    run: Run
    recipe: Recipe
    verdict: "Future[None]" = field(factory=Future)


@define(eq=False)
class Life:
    """A dyno's life. Its methods are for the supervisor's thread only, but for `prepared`, which is for any other.

    ``_run`` is the current run, ``_trial`` the one that is to follow it, ``_old`` are those on their way out; ``_held``
    says that the next run waits for those.
    """

    spec: DynoSpec
    record: Record
    recipe: Recipe
    _threads: Threads
    _workshop: Workshop
    _on_end: Callable[[DynoSpec], None]
    _run: Run | None = field(default=None, init=False)
    _trial: _Trial | None = field(default=None, init=False)
    _old: set[Run] = field(factory=set, init=False)
    _due: Due = field(init=False)
    _held: bool = field(default=False, init=False)
    _ending: bool = field(default=False, init=False)
    _crashes: int = field(default=0, init=False)
    _status: int = field(default=0, init=False)

    @_due.default
    def _make_due(self) -> Due:
        return Due(self._threads)

    def prepared(self, recipe: Recipe, wanted: int | None = None) -> RunSpec:
        """Return a run of *recipe* that can be started; on *wanted*, if it has no port of its own and that is free.

        Raises:
            SlugkitError: As `Workshop.prepare`.
        """
        return self._workshop.prepare(recipe, self.spec.name, self.spec.port, wanted)

    def start(self, spec: RunSpec) -> None:
        """Start the first run.

        Raises:
            DynoStartError: The system could not.
            RunnerClosedError: It was stopped before.
        """
        if self._ending:
            spec.clean_up()
            raise RunnerClosedError
        try:
            self._launch(spec)
        except Exception:
            self._status, self._ending = 127, True
            self.record.to("crashed")
            self._settle()
            raise

    def stop(self) -> None:
        """End it: SIGTERM to every process, the grace, SIGKILL."""
        if self._ending:
            return
        self._end_soon()
        for run in self._runs():
            self._terminate(run)
        if self._run is None and self.record.state != "created":
            self.record.to("down")
        self._settle()

    @property
    def pid(self) -> int | None:
        """The init of the current run. For any thread."""
        return None if self._run is None else self._run.pid

    def master(self) -> int | None:
        """Wait for this program's end of its terminal. For any thread."""
        return None if self._run is None else self._run.master()

    def kill(self) -> None:
        """End it at once."""
        self._end_soon()
        for run in (*self._runs(), *self._old):
            run.kill()
        self._settle()

    def restart(self, why: str = "Restarting", recipe: Recipe | None = None) -> None:
        """Start a new run, of *recipe* if that is given, as soon as the current one has been told to end.

        A dyno with a port of its own has to wait for that until the old run is gone.
        """
        if self._ending:
            return
        if recipe is not None:
            self.recipe, self._crashes = recipe, 0
        self._due.void()
        self.record.say(why)
        self.record.fail(None)
        self.record.to("starting")
        if self._run is not None:
            self._retire(self._run)
            self._run = None
        self._held = self.spec.port is not None and bool(self._old)
        if not self._held:
            self._start_soon()

    def attempt(self, recipe: Recipe, spec: RunSpec) -> "Future[None]":
        """Start the run *spec* of *recipe* beside the current one, which it follows once it is up.

        The future tells: None, or why it did not come up, and the current run goes on.

        Raises:
            DynoStartError: The system could not start it.
            RunnerClosedError: The dyno was stopped before.
        """
        if self._ending:
            spec.clean_up()
            raise RunnerClosedError
        self._trial = trial = _Trial(self._new(spec), recipe)
        try:
            self._begin(trial.run)
        except Exception:
            self._trial = None
            raise
        return trial.verdict

    def give_up(self) -> None:
        """End the run that was to follow the current one, if it is still on its way."""
        if self._trial is not None:
            self._trial.run.kill()

    def _runs(self) -> list[Run]:
        trial = [] if self._trial is None else [self._trial.run]
        return trial if self._run is None else [self._run, *trial]

    def _end_soon(self) -> None:
        self._ending, self._held = True, False
        self._due.void()

    def _new(self, spec: RunSpec) -> Run:
        return Run(spec, self._threads, self._take, self._run_ended, self.spec.output, self.spec.terminal)

    def _launch(self, spec: RunSpec) -> None:
        run = self._new(spec)
        self.record.port = spec.port
        self.record.to("starting")
        if self.spec.output == "attached":
            self.record.say("Awaiting client")
        self._run = run
        try:
            self._begin(run)
        except Exception:
            self._run = None
            raise

    def _begin(self, run: Run) -> None:
        self.record.runs += 1
        begin(run, self.spec, self.record, self._threads, self._is_up)
        if self.spec.cycle_after is not None:
            seconds = self.spec.cycle_after * random.uniform(1, 1 + _SPREAD)  # noqa: S311 - no secret
            run.timers.append(self._threads.supervisor.after(seconds, lambda: self._cycle(run)))

    def _take(self, stream: Stream, lines: Sequence[str]) -> None:
        self.record.take(stream, lines)
        if self.spec.on_line is not None:
            for line in lines:
                self.spec.on_line(line)

    def _is_up(self, run: Run) -> None:
        run.up = True
        if run is self._run:
            self.record.to("up")
        elif self._trial is not None and run is self._trial.run and not self._ending:
            self._adopt(self._trial)

    def _adopt(self, trial: _Trial) -> None:
        """Let what is up follow the current run; who goes by the states hears that the dyno has moved."""
        self._due.void()
        old, self._run, self._trial, self._held = self._run, trial.run, None, False
        self.recipe, self._crashes, self.record.port = trial.recipe, 0, trial.run.spec.port
        self.record.fail(None)
        self.record.to("starting")
        self.record.to("up")
        if old is not None:
            self._retire(old)
        trial.verdict.set_result(None)

    def _cycle(self, run: Run) -> None:
        if run is not self._run or self._ending:
            return
        if self.spec.one_off:
            self.record.say("Cycling")
            self.stop()
        else:
            self.restart("Cycling")

    def _retire(self, run: Run) -> None:
        self._old.add(run)
        self._terminate(run)

    def _terminate(self, run: Run) -> None:
        terminate(run, self.spec, self.record, self._threads)

    def _run_ended(self, run: Run) -> None:
        why = ended(run, self.spec, self.record, self._threads)
        if run is self._run:
            self._run = None
            self._current_ended(run, why)
        elif self._trial is not None and run is self._trial.run:
            trial, self._trial = self._trial, None
            trial.verdict.set_exception(why)
        self._old.discard(run)
        if self._held and not self._old:
            self._held = False
            self._start_soon()
        self._settle()

    def _current_ended(self, run: Run, why: Exception) -> None:
        """Decide what follows: the end, or another run (contract.md 4.6)."""
        self._status, self.record.last_lines = run.status or 0, run.last_lines
        if self.spec.backoff is not None and not self._ending:
            self._crashed(self.spec.backoff, run.lived, why, run.spec.port)
            return
        if not run.up or run.failure is not None:
            self.record.fail(why)
        self.record.to("complete" if self.spec.one_off else "down" if self._ending else "crashed")
        self._ending = True

    def _crashed(self, backoff: Backoff, lived: float, why: Exception, port: int | None) -> None:
        self._crashes = backoff.crashes(self._crashes, lived)
        delay = backoff.delay(self._crashes)
        if delay:
            self.record.fail(why)
        self.record.to("crashed")
        self._due.later(delay, lambda: self._start_soon(port))

    def _start_soon(self, wanted: int | None = None) -> None:
        self._due.soon(lambda: self.prepared(self.recipe, wanted), self._arrived, self._could_not)

    def _arrived(self, spec: RunSpec) -> None:
        self.record.fail(None)
        try:
            self._launch(spec)
        except Exception as error:  # noqa: BLE001 - as when it could not be prepared
            self._could_not(error)

    def _could_not(self, error: Exception) -> None:
        if self.spec.backoff is not None:
            first, *_ = str(error).split("\n")
            self.record.say(f"Error R99 (Platform error) -> {first}")
            self._crashed(self.spec.backoff, 0.0, error, None)

    def _settle(self) -> None:
        """Finish when the end is decided and nothing is left."""
        if self._ending and not self._runs() and not self._old and self.record.status is None:
            self._on_end(self.spec)
            self.record.finish(self._status)
