"""A command as a value, what came of it, and the one small Protocol that runs one."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from attrs import field, frozen


@frozen
class DataFile:
    """Bytes a command reads from a descriptor; the descriptor's number stands in the argument's place."""

    data: bytes = field(repr=False)


@frozen
class HiddenArgs:
    """Arguments that must not show in a process listing, handed over NUL-separated by descriptor."""

    args: tuple[str | DataFile, ...] = field(repr=False)


@frozen
class Command:
    """What to execute: arguments, the whole environment, the working directory.

    ``confinement`` is how a `Sandbox` has it confined, as the warden takes it; empty for a tool of our own.
    `LIFELINE_FD` among the arguments becomes the number of a pipe that ends with the host program, or the call.
    """

    argv: tuple[str | DataFile | HiddenArgs, ...]
    env: Mapping[str, str] = field(factory=dict, repr=False)
    cwd: Path | None = None
    confinement: Mapping[str, Any] = field(factory=dict, repr=False)


#: How slugkit starts a bash of its own, up to the script: by its path, whatever PATH a buildpack or app has, and deaf
#: to what else an environment says to shells.
BASH = ("/bin/bash", "--noprofile", "--norc", "-p", "-c")
#: Bash that sources .profile.d/*.sh in C-locale order, then .profile (contract.md 4.3): `return` works, a failure has
#: no effect.
PROFILE = r"""
_slugkit_list() { local LC_ALL=C; _slugkit_scripts=("$HOME"/.profile.d/*.sh); }
_slugkit_list
for _slugkit_script in "${_slugkit_scripts[@]}" "$HOME/.profile"; do
  [ -f "$_slugkit_script" ] && . "$_slugkit_script"
done
"""
LIFELINE_FD = "{lifeline-fd}"


@frozen
class Completed:
    """What came of a command: its exit status (128 + the signal when killed) and its output, merged unless captured.

    Of an output of more than 32 MiB the last part is kept.
    """

    status: int
    output: str


Show = Literal["indented", "raw", "no"]


class Runner(Protocol):
    """Run a command inside the sandbox; what it prints is shown live and returned.

    An argument that is a `Path` names a file as the host sees it; the command is told where the sandbox shows it.
    """

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
        """Return what came of *argv*; with *check*, a status other than 0 raises `CommandFailedError`.

        *show* says how its lines reach the build's output: indented as a detail, as they are, or not at all. With
        *capture* its standard output is an answer: returned, never shown, and apart from its standard error.
        """

    def showing(self, directory: Path) -> "Runner":
        """Return a runner whose commands also see *directory* of the host, read-only: an interpreter, a toolchain."""


def unveil(prefix: str) -> str:
    """Return bash that gives the variables veiled by *prefix* their own names back, just before the command is run.

    Under a name that means nothing, LD_PRELOAD and its like do not act on the programs that are started before it.
    """
    return f"""
for _veiled in "${{!{prefix}@}}"; do
  export "${{_veiled#{prefix}}}=${{!_veiled}}" 2>/dev/null  # UID and its like are bash's own
  unset "$_veiled"
done
unset _veiled
"""


def shell_line(words: Sequence[str]) -> str:
    """Join command-line *words* to a shell line.

    A single word is one already, as for ``heroku run`` (contract.md 4.10). Several are quoted where they need it, so
    that each stays one word; Heroku's client quotes with ``"`` only, inside of which ``$HOME`` would not stay itself.

    >>> shell_line(["echo $HOME | wc"]), shell_line(["echo", "a b"])
    ('echo $HOME | wc', "echo 'a b'")
    """
    return words[0] if len(words) == 1 else shlex.join(words)


def resolve(process_types: Mapping[str, str], line: str) -> str:
    """Return *line* with a first word that names a process type replaced by its command (contract.md 4.10).

    >>> resolve({"myworker": "python dowork.py"}, "myworker 42")
    'python dowork.py 42'
    """
    first, blank, rest = line.partition(" ")
    return process_types[first] + blank + rest if first in process_types else line
