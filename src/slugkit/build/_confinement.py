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
from ..environ import BUILD_PATH, TRUST_ENV, compose_env
from ..errors import BuildpackError, BuildTimeoutError, CommandFailedError
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
        os.path.realpath(sys.base_prefix),  # links of an environment may lead there (uv, /opt)
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
    """Show the certificate files and directories that the TLS variables of the host name."""
    paths = [Path(host_env[name]) for name in TRUST_ENV if host_env.get(name, "").startswith("/")]
    outside = [path for path in dict.fromkeys(paths) if path.exists() and not _in_stack(path)]
    return tuple(Bind(path, _uncovered(str(path), 100 + number)) for number, path in enumerate(outside))


def trusted_env(sandbox: Sandbox, spec: SandboxSpec, host_env: Mapping[str, str]) -> dict[str, str]:
    """Return *host_env* with the TLS variables naming their files as the build sees them."""
    return {
        n: sandbox.inside(spec, Path(v)) if n in TRUST_ENV and v.startswith("/") else v for n, v in host_env.items()
    }


def _in_usr(path: str) -> bool:
    return Path(path).is_relative_to("/usr")


def _in_stack(path: Path) -> bool:
    return any(path.is_relative_to(shown) for shown in ("/usr", "/etc/ssl/certs", "/etc/pki"))


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
        self._check_directories()
        if check and done.status != 0:
            last = tuple(done.output.splitlines()[-_LAST_LINES:])
            raise CommandFailedError(_brief(argv), done.status, last)
        return done

    def _check_directories(self) -> None:
        """Refuse what a command may have put in the place of BUILD_DIR: the host goes on to read and write there.

        Nothing of the command runs any more, so what is seen now stays true. A pack may have made the directory anew.
        """
        if self.cwd.is_symlink() or not self.cwd.is_dir():
            raise BuildpackError("the build directory is no longer a directory")
        self.cwd.chmod(0o755)

    def _inside(self, argument: str | Path) -> str:
        return argument if isinstance(argument, str) else self.sandbox.inside(self.spec, argument)


def _brief(argv: Sequence[str | Path]) -> str:
    """Return the command as an error names it: programs and files by name, without their directories."""
    return shlex.join(arg if isinstance(arg, str) else arg.name for arg in argv)
