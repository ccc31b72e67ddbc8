"""``.slugignore``: which paths of a tree Heroku's compiler leaves out (contract.md 3.2), minus its three holes.

The patterns are Ruby globs, not gitignore's: anchored when they hold a slash, at any depth otherwise; wildcards do
not match dot-files nor enter dot-directories. The holes that are closed: nothing matches the root itself (``.*``,
``.``, a lone backslash), nothing is found through a symbolic link, nothing above the root is reached.
"""

import re
from collections.abc import Iterator, Mapping

from attrs import frozen

#: A directory tree: names to subtrees, or None for whatever is not a real directory.
Tree = Mapping[str, "Tree | None"]

_WILD = re.compile(r"[*?\[]|\\")
_MOST_ALTERNATIVES = 1024  # {a,b}{a,b}... doubles with each brace


@frozen
class Ignored:
    """What a ``.slugignore`` removes: paths without duplicates, parents first; ``count`` as Heroku prints it."""

    paths: tuple[str, ...]
    count: int


def ignored(text: str, tree: Tree) -> Ignored:
    """Return the paths of *tree* that the ``.slugignore`` *text* removes.

    A directory counts as one; patterns are applied one after the other, so what an earlier one removed does not
    count again.

    >>> ignored("*.psd /test", {"a.psd": None, "test": {"x": None}, "lib": {"test": None}}).paths
    ('a.psd', 'test')
    """
    removed: set[tuple[str, ...]] = set()
    count = 0
    for token in patterns(text):
        hits = {hit for hit in _hits(token, tree) if not _covered(hit, removed)}
        count += len(hits)
        removed |= hits
    tops = sorted(hit for hit in removed if not _covered(hit[:-1], removed))
    return Ignored(tuple("/".join(hit) for hit in tops), count)


def patterns(text: str) -> Iterator[str]:
    """Yield the patterns of *text*: it is split at any blank, and each token cut at its first ``#``."""
    for token in text.split():
        pattern = token.partition("#")[0]
        if pattern:
            yield pattern


def _covered(path: tuple[str, ...], removed: set[tuple[str, ...]]) -> bool:
    return any(path[:length] in removed for length in range(1, len(path) + 1))


def _hits(token: str, tree: Tree) -> Iterator[tuple[str, ...]]:
    for alternative in _braces(token):
        parts = [part for part in alternative.split("/") if part not in {"", "."}]
        directory = alternative.endswith("/")
        if not parts or ".." in parts:
            continue  # the root itself, or out of it
        anywhere = [] if "/" in token else ["**"]
        yield from _glob(tree, [*anywhere, *parts], (), directory=directory)


def _glob(tree: Tree, parts: list[str], above: tuple[str, ...], *, directory: bool) -> Iterator[tuple[str, ...]]:
    first, rest = parts[0], parts[1:]
    if first == "**" and rest:
        yield from _glob(tree, rest, above, directory=directory)
        for name, subtree in tree.items():
            if subtree is not None and not name.startswith("."):
                yield from _glob(subtree, parts, (*above, name), directory=directory)
        return
    for name, subtree in _matching(tree, first):
        if not rest:
            if subtree is not None or not directory:
                yield (*above, name)
        elif subtree is not None:
            yield from _glob(subtree, rest, (*above, name), directory=directory)


def _matching(tree: Tree, part: str) -> Iterator[tuple[str, "Tree | None"]]:
    if not _WILD.search(part):
        if part in tree:
            yield part, tree[part]
        return
    regex = re.compile(_regex(part), re.DOTALL)
    for name, subtree in tree.items():
        if name.startswith(".") and not part.startswith((".", "\\.")):
            continue
        if regex.fullmatch(name):
            yield name, subtree


def _regex(part: str) -> str:
    """Translate one component of a Ruby glob into a regular expression."""
    out, index = "", 0
    while index < len(part):
        char = part[index]
        index += 1
        if char == "*":
            out += ".*"
        elif char == "?":
            out += "."
        elif char == "\\" and index < len(part):
            out += re.escape(part[index])
            index += 1
        elif char == "[" and (end := part.find("]", index + 1)) > 0:
            out += _char_class(part[index:end])
            index = end + 1
        else:
            out += re.escape(char)
    return re.sub(r"(?:\.\*)+", ".*", out)


def _char_class(body: str) -> str:
    negated = body[0] in "!^"
    body = body[1:] if negated else body
    escaped = "".join("\\" + char if char in r"\[]^&~|" else char for char in body)
    try:
        re.compile(f"[{escaped}]")
    except re.error:  # [z-a] matches nothing in Ruby
        return r"(?!)"
    return f"[{'^' if negated else ''}{escaped}]"


def _braces(token: str) -> list[str]:
    """Expand ``{a,b}``, nested too; a brace without its partner is an ordinary character."""
    done: list[str] = []
    todo = [token]
    while todo and len(done) + len(todo) <= _MOST_ALTERNATIVES:
        text = todo.pop()
        group = _first_group(text)
        if group is None:
            done.append(text)
            continue
        start, end, choices = group
        todo += [text[:start] + choice + text[end + 1 :] for choice in choices]
    return done


def _first_group(text: str) -> tuple[int, int, list[str]] | None:
    start = text.find("{")
    if start < 0:
        return None
    depth, choice, choices = 0, start + 1, []
    for index in range(start, len(text)):
        char = text[index]
        depth += (char == "{") - (char == "}")
        if char == "," and depth == 1:
            choices.append(text[choice:index])
            choice = index + 1
        if depth == 0:
            return start, index, [*choices, text[choice:index]]
    return None
