"""Whether two texts hold the same things in another order, and which. Pure."""

import json
import re
from typing import Any

from ._values import Cause

_WORD = re.compile(rb"""[^\s,;:{}()\[\]'"<>]+""")


def another_order(one: bytes, other: bytes) -> Cause | None:
    """Return the cause when *one* and *other* differ in the order of their lines, their JSON or their words only."""
    mine, theirs = one.removesuffix(b"\n").split(b"\n"), other.removesuffix(b"\n").split(b"\n")
    if sorted(mine) == sorted(theirs):
        if _sorted_otherwise(mine, theirs) or _sorted_otherwise(theirs, mine):
            return Cause("locale-order", "the same lines, sorted by the rules of two locales")
        return Cause("order", "the same lines in another order")
    if _same_json(one, other):
        return Cause("order", "the same JSON, its members in another order")
    if b"\0" not in one and sorted(_WORD.findall(one)) == sorted(_WORD.findall(other)):
        return Cause("order", "the same words in another order")
    return None


def _sorted_otherwise(mine: list[bytes], theirs: list[bytes]) -> bool:
    """Return whether *mine* are sorted by their bytes and *theirs* as dictionaries are."""
    return mine == sorted(mine) and any(_is_sorted([key(line) for line in theirs]) for key in (bytes.lower, _letters))


def _letters(line: bytes) -> bytes:
    return re.sub(rb"[^0-9a-z\x80-\xff]", b"", line.lower())


def _is_sorted(keys: list[bytes]) -> bool:
    return keys == sorted(keys)


def _same_json(one: bytes, other: bytes) -> bool:
    if one[:1] not in {b"{", b"["} or other[:1] != one[:1]:
        return False
    try:
        return _canonical(json.loads(one)) == _canonical(json.loads(other))
    except (ValueError, RecursionError):  # no JSON, or made to be nested too deep
        return False


def _canonical(value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    match value:
        case dict():
            members = sorted(f"{json.dumps(name)}:{_canonical(one)}" for name, one in value.items())
            return f"{{{','.join(members)}}}"
        case list():
            return f"[{','.join(sorted(map(_canonical, value)))}]"
        case _:
            return json.dumps(value)
