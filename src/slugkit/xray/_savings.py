"""What lines in a ``.slugignore`` would save, tried with the very rules that a build applies."""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import cast

from attrs import frozen

from ..archive import SurveyedFile
from ..slugignore import Tree, ignored, patterns
from ._weights import NOTHING, ROOT, Weight, part_of, weight

_SMALLEST = 2**10  # bytes; a line that saves less is not worth its reading

# Lines that take nothing a running app could want. Those that begin with a slash are of the app's own top level, and
# are left out when a process type names them.
_VERSION_CONTROL = (".git", ".hg", ".svn", ".bzr")
_CACHES = (
    *(".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".tox", ".nox", ".nyc_output", ".parcel-cache"),
    *(".sass-cache", ".turbo", ".npm", ".yarn-cache", "/tmp/cache"),  # noqa: S108 - of the app
)
_DESKTOP = (".DS_Store", "Thumbs.db", ".idea", ".vscode")
_MEDIA = ("*.psd", "*.psb", "*.ai", "*.sketch", "*.xcf", "*.blend", "*.fig")
_TESTS = ("/test", "/tests", "/spec", "/__tests__", "/e2e", "/cypress", "/coverage", "/htmlcov")
_DOCUMENTATION = ("/doc", "/docs")
_LINES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("version control", _VERSION_CONTROL),
    ("cache", _CACHES),
    ("bytecode", ("__pycache__",)),
    ("desktop", _DESKTOP),
    ("source of media", _MEDIA),
    ("tests", _TESTS),
    ("documentation", _DOCUMENTATION),
)


@frozen
class Suggestion:
    """A line for the app's ``.slugignore``, what it takes out, and how much that is."""

    line: str
    reason: str
    weight: Weight


@frozen
class Savings:
    """The lines that would make a slug smaller, and what they would save together."""

    suggestions: tuple[Suggestion, ...] = ()
    weight: Weight = NOTHING


def savings(
    files: Sequence[SurveyedFile], commands: Iterable[str], stale: Iterable[str], slugignore: str = ""
) -> Savings:
    """Return what the app could leave out: only what came with its source, and nothing its *commands* name.

    *stale* is the bytecode of no use: valid one is worth its bytes. What is there in spite of a line of its
    *slugignore* was made by the build.
    """
    own = {file.path: weight(file) for file in files if file.path and part_of(file.path) == ROOT}
    tree, words = _tree(files, own), set(re.findall(r"\w+", " ".join(commands)))
    known = set(patterns(slugignore))
    names = {name for path in own for name in path.split("/")}
    bytecode = any(part_of(path) == ROOT for path in stale)
    found = [
        Suggestion(line, reason, saved)
        for reason, lines in _LINES
        for line in lines
        if line not in known
        and _may_hit(line, tree, names)
        and not (line.startswith("/") and line[1:] in words)
        and (bytecode or reason != "bytecode")
        and not (reason == "documentation" and _is_package(tree, line[1:]))
        and (saved := _taken(line, tree, own)).size >= _SMALLEST
    ]
    found.sort(key=lambda one: (-one.weight.packed, one.line))
    return Savings(tuple(found), _taken("\n".join(one.line for one in found), tree, own))


def _may_hit(line: str, tree: Tree, names: set[str]) -> bool:
    """Return whether it is worth trying *line*: matching reads the whole tree."""
    if line.startswith("/"):
        return line[1:].partition("/")[0] in tree
    return any(name.endswith(line[1:]) for name in names) if line.startswith("*") else line in names


def _is_package(tree: Tree, name: str) -> bool:
    """Return whether the directory *name* is code for all its name says."""
    return "__init__.py" in (tree.get(name) or {})


def _tree(files: Iterable[SurveyedFile], own: Container[str]) -> Tree:
    """Return those of *files* that are the app's *own* as the tree that ``.slugignore`` is matched against."""
    root: dict[str, Tree | None] = {}
    for file in files:
        if file.path not in own:
            continue
        *parents, name = file.path.split("/")
        here = root
        for above in parents:
            here = cast("dict[str, Tree | None]", here.get(above) or here.setdefault(above, {}))
        here.setdefault(name, {} if file.kind == "dir" else None)
    return root


def _taken(text: str, tree: Tree, own: Mapping[str, Weight]) -> Weight:
    """Return how much of *own* the ``.slugignore`` *text* takes."""
    gone = set(ignored(text, tree).paths)
    return sum((size for path, size in own.items() if _within(path, gone)), start=NOTHING)


def _within(path: str, gone: set[str]) -> bool:
    while path:
        if path in gone:
            return True
        path = path.rpartition("/")[0]
    return False
