"""Which trees are Python apps, and what a source may not bring along (contract.md 8.2)."""

import os
from pathlib import Path

from ..._tree import in_the_way, read_beneath
from ...errors import BuildpackError

#: What is left of a requirements file whose name was mistyped; each is an app of ours, with an error that says so.
MISSPELLED = (
    "requeriments.txt",
    "requirement.txt",
    "requirements",
    "requirements.text",
    "Requirements.txt",
    "requirements.txt.txt",
    "requirments.txt",
)
#: An app is Python when one of these is in its root, whatever it is; those that say most of it come first.
SIGNS = (
    *("requirements.txt", "uv.lock", "poetry.lock", "Pipfile.lock", "requirements.in", "Pipfile", "pyproject.toml"),
    *("setup.py", "setup.cfg", "pdm.lock", *MISSPELLED, "runtime.txt", ".python-version", "manage.py", "app.py"),
    *("main.py", "server.py", "__init__.py", "__pycache__", ".venv", "venv"),
)
REASON = "no requirements.txt, uv.lock, poetry.lock or Pipfile.lock"

_MADE_HERE = (".heroku/python", ".heroku/requirements.lock")
_IGNORE = "remove it from the source, or name it in .slugignore"


def sign_of_python(root: Path) -> str | None:
    """Return the first of `SIGNS` in *root*, None when there is none; nothing is read and no link is followed."""
    return next((name for name in SIGNS if os.path.lexists(root / name)), None)


def check_source(root: Path) -> None:
    """Refuse a source that already has what this pack is about to make, or a link or a file in its place.

    Raises:
        BuildpackError: It does, or it has a virtual environment of its own, which would be of no use in a slug.
    """
    for name in (".heroku", *_MADE_HERE, ".profile.d"):
        path = root / name
        if in_the_way(path) or (name in _MADE_HERE and path.exists()):
            raise BuildpackError(f"the source has its own {name}", _IGNORE)
    for name in (".venv", "venv"):
        if read_beneath(root, f"{name}/pyvenv.cfg", 1) is not None:
            reason = f"the source has a virtual environment of its own, {name}/, which works on the machine it is from"
            raise BuildpackError(reason, _IGNORE)
