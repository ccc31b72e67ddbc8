"""The last resort: an app that needs no compiling, only its Procfile."""

from attrs import frozen

from .._tree import read_beneath
from ..procfile import parse_procfile
from ._contract import BuildContext, Detection, NotDetected, ReleaseDefaults


@frozen
class ProcfileBuildpack:
    """Take the tree as it is: scripts and binaries that a Procfile starts."""

    name: str = "procfile"

    def detect(self, context: BuildContext) -> Detection | NotDetected:
        """Claim an app whose Procfile declares something."""
        text = read_beneath(context.build_dir, "Procfile")
        if text is None:
            return NotDetected("no Procfile")
        if not parse_procfile(text.decode("utf-8", "replace")):
            return NotDetected("the Procfile declares no process type")
        return Detection("Procfile", "Procfile")

    def compile(self, context: BuildContext) -> None:
        """Leave the tree as it is."""
        context.say("-----> Nothing to compile: the Procfile says what to run")

    def release(self, context: BuildContext) -> ReleaseDefaults:  # noqa: ARG002 - the Protocol's shape
        """Add nothing to the Procfile."""
        return ReleaseDefaults()
