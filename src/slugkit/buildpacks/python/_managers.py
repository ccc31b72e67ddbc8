"""Which package manager an app uses: exactly one, told by the file that it keeps (contract.md 8.3)."""

from pathlib import Path

from attrs import frozen

from ..._tree import read_beneath
from ...errors import BuildpackError
from ._detect import MISSPELLED

_ONE = "requirements.txt (pip), uv.lock (uv), poetry.lock (Poetry) or Pipfile.lock (Pipenv)"


@frozen
class Manager:
    """A package manager, and the file of the app that it installs from."""

    name: str
    file: str

    def __str__(self) -> str:
        """Name the file, then the manager."""
        return f"{self.file} ({self.name})"


#: In the order in which several of them are told.
MANAGERS = (
    Manager("Pipenv", "Pipfile.lock"),
    Manager("pip", "requirements.txt"),
    Manager("Poetry", "poetry.lock"),
    Manager("uv", "uv.lock"),
)
#: What pip-tools compiles to a list of pins; asked for when there is nothing else.
LOOSE = Manager("pip", "requirements.in")


def choose_manager(root: Path) -> Manager:
    """Return the one package manager of the app in *root*.

    Raises:
        BuildpackError: There are several, or none; or a Pipfile without its lock.
    """
    found = [manager for manager in MANAGERS if _has(root, manager.file)]
    if _has(root, "Pipfile") and not _has(root, "Pipfile.lock"):
        raise BuildpackError("there is a Pipfile and no Pipfile.lock", "run `pipenv lock` and check in Pipfile.lock")
    if len(found) > 1:
        reason = f"the app has the files of several package managers: {', '.join(map(str, found))}"
        raise BuildpackError(reason, "keep the file of the one that you use, and remove the others")
    if not found and _has(root, LOOSE.file):
        return LOOSE
    if not found:
        raise _none(root)
    return found[0]


def _none(root: Path) -> BuildpackError:
    """Return the error for an app whose packages nothing lists: as near to what it has as can be told."""
    files = (*(manager.file for manager in MANAGERS), LOOSE.file)
    link = next((name for name in files if (root / name).is_symlink()), None)
    if link:
        return BuildpackError(f"{link} is a link, and none is followed", f"check in the file itself as {link}")
    misspelled = next((name for name in MISSPELLED if _has(root, name)), None)
    if misspelled:
        return BuildpackError(f"there is a {misspelled} and no requirements.txt", "rename it to requirements.txt")
    if _has(root, "pdm.lock"):
        fix = "run `pdm export -o requirements.txt` and check in requirements.txt"
        return BuildpackError("pdm.lock (PDM) is not supported", fix)
    if _has(root, "setup.py"):
        fix = "check in a requirements.txt with one line, `.`, which installs the package that setup.py describes"
        return BuildpackError("there is a setup.py and no list of packages", fix)
    if _has(root, "pyproject.toml"):
        fix = "run `uv lock` or `poetry lock` and check in the lock file; or list the packages in requirements.txt"
        return BuildpackError("there is a pyproject.toml and no lock file", fix)
    fix = f"check in {_ONE}; an empty requirements.txt will do"
    return BuildpackError("nothing says which packages the app needs", fix)


def _has(root: Path, name: str) -> bool:
    return read_beneath(root, name, 1) is not None
