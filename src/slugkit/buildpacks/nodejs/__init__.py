"""The Node.js buildpack: the machine's Node.js, the manager that the lockfile names, scripts in Heroku's order."""

from collections.abc import Mapping
from contextlib import suppress

from attrs import frozen

from ..._tree import read_beneath
from ...command import Completed
from ...errors import BuildpackError
from .._contract import BuildContext, Detection, NotDetected, ReleaseDefaults
from ._compile import DEFAULTS, HEAP, IN_TESTS, build_env, compile_app
from ._machine import WITH_PATH, commands, interpreter, noted
from ._managers import choose_manager
from ._package import ENGINES, read_package

_EXPORT = 'printf %s "${1:+$1:}$PATH:$2"'
_LONGEST_FACT = 200  # characters (contract.md 2.9)


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
        compile_app(context, DEFAULTS)

    def export(self, context: BuildContext) -> Mapping[str, str | None]:
        """Return what lets later packs run the modules' commands and the app's package manager (contract.md 8.4)."""
        argv = ("bash", "-c", _EXPORT, "bash", commands(context) or "", context.build_dir / "node_modules/.bin")
        path = context.run(argv, capture=True, show="no").output
        home = noted(context).get("node", "").removesuffix("/bin/node")
        return {"PATH": path, **HEAP, **({"NODE_HOME": home} if home else {})}

    def release(self, context: BuildContext) -> ReleaseDefaults:
        """Start the app by ``npm start``, and name the Node.js that the slug needs of its host."""
        return ReleaseDefaults({"web": "npm start"}, interpreter=interpreter(context))

    def report(self, context: BuildContext) -> Mapping[str, str | int | float | bool]:
        """Return what is known of the compile, also after a failure: names and values as Heroku's pack has them.

        ``package_manager``, ``lock_file``, what engines asks for (``node_version_request``, ...), ``node_version``,
        ``npm_version`` and that of the app's manager, ``cache_status`` (disabled, not-found, new-signature, valid).
        """
        facts: dict[str, str | int | float | bool] = {}
        with suppress(BuildpackError):
            package = read_package(context.build_dir)
            asked = {name: package.engines[name] for name in ENGINES if name in package.engines}
            facts.update({f"{name}_version_request": text[:_LONGEST_FACT] for name, text in asked.items()})
            manager = choose_manager(context.build_dir, package)
            facts.update(package_manager=manager.name, lock_file=manager.lockfile is not None)
        return facts | {name: text for name, text in noted(context).items() if name != "node"}

    def test_compile(self, context: BuildContext) -> None:
        """Compile with NODE_ENV=test, which leaves devDependencies in."""
        compile_app(context, IN_TESTS)

    def test(self, context: BuildContext) -> Completed | None:
        """Run ``npm test``, if package.json has such a script, with the app's package manager on PATH."""
        if "test" not in read_package(context.build_dir).scripts:
            return None
        argv = ("bash", "-c", WITH_PATH, "bash", commands(context) or "", "npm", "test")
        return context.run(argv, env=build_env(context, IN_TESTS), check=False, show="raw")
