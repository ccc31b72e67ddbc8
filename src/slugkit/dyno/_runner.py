"""`DynoRunner`: start, run and attach; leaving its block leaves nothing behind."""

import random
import tempfile
import threading
from collections.abc import Callable, Mapping
from functools import partial
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Self

from .._tree import copy_tree, remove_tree
from ..archive import Slug
from ..command import Completed, resolve
from ..environ import check_config_vars
from ..errors import OutputError, RunnerClosedError, UnknownProcessTypeError
from ..sandbox import Sandbox, SandboxSpec, choose, dyno_uid
from ..store import DirectoryStore, SlugStore, user_store
from ._confinement import boot_command, check_command, dyno_env, dyno_spec, free_port, shown
from ._delivery import Delivery, OnEvent, OnLog
from ._dyno import Dyno, DynoSpec
from ._supervisor import Supervisor


class DynoRunner:
    """Run slugs in sandboxes. A context manager; its methods may be called from any thread.

    Args:
        store: Where unpacked slugs live: a directory, a `SlugStore`, or None for the user's cache directory.
        sandbox: "auto", a name, or a `Sandbox`.
        boot_timeout: Seconds a web dyno has to listen on $PORT.
        grace: Seconds between SIGTERM and SIGKILL.
        on_log: Called with each `LogLine`, in order, on a thread of the runner's.
        on_event: Called with each `DynoStateChanged`, in order with the lines.

    Raises:
        SandboxUnavailableError: Nothing here confines a dyno.
    """

    def __init__(
        self,
        *,
        store: str | PathLike[str] | SlugStore | None = None,
        sandbox: str | Sandbox = "auto",
        boot_timeout: float = 60.0,
        grace: float = 30.0,
        on_log: OnLog | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        self._own_store: DirectoryStore | None = None
        if store is None or isinstance(store, str | PathLike):
            store = self._own_store = DirectoryStore(user_store() if store is None else store)
        self._store = store
        self._sandbox = choose(sandbox)
        self._boot_timeout, self._grace = boot_timeout, grace
        self._callbacks = (on_log, on_event)
        self._lock = threading.Lock()
        self._dynos: list[Dyno] = []
        self._names: dict[str, int] = {}  # of dynos alive or about to be, with their ports
        self._threads: tuple[Supervisor, Delivery] | None = None
        self._closed = False

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
        """Start a dyno of *process_type* and return at once; `Dyno.wait_up` waits.

        Raises:
            UnknownProcessTypeError: The slug has none of that name.
            PortInUseError: *port* is taken.
            InvalidConfigVarError, InvalidSettingError, InvalidCommandError: What cannot be a config var, port, command.
            DynoStartError: The system could not start it.
            CorruptSlugError, UnsafeMemberError, OutputError: The slug cannot be unpacked.
        """
        if process_type not in slug.process_types:
            raise UnknownProcessTypeError(process_type, tuple(slug.process_types))
        line = slug.process_types[process_type]
        numbers = (f"{process_type}.{number}" for number in range(1, 10**9))
        make = partial(self._spec, slug, line, config_vars or {})
        return self._launch(lambda: next(n for n in numbers if n not in self._names), make, port)

    def run(self, slug: Slug, command: str, *, config_vars: Mapping[str, str] | None = None) -> Completed:
        """Run *command*, a shell line or a process type, in a one-off dyno to its end.

        Its output, standard output and error in the order written, also goes to the log.

        Raises:
            SlugkitError: As `start`, but for unknown process types: those are commands.
        """
        dyno = self._one_off(slug, command, config_vars or {}, attached=False)
        return Completed(dyno.wait(), "".join(f"{line}\n" for line in dyno._output))  # noqa: SLF001 - its maker

    def attach(self, slug: Slug, command: str, *, config_vars: Mapping[str, str] | None = None) -> int:
        """Run *command* as `run` does, on this program's own standard streams, and return its exit status."""
        return self._one_off(slug, command, config_vars or {}, attached=True).wait()

    def close(self) -> None:
        """Stop every dyno and wait until nothing of any is left; again is fine."""
        with self._lock:
            self._closed = True
            dynos, threads = list(self._dynos), self._threads
            self._threads = None
        for dyno in dynos:
            dyno.request_stop()
        for dyno in dynos:
            dyno.wait()
        if threads is not None:
            supervisor, delivery = threads
            supervisor.close()
            delivery.close()
        if self._own_store is not None:
            self._own_store.release()

    def _one_off(self, slug: Slug, command: str, config_vars: Mapping[str, str], *, attached: bool) -> Dyno:
        line = resolve(slug.process_types, command)
        make = partial(self._spec, slug, line, config_vars, one_off=True, attached=attached)
        dyno = self._launch(self._free_one_off_name, make)
        try:
            dyno.wait()
        except BaseException:  # Ctrl-C: nothing may survive the call
            dyno.stop()
            raise
        return dyno

    def _free_one_off_name(self) -> str:
        numbers = (random.randint(1000, 9999) for _ in iter(int, 1))  # noqa: S311 - a name
        return next(f"run.{number}" for number in numbers if f"run.{number}" not in self._names)

    def _launch(
        self, choose_name: Callable[[], str], make: Callable[[str, int], DynoSpec], port: int | None = None
    ) -> Dyno:
        """Reserve a name and a port, make the dyno that has them, and start it."""
        name, reserved, threads = self._reserve(choose_name, port)
        spec = None
        try:
            spec = make(name, reserved)
            dyno = Dyno(spec, *threads)
            with self._lock:
                if self._closed:
                    raise RunnerClosedError
                self._dynos.append(dyno)
        except BaseException:
            with self._lock:
                self._names.pop(name, None)
            if spec is not None:
                spec.clean_up()
            raise
        dyno.start()
        return dyno

    def _reserve(
        self, choose_name: Callable[[], str], port: int | None
    ) -> tuple[str, int, tuple[Supervisor, Delivery]]:
        with self._lock:
            if self._closed:
                raise RunnerClosedError
            if self._threads is None:
                self._threads = (Supervisor(), Delivery(*self._callbacks))
            for ended in [dyno for dyno in self._dynos if dyno.status is not None]:
                self._dynos.remove(ended)
                self._names.pop(ended.name, None)
            name, reserved = choose_name(), free_port(port, self._names.values())
            self._names[name] = reserved
            return name, reserved, self._threads

    def _spec(
        self,
        slug: Slug,
        line: str,
        config_vars: Mapping[str, str],
        name: str,
        port: int,
        *,
        one_off: bool = False,
        attached: bool = False,
    ) -> DynoSpec:
        line, config_vars = check_command(line), check_config_vars(config_vars)
        tree = self._store.tree(slug)
        uid = dyno_uid() if self._sandbox.name != "none" else None
        if self._sandbox.name == "none":
            home, spec, clean_up = _private_copy(tree)
        else:
            home, spec, clean_up = "/app", dyno_spec(tree, slug.manifest, uid), _nothing
        env = dyno_env(home, name, port, slug.manifest, config_vars)
        return DynoSpec(
            name=name,
            command=self._sandbox.confine(boot_command(home, env, line), spec),
            shown=shown(line, port),
            port=port,
            uid=uid,
            web=name.startswith("web.") and not one_off,
            one_off=one_off,
            attached=attached,
            boot_timeout=self._boot_timeout,
            grace=self._grace,
            clean_up=clean_up,
        )


def _private_copy(tree: Path) -> tuple[str, SandboxSpec, Callable[[], None]]:
    """Return a copy of *tree* for an unconfined dyno: it can write anything, so it gets nothing shared."""
    home = Path(tempfile.mkdtemp(prefix="slugkit-dyno-"))
    try:
        copy_tree(tree, home)
    except OSError as error:
        remove_tree(home)
        raise OutputError(str(home), error.strerror or str(error)) from error
    return str(home), SandboxSpec(()), partial(remove_tree, home)


def _nothing() -> None:
    """Leave nothing to clean up: a sandbox's own directories are in memory and go with it."""
