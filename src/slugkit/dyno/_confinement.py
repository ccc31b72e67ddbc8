"""What a dyno sees, its environment, and how it boots. Pure, but for a look at the tree and the ports."""

import os
import socket
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

from ..command import LIFELINE_FD, PROFILE, Command
from ..environ import DYNO_PATH, compose_env
from ..errors import (
    InvalidCommandError,
    InvalidSettingError,
    MissingInterpreterError,
    PortInUseError,
    UnsafeMemberError,
)
from ..sandbox import Bind, Mount, SandboxSpec, Tmpfs, stack_view
from ..slug import Manifest

_WRITABLE_SIZE = 512 * 2**20  # bytes of tmp/, of log/ and of /tmp, each in memory and gone with the dyno
_LARGEST_PORT = 65535
_LONGEST_COMMAND = 128 * 1024  # MAX_ARG_STRLEN, in bytes

# contract.md 4.3: the profile scripts, then the command, in one shell environment; `set --` in one of them must not
# lose the command.
# The lifeline first: bwrap 0.8 binds its pid 1 to its parent's life only when all else is set up, so a host program
# that was killed before must be noticed here. "read -t 0" succeeds when there is input or the end of it.
BOOT = f"""
_slugkit_command=$1
[ "$2" = 3 ] || eval "exec 3<&$2 $2<&-"
read -t 0 -u 3 && exit 137
exec 3<&-
{PROFILE}
exec bash -c "$_slugkit_command"
"""


def dyno_spec(tree: Path, manifest: Manifest, uid: int | None) -> SandboxSpec:
    """Return the view of a dyno: the stack, the slug's *tree* read-only at /app, tmp/, log/ and /tmp its own.

    Raises:
        UnsafeMemberError: tmp or log in *tree* is no real directory: nothing may be mounted through a link.
        MissingInterpreterError: The slug needs an interpreter that is not here.
    """
    for name in ("tmp", "log"):
        if (tree / name).is_symlink() or not (tree / name).is_dir():
            raise UnsafeMemberError(name, "a slug needs a directory there")
    writable = (Tmpfs(path, _WRITABLE_SIZE) for path in ("/app/tmp", "/app/log", "/tmp"))  # noqa: S108
    return SandboxSpec((*stack_view(uid), *_interpreter(manifest), Bind(tree, "/app"), *writable), uid)


def _interpreter(manifest: Manifest) -> tuple[Mount, ...]:
    """Show the interpreter a slug left on its host, if it is the one that runs slugkit: a slug names no other path."""
    prefix = manifest.platform.interpreter if manifest.platform else None
    if prefix is None or Path(prefix).is_relative_to("/usr"):
        return ()
    if prefix not in {sys.prefix, sys.base_prefix}:
        raise MissingInterpreterError(prefix)
    real = os.path.realpath(prefix)  # where the links in an environment lead
    return tuple(Bind(Path(path), path) for path in dict.fromkeys((real, prefix)))


def dyno_env(home: str, name: str, port: int, manifest: Manifest, config_vars: Mapping[str, str]) -> dict[str, str]:
    """Return a dyno's environment: the base, then config vars, then what is the platform's own (contract.md 4.2)."""
    base = {"HOME": home, "PATH": DYNO_PATH}
    return compose_env(base, manifest.config_vars, config_vars, {"PORT": str(port), "DYNO": name})


def check_command(line: str) -> str:
    """Return *line* if a dyno can be given it.

    Raises:
        InvalidCommandError: It holds a NUL, or is 128 KiB or longer: exec would fail with E2BIG.
    """
    if "\0" in line:
        raise InvalidCommandError("it holds a NUL")
    if len(line.encode("utf-8", "surrogatepass")) >= _LONGEST_COMMAND:
        raise InvalidCommandError("it is too long")
    return line


def boot_command(home: str, env: Mapping[str, str], line: str) -> Command:
    """Return the command that boots a dyno in *home* and then becomes the shell *line*."""
    argv = ("bash", "--noprofile", "--norc", "-p", "-c", BOOT, "bash", line, LIFELINE_FD)
    return Command(argv, env, Path(home), lifeline=True)


def shown(line: str, port: int) -> str:
    """Return *line* as Heroku logs it: $PORT substituted, nothing else (contract.md 5.5)."""
    return line.replace("${PORT}", str(port)).replace("$PORT", str(port))


def free_port(wanted: int | None, taken: Collection[int] = ()) -> int:
    """Return *wanted* if nobody listens there, or a free port; never one of those *taken* by dynos yet to listen.

    Raises:
        PortInUseError: Somebody does, or it is taken.
        InvalidSettingError: It is no port, or not one this user may listen on.
    """
    if wanted is not None and not 0 < wanted <= _LARGEST_PORT:
        raise InvalidSettingError("port", f"{wanted} is not a port")
    if wanted in taken:
        raise PortInUseError(wanted or 0)
    while (port := _bindable(wanted or 0)) in taken:
        continue
    return port


def _bindable(wanted: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", wanted))
        except PermissionError:
            raise InvalidSettingError("port", f"{wanted} is not one this user may use") from None
        except OSError:
            raise PortInUseError(wanted) from None
        port: int = probe.getsockname()[1]
        return port


def listens(port: int, uid: int) -> bool:
    """Return whether a process of *uid* listens on TCP *port*; asked of the kernel, not by connecting."""
    return any(_listens(Path("/proc/net", table), port, uid) for table in ("tcp", "tcp6"))


_LISTEN = "0A"
# Where 127.0.0.1 is answered, as the kernel spells it: any address, itself, and both as IPv6 knows them.
_REACHABLE = ("00000000", "0100007F", "0" * 32, "0000000000000000FFFF00000100007F")


def _listens(table: Path, port: int, uid: int) -> bool:
    try:
        lines = table.read_text().splitlines()[1:]
    except FileNotFoundError:
        return False
    wanted = {f"{address}:{port:04X}" for address in _REACHABLE}
    for line in lines:
        _, local, _, state, _, _, _, owner, *_ = line.split()
        if state == _LISTEN and local in wanted and int(owner) == uid:
            return True
    return False
