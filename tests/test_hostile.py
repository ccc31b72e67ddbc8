"""Hostile slugs: each of the corpus, in every way in which a slug is read, and trees that cannot be packed whole."""

import hashlib
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hostile import Hostile, HostileTree, slugs, trees
from slugkit._tree import remove_tree
from slugkit.archive import pack
from slugkit.errors import UnsafeMemberError
from slugkit.slug import Manifest
from support import as_nobody

CORPUS = slugs()
REFUSED = [one for one in CORPUS if one.tree is None]
NORMAL = [one for one in CORPUS if one.tree is not None]
PLAIN = [one for one in CORPUS if not one.bomb]
CHILDREN = 2
MEMORY = 64 * 2**20  # bytes
SECONDS = 1.0  # of CPU
pytestmark = pytest.mark.timeout(600)  # the first test waits for all of the attempts


def _id(one: Hostile | HostileTree) -> str:
    return one.name.encode("ascii", "backslashreplace").decode()


@pytest.fixture(scope="module")
def became(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return what became of each of the corpus, as processes of their own found out (see attempts.py)."""
    command = [sys.executable, "attempts.py", str(tmp_path_factory.mktemp("attempts"))]
    children = [
        subprocess.Popen([*command, str(first), str(CHILDREN)], cwd=Path(__file__).parent, stdout=subprocess.PIPE)
        for first in range(CHILDREN)
    ]
    out = [child.communicate()[0] for child in children]
    assert [child.returncode for child in children] == [0] * CHILDREN
    found = [json.loads(line) for lines in out for line in lines.splitlines()]
    return {one["name"]: one for one in found}


def _expected(tree: Mapping[str, bytes | str]) -> dict[str, str]:
    """Return *tree* as a snapshot says it."""
    return {
        path.removesuffix("*"): content
        if isinstance(content, str)
        else f"{'x' if path.endswith('*') else 'f'} {hashlib.sha256(content).hexdigest()}"
        for path, content in tree.items()
    }


def test_the_corpus_is_large_and_attacks_every_rule() -> None:
    """There are hundreds of archives, and some for every rule; the last is about packing."""
    rules = Counter(one.rule for one in CORPUS)

    assert len(CORPUS) > 500
    assert set(rules) == set(range(1, 9))
    assert {one.rule for one in trees()} == {9}


@pytest.mark.parametrize("one", REFUSED, ids=_id)
def test_a_hostile_slug_is_one_error(became: dict[str, dict[str, Any]], one: Hostile) -> None:
    """What is hostile or damaged ends in an error of the right code that says why, in words that are safe to print."""
    used = became[one.name]["used"]

    assert "made" not in used
    assert used["error"] in ({one.code} if one.code != "*" else {"slug.corrupt", "slug.unsafe-member"}), used["text"]
    assert one.reason in used["text"]
    assert len(used["text"]) < 2000


@pytest.mark.parametrize("one", NORMAL, ids=_id)
def test_an_odd_slug_is_the_tree_it_means(became: dict[str, dict[str, Any]], one: Hostile) -> None:
    """What is odd and harmless comes out as the one tree that it means: no modes, owners or attributes of its own."""
    assert became[one.name]["used"] == {"made": _expected(one.tree or {})}


def test_nothing_else_is_touched(became: dict[str, dict[str, Any]]) -> None:
    """Nothing outside of the target is written, changed, linked to or left behind: no staging directory, no canary."""
    assert {name: found["touched"] for name, found in became.items() if found["touched"]} == {}


def test_slugs_are_cheap_to_refuse(became: dict[str, dict[str, Any]]) -> None:
    """No slug takes more than 64 MiB of memory, or a second of CPU; a bomb what the largest of its kind may."""
    for one in CORPUS:
        found = became[one.name]
        assert found["grown"] < (MEMORY if not one.bomb else 4 * MEMORY), one.name
        assert found["cpu"] < (SECONDS if not one.bomb else 10 * SECONDS), one.name


def test_with_and_without_an_index_it_is_the_same(became: dict[str, dict[str, Any]]) -> None:
    """Whoever reads the stream sees the tree that the index tells, or the index is refused."""
    for one in PLAIN:
        direct, streamed = became[one.name]["direct"], became[one.name]["streamed"]
        if "made" in direct:
            assert streamed == direct, one.name
        elif "made" in streamed:  # the index lies, and the tar is fine
            assert one.streamed is not None, one.name
            assert streamed["made"] == _expected(one.streamed), one.name


def test_readers_refuse_alike(became: dict[str, dict[str, Any]]) -> None:
    """``verify``, ``files`` and ``survey`` refuse what ``unpack`` refuses; so does ``read``, of what it looks at."""
    for one in PLAIN:
        found = became[one.name]
        refused = found["direct"].get("error")
        assert {found[name].get("error") for name in ("verified", "files", "surveyed")} == {refused}, one.name
        if refused and "made" in found["read"]:
            assert found["read"]["made"] == _contents(_expected(one.streamed or {})), one.name


def test_readers_see_the_same(became: dict[str, dict[str, Any]]) -> None:
    """``files``, ``survey`` and ``read`` tell what ``unpack`` makes."""
    for one in PLAIN:
        found = became[one.name]
        if "error" not in found["direct"]:
            made, told = found["direct"]["made"], found["files"]["made"]
            assert {path for path in made if made[path] != "directory"} <= set(told) <= set(made), one.name
            expected = {path: sha for path, sha in _contents(made).items() if told[path] != "hardlink"}
            assert found["surveyed"]["made"] == found["read"]["made"] == expected, one.name


def _contents(tree: Mapping[str, str]) -> dict[str, str]:
    return {path: state[2:] for path, state in tree.items() if state[:2] in {"f ", "x "}}


def test_a_store_takes_only_what_is_whole(became: dict[str, dict[str, Any]]) -> None:
    """A store has the tree of a slug, or refuses it as unpacking does, and is as it was."""
    taken = [one for one in CORPUS if "stored" in became[one.name]]
    assert len(taken) > 500
    for one in taken:
        found = became[one.name]
        used, stored = found["used"], found["stored"]
        assert stored.get("error") == used.get("error"), (one.name, stored.get("text"))
        assert found["left in the store"] == [], one.name
        if "made" in used:
            assert stored["made"] == {"tmp": "directory", "log": "directory", **used["made"]}, one.name


def test_the_command_says_it_in_one_line(became: dict[str, dict[str, Any]]) -> None:
    """``slugkit unpack`` exits with 1 and says ``error[...]`` and nothing that a terminal obeys."""
    sampled = [one for one in CORPUS if "command" in became[one.name]]
    said = {one.name: became[one.name]["command"] for one in sampled}

    assert len(sampled) > 100
    assert {name for name, command in said.items() if "error" in command} == set()
    for one in sampled:
        command = said[one.name]["made"]
        assert command["status"] == (1 if one.tree is None else 0), command
        assert not any(ord(char) < 32 and char != "\n" for char in command["err"]), command
        if one.tree is None:
            assert command["err"].startswith("error[slug."), command


@pytest.mark.parametrize("one", trees(), ids=_id)
def test_a_tree_is_packed_whole_or_not_at_all(one: HostileTree) -> None:
    """Packing refuses what it cannot read, and what no reader would take; and leaves no slug, and nothing else."""
    with as_nobody():
        place = Path(tempfile.mkdtemp())  # pytest's own are root's
        try:
            (place / "root").mkdir()
            one.make(place / "root")
            with pytest.raises(UnsafeMemberError) as caught:
                pack(place / "root", Manifest(), place / "app.slug.tgz")
            assert one.reason in str(caught.value)
            assert [path.name for path in place.iterdir()] == ["root"]
        finally:
            remove_tree(place)
