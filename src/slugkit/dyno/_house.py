"""What the dynos of a runner share: their names, the threads that serve them, and how they are started together."""

import random
import threading
from collections.abc import Callable, Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count, islice
from weakref import WeakSet

from attrs import define, field

from .._exec import Lender
from ..errors import RunnerClosedError
from ._delivery import Delivery
from ._dyno import Dyno
from ._life import Life
from ._meter import Meter
from ._ports import Listening
from ._prepare import Recipe, Workshop
from ._processes import Processes
from ._record import Record
from ._spec import DynoSpec, Threads
from ._supervisor import Supervisor

_POOL = 4  # threads that prepare restarts and clean up after runs

Names = Callable[[Container[str]], Sequence[str]]


def numbered(process_type: str, quantity: int) -> Names:
    """Return what names so many dynos ``TYPE.N``, with the lowest numbers that are free.

    >>> numbered("web", 2)({"web.1", "web.3"})
    ['web.2', 'web.4']
    """

    def names(taken: Container[str]) -> list[str]:
        return list(islice((name for n in count(1) if (name := f"{process_type}.{n}") not in taken), quantity))

    return names


def drawn(kind: str) -> Names:
    """Return what names one dyno ``KIND.NNNN``, by chance."""

    def names(taken: Container[str]) -> list[str]:
        numbers = (random.randint(1000, 9999) for _ in count())  # noqa: S311 - a name
        return [next(name for number in numbers if (name := f"{kind}.{number}") not in taken)]

    return names


@define(eq=False)
class House:
    """The dynos of a runner that are alive; for any thread."""

    workshop: Workshop
    _delivery: Delivery
    _wardens: Lender
    _dynos: dict[str, Dyno] = field(factory=dict, init=False)
    _told: "WeakSet[threading.Event]" = field(factory=WeakSet, init=False)
    _threads: Threads | None = field(default=None, init=False)
    _closed: bool = field(default=False, init=False)
    _lock: threading.RLock = field(factory=threading.RLock, init=False)

    def admit(self, names: Names, recipe: Recipe, spec_of: Callable[[str], DynoSpec]) -> list[Dyno]:
        """Return new dynos to run *recipe*, each with a name of *names* and as *spec_of* says; `start_all` is next.

        Raises:
            RunnerClosedError: The house is closed.
            SlugkitError: As *spec_of*.
        """
        with self._lock, ExitStack() as undone:
            threads = self._opened()
            dynos = []
            for name in names(self._dynos):
                spec = spec_of(name)
                if spec.port is not None:
                    undone.callback(self.workshop.ports.give_back, spec.port)
                dynos.append(self._dyno(threads, recipe, spec))
            self._dynos.update((dyno.name, dyno) for dyno in dynos)
            undone.pop_all()
        return dynos

    def dynos(self) -> tuple[Dyno, ...]:
        """Return those that are alive."""
        with self._lock:
            return tuple(self._dynos.values())

    def told_of_the_end(self) -> threading.Event:
        """Return an event that is set when the house closes."""
        with self._lock:
            self._opened()
            self._told.add(event := threading.Event())
        return event

    def delivery(self) -> Delivery:
        """Return what takes lines to the callbacks.

        Raises:
            RunnerClosedError: The house is closed.
        """
        with self._lock:
            return self._opened().delivery

    def _opened(self) -> Threads:
        if self._closed:
            raise RunnerClosedError
        if self._threads is None:
            supervisor = Supervisor()
            self._delivery.start()
            pool = ThreadPoolExecutor(_POOL, "slugkit-pool")
            processes = Processes(supervisor, self._wardens)
            served = Listening(supervisor), processes, Meter(self.workshop.limits.memory, supervisor)
            self._threads = Threads(supervisor, self._delivery, pool, *served)
        return self._threads

    def _dyno(self, threads: Threads, recipe: Recipe, spec: DynoSpec) -> Dyno:
        record = Record(spec.name, threads.delivery, 0)
        return Dyno(record, Life(spec, record, recipe, threads, self.workshop, self._leave), threads.supervisor)

    def _leave(self, spec: DynoSpec) -> None:
        if spec.port is not None:
            self.workshop.ports.give_back(spec.port)
        with self._lock:
            self._dynos.pop(spec.name, None)

    def close(self) -> None:
        """Stop every dyno, wait until nothing of any is left, and end the threads; again is fine.

        Interrupted while it waits, it kills what is left before it lets the interrupt go on.
        """
        with self._lock:
            self._closed = True
            dynos, threads = list(self._dynos.values()), self._threads
            self._threads = None
        for event in tuple(self._told):
            event.set()
        for dyno in dynos:
            dyno.request_stop()
        try:
            _wait_for(dynos)
        except BaseException:
            end_all(dynos)
            raise
        finally:
            if threads is not None:
                threads.pool.shutdown()
                threads.supervisor.close()
                threads.processes.close()
                threads.delivery.close()
            self._delivery.close()


def start_all(dynos: Sequence[Dyno]) -> None:
    """Start *dynos*, as many at once as the system does, and return when all are; or none is left.

    Raises:
        SlugkitError: One could not be prepared, or started.
    """
    try:
        for begun in [dyno.begin() for dyno in dynos]:
            begun.result()
    except BaseException:  # Ctrl-C as well
        end_all(dynos)
        raise


def end_all(dynos: Sequence[Dyno]) -> None:
    """Kill *dynos* and return when nothing of them is left."""
    for dyno in dynos:
        dyno.kill()
    _wait_for(dynos)


def _wait_for(dynos: Sequence[Dyno]) -> None:
    for dyno in dynos:
        dyno.wait()
