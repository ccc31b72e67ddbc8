"""git, without running what a repository or its host tells it to (security.md 6)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..command import Command, Completed
from ..environ import BUILD_PATH, compose_env
from ._process import run

# A repository's own configuration runs code: hooks, monitors, filters and transports are off.
_SAFE = (
    *("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "protocol.allow=never"),
    *("-c", "safe.directory=*", "-c", "core.attributesFile=/dev/null"),
)
_ENV = {
    "PATH": BUILD_PATH,
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}


def git(
    *arguments: str | Path,
    protocols: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    deadline: float | None = None,
) -> Completed:
    """Return what came of git, which reaches other repositories by *protocols* only: by none unless told.

    Raises:
        StartError: There is no git.
        DeadlineError: The monotonic clock reached *deadline*.
    """
    allowed = {"GIT_ALLOW_PROTOCOL": ":".join(protocols) or "none"}
    command = Command(("git", *_SAFE, *map(str, arguments)), env=compose_env(env or {}, _ENV, allowed))
    return run(command, deadline=deadline)


def last_line(done: Completed) -> str:
    """Return what git says went wrong: its first complaint, or else its last word."""
    lines = done.output.strip().splitlines()
    complaints = (line for line in lines if line.startswith(("fatal:", "error:")))
    return next(complaints, lines[-1] if lines else f"git exited with status {done.status}")
