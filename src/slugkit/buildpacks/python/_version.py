"""Which Python an app asks for, and where it says so (contract.md 8.3)."""

import json
import os
import re
from pathlib import Path
from typing import Any

from attrs import frozen

from ..._tree import read_beneath
from ...errors import BuildpackError
from ...logline import harmless

#: Names that somebody meant to be .python-version; each is an error, since nothing would read it.
MISSPELLED = (
    *(".Python-version", ".PYTHON-VERSION", ".python-version.txt", ".python-versions", ".python_version"),
    *(".python_version.txt", ".python.version", ".pythonversion", ".pythonversion.txt", ".python-verison"),
    *(".python-verson", ".phyton-version", ".pyhton-version", ".pyton-version", ".py-version"),
    *("python-version", "python-version.txt", "python_version", "python_version.txt", "pythonversion"),
)
OLDEST = (3, 11)
_ENDED = {
    (2, 7): "January 2020",
    (3, 6): "December 2021",
    (3, 7): "June 2023",
    (3, 8): "October 2024",
    (3, 9): "October 2025",
    (3, 10): "October 2026",
}
_VERSION = r"[0-9]{1,4}\.[0-9]{1,4}(\.[0-9]{1,4})?"  # no other script's digits, nor more than a number can have
_LONGEST_RANGE = 1000  # characters of requires-python
_HOW = "write the version alone on one line, such as 3.13 or 3.13.2: no prefix, quotes or wildcards"


@frozen
class Wanted:
    """The Python that an app asks for: ranges tried in order, the words for it, and where it says so.

    ``ranges`` are version specifiers as packages use them; the empty one takes whichever Python runs slugkit.
    """

    ranges: tuple[str, ...] = ("",)
    said: str = ""
    source: str = ""
    deprecated: bool = False


def wanted_version(root: Path, last: str | None = None) -> Wanted:
    """Return the Python that the app in *root* asks for; *last* is the ``N.N`` of its last build, if it had one.

    The first of runtime.txt, .python-version, Pipfile.lock and pyproject.toml that says anything counts; then what
    the last build had, then what runs slugkit.

    Raises:
        BuildpackError: One of them says what is no version, or one whose life has ended; or it has a misspelled name.
    """
    misspelled = next((name for name in MISSPELLED if os.path.lexists(root / name)), None)
    if misspelled:
        raise BuildpackError(f"there is a {misspelled}, which nothing reads", "rename it to .python-version")
    found = _runtime_txt(root) or _python_version(root) or _pipfile_lock(root) or _pyproject(root, last)
    if found is not None:
        return found
    if last is not None and re.fullmatch(r"[0-9]{1,4}\.[0-9]{1,4}", last):
        return Wanted((f"=={last}.*", ""), last, "the last build")
    return Wanted()


def _runtime_txt(root: Path) -> Wanted | None:
    text = _read(root, "runtime.txt")
    if text is None:
        return None
    match = re.fullmatch(f"python-({_VERSION})", text.strip())
    if not match:
        reason = f"runtime.txt names no version of Python: {_shown(text.strip())}"
        raise BuildpackError(reason, "remove it, and write the version alone, such as 3.13, to .python-version")
    return _exact(match[1], "runtime.txt", deprecated=True)


def _python_version(root: Path) -> Wanted | None:
    text = _read(root, ".python-version")
    if text is None:
        return None
    lines = [line for part in text.split("\n") if (line := part.strip()) and not line.startswith("#")]
    if not lines:
        raise BuildpackError(".python-version names no version", f"{_HOW}; or remove it")
    if len(lines) > 1:
        found = ", ".join(map(_shown, lines[:3]))
        raise BuildpackError(f".python-version has {len(lines)} versions, and there is one: {found}", _HOW)
    if not re.fullmatch(_VERSION, lines[0]):
        raise BuildpackError(f".python-version names no version of Python: {_shown(lines[0])}", _HOW)
    return _exact(lines[0], ".python-version")


def _pipfile_lock(root: Path) -> Wanted | None:
    text = _read(root, "Pipfile.lock")
    if text is None:
        return None
    fix = "run `pipenv lock` and check in Pipfile.lock"
    try:
        requires: Any = (json.loads(text).get("_meta") or {}).get("requires") or {}
        said = requires.get("python_full_version") or requires.get("python_version")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BuildpackError(f"cannot read Pipfile.lock: {type(error).__name__}: {error!s:.100}", fix) from error
    if said is None or said == "*":
        return None
    if not isinstance(said, str) or not re.fullmatch(_VERSION, said):
        reason = f"Pipfile.lock names no version of Python: {_shown(str(said))}"
        raise BuildpackError(reason, 'write python_version = "3.13" below [requires] of the Pipfile, and lock again')
    return _exact(said, "Pipfile.lock")


def _pyproject(root: Path, last: str | None) -> Wanted | None:
    """Return the range of ``requires-python``; within it, the last build's version is kept."""
    import tomli  # noqa: PLC0415 - both for apps that have such a file only
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415

    text = _read(root, "pyproject.toml")
    if text is None:
        return None
    try:
        project = tomli.loads(text).get("project", {})
        said = project.get("requires-python") if isinstance(project, dict) else None
        if not said:
            return None
        said = " ".join(said.split()) if isinstance(said, str) else said  # a text of several lines is one range
        usable = isinstance(said, str) and len(said) <= _LONGEST_RANGE and not re.search(r"[0-9]{10}", said)
        range_ = str(SpecifierSet(said if usable else "no text"))
    except (InvalidSpecifier, TypeError, AttributeError) as error:
        reason = f"pyproject.toml has no range of versions for requires-python: {_shown(str(said))}"
        raise BuildpackError(reason, 'write one such as requires-python = ">=3.11"') from error
    except (ValueError, RecursionError) as error:  # what is no TOML, and what Python cannot read of it
        raise BuildpackError(
            f"cannot read pyproject.toml: {error!s:.100}", "check it with `python -m tomllib`"
        ) from error
    same = (f"{range_},=={last}.*",) if last else ()
    return Wanted((*same, range_), said, "pyproject.toml")


def _exact(said: str, source: str, *, deprecated: bool = False) -> Wanted:
    major, minor, *patch = (int(part) for part in said.split("."))
    if (major, minor) < OLDEST:
        ended = _ENDED.get((major, minor))
        since = f", whose life ended in {ended}" if ended else ", whose life has ended"
        oldest = ".".join(map(str, OLDEST))
        raise BuildpackError(f"{source} asks for Python {harmless(said)}{since}", f"ask for {oldest} or newer")
    return Wanted((f"=={said}" if patch else f"=={said}.*",), said, source, deprecated)


def _read(root: Path, name: str) -> str | None:
    raw = read_beneath(root, name)
    return None if raw is None else raw.decode("utf-8", "replace").removeprefix("\ufeff")


def _shown(text: str) -> str:
    """Return *text* in quotes, short and with what is invisible spelled out."""
    return ascii(text if len(text) <= 60 else f"{text[:60]}...")  # noqa: PLR2004 - what fits beside the sentence
