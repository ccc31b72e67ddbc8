"""How a build's commands are run: confined, shown live, waited for to the last process, ended when time is up."""

import re
import shlex
import stat
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from attrs import evolve, field, frozen

from .. import _exec
from .._tree import read_beneath, remove_tree
from ..command import BASH, Command, Completed, Show, unveil
from ..environ import compose_env
from ..errors import BuildpackError, BuildTimeoutError, CommandFailedError
from ..events import BuildEvent, BuildLine, ProcessesLeft
from ..sandbox import Sandbox, SandboxSpec
from ._confinement import shown_too

_LAST_LINES = 20
_INDENT = " " * 7
_READONLY_IN_BASH = ("BASHOPTS", "BASH_VERSINFO", "EUID", "PPID", "SHELLOPTS", "UID")
# As the C library says it, npm, and GNU tar of a write that came short.
_FULL = re.compile(r"No space left on device|Disk quota exceeded|\bENOSPC\b|: Wrote only \d+ of \d+ bytes")
_VEIL = "_slugkit_later_"  # before the name of a variable that is for the command, and must not reach our shell

_OPEN = (
    "run slugkit with a Python that every user can read, such as Debian's (apt-get install python3-venv); "
    "if the app asks for another one, name such a one in SLUGKIT_PYTHONS"
)

# Runs a command as a shell would (one without a shebang is bash's, contract.md 2.1), then waits half a second for what
# it left behind: `exec > >(sed ...)` is still printing when the script has ended. What then still runs is listed in
# the file $1; it dies with the sandbox. $2 says whose processes /proc shows: the sandbox's "own", or the whole "host",
# of which ours are those of our session, and those that came to our parent, the init, when their own ended.
# An empty script succeeds; bash 5.2 would complain of it, and say "Success". Veiled variables are for the command only.
_SHIM = (
    r"""
left=$1 whose=$2; shift 2
[[ $1 == /* && -f $1 && ! -s $1 ]] && exit
exec 8>"$left" 9>&2 2>/dev/null
("""
    + unveil(_VEIL)
    + r"""  exec -- "$@" 2>&9 8>&- 9>&-
)
status=$?
strays() {
  local entry line
  found=()
  for entry in /proc/[0-9]*; do
    [[ ${entry#/proc/} == 1 || ${entry#/proc/} == "$$" ]] && continue
    IFS= read -r line <"$entry/stat" || continue
    set -- ${line##*) }  # state, parent, group, session
    [[ $1 == Z || ($whose == host && $4 != "$$" && $2 != "$PPID") ]] || found+=("$entry")
  done
  ((${#found[@]}))
}
for ((tries = 0; tries < 25; tries++)); do
  strays || exit "$status"
  /bin/sleep 0.02
done
for entry in "${found[@]}"; do
  mapfile -d "" -t words <"$entry/cmdline" && printf "%s\n" "${words[*]}"
done >&8
exit "$status"
"""
)


@frozen
class SandboxRunner:
    """The `Runner` of a build; ``limit`` is in seconds from when it is made.

    ``on_full`` is called with each line in which a command says that the disk is full.
    """

    sandbox: Sandbox
    spec: SandboxSpec
    env: Mapping[str, str] = field(repr=False)
    cwd: Path
    emit: Callable[[BuildEvent], None]
    limit: float
    on_full: Callable[[str], None]
    warden: _exec.Warden | None = None
    deadline: float = field()

    @deadline.default
    def _deadline(self) -> float:
        return time.monotonic() + self.limit

    def extended(self, seconds: float) -> "SandboxRunner":
        """Return a runner whose time is up in *seconds*, whatever is left of this one's."""
        return evolve(self, deadline=time.monotonic() + seconds)

    def exporting(self, changes: Mapping[str, str | None]) -> "SandboxRunner":
        """Return a runner whose commands' environment has these *changes*; None takes a variable away."""
        env = {**self.env, **changes}
        return evolve(self, env={name: value for name, value in env.items() if value is not None})

    def showing(self, directory: Path) -> "SandboxRunner":
        """Return a runner whose commands also see *directory* of the host, read-only."""
        return evolve(self, spec=shown_too(self.spec, directory))

    def __call__(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str | Path] | None = None,
        cwd: Path | None = None,
        check: bool = True,
        show: Show = "indented",
        capture: bool = False,
    ) -> Completed:
        """Return what came of *argv*.

        Raises:
            CommandFailedError: *check*, and its status is not 0.
            BuildpackError: It, or a file that it is given, lies where the build's user cannot go.
            BuildTimeoutError: The build's time is up; everything it started is dead.
        """
        self._check_reach(argv)
        left = self.cwd.parent / f".left-{uuid.uuid4().hex[:8]}"
        whose = "own" if self.sandbox.mounts else "host"  # who mounts has a /proc of its own
        command = Command(
            (*BASH, _SHIM, "slugkit", self._inside(left), whose, *map(self._inside, argv)),
            env=_shielded(compose_env(self.env, {n: self._inside(v) for n, v in (env or {}).items()})),
            cwd=Path(self._inside(cwd or self.cwd)),
        )
        prefix = _INDENT if show == "indented" else ""
        said: deque[str] = deque(maxlen=_LAST_LINES)

        def on_line(line: str) -> None:
            said.append(line)
            if _FULL.search(line):
                self.on_full(line)
            if show != "no":
                self.emit(BuildLine(prefix + line))

        try:
            confined = self.sandbox.confine(command, self.spec)
            done = _exec.run(confined, warden=self.warden, on_line=on_line, deadline=self.deadline, capture=capture)
        except _exec.DeadlineError:
            raise BuildTimeoutError(self.limit) from None
        except _exec.StartError as error:
            raise CommandFailedError(_brief(argv), 127, (str(error),)) from error
        self._check_directories()
        self._tell_left(_brief(argv), left)
        if check and done.status != 0:
            raise CommandFailedError(_brief(argv), done.status, tuple(said))
        return done

    def _check_reach(self, argv: Sequence[str | Path]) -> None:
        """Refuse paths of the host, slugkit's own interpreter above all, that are closed to who runs the build.

        Where nothing is mounted the host's own modes count, and root's builds run as another user.
        """
        if self.spec.uid is None or self.sandbox.mounts:
            return
        given = [path for path in argv if isinstance(path, Path)]
        for path in (*given, *(path.resolve() for path in given[:1])):
            closed = None if path.is_relative_to(self.cwd.parent) else closed_to_others(path)
            if closed is not None:
                reason = f"root's build runs as another user, who cannot reach {path}: only its owner enters {closed}"
                raise BuildpackError(reason, _OPEN)

    def _tell_left(self, command: str, left: Path) -> None:
        text = read_beneath(left.parent, left.name)
        remove_tree(left)
        if text:
            self.emit(ProcessesLeft(command, tuple(text.decode("utf-8", "replace").splitlines())))

    def _check_directories(self) -> None:
        """Refuse what a command may have put in the place of BUILD_DIR: the host goes on to read and write there.

        Nothing of the command runs any more, so what is seen now stays true. A pack may have made the directory anew.
        """
        self.cwd.parent.chmod(0o755)  # what the build sees as /tmp is its own, and so are its run bits
        if self.cwd.is_symlink() or not self.cwd.is_dir():
            raise BuildpackError("the build directory is no longer a directory")
        self.cwd.chmod(0o755)

    def _inside(self, argument: str | Path) -> str:
        return argument if isinstance(argument, str) else self.sandbox.inside(self.spec, argument)


def closed_to_others(path: Path) -> Path | None:
    """Return the first directory on the way to *path* that not everybody may enter, or None."""
    for directory in reversed(path.parents):
        try:
            if not directory.stat().st_mode & stat.S_IXOTH:
                return directory
        except OSError:
            return None  # what is not there is told by whoever looks for it
    return None


def _shielded(env: Mapping[str, str]) -> dict[str, str]:
    """Return *env* as our shell can take it: what the dynamic linker reads is veiled, what bash forbids left out."""
    return {
        f"{_VEIL}{name}" if name.startswith("LD_") else name: value
        for name, value in env.items()
        if name not in _READONLY_IN_BASH
    }


def _brief(argv: Sequence[str | Path]) -> str:
    """Return the command as an error names it: programs and files by name, without their directories."""
    return shlex.join(arg if isinstance(arg, str) else arg.name for arg in argv)
