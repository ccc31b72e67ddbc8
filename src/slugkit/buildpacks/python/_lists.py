"""The lists of requirements that pip reads: their texts, and those that they include."""

import codecs
import os
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from ..._tree import read_beneath
from ...errors import BuildpackError

MOST_LISTS = 100
_LARGEST_LIST = 8 * 2**20  # bytes
_INCLUDED = re.compile(r"^[ \t]*(?:-r|-c|--requirement|--constraint)[ \t=]*(\S+)", re.MULTILINE)


def read_list(root: Path, name: str) -> str | None:
    """Return the text of the file *name* of an app, None when there is none; as pip, by its mark if it has one."""
    raw = read_beneath(root, name, _LARGEST_LIST)
    if raw is None:
        return None
    is_utf16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # PowerShell's `pip freeze >`
    return raw.decode("utf-16" if is_utf16 else "utf-8-sig", "replace")


def read_lists(root: Path, name: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return the list *name* and those that it includes, each once, by path: its text, and which ones it includes.

    What is not there, and what lies elsewhere, is left out.
    """
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    todo = [name]
    while todo and len(found) < MOST_LISTS:
        path = todo.pop()
        text = None if path in found or path.startswith(("..", "/")) else _list_at(root, path)
        if text is not None:
            here = os.path.dirname(path)  # noqa: PTH120 - relative
            included = dict.fromkeys(_INCLUDED.findall(text))
            paths = (os.path.normpath(os.path.join(here, one)) for one in included)  # noqa: PTH118 - relative
            found[path] = (text, tuple(paths))
            todo += found[path][1]
    return found


def check_lists(root: Path, name: str) -> None:
    """Refuse a list *name* of requirements that pip would only end in a traceback of.

    Raises:
        BuildpackError: It, or one that it includes, is no text; or one includes itself.
    """
    lists = read_lists(root, name)
    for path in lists:
        raw = read_beneath(root, path, _LARGEST_LIST) or b""
        marked = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        if not raw.startswith(marked) and b"coding" not in b"".join(raw.split(b"\n", 2)[:2]):
            try:
                raw.decode()
            except UnicodeDecodeError as error:
                line = raw.count(b"\n", 0, error.start) + 1
                raise BuildpackError(f"{path} is no UTF-8 text, in line {line}", f"save {path} as UTF-8") from error
    try:
        tuple(TopologicalSorter({path: included for path, (_, included) in lists.items()}).static_order())
    except CycleError as error:
        way = " -> ".join(reversed(error.args[1]))
        raise BuildpackError(f"{error.args[1][0]} includes itself: {way}", "remove that line") from error


def _list_at(root: Path, path: str) -> str | None:
    try:
        return read_list(root, path)
    except (OSError, ValueError):  # a name that no file can have
        return None
