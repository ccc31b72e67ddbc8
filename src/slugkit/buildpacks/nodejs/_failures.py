"""What package managers print when an install fails, as an error that names the file and the fix. Pure."""

import re

from ...command import Completed
from ...errors import BuildpackError
from ._managers import Manager

_STALE = re.compile(
    r"can only install packages when your package\.json|lockfile needs to be updated"
    r"|lockfile would have been modified|ERR_PNPM_OUTDATED_LOCKFILE"
)
_UNREADABLE = re.compile(
    r"can only install with an existing package-lock|Unknown token: |Invalid value type \d|ERR_PNPM_BROKEN_LOCKFILE"
)
_LACKS = re.compile(r"Missing: (\S+) from lock file|dependencies were added: (\S+)")
_UNREACHED = re.compile(r"\b(?:ECONNREFUSED|ECONNRESET|EAI_AGAIN|ENETUNREACH|ENOTFOUND|ETIMEDOUT)\b")
_HOST = re.compile(rf"https?://(?:[^/\s@]*@)?([^/\s:\"]+)[^\n]*{_UNREACHED.pattern}")
_NOISE = re.compile(r"^(npm (error|ERR!)|error|info)?\s*(Log files were not|A complete log|Visit |$)")
_MOST_LINES = 5


def install_error(manager: Manager, done: Completed) -> BuildpackError:
    """Return the error for an install that has failed.

    >>> from slugkit.command import Completed
    >>> print(install_error(Manager("yarn", "yarn.lock"), Completed(1, "error Your lockfile needs to be updated")))
    yarn.lock is not that of package.json
    """
    said = done.output
    if _STALE.search(said):
        lacks = _LACKS.search(said)
        what = f": {lacks[1] or lacks[2]} is missing" if lacks else ""
        fix = f"run {manager.name} install, and commit the {manager.lockfile} that it writes"
        return BuildpackError(f"{manager.lockfile} is not that of package.json{what}", fix)
    if manager.lockfile and _UNREADABLE.search(said):
        fix = f"resolve its conflicts, or run {manager.name} install, and commit the {manager.lockfile} that it writes"
        return BuildpackError(f"{manager.name} cannot read {manager.lockfile}", fix)
    if "gyp ERR!" in said:
        fix = "apt-get install g++ make python3 libnode-dev, or choose a version with prebuilt binaries"
        return BuildpackError("a native module could not be compiled by node-gyp, see above", fix)
    if found := _UNREACHED.search(said):
        fix = "build where it can be reached, or name a proxy in HTTPS_PROXY"
        host = _HOST.search(said)
        return BuildpackError(
            f"package.json: {host[1] if host else 'the registry'} cannot be reached ({found[0]})", fix
        )
    last = [line.strip() for line in said.splitlines() if not _NOISE.match(line.strip())]
    text = "\n  ".join([f"package.json: {' '.join(manager.install[:2])} failed", *last[-_MOST_LINES:]])
    return BuildpackError(text, f"see what {manager.name} says")
