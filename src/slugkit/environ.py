"""Environments, composed purely: nothing of the host comes in unless it is named."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from .errors import InvalidConfigVarError, InvalidSettingError

#: Host variables that name certificate files and directories; builds are shown those.
TRUST_ENV: tuple[str, ...] = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NIX_SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PIP_CERT",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
)
#: Host variables that builds may see: how to reach the package registries (TLS trust and proxies), nothing else.
HOST_ENV: tuple[str, ...] = (
    *TRUST_ENV,
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
)

#: PATH of detect and compile, of test-compile and test, and of a dyno, which are shorter (contract.md 2.4 and 4.2).
BUILD_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CI_PATH = "/usr/local/bin:/usr/bin:/bin:/app/.sprettur/bin/"
DYNO_PATH = "/usr/local/bin:/usr/bin:/bin"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LARGEST_VALUE = 128 * 1024  # MAX_ARG_STRLEN: exec fails with E2BIG from there on
_UNSAFE_IN_BUILDS = re.compile(r"PATH|LD_.*|BASH_ENV|ENV|IFS|GIT_.*|PYTHONHOME|BASH_FUNC_.*")


def compose_env(*layers: Mapping[str, str]) -> dict[str, str]:
    """Merge environment *layers*, later ones winning.

    >>> compose_env({"PORT": "5000"}, {"PORT": "8080", "RACK_ENV": "production"})
    {'PORT': '8080', 'RACK_ENV': 'production'}
    """
    return {name: value for layer in layers for name, value in layer.items()}


def check_config_vars(config_vars: Mapping[str, str]) -> dict[str, str]:
    """Return *config_vars* as a dict of its own, or refuse them: they become file names and variables.

    Raises:
        InvalidConfigVarError: A name that is none, a NUL, or a value of 128 KiB or more (security.md 6).
    """
    for name, value in config_vars.items():
        if not _NAME.fullmatch(name):
            raise InvalidConfigVarError(name, "not a name")
        if not isinstance(value, str):
            raise InvalidConfigVarError(name, f"the value is {type(value).__name__}, not text")
        if "\0" in value:
            raise InvalidConfigVarError(name, "the value holds a NUL")
        size = len(name) + len("=") + _size(name, value)
        if size >= _LARGEST_VALUE:
            raise InvalidConfigVarError(name, f"the value is too long ({size} bytes)")
    return dict(config_vars)


def _size(name: str, value: str) -> int:
    try:
        return len(value.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        raise InvalidConfigVarError(name, "the value is not text") from None


def for_build(config_vars: Mapping[str, str]) -> dict[str, str]:
    """Return those *config_vars* that may enter a build command's environment (security.md 6).

    >>> for_build({"DATABASE_URL": "postgres://", "LD_PRELOAD": "x.so", "PATH": "/evil"})
    {'DATABASE_URL': 'postgres://'}
    """
    return {n: v for n, v in config_vars.items() if not _UNSAFE_IN_BUILDS.fullmatch(n)}


def pick(environ: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Return the variables of *environ* that *names* lists and that are there.

    >>> pick({"HOME": "/root", "https_proxy": "http://proxy:3128"}, HOST_ENV)
    {'https_proxy': 'http://proxy:3128'}
    """
    return {name: environ[name] for name in names if name in environ}


def parse_env_file(text: str) -> dict[str, str]:
    """Return the ``NAME=value`` lines of *text*; blank lines and ``#`` comments are skipped, quotes are kept.

    Raises:
        InvalidConfigVarError: A line without ``=``.
    """
    found = {}
    for number, line in enumerate(text.split("\n"), start=1):
        name, equals, value = line.strip().partition("=")
        if (not name and not equals) or name.startswith("#"):
            continue
        if not equals or not _NAME.fullmatch(name):  # it may be the rest of a secret: never show it
            raise InvalidConfigVarError(f"line {number}", "expected NAME=value, on one line")
        found[name] = value
    return check_config_vars(found)


def parse_assignments(assignments: Iterable[str]) -> dict[str, str]:
    """Return ``NAME=value`` strings as a dict, split at the first ``=`` (contract.md 7).

    Raises:
        InvalidConfigVarError: One without ``=``, or that `check_config_vars` refuses.
    """
    found = {}
    for number, assignment in enumerate(assignments, start=1):
        name, equals, value = assignment.partition("=")
        if not equals or not _NAME.fullmatch(name):  # it may be a secret: never show it
            raise InvalidConfigVarError(f"number {number}", "expected NAME=value")
        found[name] = value
    return check_config_vars(found)


def user_cache(environ: Mapping[str, str]) -> Path:
    """Return slugkit's directory below the user's cache directory (XDG base directories).

    Raises:
        InvalidSettingError: The user has no home directory.
    """
    base = environ.get("XDG_CACHE_HOME", "")
    if base.startswith("/"):
        return Path(base, "slugkit")
    try:
        return Path.home() / ".cache/slugkit"
    except RuntimeError:
        raise InvalidSettingError("cache directory", "there is no home directory, set XDG_CACHE_HOME") from None
