import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from slugkit.slugignore import Ignored, Tree, ignored, patterns


def tree_of(*paths: str) -> Tree:
    """Build a tree of files; their directories come by themselves."""
    below: dict[str, list[str]] = {}
    for path in paths:
        first, _, rest = path.partition("/")
        below.setdefault(first, []).extend([rest] if rest else [])
    return {name: tree_of(*rests) if rests else None for name, rests in below.items()}


def exists(tree: Tree, path: str) -> bool:
    here: Tree | None = tree
    for name in path.split("/"):
        if here is None or name not in here:
            return False
        here = here[name]
    return True


@contextmanager
def hang_guard(seconds: float = 10.0) -> Iterator[None]:
    """Fail instead of hanging for hours; not a measurement."""

    def give_up(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"still busy after {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


APP = tree_of(
    *("a.psd", "A.PSD", "keep.psd", "foo.txt", ".env", "test/x", "dir/b.psd", "dir/.env", "dir/foo.txt"),
    *("dir/sub/c.psd", "dir/sub/foo.txt", "dir/test/y", ".hid/d.psd", ".hid/test/x"),
)
PSDS = "a.psd dir/b.psd dir/sub/c.psd keep.psd"
# contract.md 3.2, and more of the same: what Ruby 3.1's Dir.glob removes, and how many hits it has.
APP_CASES = [
    ("*.psd", PSDS, 4),
    ("**.psd", PSDS, 4),
    ("/*.psd", "a.psd keep.psd", 2),
    ("test", "dir/test test", 2),
    ("/test", "test", 1),
    ("test/", "test", 1),
    ("./test", "test", 1),
    ("dir/test", "dir/test", 1),
    ("dir//sub", "dir/sub", 1),
    ("dir/*", "dir/b.psd dir/foo.txt dir/sub dir/test", 4),
    ("dir/**", "dir/b.psd dir/foo.txt dir/sub dir/test", 4),
    ("dir/**/*", "dir/b.psd dir/foo.txt dir/sub dir/test", 7),
    ("dir/*/foo.txt", "dir/sub/foo.txt", 1),
    ("**/foo.txt", "dir/foo.txt dir/sub/foo.txt foo.txt", 3),
    ("dir/**/foo.txt", "dir/foo.txt dir/sub/foo.txt", 2),
    ("dir/**/", "dir", 3),
    ("**/sub/**/", "dir/sub", 1),
    ("**/", "dir test", 4),
    ("!keep.psd", "", 0),
    ("nothing", "", 0),
    ("a.psd/", "", 0),
    ("foo.txt/.", "", 0),
    ("A.psd", "", 0),
    (".env", ".env dir/.env", 2),
    ("\\.env", ".env dir/.env", 2),
    ("?env", "", 0),
    ("[.]env", "", 0),
    ("*", "A.PSD a.psd dir foo.txt keep.psd test", 14),
    (".*", ".env .hid dir/.env", 3),
    ("**/.*", ".env .hid dir/.env", 3),
    (".hid/*", ".hid/d.psd .hid/test", 2),
    ("{dir,.hid}/*.psd", ".hid/d.psd dir/b.psd", 2),
    ("{dir/sub,test}/*", "dir/sub/c.psd dir/sub/foo.txt test/x", 3),
    ("dir/su?", "dir/sub", 1),
    ("dir/[st]*", "dir/sub dir/test", 2),
]
ODD = tree_of(
    *("a", "b", "m", "z", "-", "]", "a]", "ab", "x1", "x{1}", "{x", "star*", "starry", "q?", "qa", "\u00e9", "^", "!"),
)
ODD_CASES = [
    ("[az]", "a z"),
    ("[!az]", "! - ] ^ b m \u00e9"),
    ("[^az]", "! - ] ^ b m \u00e9"),
    ("[a-c]", "a b"),
    ("[a-]", "- a"),
    ("[-a]", "- a"),
    ("[z-a]", "a z"),
    ("[!z-a]", "! - ] ^ b m \u00e9"),
    ("[a--b]", "- a b"),
    ("[]a]", ""),
    ("[]]", ""),
    ("[!]", "! - ] ^ a b m z \u00e9"),
    ("[\\]]", "]"),
    ("[a\\-z]", "- a z"),
    ("[ab]?", "a] ab"),
    ("[\u00e9]", "\u00e9"),
    ("[a!]", "! a"),
    ("[a^]", "^ a"),
    ("[ab", ""),
    ("?", "! - ] ^ a b m z \u00e9"),
    ("??", "a] ab q? qa x1 {x"),
    ("star\\*", "star*"),
    ("star*", "star* starry"),
    ("q\\?", "q?"),
    ("x{1}", "x1"),
    ("x\\{1\\}", "x{1}"),
    ("\\{x", "{x"),
    ("{\\{x,z}", "z {x"),
    ("{a,{b,z}}", "a b z"),
    ("{,a}b", "ab b"),
    ("{a,b}{1,b}", "ab"),
    ("[{a,z}]", "a z"),
    ("!", "!"),
    ("a**", "a a] ab"),
]


@pytest.mark.parametrize(("pattern", "removed", "count"), APP_CASES)
def test_removes_what_heroku_removes(pattern: str, removed: str, count: int) -> None:
    """A pattern is Ruby's glob: anchored with a slash, at any depth without, blind to dot-files unless they are meant.

    Each distinct hit counts one, a directory too.
    """
    assert ignored(pattern, APP) == Ignored(tuple(sorted(removed.split(), key=lambda path: path.split("/"))), count)


@pytest.mark.parametrize(("pattern", "removed"), ODD_CASES)
def test_wildcards_are_ruby_s(pattern: str, removed: str) -> None:
    """Character classes, braces and escapes mean what they mean to Ruby, which is what Heroku's compiler ran."""
    assert ignored(pattern, ODD).paths == tuple(sorted(removed.split()))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("# all comment", ["all", "comment"]),
        ("a b\tc\r\nd\n\n\x0be\x0cf", ["a", "b", "c", "d", "e", "f"]),
        ("a#b #c d#", ["a", "d"]),
        ("\\#x", ["\\"]),
        ("caf\u00e9\u00a0au\u3000lait", ["caf\u00e9\u00a0au\u3000lait"]),
        ("a\x1cb\x85c\u2028d", ["a\x1cb\x85c\u2028d"]),
    ],
)
def test_splits_as_heroku_does(text: str, found: list[str]) -> None:
    """The file is split at ASCII blanks and each token cut at its first #: a comment of two words is a pattern."""
    assert list(patterns(text)) == found


@pytest.mark.parametrize(
    "pattern", [".", "./", "/", "//", "/.", "\\", "{}", "{,}", "..", "../*", "../b/*", "dir/../..", "dir/..", "*/../*"]
)
def test_neither_the_root_nor_anything_above_it(pattern: str) -> None:
    """No pattern removes the app itself or reaches out of it, as Heroku's own compiler could be made to."""
    assert ignored(pattern, APP) == Ignored((), 0)


@pytest.mark.parametrize("pattern", ["link/*", "link/", "link/x", "**/link/*", "*/x", "link/**/x"])
def test_links_are_not_followed(pattern: str) -> None:
    """What lies behind a symbolic link is out of reach; the link itself is an entry like a file."""
    tree: Tree = {"link": None}

    assert ignored(pattern, tree).paths == ()
    assert ignored("link", tree) == Ignored(("link",), 1)


def test_patterns_are_applied_one_after_the_other() -> None:
    """What an earlier pattern removed is gone for the next one and does not count again."""
    tree = tree_of("test/a.psd", "test/test/b", "c.psd")

    assert ignored("test *.psd", tree) == Ignored(("c.psd", "test"), 3)
    assert ignored("*.psd test", tree) == Ignored(("c.psd", "test"), 4)
    assert ignored("*.psd *.psd", tree).count == 2


def test_paths_come_without_those_inside_others() -> None:
    """A directory that goes is named once, not with everything in it."""
    assert ignored("y dir/test dir", APP).paths == ("dir",)


def test_a_deep_tree_is_no_obstacle() -> None:
    """A tree 1 500 directories deep is searched like any other."""
    tree: Tree = {"x": None}
    for _ in range(1500):
        tree = {"d": tree}

    assert ignored("x", tree) == Ignored(("d/" * 1500 + "x",), 1)
    assert ignored("d/" * 1500 + "x", tree).count == 1


@pytest.mark.parametrize(
    ("pattern", "tree"),
    [
        ("{a,b}" * 40, {"ab" * 20: None}),
        ("*a" * 30 + "b", {"a" * 255: None}),
        ("**/" * 30 + "x", tree_of("d/" * 60 + "y")),
        ("**/d/" * 30 + "x", tree_of("d/" * 60 + "y")),
    ],
)
def test_hostile_patterns_end(pattern: str, tree: Tree) -> None:
    """A pattern made to explode costs a build no more than any other."""
    with hang_guard():
        assert ignored(pattern, tree).paths == ()


NAMES = st.text(alphabet="ab.*?[]{}\\-!^\u00e9 ", min_size=1, max_size=4).filter(lambda name: name not in {".", ".."})
SUBTREES: st.SearchStrategy[Tree | None] = st.recursive(
    st.none(), lambda below: st.dictionaries(NAMES, below, max_size=4), max_leaves=12
)
TREES = st.dictionaries(NAMES, SUBTREES, max_size=5)
TEXTS = st.text() | st.text(alphabet="ab.*?[]{},\\-!^/# \n\u00e9", max_size=30)


@given(TEXTS, TREES)
@example("[a--b] [[a] [a&&b] [a||b] [a~~b]", {"a": None})
@example("[^] [!] [\\] []] { } {a \\", {"\\": None})
def test_whatever_the_text_only_what_is_there_goes(text: str, tree: Tree) -> None:
    """No text makes it raise, and every path it names is in the tree, once, outside of every other."""
    found = ignored(text, tree)

    assert all(exists(tree, path) for path in found.paths)
    assert len(set(found.paths)) == len(found.paths)
    assert not any(inner.startswith(f"{outer}/") for inner in found.paths for outer in found.paths)
    assert found.count >= len(found.paths)


@given(TREES)
def test_a_star_takes_all_but_dot_files(tree: Tree) -> None:
    """A lone star removes each entry of the root whose name does not start with a dot, and no other of them."""
    assert set(ignored("*", tree).paths) == {name for name in tree if not name.startswith(".")}
