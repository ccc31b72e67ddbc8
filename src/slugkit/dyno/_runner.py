"""`DynoRunner`: start, run and attach; leaving its block leaves nothing behind."""

from collections.abc import Collection, Mapping, Sequence
from os import PathLike
from types import TracebackType
from typing import Literal, Self

from attrs import evolve

from .._exec import Kept, Lender, Warden
from ..archive import Slug
from ..command import Completed, resolve
from ..drains import Drain
from ..errors import ReleaseFailedError, SandboxUnavailableError
from ..sandbox import Sandbox, SandboxReport, choose, examine
from ..store import DirectoryStore, SlugStore, user_store
from ._backoff import Backoff
from ._delivery import Delivery, OnEvent, OnLog
from ._dyno import Dyno
from ._formation import Formation, command_of
from ._house import House, drawn, numbered, start_all
from ._limits import Limits
from ._one_off import ended_within, last_lines, relayed_to_the_end, to_the_end
from ._ports import Ports
from ._prepare import Recipe, Workshop
from ._readable import Readable
from ._spec import DynoSpec
from ._terminal import config_vars as terminal_vars
from ._terminal import on_a_terminal
from ._trees import Trees
from ._usage import Usage, usage


class DynoRunner(Readable):
    """Run slugs in sandboxes. A context manager; its methods may be called from any thread.

    Args:
        store: Where unpacked slugs live: a directory, a `SlugStore`, or None for the user's cache directory.
        sandbox: "auto", a name, or a `Sandbox`.
        require: Promises that it has to keep, by their names in `SandboxReport`; anything weaker is refused.
        app: "read-only", or "ephemeral": all of the app is the dyno's own, writable and lost with it, as on Heroku
            today. Only namespaces can do that.
        limits: What each dyno may use.
        boot_timeout: Seconds a web dyno has to listen on $PORT.
        grace: Seconds between SIGTERM and SIGKILL.
        backoff: When dynos of formations are started again after a crash; the default are Heroku's numbers.
        cycle_after: Seconds after which a dyno of a formation is restarted, and a one-off ended; up to 15 % more, by
            chance, so that not all go at once. None for never; Heroku's is 86400.
        on_log: Called with each `LogLine`, in order, on a thread of the runner's.
        on_event: Called with each `DynoEvent`, in order with the lines.
        drains: Where else every line goes: `FileDrain`, `SyslogDrain`, `HttpDrain`, or a `Drain` of your own.
        flush_timeout: Seconds that closing waits for the drains to send what they have.

    Raises:
        SandboxUnavailableError: Nothing here confines a dyno, or as it is asked for.
    """

    def __init__(  # noqa: PLR0913 - each is a setting that its users know by name
        self,
        *,
        store: str | PathLike[str] | SlugStore | None = None,
        sandbox: str | Sandbox = "auto",
        require: Collection[str] = (),
        app: Literal["read-only", "ephemeral"] = "read-only",
        limits: Limits = Limits(),  # noqa: B008 - a value
        boot_timeout: float = 60.0,
        grace: float = 30.0,
        backoff: Backoff = Backoff(),  # noqa: B008 - a value
        cycle_after: float | None = None,
        on_log: OnLog | None = None,
        on_event: OnEvent | None = None,
        drains: Sequence[Drain] = (),
        flush_timeout: float = 5.0,
        _wardens: Lender = Warden,
    ) -> None:
        self._own_store: DirectoryStore | None = None
        if store is None or isinstance(store, str | PathLike):
            store = self._own_store = DirectoryStore(user_store() if store is None else store)
        self._sandbox = choose(sandbox, require)
        needed = {"app='ephemeral'": app != "read-only", "Limits(network=False)": not limits.network}
        for asked, wanted in needed.items():
            if wanted and self._sandbox.name != "namespaces":
                raise SandboxUnavailableError(((self._sandbox.name, f"{asked} needs namespaces"),))
        workshop = Workshop(self._sandbox, Trees(store, self._own_store), Ports(), limits, app == "ephemeral")
        self._delivery = Delivery(on_log, on_event, drains, flush_timeout)
        self._house = House(workshop, self._delivery, _wardens)
        self._spec = DynoSpec("", boot_timeout, grace)
        self._kept_running = evolve(self._spec, backoff=backoff, cycle_after=cycle_after)
        self._one_off_spec = evolve(self._spec, one_off=True, output="merged", cycle_after=cycle_after)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def start(
        self,
        slug: Slug,
        process_type: str,
        *,
        config_vars: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> Dyno:
        """Start a dyno of *process_type* and return at once; `Dyno.wait_up` waits. When it ends, it has ended.

        Raises:
            UnknownProcessTypeError: The slug has none of that name.
            PortInUseError: *port* is taken.
            InvalidConfigVarError, InvalidSettingError, InvalidCommandError: What cannot be a config var, port, command.
            DynoStartError: The system could not start it.
            CorruptSlugError, UnsafeMemberError, OutputError: The slug cannot be unpacked.
        """
        recipe = Recipe(slug, command_of(slug, process_type), config_vars or {})

        def spec_of(name: str) -> DynoSpec:
            taken = None if port is None else self._house.workshop.ports.take(port)
            return evolve(self._spec, name=name, web=process_type == "web", port=taken)

        [dyno] = dynos = self._house.admit(numbered(process_type, 1), recipe, spec_of)
        start_all(dynos)
        return dyno

    def formation(
        self,
        slug: Slug,
        quantities: Mapping[str, int],
        *,
        config_vars: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> Formation:
        """Start so many dynos of each process type, keep them running, and return at once; `Formation.wait_up` waits.

        Args:
            slug: What they run.
            quantities: How many of which type; none of the others.
            config_vars: Their config vars.
            port: web.1's; further web dynos have the next free ones. None for a free port for each.

        Raises:
            SlugkitError: As `start`; nothing is left.
        """
        formation = Formation(self._house, self._kept_running, slug, config_vars or {}, port)
        try:
            formation.scale(**quantities)
        except BaseException:
            formation.stop()
            raise
        return formation

    def run(self, slug: Slug, command: str, *, config_vars: Mapping[str, str] | None = None) -> Completed:
        """Run *command*, a shell line or a process type, in a one-off dyno to its end.

        Its output, standard output and error in the order written, also goes to the log.

        Raises:
            SlugkitError: As `start`, but for unknown process types: those are commands.
        """
        kept = Kept()
        dyno = self._one_off(slug, command, config_vars, evolve(self._one_off_spec, on_line=kept.add_line))
        return Completed(to_the_end(dyno), kept.text())

    def attach(self, slug: Slug, command: str, *, config_vars: Mapping[str, str] | None = None) -> int:
        """Run *command* as `run` does, on this program's own standard streams, and return its exit status.

        Where standard input and output are a terminal, the command has one of its own that follows it: each key
        reaches it, Ctrl-C too, and so do $TERM and the size. What it writes is not logged.

        Raises:
            SlugkitError: As `run`.
        """
        attached = evolve(self._one_off_spec, output="attached")
        if not on_a_terminal():
            return to_the_end(self._one_off(slug, command, config_vars, attached))
        variables = {**terminal_vars(), **(config_vars or {})}
        dyno = self._one_off(slug, command, variables, evolve(attached, terminal=True))
        master = dyno.master()
        return to_the_end(dyno) if master is None else relayed_to_the_end(dyno, master)

    def detach(self, slug: Slug, command: str, *, config_vars: Mapping[str, str] | None = None) -> Dyno:
        """Start *command* as `run` does, and return at once; its output goes to the log.

        Raises:
            SlugkitError: As `run`.
        """
        return self._one_off(slug, command, config_vars, self._one_off_spec)

    def release(
        self, slug: Slug, *, config_vars: Mapping[str, str] | None = None, timeout: float = 3600.0
    ) -> Completed | None:
        """Run the ``release`` process of *slug* in a one-off dyno ``release.NNNN`` (contract.md 4.11).

        Call it with the new slug and its config vars before `Formation.deploy`. Where there is nothing to run, return
        None.

        Args:
            slug: The new release.
            config_vars: Its config vars.
            timeout: Seconds it may take.

        Raises:
            ReleaseFailedError: Its status was not 0, or the time was over; with its last lines.
            SlugkitError: As `run`.
        """
        if "release" not in slug.process_types:
            return None
        kept = Kept()
        spec = evolve(self._one_off_spec, on_line=kept.add_line)
        dyno = self._one_off(slug, "release", config_vars, spec, kind="release")
        status = ended_within(dyno, timeout)
        if status != 0:
            over = timeout if status is None else None
            raise ReleaseFailedError(dyno.name, dyno.wait(), last_lines(kept.text()), over)
        return Completed(status, kept.text())

    def usage(self) -> dict[str, Usage]:
        """Return what each dyno that runs uses, by name: one look at all processes of the machine."""
        inits = {dyno.name: dyno.pid for dyno in self._house.dynos()}
        found = usage([pid for pid in inits.values() if pid is not None])
        return {name: found[pid] for name, pid in inits.items() if pid in found}

    def report(self) -> SandboxReport:
        """Return what the sandbox in use promised when it was tried; of what is not kept, the cause and the remedy."""
        return examine(self._house.workshop.sandbox)

    def close(self) -> None:
        """Stop every dyno and wait until nothing of any is left; again is fine."""
        try:
            self._house.close()
        finally:
            if self._own_store is not None:
                self._own_store.release()

    def _one_off(
        self, slug: Slug, command: str, config_vars: Mapping[str, str] | None, spec: DynoSpec, kind: str = "run"
    ) -> Dyno:
        recipe = Recipe(slug, resolve(slug.process_types, command), config_vars or {})
        [dyno] = dynos = self._house.admit(drawn(kind), recipe, lambda name: evolve(spec, name=name))
        start_all(dynos)
        return dyno
