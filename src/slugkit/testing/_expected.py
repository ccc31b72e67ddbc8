"""Whether a build or a test run came out as a test expects."""

import re

from ..errors import (
    BuildpackFetchError,
    InvalidBuildpackError,
    InvalidConfigVarError,
    InvalidSettingError,
    OutputError,
    SandboxUnavailableError,
    SlugkitError,
    UnknownBuildpackError,
)

#: Failures that say nothing of the pack, which was never run: no test expects them.
NOT_THE_PACKS = (
    *(BuildpackFetchError, InvalidBuildpackError, UnknownBuildpackError),
    *(InvalidConfigVarError, InvalidSettingError, OutputError, SandboxUnavailableError),
)
_TAP = re.compile(r"^(not )?ok\b(?: +\d+)?(?: *-)? *(.*?) *(?:# *((?i:TODO|SKIP))\b.*)?$", re.MULTILINE)


def as_expected(error: SlugkitError | None, expected: bool | str) -> bool:  # noqa: FBT001 - what the caller was given
    """Return whether a build that ended with *error* did what its test expects: a failure, or one of that code."""
    if error is None:
        return expected is False
    return not isinstance(error, NOT_THE_PACKS) and expected in {True, error.code}


def parse_tap(output: str) -> tuple[tuple[bool, str], ...]:
    r"""Return the tests in *output* by the Test Anything Protocol (testanything.org): passed or not, and a description.

    >>> parse_tap("1..3\nok 1 - sums\nnot ok 2 - rounds # TODO\nnot ok 3\n")
    ((True, 'sums'), (True, 'rounds'), (False, ''))
    """
    return tuple((not match[1] or match[3] is not None, match[2]) for match in _TAP.finditer(output))
