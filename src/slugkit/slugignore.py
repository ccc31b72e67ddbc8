"""``.slugignore``: which paths of a tree Heroku's compiler leaves out (contract.md 3.2), minus its three holes.

The patterns are Ruby globs, not gitignore's: anchored when they hold a slash, at any depth otherwise; wildcards do
not match dot-files nor enter dot-directories. The holes that are closed: nothing matches the root itself (``.*``,
``.``, a lone backslash), nothing is found through a symbolic link, nothing above the root is reached.
"""

import re
from collections.abc import Callable, Iterator, Mapping

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
    """Yield the patterns of *text*: it is split at any ASCII blank, and each token cut at its first ``#``."""
    for token in re.split(r"[\t-\r ]+", text):
        pattern = token.partition("#")[0]
        if pattern:
            yield pattern


def _covered(path: tuple[str, ...], removed: set[tuple[str, ...]]) -> bool:
    return any(path[:length] in removed for length in range(1, len(path) + 1))


def _hits(token: str, tree: Tree) -> Iterator[tuple[str, ...]]:
    for alternative in _braces(token):
        parts = [part for part in alternative.split("/") if part not in {"", "."}]
        if not parts or ".." in parts:
            continue  # the root itself, or out of it
        anywhere = [] if "/" in token else ["**"]
        directory = alternative.rpartition("/")[2] in {"", "."}
        yield from _glob(tree, [*anywhere, *parts, *([""] if directory else [])])


# Where a match has got to: the tree there, how many parts are matched, and the path.
_Place = tuple[Tree, int, tuple[str, ...]]


def _glob(root: Tree, parts: list[str]) -> Iterator[tuple[str, ...]]:
    """Yield the paths that *parts* match; a last part of "" stands for the directory itself.

    Each place is looked at once and none recursively: neither ``**/**/**/x`` nor a deep tree costs more than its size.
    """
    todo: list[_Place] = [(root, 0, ())]
    seen = set()
    while todo:
        place = todo.pop()
        _, matched, path = place
        if (path, matched) in seen:
            continue
        seen.add((path, matched))
        if matched < len(parts):
            todo += _steps(place, parts)
        elif path:
            yield path


def _steps(place: _Place, parts: list[str]) -> Iterator[_Place]:
    tree, matched, above = place
    part, last = parts[matched], matched == len(parts) - 1
    if part == "":
        yield tree, matched + 1, above
    elif part == "**" and not last:
        yield tree, matched + 1, above
        for name, subtree in tree.items():
            if subtree is not None and not name.startswith("."):
                yield subtree, matched, (*above, name)
    else:
        for name, subtree in _matching(tree, part):
            if last or subtree is not None:
                yield subtree or {}, matched + 1, (*above, name)


def _matching(tree: Tree, part: str) -> Iterator[tuple[str, "Tree | None"]]:
    if not _WILD.search(part):
        if part in tree:
            yield part, tree[part]
        return
    tests = _compile(part)
    for name, subtree in tree.items():
        if name.startswith(".") and not part.startswith((".", "\\.")):
            continue
        if _fits(tests, name):
            yield name, subtree


# One test per character, None for a star.
_Tests = list[Callable[[str], bool] | None]


def _fits(tests: _Tests, name: str) -> bool:
    """Match with one star to go back to: linear per star, as Ruby does."""
    at = index = 0
    star: tuple[int, int] | None = None
    while at < len(name):
        test = tests[index] if index < len(tests) else _never
        if test is None:
            star, index = (index + 1, at), index + 1
        elif test(name[at]):
            at, index = at + 1, index + 1
        elif star:
            star = (star[0], star[1] + 1)
            index, at = star
        else:
            return False
    return all(test is None for test in tests[index:])


def _never(_char: str) -> bool:
    return False


def _compile(part: str) -> _Tests:
    """Translate one component of a Ruby glob."""
    tests: _Tests = []
    index = 0
    while index < len(part):
        char = part[index]
        index += 1
        if char == "*":
            tests.append(None)
        elif char == "?":
            tests.append(lambda _char: True)
        elif char == "[":
            test, index = _char_class(part, index)
            tests.append(test)
        else:
            if char == "\\" and index < len(part):
                char = part[index]
                index += 1
            tests.append(char.__eq__)
    return tests


def _char_class(part: str, index: int) -> tuple[Callable[[str], bool], int]:
    """Return the test of a class and where it ends; Ruby's "]" always closes, and an open class matches nothing."""
    negated = part[index : index + 1] in {"!", "^"}
    index += negated
    ranges: list[tuple[str, str]] = []
    while index < len(part):
        if part[index] == "]":
            return _in_ranges(ranges, negated=negated), index + 1
        index += part[index] == "\\" and index + 1 < len(part)
        low = high = part[index]
        index += 1
        if part[index : index + 1] == "-" and part[index + 1 : index + 2] not in {"", "]"}:
            index += 1
            index += part[index] == "\\" and index + 1 < len(part)
            high = part[index]
            index += 1
        ranges.append((low, high))
    return _never, index


def _in_ranges(ranges: list[tuple[str, str]], *, negated: bool) -> Callable[[str], bool]:
    """Return the test of a class; of a range the wrong way round, Ruby matches its two ends."""
    return lambda char: negated != any(a <= char <= b or char in {a, b} for a, b in ranges)


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
    start = depth = choice = 0
    choices: list[str] = []
    escaped = False
    for index, char in enumerate(text):
        if escaped or char == "\\":
            escaped = not escaped
        elif char == "{":
            if depth == 0:
                start, choice = index, index + 1
            depth += 1
        elif char == "}" and depth:
            depth -= 1
            if depth == 0:
                return start, index, [*choices, text[choice:index]]
        elif char == "," and depth == 1:
            choices.append(text[choice:index])
            choice = index + 1
    return None
