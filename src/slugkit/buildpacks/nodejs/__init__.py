"""The Node.js buildpack: the machine's Node.js, the manager that the lockfile names, scripts in Heroku's order."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from ..._tree import read_beneath
from ..._version import __version__
from ...command import Completed
from ...environ import for_build
from ...errors import BuildpackError, CommandFailedError
from ...procfile import parse_procfile
from .._contract import BuildContext, Detection, NotDetected, ReleaseDefaults
from ._machine import Installed, Machine, ask, check_engines, inside, install_manager, run_with
from ._managers import SETTINGS, choose_manager, keeps_dev_dependencies
from ._package import Package, read_package

_DEFAULTS = {
    "NPM_CONFIG_LOGLEVEL": "error",
    "NODE_VERBOSE": "false",
    "NODE_ENV": "production",
    "NODE_MODULES_CACHE": "true",
}
_IN_TESTS = {**_DEFAULTS, "NODE_ENV": "test"}
_TEST = 'for found in "$1"/*/*/bin; do PATH="$found:$PATH"; done; exec npm test'
_HEAP = {"NODE_OPTIONS": "--max_old_space_size=2560"}
# Of config vars, what no build command is given besides those that `for_build` leaves out (contract.md 2.4).
_NOT_FOR_BUILDS = {"BUILD_DIR", "CPATH", "CPPATH", "LANG", "LIBRARY_PATH", "PREFIX"}
_MANAGERS_OWN = ("npm_config_", "pnpm_", "yarn_")
_LARGEST = 2**26  # bytes of a lockfile
_PROFILE = Path(__file__).parent / "profile.d"


@frozen
class NodejsBuildpack:
    """Install what package.json and its lockfile list, and run the scripts that build the app.

    Node.js itself is the machine's: the manifest says where it is.
    """

    name: str = "nodejs"

    def detect(self, context: BuildContext) -> Detection | NotDetected:
        """Claim an app with a package.json in its root (contract.md 8.2)."""
        if read_beneath(context.build_dir, "package.json", 1) is not None:
            return Detection("Node.js", "package.json")
        for name in (".slugignore", ".gitignore"):
            lines = (read_beneath(context.build_dir, name) or b"").decode("utf-8", "replace").split("\n")
            if "package.json" in (line.strip() for line in lines):
                return NotDetected(f"package.json is listed in {name}: remove that line")
        return NotDetected("no package.json")

    def compile(self, context: BuildContext) -> None:
        """Make ``node_modules`` and ``.profile.d``; unchanged modules come from the cache."""
        self._compile(context, _DEFAULTS)

    def test_compile(self, context: BuildContext) -> None:
        """Compile with NODE_ENV=test, which leaves devDependencies in."""
        self._compile(context, _IN_TESTS)

    def test(self, context: BuildContext) -> Completed | None:
        """Run ``npm test``, if package.json has such a script, with the app's package manager on PATH."""
        if "test" not in read_package(context.build_dir).scripts:
            return None
        argv: tuple[str | Path, ...] = ("bash", "-c", _TEST, "bash", context.cache_dir / "nodejs/tools")
        return context.run(argv, env=_build_env(context.config_vars, _IN_TESTS), check=False, show="raw")

    def _compile(self, context: BuildContext, defaults: Mapping[str, str]) -> None:
        package = read_package(context.build_dir)
        manager = choose_manager(context.build_dir, package)
        _check_tree(context)
        env = _build_env(context.config_vars, defaults)
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
        _Compile(context, package, machine, tool, env).run()

    def release(self, context: BuildContext) -> ReleaseDefaults:
        """Start the app by ``npm start``, and name the Node.js that the slug needs of its host."""
        return ReleaseDefaults({"web": "npm start"}, interpreter=interpreter(context))


def interpreter(context: BuildContext) -> str | None:
    """Return the prefix of the machine's Node.js; None for one that is none of the stack's, such as another pack's."""
    argv = ["node", "-p", "path.dirname(path.dirname(process.execPath))"]
    prefix = context.run(argv, capture=True, show="no").output.strip()
    return prefix if Path(prefix).is_relative_to("/usr") else None


@frozen
class _Compile:
    """One compile, step by step; ``env`` is what the app's scripts see."""

    context: BuildContext
    package: Package
    machine: Machine
    tool: Installed
    env: Mapping[str, str] = field(repr=False)

    def run(self) -> None:
        self._script("heroku-prebuild", "Prebuild")
        key = self._key()
        restored = key is not None and inside(self.context, "restore", self._cached, key, self._how) == 0
        if restored:
            self._say("-----> Restoring cache: package.json and its lockfile are unchanged")
        else:
            self._install()
        if not self._script("heroku-postbuild", "Build"):
            self._script("build", "Build")
        if key is not None and not restored:
            self._say("-----> Caching build")
            inside(self.context, "save", self._cached, key, self._how)
        self._prune()
        self._script("heroku-cleanup", "Cleanup")
        inside(self.context, "finish", _PROFILE, self.context.cache_dir / "nodejs")
        self._warn()

    def _install(self) -> None:
        manager = self.tool.manager
        self._say(f"-----> Installing dependencies with {manager.name}")
        if manager.lockfile is None:
            self._say(" !     There is no lockfile: versions may differ from build to build")
            self._say(f"       Run {manager.name} install and commit what it writes")
        inside(self.context, "clear")
        try:
            self._run(manager.install)
        except CommandFailedError as error:
            if any("gyp ERR!" in line for line in error.last_lines):
                fix = "apt-get install g++ make python3 libnode-dev, or choose a version with prebuilt binaries"
                raise BuildpackError("a native module could not be compiled by node-gyp, see above", fix) from error
            raise

    def _prune(self) -> None:
        self._say("-----> Pruning devDependencies")
        if self._is_pruned:
            self._run(self.tool.manager.prune)
        else:
            self._say(f"       Skipping: {keeps_dev_dependencies(self.env) or 'there are none'}")

    @property
    def _is_pruned(self) -> bool:
        return self.package.has_dev_dependencies and keeps_dev_dependencies(self.env) is None

    @property
    def _how(self) -> str:
        """How modules get into the cache and out of it: what may be edited afterwards is copied."""
        scripts = ("heroku-postbuild", "build", "heroku-cleanup")
        return "copy" if self._is_pruned or any(name in self.package.scripts for name in scripts) else "link"

    def _script(self, name: str, title: str) -> bool:
        """Run the app's script *name*, if it has one, and return whether it has."""
        if not self.package.scripts.get(name):
            return False
        self._say(f"-----> {title}")
        self._say(f"       Running {name}")
        self._run(("npm", "run", name))
        return True

    def _run(self, argv: tuple[str, ...]) -> None:
        settings = self.tool.manager.settings(self.context.cache_dir / "nodejs")
        headers = {"npm_config_nodedir": self.machine.prefix} if self.machine.has_headers else {}
        run_with(self.context, self.tool, argv, {**headers, **self.env, **settings})

    def _warn(self) -> None:
        """Tell of what will not work at run time."""
        raw = read_beneath(self.context.build_dir, "Procfile") or b""
        procfile = parse_procfile(raw.decode("utf-8", "replace"))
        for process_type, command in procfile.items():
            if command.split()[:1] in (["yarn"], ["pnpm"]):
                manager = command.split()[0]
                self._say(f" !     Procfile: {process_type} starts {manager}, which is not in the slug: use npm run")
        root = self.context.build_dir
        if "web" not in procfile and "start" not in self.package.scripts and read_beneath(root, "server.js", 1) is None:
            self._say(" !     Nothing says how the app is started: add a Procfile, or a start script to package.json")

    def _say(self, text: str) -> None:
        self.context.say(text)

    @property
    def _cached(self) -> Path:
        return self.context.cache_dir / "nodejs" / "modules"

    def _key(self) -> str | None:
        """Return what the modules depend on, as one digest; None when that includes other files of the app."""
        root, manager = self.context.build_dir, self.tool.manager
        package = read_package(root)  # again: heroku-prebuild may have written it
        own_gyp = read_beneath(root, "binding.gyp", 1) is not None
        workspaces = b"packages:" in (read_beneath(root, "pnpm-workspace.yaml") or b"")
        cached = self.env["NODE_MODULES_CACHE"] == "true" and manager.lockfile is not None
        if not cached or package.own_files or own_gyp or workspaces:
            return None
        files = ("package.json", manager.lockfile or "", *SETTINGS)
        contents = ((read_beneath(root, name, _LARGEST) or b"").decode("utf-8", "replace") for name in files)
        own = {n: v for n, v in self.env.items() if n.lower().startswith(_MANAGERS_OWN)}
        machine = (self.machine.node, self.machine.abi, self.tool.manager.name, self.tool.version)
        parts = json.dumps([__version__, machine, own, self.env["NODE_ENV"], list(contents)], sort_keys=True)
        return hashlib.sha256(parts.encode()).hexdigest()


def _build_env(config_vars: Mapping[str, str], defaults: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the app's scripts: the *defaults*, overlaid by the config vars."""
    given = {n: v for n, v in for_build(config_vars).items() if n not in _NOT_FOR_BUILDS}
    return {**defaults, **_HEAP, "SOURCE_DATE_EPOCH": "315532800", **given}


def _check_tree(context: BuildContext) -> None:
    """Refuse a link where this pack is about to write, and say that the source's own modules are not used."""
    for name in (".profile.d", "node_modules", ".yarn"):
        if (context.build_dir / name).is_symlink():
            raise BuildpackError(f"the source has a link at {name}", "remove it, or name it in .slugignore")
    if (context.build_dir / "node_modules").is_dir():
        context.say(" !     node_modules of the source is not used: name it in .slugignore")
        inside(context, "clear")
