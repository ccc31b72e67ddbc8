"""What a dyno sees, its environment, and how it boots. Pure, but for a look at the tree."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from attrs import evolve

from ..command import PROFILE, Command
from ..environ import DYNO_PATH, compose_env
from ..errors import InvalidCommandError, MissingInterpreterError, UnsafeMemberError
from ..sandbox import Bind, File, Mount, Overlay, SandboxSpec, Tmpfs, cgroups, stack_view
from ..slug import Manifest
from ._limits import MOST_MEMORY, Limits

_LONGEST_COMMAND = 128 * 1024  # MAX_ARG_STRLEN, in bytes

# contract.md 4.3: the profile scripts, then the command, in one shell environment; `set --` in one of them must not
# lose the command.
BOOT = f"""
_slugkit_command=$1
{PROFILE}
exec bash -c "$_slugkit_command"
"""


def dyno_spec(
    tree: Path, manifest: Manifest, uid: int | None, limits: Limits, port: int, *, ephemeral: bool = False
) -> SandboxSpec:
    """Return the view of a dyno: the stack, the slug's *tree* read-only at /app, tmp/, log/ and /tmp its own.

    *ephemeral*: all of /app is its own.

    Raises:
        UnsafeMemberError: tmp or log in *tree* is no real directory: nothing may be mounted through a link.
        MissingInterpreterError: The slug needs an interpreter that is not here.
    """
    for name in ("tmp", "log"):
        if (tree / name).is_symlink() or not (tree / name).is_dir():
            raise UnsafeMemberError(name, "a slug needs a directory there")
    size, inodes = limits.files, limits.inodes
    app = Overlay(tree, "/app", size, inodes) if ephemeral else Bind(tree, "/app")
    tmp, *own = (Tmpfs(path, size, inodes) for path in ("/tmp", "/app/tmp", "/app/log"))  # noqa: S108
    mounts = (tmp, *stack_view(uid), *_memory_told(limits), *_interpreter(manifest), app, *own)
    return _limited(SandboxSpec(mounts, uid), limits, port)


def real_spec(home: Path, manifest: Manifest, uid: int | None, limits: Limits, port: int) -> SandboxSpec:
    """Return the view of a dyno whose sandbox mounts nothing: *home* is its own copy of the tree, the host's as it is.

    Raises:
        MissingInterpreterError: The slug needs an interpreter that is not here.
    """
    own = (Bind(home, str(home)), *(Bind(home / name, str(home / name), writable=True) for name in ("tmp", "log")))
    view = (*stack_view(uid), *_interpreter(manifest), *own)
    return _limited(SandboxSpec(view, uid, scratch=home), limits, port)


def _limited(spec: SandboxSpec, limits: Limits, port: int) -> SandboxSpec:
    """Return *spec* with *limits*: by cgroups, and by what is the dyno's own, its uid or user namespace."""
    memory = None if limits.memory is None else MOST_MEMORY * limits.memory
    own = spec.uid is not None or not spec.scratch  # RLIMIT_NPROC counts by uid, or in the user namespace
    groups = cgroups(memory, None if own else limits.processes, limits.cpu)
    asked = {"open_files": limits.open_files, "processes": limits.processes}
    return evolve(
        spec,
        network=limits.network,
        port=port if limits.only_port else None,
        limits={name: value for name, value in asked.items() if value is not None},
        cgroups=groups.bases,
        cgroup_settings=groups.settings,
    )


def _memory_told(limits: Limits) -> tuple[Mount, ...]:
    """Tell the memory limit where Python's and Node's packs look for it, to find out WEB_CONCURRENCY."""
    if limits.memory is None:
        return ()
    return (File("/sys/fs/cgroup/memory/memory.limit_in_bytes", b"%d\n" % limits.memory),)


def _interpreter(manifest: Manifest) -> tuple[Mount, ...]:
    """Show the interpreter a slug left on its host, if it is the one that runs slugkit: a slug names no other path."""
    prefix = manifest.platform.interpreter if manifest.platform else None
    if prefix is None:
        return ()
    if Path(prefix).is_relative_to("/usr"):
        if not Path(prefix).exists():
            raise MissingInterpreterError(prefix)
        return ()
    if prefix not in {sys.prefix, sys.base_prefix}:
        raise MissingInterpreterError(prefix)
    real = os.path.realpath(prefix)  # where the links in an environment lead
    return tuple(Bind(Path(path), path) for path in dict.fromkeys((real, prefix)))


def dyno_env(home: str, name: str, port: int, manifest: Manifest, config_vars: Mapping[str, str]) -> dict[str, str]:
    """Return a dyno's environment: the base, then config vars, then what is the platform's own (contract.md 4.2)."""
    base = {"HOME": home, "PATH": DYNO_PATH}
    if home != "/app":  # nothing is mounted: /tmp is the host's, and not to be written
        base["TMPDIR"] = f"{home}/tmp"  # noqa: S108
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


def boot_command(home: str, env: Mapping[str, str], line: str, tree: Path) -> Command:
    """Return the command that boots a dyno in *home* and then becomes the shell *line*.

    Where *tree* has no profile scripts, nothing is sourced: that spares a start one bash of two, 1 ms of 8.
    """
    argv: tuple[str, ...] = ("bash", "-c", line)
    if any(os.path.lexists(tree / name) for name in (".profile", ".profile.d")):
        argv = ("bash", "--noprofile", "--norc", "-p", "-c", BOOT, "bash", line)
    return Command(argv, env, Path(home))


def shown(line: str, port: int) -> str:
    """Return *line* as Heroku logs it: $PORT substituted, nothing else (contract.md 5.5)."""
    return line.replace("${PORT}", str(port)).replace("$PORT", str(port))
