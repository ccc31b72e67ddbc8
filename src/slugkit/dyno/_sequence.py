"""How a run begins and is told to end: what happens when, in Heroku's words (contract.md 4.3-4.5)."""

import os
from collections.abc import Callable

from ..errors import BootTimeoutError, DynoCrashedError, DynoStartError
from ._record import Record
from ._run import Run
from ._spec import DynoSpec, Threads


def begin(run: Run, spec: DynoSpec, record: Record, threads: Threads, is_up: Callable[[Run], None]) -> None:
    """Start *run* and call *is_up* once it is: a web dyno when it listens on $PORT, any other at once.

    Raises:
        DynoStartError: The system could not start it; nothing of it is left.
    """
    record.say(f"Starting process with command `{run.spec.shown}`")
    try:
        run.start()
    except OSError as error:
        raise DynoStartError(spec.name, error.strerror or str(error)) from error
    threads.meter.watch(run, record)
    if not spec.web:
        is_up(run)
        return

    def boot_timed_out() -> None:
        if run.up or run.stopping:
            return
        seconds = spec.boot_timeout
        run.failure = BootTimeoutError(spec.name, seconds, run.last_lines)
        record.say(
            f"Error R10 (Boot timeout) -> Web process failed to bind to $PORT within {seconds:g} seconds of launch"
        )
        record.say("Stopping process with SIGKILL")
        run.kill()

    run.timers.append(threads.supervisor.after(spec.boot_timeout, boot_timed_out))
    threads.listening.expect(*_listener(run), lambda: run.network, lambda: is_up(run))


def terminate(run: Run, spec: DynoSpec, record: Record, threads: Threads) -> None:
    """Send SIGTERM to every process of *run*, and SIGKILL to what is left after the grace."""
    if run.stopping or run.ended:
        return

    def grace_is_over() -> None:
        record.say(
            f"Error R12 (Exit timeout) -> At least one process failed to exit within {spec.grace:g} seconds of SIGTERM"
        )
        record.say("Stopping remaining processes with SIGKILL")
        run.kill()

    run.stopping = True
    record.say("Stopping all processes with SIGTERM")
    run.terminate()
    run.timers.append(threads.supervisor.after(spec.grace, grace_is_over))


def ended(run: Run, spec: DynoSpec, record: Record, threads: Threads) -> Exception:
    """Log the end of *run*, and return what to raise where it was to be up."""
    threads.listening.forget(*_listener(run))
    threads.meter.forget(run)
    if run.out_of_memory and not run.stopping:
        record.say("Error R15 (Memory quota vastly exceeded)")
    status = 0 if run.status is None else run.status
    record.say(f"Process exited with status {status}")
    return run.failure or DynoCrashedError(spec.name, status, run.last_lines, up=run.up)


def _listener(run: Run) -> tuple[int, int]:
    return run.spec.port, os.geteuid() if run.spec.uid is None else run.spec.uid
