"""One compile of a Node.js app, step by step, in Heroku's order (contract.md 8.4)."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import field, frozen

from ..._tree import in_the_way, read_beneath
from ..._version import __version__
from ...command import Completed
from ...environ import for_build
from ...errors import BuildpackError
from ...procfile import parse_procfile
from ...units import few
from .._contract import BuildContext
from ._failures import install_error
from ._machine import NOTES, Installed, Machine, ask, check_engines, inside, install_manager, note, run_with
from ._managers import SETTINGS, choose_manager, keeps_dev_dependencies, scripts_not_run
from ._package import Package, read_package

#: What scripts of the app have where no config var is, and what they have in tests.
DEFAULTS = {
    "NPM_CONFIG_LOGLEVEL": "error",
    "NODE_VERBOSE": "false",
    "NODE_ENV": "production",
    "NODE_MODULES_CACHE": "true",
}
IN_TESTS = {**DEFAULTS, "NODE_ENV": "test"}
HEAP = {"NODE_OPTIONS": "--max_old_space_size=2560"}
# Of config vars, what no build command is given besides those that `for_build` leaves out (contract.md 2.4).
_NOT_FOR_BUILDS = {"BUILD_DIR", "CPATH", "CPPATH", "LANG", "LIBRARY_PATH", "PREFIX"}
_LOOSE_INSTALL = ("npm", "install", "--no-save", "--include=dev")
_MANAGERS_OWN = ("npm_config_", "pnpm_", "yarn_")
_LARGEST = 2**26  # bytes of a lockfile
_PROFILE = Path(__file__).parent / "profile.d"


def compile_app(context: BuildContext, defaults: Mapping[str, str]) -> None:
    """Compile the app with the environment that *defaults* and config vars make.

    Raises:
        BuildpackError: What package.json, the lockfile or the machine is like stands in the way.
        CommandFailedError: A package manager or a script of the app failed.
    """
    package = read_package(context.build_dir)
    manager = choose_manager(context.build_dir, package)
    _check_tree(context)
    env = build_env(context, defaults)
    context.say("-----> Creating runtime environment")
    for name, value in defaults.items():
        context.say(f"       {name}={'(a config var)' if name in context.config_vars else value}")
    context.say("-----> Installing binaries")
    told = ask(context, package, manager)
    machine = check_engines(package, told)
    for name in ("node", manager.name):
        asked = package.engines.get(name, "unspecified")
        context.say(f"       engines.{name} (package.json):   {asked}")
    tool = install_manager(context, package, manager, told)
    context.say(f"       Using Node.js {machine.node} of this machine, and {tool.manager.name} {tool.version}")
    versions = {"npm_version": machine.npm, f"{tool.manager.name}_version": tool.version}
    note(context, node=machine.path, node_version=f"v{machine.node}", **versions)
    _Compile(context, package, machine, tool, env).run()


def build_env(context: BuildContext, defaults: Mapping[str, str]) -> dict[str, str | Path]:
    """Return the environment of the app's scripts: the *defaults*, overlaid by the config vars."""
    given = {n: v for n, v in for_build(context.config_vars).items() if n not in _NOT_FOR_BUILDS}
    tmp = {"TMPDIR": context.tmp}  # where nothing is mounted on /tmp, that is not writable
    return {**defaults, **HEAP, "SOURCE_DATE_EPOCH": "315532800", **given, **tmp}


def _check_tree(context: BuildContext) -> None:
    """Refuse what is in the way where this pack is to write, and say that the source's own modules are not used."""
    for name in (".profile.d", "node_modules", ".yarn"):
        path = context.build_dir / name
        if in_the_way(path):
            kind = "link" if path.is_symlink() else "file"
            raise BuildpackError(f"the source has a {kind} at {name}", "remove it, or name it in .slugignore")
    cache = context.cache_dir / "nodejs"
    if in_the_way(cache):
        context.run(["rm", "-f", cache])  # whatever a script has left there fails no later build
    if (context.build_dir / "node_modules").is_dir():
        context.say(" !     node_modules of the source is not used: name it in .slugignore")
        inside(context, "clear")


def _lists_members(root: Path) -> bool:
    """Return whether pnpm takes the app in *root* for a workspace."""
    return b"packages:" in (read_beneath(root, "pnpm-workspace.yaml") or b"")


@frozen
class _Compile:
    """The steps once it is known with what; ``env`` is what the app's scripts see."""

    context: BuildContext
    package: Package
    machine: Machine
    tool: Installed
    env: Mapping[str, str | Path] = field(repr=False)

    def run(self) -> None:
        own = [name for name in self.package.cache_directories if not name.startswith("node_modules/")]
        self._directories("bring", own)
        self._script("heroku-prebuild", "Prebuild")
        key = self._key()
        restored = self._modules(key)
        if names := scripts_not_run(self.context.build_dir):
            self.context.say(f" !     pnpm has not run the install scripts of {few(names)}")
            self.context.say("       Name those that have to run as pnpm.onlyBuiltDependencies in package.json")
        self._directories("bring", [name for name in self.package.cache_directories if name not in own])
        if not self._script("heroku-postbuild", "Build"):
            self._script("build", "Build", self.context.config_vars.get("NODE_BUILD_FLAGS", ""))
        if key is not None and not restored:
            self.context.say("-----> Caching build")
            inside(self.context, "save", self._cached("modules"), key, self._how)
        self._directories("keep", self.package.cache_directories)
        self._prune()
        self._script("heroku-cleanup", "Cleanup")
        inside(self.context, "finish", _PROFILE, self._cached())
        self._warn()

    def _modules(self, key: str | None) -> bool:
        """Make ``node_modules``, and return whether they came from the cache."""
        if key is None:
            note(self.context, cache_status="disabled")
        else:
            notes = self.context.tmp / NOTES
            if inside(self.context, "restore", self._cached("modules"), key, self._how, notes) == 0:
                self.context.say("-----> Restoring cache: package.json and its lockfile are unchanged")
                return True
        self._install()
        return False

    def _install(self) -> None:
        manager = self.tool.manager
        self.context.say(f"-----> Installing dependencies with {manager.name}")
        if manager.lockfile is None:
            self.context.say(" !     There is no lockfile: versions may differ from build to build")
            self.context.say(f"       Run {manager.name} install and commit what it writes")
        if self._is_loose:
            self.context.say(" !     USE_NPM_INSTALL: what package-lock.json lacks may differ from build to build")
        inside(self.context, "clear")
        done = self._run(_LOOSE_INSTALL if self._is_loose else manager.install, check=False)
        if done.status != 0:
            raise install_error(manager, done)

    def _directories(self, step: str, names: Sequence[str]) -> None:
        """Bring the directories *names* of package.json's cacheDirectories out of the cache, or keep them there."""
        if not names or self.env["NODE_MODULES_CACHE"] != "true":
            return
        heading, doing = ("Restoring cache", "Loading") if step == "bring" else ("Caching build", "Saving")
        self.context.say(f"-----> {heading}")
        self.context.say(f"       {doing} {len(names)} from cacheDirectories (package.json):")
        inside(self.context, step, self._cached("directories"), " ".join(self._versions), *names)

    def _prune(self) -> None:
        self.context.say("-----> Pruning devDependencies")
        if self._is_pruned:
            manager = self.tool.manager
            self._run(manager.prune_workspace if self._is_pnpm_workspace else manager.prune)
        else:
            self.context.say(f"       Skipping: {keeps_dev_dependencies(self.env) or 'there are none'}")

    def _script(self, name: str, title: str, flags: str = "") -> bool:
        """Run the app's script *name* with *flags*, one argument as on Heroku, if it has one; return whether it has."""
        if not self.package.scripts.get(name):
            return False
        self.context.say(f"-----> {title}")
        self.context.say(f"       Running {name}")
        if flags:
            self.context.say(f"       Running with {flags} flags")
        self._run(("npm", "run", name, *(("--", flags) if flags else ())))
        return True

    def _run(self, argv: tuple[str, ...], *, check: bool = True) -> Completed:
        settings = self.tool.manager.settings(self._cached())
        if self.tool.manager.is_berry and (checked_in := self.context.build_dir / ".yarn/cache").is_dir():
            settings |= {"YARN_CACHE_FOLDER": checked_in}  # which needs no network
        headers = {"npm_config_nodedir": self.machine.prefix} if self.machine.has_headers else {}
        return run_with(self.context, self.tool, argv, {**headers, **self.env, **settings}, check=check)

    def _warn(self) -> None:
        """Tell of what will not work at run time."""
        root, say = self.context.build_dir, self.context.say
        procfile = parse_procfile((read_beneath(root, "Procfile") or b"").decode("utf-8", "replace"))
        for process_type, command in procfile.items():
            if command.split()[:1] in (["yarn"], ["pnpm"]):
                manager = command.split()[0]
                say(f" !     Procfile: {process_type} starts {manager}, which is not in the slug: use npm run")
        starts = "start" in self.package.scripts or read_beneath(root, "server.js", 1) is not None
        if "web" not in procfile and not starts and not self._ruby_follows:
            say(" !     Nothing says how the app is started: add a Procfile, or a start script to package.json")

    @property
    def _ruby_follows(self) -> bool:
        """Whether this is the first half of ``-b nodejs -b ruby``, whose second half says how the app is started."""
        root = self.context.build_dir
        return read_beneath(root, "Gemfile", 1) is not None and read_beneath(root, ".profile.d/ruby.sh", 1) is None

    @property
    def _is_pruned(self) -> bool:
        has_any = self.package.has_dev_dependencies or self._is_pnpm_workspace  # a member may have some
        return has_any and keeps_dev_dependencies(self.env) is None

    @property
    def _is_loose(self) -> bool:
        """Whether npm is asked to go on with a lockfile that lacks something, as on Heroku."""
        manager = self.tool.manager
        return manager.name == "npm" and manager.lockfile is not None and self.env.get("USE_NPM_INSTALL") == "true"

    @property
    def _is_pnpm_workspace(self) -> bool:
        return self.tool.manager.name == "pnpm" and _lists_members(self.context.build_dir)

    @property
    def _how(self) -> str:
        """How modules get into the cache and out of it: what may be edited afterwards is copied."""
        scripts = ("heroku-postbuild", "build", "heroku-cleanup")
        return "copy" if self._is_pruned or any(name in self.package.scripts for name in scripts) else "link"

    def _cached(self, name: str = "") -> Path:
        return self.context.cache_dir / "nodejs" / name

    @property
    def _versions(self) -> tuple[str, ...]:
        return (self.machine.node, self.machine.abi, self.tool.manager.name, self.tool.version)

    def _key(self) -> str | None:
        """Return what the modules depend on, as one digest; None when that includes other files of the app."""
        root, manager = self.context.build_dir, self.tool.manager
        package = read_package(root)  # again: heroku-prebuild may have written it
        own_gyp = read_beneath(root, "binding.gyp", 1) is not None
        cached = self.env["NODE_MODULES_CACHE"] == "true" and manager.lockfile is not None
        if not cached or self._is_loose or package.own_files or own_gyp or _lists_members(root):
            return None
        files = ("package.json", manager.lockfile or "", *SETTINGS)
        contents = ((read_beneath(root, name, _LARGEST) or b"").decode("utf-8", "replace") for name in files)
        own = {n: v for n, v in self.env.items() if n.lower().startswith(_MANAGERS_OWN)}
        parts = json.dumps([__version__, self._versions, own, self.env["NODE_ENV"], list(contents)], sort_keys=True)
        return hashlib.sha256(parts.encode()).hexdigest()
