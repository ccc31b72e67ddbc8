"""What Node.js, npm and other managers a build has: those of the machine, and those kept in the build cache."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from ..._tree import read_beneath
from ...command import Completed
from ...errors import BuildpackError
from .._contract import BuildContext
from .._steps import step_argv
from ._managers import Manager
from ._package import Package

#: Lines of name=value in the build's /tmp: what a compile leaves for the steps after it. The app can write there, too.
NOTES = "slugkit-nodejs"
_NOTED = re.compile(r"^(\w{1,40})=([\w./+-]{1,200})$", re.MULTILINE)
_HERE = Path(__file__).parent
_INSTALL = "apt-get install nodejs npm, or put a Node.js on the build's PATH"
_CACHE_OR_DISK = "see what it says of the disk or of a file of the app; or build with another --cache-dir"
#: Bash for a command with the directory $1, if any, ahead of PATH: scripts of an app call their manager by name.
WITH_PATH = 'if [[ -n $1 ]]; then export PATH="$1:$PATH"; fi; shift; exec "$@"'


@frozen
class Machine:
    """The Node.js that the build's PATH leads to: versions, the number of its binary interface, where it is."""

    node: str
    abi: str
    path: str
    prefix: str
    has_headers: bool
    npm: str


@frozen
class Installed:
    """A manager that can be run: its version, and the directory of its commands unless those are on PATH."""

    manager: Manager
    version: str
    commands: Path | None = None


def inside(context: BuildContext, *arguments: str | Path, cwd: Path | None = None) -> int:
    """Run one step of `_inside.nodejs` in the sandbox, in *cwd* or the tree, and return its status: 0, 3 or 4."""
    done = context.run(step_argv("nodejs", *arguments), cwd=cwd, check=False)
    if done.status not in {0, 3, 4}:
        said = done.output.splitlines()[-1:] or [f"status {done.status}"]
        raise BuildpackError(f"the step {arguments[0]} of the Node.js pack failed: {said[0]:.300}", _CACHE_OR_DISK)
    return done.status


def note(context: BuildContext, **facts: str) -> None:
    """Write *facts* down for export, release, report and test."""
    inside(context, "note", context.tmp / NOTES, *(f"{name}={text}" for name, text in facts.items()))


def noted(context: BuildContext) -> dict[str, str]:
    """Return what the compile has written down: versions, ``node`` (the path of its program), ``cache_status``."""
    return dict(_NOTED.findall((read_beneath(context.tmp, NOTES) or b"").decode("utf-8", "replace")))


def interpreter(context: BuildContext) -> str | None:
    """Return the program of the machine's Node.js; None for one that is none of the stack's, such as another pack's."""
    path = noted(context).get("node", "")
    return path if path.startswith("/usr/") else None


def commands(context: BuildContext) -> Path | None:
    """Return the directory of the commands of the app's package manager, unless it is the machine's npm."""
    known = noted(context)
    for name in ("yarn", "pnpm", "npm"):
        version = known.get(f"{name}_version", "")
        if "/" not in version and (found := _place(context, name, version)).is_dir():
            return found / "bin"
    return None


def _place(context: BuildContext, name: str, version: str) -> Path:
    """Return where the cache has a manager: its own directory, so that one of another version is not taken for it."""
    return context.cache_dir / "nodejs/tools" / name / f"{name}-{version}"


def ask(context: BuildContext, package: Package, manager: Manager, more: Sequence[str] = ()) -> dict[str, Any]:
    """Return what ``_ask.cjs`` tells of the machine, and the best version for what engines asks of the manager.

    That is its usual one, or one of *more*, or else one that is kept.

    Raises:
        BuildpackError: There is no node, or no npm.
    """
    ranges = {name: package.engines[name] for name in ("node", "npm") if name in package.engines}
    asked, known = package.engines.get(manager.name), [manager.version, *more]
    wish = {"ranges": ranges, "tool": manager.name, "range": asked, "versions": known}
    tools = context.cache_dir / "nodejs/tools" / manager.name
    done = context.run(["node", _HERE / "_ask.cjs", json.dumps(wish), tools], check=False, capture=True, show="no")
    try:
        told: dict[str, Any] = json.loads(done.output)
    except ValueError:
        reason = "there is no node on the build's PATH" if done.status == 127 else "node and npm do not work together"  # noqa: PLR2004 - the shell's own
        raise BuildpackError(reason, _INSTALL) from None
    if told["npm"] is None:
        raise BuildpackError("there is no npm on the build's PATH", _INSTALL)
    return told


def check_engines(package: Package, told: Mapping[str, Any]) -> Machine:
    """Return the machine that *told* describes.

    Raises:
        BuildpackError: It does not satisfy engines.node, or a range of engines is none.
    """
    for name, fits in told["satisfied"].items():
        if fits is None:
            reason = f"package.json: engines.{name} is {package.engines[name]!r:.80}, no range of versions"
            raise BuildpackError(reason, 'write one as npm does, such as "20.x" or ">=18"')
    if told["satisfied"].get("node") is False:
        reason = (
            f"package.json: engines.node asks for {package.engines['node']}, this machine has Node.js {told['node']}"
        )
        raise BuildpackError(reason, "install a Node.js that it asks for, or change engines.node in package.json")
    return Machine(told["node"], told["abi"], told["path"], told["prefix"], told["headers"], told["npm"])


def install_manager(context: BuildContext, package: Package, manager: Manager, told: Mapping[str, Any]) -> Installed:
    """Return *manager* ready to run: npm as it is here, or another from the build cache, or else from the registry.

    Raises:
        BuildpackError: No version satisfies engines, or what came is not what packageManager says.
        CommandFailedError: The registry does not have it.
    """
    version = _wanted(context, package, manager, told)
    if manager.name == "npm" and version == told["npm"]:
        return Installed(manager, version)
    place = _place(context, manager.name, version)
    chosen = Manager(manager.name, manager.lockfile, version, manager.digest)
    if context.run(["test", "-d", place], check=False, show="no").status != 0:
        _download(context, chosen, place)
    return Installed(chosen, version, place / "bin")


def _wanted(context: BuildContext, package: Package, manager: Manager, told: Mapping[str, Any]) -> str:
    asked = package.engines.get(manager.name)
    if package.manager is not None:
        return package.manager.version
    if manager.name == "npm" and told["satisfied"].get("npm", True):
        return str(told["npm"])
    if asked is None:
        return manager.version
    best = told["best"]
    if best is None:
        context.say(f"       Resolving {manager.name} version {asked}...")
        env = manager.settings(context.cache_dir / "nodejs")
        argv = ["npm", "view", f"{manager.package}@{asked}", "version", "--json"]
        done = context.run(argv, env=env, check=False, capture=True, show="no")
        best = ask(context, package, manager, _versions(done.output))["best"]
    if best is None:
        fix = f"change engines.{manager.name} in package.json, or see that the npm registry can be reached"
        raise BuildpackError(f"package.json: engines.{manager.name} asks for {asked}, no such version was found", fix)
    return str(best)


def _versions(text: str) -> tuple[str, ...]:
    try:
        found = json.loads(text)
    except ValueError:
        return ()
    return tuple(str(version) for version in (found if isinstance(found, list) else [found]))


def _download(context: BuildContext, manager: Manager, place: Path) -> None:
    context.say(f"       Downloading and installing {manager.name} {manager.version}...")
    downloads = context.cache_dir / "nodejs/downloads"
    env = manager.settings(context.cache_dir / "nodejs")
    context.run(["mkdir", "-p", downloads])
    pack = ("npm", "pack", f"{manager.package}@{manager.version}", "--ignore-scripts", "--silent")
    context.run([*pack, "--pack-destination", downloads], env=env, show="no")
    if inside(context, "tool", downloads, place, manager.package, manager.digest) != 0:
        fix = f"take it from its own release page, or run corepack use {manager.name}@{manager.version}"
        reason = f"package.json: {manager.name}@{manager.version} is not what the digest in packageManager says"
        raise BuildpackError(reason, fix)


def run_with(
    context: BuildContext, tool: Installed, argv: Sequence[str], env: Mapping[str, str | Path], *, check: bool = True
) -> Completed:
    """Run *argv* with the commands of *tool* on PATH.

    Raises:
        CommandFailedError: *check*, and it failed.
    """
    return context.run(["bash", "-c", WITH_PATH, "bash", tool.commands or "", *argv], env=env, check=check)
