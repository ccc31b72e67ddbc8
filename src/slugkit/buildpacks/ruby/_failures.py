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
_GIT = re.compile(r"Git error: command `git (?:clone|fetch) [^`]*?-- (\S+)")
_NO_GIT = "You need to install git"
_REVISION = re.compile(r"Revision (\S+) does not exist in the repository (\S+?)\.? ")
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
    if git := _git_error(output):
        return git
    if network := _NETWORK.search(output):
        fix = "build where that can be reached, or run `bundle cache` and check in vendor/cache"
        return BuildpackError(f"Gemfile: {network[0]}", fix)
    if absent := _ABSENT.search(output):
        fix = "run `bundle cache` where there is a network, and check in vendor/cache"
        return BuildpackError(f"Gemfile.lock: {absent[1]} is in none of its sources, nor in vendor/cache", fix)
    said = [line.strip() for line in output.splitlines() if line.strip()]
    return BuildpackError("\n  ".join(["Gemfile: bundle install failed", *said[-_MOST_LINES:]]), "see Bundler's words")


def _git_error(output: str) -> BuildpackError | None:
    """Return the error for a gem from a repository that cannot be had."""
    said = " ".join(output.split())  # Bundler breaks lines anywhere
    if missing := _REVISION.search(said):
        fix = "push it, or run bundle install with one that is pushed, and check in Gemfile.lock"
        return BuildpackError(f"Gemfile.lock: {missing[2]} has no revision {missing[1]}", fix)
    if _NO_GIT in said:
        return BuildpackError(
            "the Gemfile has gems from git, which is not on this machine", "Debian: apt-get install git"
        )
    if git := _GIT.search(said):
        is_here = git[1].startswith(("file:", "/"))
        why = (
            "a build sees no directory of this machine" if is_here else "build where git reaches it without a password"
        )
        fix = f"{why}; or run `bundle cache --all`, and check in vendor/cache"
        return BuildpackError(f"Gemfile: git cannot clone {git[1]}", fix)
    return None
