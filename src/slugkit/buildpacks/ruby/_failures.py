"""What Bundler prints when it fails, as an error that names the file and the fix. Pure."""

import re

from ...errors import BuildpackError

_GEM = re.compile(r"An error occurred while installing (\S+) \(([^)]+)\)")
_CAUSE = re.compile(
    r"^.*(?:fatal error: |is missing|can't find header files|not found\. |No such file).*$", re.MULTILINE
)
_NETWORK = re.compile(r"Could not (?:reach host|fetch specs from|resolve host) \S*[^\s.]|Network error [^\n]*")
_ABSENT = re.compile(r"Could not find (?:gem ')?([^\s']+)[^\n]*")
_CHANGED = re.compile(r"deployment mode after changing|frozen mode|lockfile can't be updated|frozen is set")
_MOST_LINES = 5


def install_error(output: str) -> BuildpackError:
    """Return the error for a ``bundle install`` that printed *output* and failed.

    >>> print(install_error("An error occurred while installing pg (1.5.4), and Bundler cannot continue."))
    Gemfile.lock: pg 1.5.4 cannot be installed
    """
    if gem := _GEM.search(output):
        cause = _CAUSE.search(output)
        why = f": {' '.join(cause[0].split())}" if cause else ""
        fix = "install what its build needs (Debian: ruby-dev, build-essential, the library's -dev package)"
        return BuildpackError(f"Gemfile.lock: {gem[1]} {gem[2]} cannot be installed{why}", fix)
    if _CHANGED.search(output):
        return BuildpackError(
            "Gemfile.lock is not that of the Gemfile", "run bundle install, and check in Gemfile.lock"
        )
    if network := _NETWORK.search(output):
        fix = "build where that can be reached, or run `bundle cache` and check in vendor/cache"
        return BuildpackError(f"Gemfile: {network[0]}", fix)
    if absent := _ABSENT.search(output):
        fix = "run `bundle cache` where there is a network, and check in vendor/cache"
        return BuildpackError(f"Gemfile.lock: {absent[1]} is in none of its sources, nor in vendor/cache", fix)
    said = [line.strip() for line in output.splitlines() if line.strip()]
    return BuildpackError("\n  ".join(["Gemfile: bundle install failed", *said[-_MOST_LINES:]]), "see Bundler's words")
