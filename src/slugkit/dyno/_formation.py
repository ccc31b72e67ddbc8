"""`Formation`: how many dynos of each process type of a slug run, and what release of it."""

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from attrs import evolve, frozen

from ..archive import Slug
from ..errors import (
    FormationStoppedError,
    InvalidSettingError,
    RunnerClosedError,
    SlugkitError,
    UnknownProcessTypeError,
)
from ..logline import LogLine
from ._dyno import Dyno
from ._house import House, numbered, start_all
from ._prepare import Recipe
from ._spec import DynoSpec


@frozen
class Release:
    """A slug with its config vars; its tree stays in the store until it is given back."""

    slug: Slug
    config_vars: Mapping[str, str]
    tree: Path

    def recipe(self, process_type: str) -> Recipe:
        """Return what a dyno of *process_type* runs."""
        return Recipe(self.slug, command_of(self.slug, process_type), self.config_vars)


def command_of(slug: Slug, process_type: str) -> str:
    """Return the command of *process_type*.

    Raises:
        UnknownProcessTypeError: The slug has none of that name.
    """
    if process_type not in slug.process_types:
        raise UnknownProcessTypeError(process_type, tuple(slug.process_types))
    return slug.process_types[process_type]


class Formation:
    """A number of dynos for each process type, kept running; made by `DynoRunner.formation`.

    A dyno whose command ends, with status 0 too, has crashed: it is started again, at once or after a cool-off
    (contract.md 4.6). Its methods may be called from any thread; those that change it wait for one another, but for
    `stop`.
    """

    def __init__(
        self, house: House, spec: DynoSpec, slug: Slug, config_vars: Mapping[str, str], port: int | None = None
    ) -> None:
        self._house, self._spec, self._port = house, spec, port
        self._release = self._released(slug, config_vars)
        self._holds = True
        self._dynos: tuple[Dyno, ...] = ()
        self._changing = threading.RLock()  # a signal handler may stop what it has interrupted
        self._over = house.told_of_the_end()

    def __repr__(self) -> str:
        return f"<Formation {', '.join(dyno.name for dyno in self.dynos)}>"

    @property
    def slug(self) -> Slug:
        """What it runs."""
        return self._release.slug

    @property
    def dynos(self) -> tuple[Dyno, ...]:
        """Its dynos, by process type in the slug's order, then by number; without those that were stopped."""
        places = {process_type: place for place, process_type in enumerate(self.slug.process_types)}
        alive = [dyno for dyno in self._dynos if dyno.status is None]
        return tuple(sorted(alive, key=lambda dyno: (places.get(_type_of(dyno), len(places)), _number_of(dyno))))

    def scale(self, **quantities: int) -> None:
        """Run so many dynos of each process type named; the others stay as they are.

        New dynos take the lowest free numbers, and are started when this returns; those with the highest numbers go
        first, and are gone. A type with a ``-`` in its name is given as ``scale(**{"my-type": 2})``.

        Raises:
            UnknownProcessTypeError: The slug has none of that name; nothing has changed.
            InvalidSettingError: A quantity below 0; nothing has changed.
            FormationStoppedError: It is over.
            SlugkitError: As `DynoRunner.start`; what this call has started is gone.
        """
        with self._changing:
            self._refuse_if_over()
            for process_type, quantity in quantities.items():
                command_of(self.slug, process_type)
                if quantity < 0:
                    raise InvalidSettingError(process_type, f"{quantity} is no number of dynos")
            if quantities:
                self._say("Scaled to " + " ".join(f"{name}@{quantity}" for name, quantity in quantities.items()))
            leaving = [dyno for name, quantity in quantities.items() for dyno in self._of(name)[quantity:]]
            for dyno in leaving:
                dyno.request_stop()
            self._add({name: quantity - len(self._of(name)) for name, quantity in quantities.items()})
            for dyno in leaving:
                dyno.wait()
            self._dynos = self.dynos

    def restart(self, target: str | None = None) -> None:
        """Restart the dyno ``"web.2"``, all of type ``"web"``, or all of them.

        Returns when the old processes have been sent SIGTERM: `wait_up` waits for the new ones. A new process starts
        while the old one is on its way out, on a port of its own; where ports were asked for, when the old one is gone.

        Raises:
            UnknownProcessTypeError: There is no such dyno, and no such type in the slug.
            FormationStoppedError: It is over.
        """
        with self._changing:
            self._refuse_if_over()
            chosen = [dyno for dyno in self.dynos if target in {None, dyno.name, _type_of(dyno)}]
            if not chosen and target is not None and target not in self.slug.process_types:
                raise UnknownProcessTypeError(target, (*self.slug.process_types, *(dyno.name for dyno in self.dynos)))
            for dyno in chosen:
                dyno.restart()

    def deploy(self, slug: Slug, *, config_vars: Mapping[str, str] | None = None) -> None:
        """Run *slug* instead, dyno by dyno: the new process comes up on a port of its own, then the old one is stopped.

        Where ports were asked for, each dyno stops before its successor starts: the port is the point. A type that is
        scaled to 0 may be missing from *slug*.

        Args:
            slug: The new release.
            config_vars: Its config vars; None for those there are.

        Raises:
            UnknownProcessTypeError: *slug* lacks a type that dynos run; nothing has changed.
            DynoCrashedError, BootTimeoutError: A dyno did not come up; names it and has its last lines. Those replaced
                before it run the old release again.
            FormationStoppedError: It is over.
            SlugkitError: As `DynoRunner.start`; the formation is as before.
        """
        with self._changing:
            self._refuse_if_over()
            dynos, old = self.dynos, self._release
            for dyno in dynos:
                command_of(slug, _type_of(dyno))
            new = self._released(slug, old.config_vars if config_vars is None else config_vars)
            try:
                self._replace(dynos, old, new)
                self._release, old = new, self._release
            finally:
                left = old if self._release is new else new
                self._house.workshop.trees.give_back(left.tree, for_good=new.tree != old.tree)

    def wait_up(self) -> None:
        """Wait until each dyno is up that is not stopped meanwhile.

        Raises:
            DynoCrashedError, BootTimeoutError, SlugkitError: As `Dyno.wait_up`, of the first that is not.
        """
        for dyno in self.dynos:
            try:
                dyno.wait_up()
            except SlugkitError:
                if dyno.status is None or self._over.is_set():  # else another thread has scaled it away
                    raise

    def wait(self) -> None:
        """Wait until it is stopped, by `stop` or with its runner."""
        self._over.wait()
        for dyno in self._dynos:
            dyno.wait()

    def stop(self) -> None:
        """Stop every dyno and return when nothing of any is left; again is fine. A deploy under way is given up."""
        self._over.set()
        for dyno in self.dynos:
            dyno.request_stop()
        with self._changing:  # what was under way has seen it
            for dyno in self.dynos:
                dyno.stop()
            if self._holds:
                self._holds = False
                self._house.workshop.trees.give_back(self._release.tree, for_good=True)

    def _refuse_if_over(self) -> None:
        if self._over.is_set():
            raise FormationStoppedError

    def _released(self, slug: Slug, config_vars: Mapping[str, str]) -> Release:
        return Release(slug, dict(config_vars), self._house.workshop.trees.take(slug))

    def _of(self, process_type: str) -> list[Dyno]:
        return [dyno for dyno in self.dynos if _type_of(dyno) == process_type]

    def _add(self, quantities: Mapping[str, int]) -> None:
        """Start so many more dynos of each type, all of them or none."""
        added: list[Dyno] = []
        for process_type, quantity in quantities.items():
            if quantity > 0:
                recipe = self._release.recipe(process_type)
                added += self._house.admit(numbered(process_type, quantity), recipe, self._spec_of)
        start_all(added)
        self._dynos += tuple(added)

    def _spec_of(self, name: str) -> DynoSpec:
        """Return what the dyno *name* is; web.1 has the port that was asked for, other web dynos the next free ones."""
        web = name.startswith("web.")
        if not web or self._port is None:
            return evolve(self._spec, name=name, web=web)
        ports = self._house.workshop.ports
        port = ports.take(self._port) if name == "web.1" else ports.take_from(self._port + 1)
        return evolve(self._spec, name=name, web=web, port=port)

    def _replace(self, dynos: Sequence[Dyno], old: Release, new: Release) -> None:
        """Let each of *dynos* run *new*; those that did run *old* again if one does not come up."""
        reached: list[Dyno] = []
        try:
            for dyno in dynos:
                self._refuse_if_over()
                reached.append(dyno)
                with suppress(RunnerClosedError):  # somebody stopped it, or everything
                    dyno.replace(new.recipe(_type_of(dyno)))
            self._refuse_if_over()
        except BaseException as error:
            if self._over.is_set():
                raise FormationStoppedError from error
            _roll_back(reached, old)
            raise

    def _say(self, message: str) -> None:
        self._house.delivery().put(LogLine(datetime.now(UTC), "app", "api", "system", message))


def _roll_back(dynos: Sequence[Dyno], release: Release) -> None:
    for dyno in dynos:
        recipe = release.recipe(_type_of(dyno))
        if dyno.recipe == recipe:
            continue
        with suppress(RunnerClosedError):
            try:
                dyno.replace(recipe)
            except SlugkitError:  # it was up before: the crash policy has it from here
                dyno.restart(recipe)


def _type_of(dyno: Dyno) -> str:
    return dyno.name.rpartition(".")[0]


def _number_of(dyno: Dyno) -> int:
    return int(dyno.name.rpartition(".")[2])
