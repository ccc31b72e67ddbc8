"""What an inventory is made of: packages, and the files that tell of them."""

import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Self

from attrs import frozen

Ecosystem = Literal["pypi", "npm", "gem"]
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.!+_~-]{0,127}")
_LONGEST_LICENSE = 100  # characters; some packages put the whole text where its name belongs


@frozen
class Package:
    """A package installed in a slug; ``location`` is its metadata's place in the app, ``paths`` its files there.

    ``location`` is ``.../x-1.0.dist-info``, ``.../node_modules/x`` or ``.../specifications/x-1.0.gemspec``. Names are
    normalised as the ecosystem does, so that one of ``dependencies`` is the ``name`` of another package (npm: of its
    directory). ``version`` is "" when nothing tells it.
    """

    ecosystem: Ecosystem
    name: str
    version: str
    location: str
    paths: tuple[str, ...]
    licenses: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()


@frozen
class Contents:
    """A slug's file paths, sorted, and the contents of those that are metadata."""

    paths: tuple[str, ...]
    known: frozenset[str]
    texts: Mapping[str, bytes]

    @classmethod
    def of(cls, paths: Iterable[str], texts: Mapping[str, bytes]) -> Self:
        """Return *paths* and *texts* ready to be asked."""
        known = frozenset(paths)
        return cls(tuple(sorted(known)), known, texts)

    def below(self, directory: str) -> tuple[str, ...]:
        """Return the files below *directory*."""
        after = chr(ord("/") + 1)
        start, end = bisect_left(self.paths, f"{directory}/"), bisect_left(self.paths, f"{directory}{after}")
        return self.paths[start:end]

    def text(self, path: str) -> str:
        """Return the text of the file *path*, "" when there is none."""
        return self.texts.get(path, b"").decode("utf-8", "replace")

    def json_object(self, path: str) -> dict[str, Any]:
        """Return the JSON object in the file *path*, an empty one when there is none."""
        return as_object(_json(self.text(path)))


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def as_object(value: object) -> dict[str, Any]:
    """Return *value* if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def version_or_none(text: object) -> str | None:
    """Return *text* if it is a version in some ecosystem's sense: short, ASCII, no control characters."""
    return text if isinstance(text, str) and _VERSION.fullmatch(text) else None


def licenses_in(texts: Iterable[object]) -> tuple[str, ...]:
    """Return those of *texts* that are a licence's name and not its text, in order, each once."""
    named = (text.strip() for text in texts if isinstance(text, str))
    return tuple(dict.fromkeys(text for text in named if 0 < len(text) <= _LONGEST_LICENSE and text.isprintable()))
