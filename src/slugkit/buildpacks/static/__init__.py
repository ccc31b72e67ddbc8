"""The static buildpack: a directory with an index.html, served by express's serve-static on the machine's Node.js."""

import hashlib
import json
from pathlib import Path

from attrs import frozen

from ..._tree import in_the_way, read_beneath
from ..._version import __version__
from ...errors import BuildpackError
from .._contract import BuildContext, Detection, NotDetected, ReleaseDefaults
from ..nodejs._machine import Machine, ask, check_engines, inside, interpreter, note
from ..nodejs._managers import Manager
from ..nodejs._package import read_package

_PLACE = ".heroku/static"
_SERVER = Path(__file__).parent / "server"
_NPM = Manager("npm", "package-lock.json")


@frozen
class StaticBuildpack:
    """Put a small web server beside the files of a site; its packages are pinned by a lockfile of slugkit's own."""

    name: str = "static"

    def detect(self, context: BuildContext) -> Detection | NotDetected:
        """Claim an app with an index.html in its root; detection asks after every other buildpack."""
        if read_beneath(context.build_dir, "index.html", 1) is None:
            return NotDetected("no index.html")
        return Detection("Static", "index.html")

    def compile(self, context: BuildContext) -> None:
        """Make ``.heroku/static``; an unchanged server comes from the cache."""
        for name in (".heroku", _PLACE):
            if in_the_way(context.build_dir / name) or (name == _PLACE and (context.build_dir / name).exists()):
                raise BuildpackError(f"the source has its own {name}", "remove it, or name it in .slugignore")
        package = read_package(_SERVER)
        told = ask(context, package, _NPM)
        if told["satisfied"]["node"] is not True:
            reason = f"the static pack needs Node.js {package.engines['node']}, this machine has {told['node']}"
            raise BuildpackError(
                reason, "apt-get install nodejs npm of a newer release, or put one on the build's PATH"
            )
        machine = check_engines(package, told)
        note(context, node=machine.path)
        context.say(f"-----> Using Node.js {machine.node} of this machine")
        place = context.build_dir / _PLACE
        context.run(["mkdir", "-p", place])
        context.run(["cp", *(_SERVER / name for name in ("package.json", "package-lock.json", "server.cjs")), place])
        _install(context, machine, place)

    def release(self, context: BuildContext) -> ReleaseDefaults:
        """Start the server as ``web``, and name the Node.js that it needs of its host."""
        return ReleaseDefaults({"web": f"node {_PLACE}/server.cjs"}, interpreter=interpreter(context))


def _install(context: BuildContext, machine: Machine, place: Path) -> None:
    """Bring the server's packages into *place*, out of the cache if they are there."""
    lock = (_SERVER / "package-lock.json").read_text()
    parts = json.dumps([__version__, machine.node, machine.abi, machine.npm, lock])
    key = hashlib.sha256(parts.encode()).hexdigest()
    cached = context.cache_dir / "static"
    if inside(context, "restore", cached, key, "link", cwd=place) == 0:
        context.say("-----> Restoring the web server from the cache")
        return
    context.say("-----> Installing the web server (serve-static)")
    settings = _NPM.settings(context.cache_dir / "nodejs")
    context.run(["npm", "ci", "--omit=dev", "--ignore-scripts"], env=settings, cwd=place)
    inside(context, "save", cached, key, "link", cwd=place)
