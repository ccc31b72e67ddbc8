"""What a build's commands see, who they are, and how they are run."""

import os
import shlex
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from attrs import field, frozen

from .. import _exec
from ..command import Command, Completed, Show
from ..environ import BUILD_PATH, compose_env
from ..errors import BuildTimeoutError, CommandFailedError
from ..sandbox import REGISTRY_ETC, Bind, Mount, Sandbox, SandboxSpec, stack_view
from ._workspace import Workspace

_LAST_LINES = 20
_INDENT = " " * 7


def build_spec(workspace: Workspace, uid: int | None, host_env: Mapping[str, str]) -> SandboxSpec:
    """Return the view of a build: the stack, a private /tmp with BUILD_DIR and CACHE_DIR, a writable /app."""
    return SandboxSpec(
        (
            *stack_view(uid, REGISTRY_ETC),
            *_tools(),
            *_trust(host_env),
            Bind(workspace.tmp, "/tmp", writable=True),  # noqa: S108 - inside the sandbox
            Bind(workspace.home, "/app", writable=True),
        ),
        uid,
    )


def build_env(stack: str, home: str, commit: str | None, host_env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of detect and compile: contract.md 2.4, and what ``host_env`` lets through."""
    own = {
        "PATH": BUILD_PATH,
        "HOME": home,
        "STACK": stack,
        "REQUEST_ID": str(uuid.uuid4()),
        "SOURCE_VERSION": commit or "",
        "BUILDPACK_LOG_FILE": "/dev/null",
        "DYNO": "build.1",
    }
    return compose_env(host_env, own)


def _tools() -> tuple[Mount, ...]:
    """Show the interpreter that runs slugkit, its environment and slugkit itself: the built-in packs use them."""
    package = Path(__file__).resolve().parent.parent
    wanted = (
        sys.prefix,
        sys.base_prefix,
        str(Path(os.path.realpath(sys.executable)).parent),
        str(package),
    )
    outside = [path for path in dict.fromkeys(wanted) if not _in_usr(path)]
    return tuple(Bind(Path(path), _uncovered(path, number)) for number, path in enumerate(outside))


def _uncovered(path: str, number: int) -> str:
    """Return where to show the tool at *path*: there, unless the build's own /tmp or /app would cover it."""
    covered = Path(path).is_relative_to("/tmp") or Path(path).is_relative_to("/app")  # noqa: S108 - inside
    return f"/opt/slugkit/{number}" if covered else path


def _trust(host_env: Mapping[str, str]) -> tuple[Mount, ...]:
    """Show the certificate files that variables of the host name."""
    paths = [Path(value) for value in host_env.values() if value.startswith("/")]
    return tuple(Bind(p, str(p)) for p in paths if p.exists() and not _in_usr(str(p)) and not _in_etc(p))


def _in_usr(path: str) -> bool:
    return Path(path).is_relative_to("/usr")


def _in_etc(path: Path) -> bool:
    return path.is_relative_to("/etc/ssl/certs") or path.is_relative_to("/etc/pki")


@frozen
class SandboxRunner:
    """The `Runner` of a build: each command confined, shown live, and ended when the build's time is up."""

    sandbox: Sandbox
    spec: SandboxSpec
    env: Mapping[str, str]
    cwd: Path
    on_line: Callable[[str], None]
    limit: float
    deadline: float = field()

    @deadline.default
    def _deadline(self) -> float:
        return time.monotonic() + self.limit

    def __call__(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str | Path] | None = None,
        cwd: Path | None = None,
        check: bool = True,
        show: Show = "indented",
    ) -> Completed:
        """Return what came of *argv*.

        Raises:
            CommandFailedError: *check*, and its status is not 0.
            BuildTimeoutError: The build's time is up; everything it started is dead.
        """
        command = Command(
            tuple(self._inside(argument) for argument in argv),
            env=compose_env(self.env, {n: self._inside(v) for n, v in (env or {}).items()}),
            cwd=Path(self._inside(cwd or self.cwd)),
        )
        prefix = _INDENT if show == "indented" else ""
        on_line = None if show == "no" else lambda line: self.on_line(prefix + line)
        try:
            confined = self.sandbox.confine(command, self.spec)
            done = _exec.run(confined, on_line=on_line, deadline=self.deadline)
        except _exec.DeadlineError:
            raise BuildTimeoutError(self.limit) from None
        except _exec.StartError as error:
            raise CommandFailedError(_brief(argv), 127, (str(error),)) from error
        if check and done.status != 0:
            last = tuple(done.output.splitlines()[-_LAST_LINES:])
            raise CommandFailedError(_brief(argv), done.status, last)
        return done

    def _inside(self, argument: str | Path) -> str:
        return argument if isinstance(argument, str) else self.sandbox.inside(self.spec, argument)


def _brief(argv: Sequence[str | Path]) -> str:
    """Return the command as an error names it: programs and files by name, without their directories."""
    return shlex.join(arg if isinstance(arg, str) else arg.name for arg in argv)
