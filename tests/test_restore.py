"""Unpacking out of a tree that is there already: it saves work, and changes nothing of what comes out."""

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from slugkit._tree import remove_tree, snapshot
from slugkit.archive import Base, Slug, pack
from slugkit.errors import CorruptSlugError, SlugkitError
from slugkit.slug import Manifest
from tars import honest

LARGEST = 4096
BLOCKS = {letter: random.Random(letter).randbytes(LARGEST) for letter in "ABCDEF"}
HEADER = 512


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut every few blocks: what happens to files of many megabytes happens to small ones."""
    monkeypatch.setattr("slugkit.archive._segments.LARGEST_SEGMENT", LARGEST)
    monkeypatch.setattr("slugkit.archive._segments._LEAST", LARGEST // 4)
    monkeypatch.setattr("slugkit.archive._segments._MEAN", LARGEST // 4)


def _content(blocks: str) -> bytes:
    """Return what is cut right between *blocks*: the first one lacks what the header takes."""
    return b"".join(BLOCKS[letter] for letter in blocks)[HEADER:]


def _release(place: Path, files: dict[str, bytes]) -> Slug:
    """Return a slug of *files*."""
    root = Path(tempfile.mkdtemp(dir=place, prefix="source-"))
    for name, content in files.items():
        (root / name).parent.mkdir(exist_ok=True, parents=True)
        (root / name).write_bytes(content)
    pack(root, Manifest(), root.with_suffix(".tgz"))
    return Slug.open(root.with_suffix(".tgz"))


def _unpacked(slug: Slug, place: Path, bases: Sequence[Base] = ()) -> Base:
    """Return the tree of *slug*, as a base for others."""
    root = Path(tempfile.mkdtemp(dir=place, prefix="tree-"))
    restored = slug.unpack_tree(root, bases).restored
    assert restored is not None
    return Base(root, restored.proofs)


def _same(slug: Slug, place: Path, bases: Sequence[Base]) -> None:
    """Assert that *slug* comes out of *bases* as it does without."""
    assert snapshot(_unpacked(slug, place, bases).tree) == snapshot(_unpacked(slug, place).tree)


RELEASES = {
    "the end of another file": ({"f": "AB", "g": "CD"}, {"f": "AD", "g": "CD"}),
    "the end of another file, alone": ({"f": "AB", "g": "CD"}, {"f": "AD"}),
    "the beginning of another file": ({"f": "AB", "g": "CB"}, {"f": "CB", "g": "AB"}),
    "segments in another order": ({"f": "ABCD"}, {"f": "ACBD"}),
    "a segment twice": ({"f": "ABCD"}, {"f": "ABBD"}),
    "the middle of another file": ({"f": "ABC", "g": "DEF"}, {"f": "AEC", "g": "DBF"}),
    "a file renamed": ({"f": "ABC"}, {"h": "ABC"}),
    "two files exchanged": ({"f": "ABC", "g": "DEF"}, {"f": "DEF", "g": "ABC"}),
    "shorter": ({"f": "ABC"}, {"f": "AB"}),
    "longer": ({"f": "AB"}, {"f": "ABB"}),
}


@pytest.mark.parametrize(("old", "new"), RELEASES.values(), ids=list(RELEASES))
def test_a_large_file_of_proven_segments_is_the_new_one(
    tmp_path: Path, old: dict[str, str], new: dict[str, str]
) -> None:
    """A file that spans segments is shared only when it is these segments, in this order, that were proven for it."""
    before = _unpacked(_release(tmp_path, {name: _content(blocks) for name, blocks in old.items()}), tmp_path)

    _same(_release(tmp_path, {name: _content(blocks) for name, blocks in new.items()}), tmp_path, [before])


def test_what_did_not_change_is_shared(tmp_path: Path) -> None:
    """Files whose segments are those of the base are its files."""
    files = {"big": _content("ABC"), "small": b"small", "x/y": b"z"}
    base = _unpacked(_release(tmp_path, files), tmp_path)
    again = _unpacked(_release(tmp_path, files | {"zzz": _content("DEF")}), tmp_path, [base])

    assert [(again.tree / name).samefile(base.tree / name) for name in ("big", "small", "x/y")] == [True] * 3


def test_an_index_that_lies_about_proven_segments_is_refused(tmp_path: Path) -> None:
    """A segment that was proven holds what was listed then; another index must not call it something else."""
    files = [("p", b"ppp"), ("q", b"qqq"), ("r", b"rrr")]
    honest_path, lying_path = tmp_path / "honest.tgz", tmp_path / "lying.tgz"
    honest_path.write_bytes(honest(*files).made())
    lying = honest(*files[:2])
    lying.files[3] = '["app/r","f",3]'
    lying_path.write_bytes(lying.made())
    base = _unpacked(Slug.open(honest_path), tmp_path)

    with pytest.raises(CorruptSlugError):
        _unpacked(Slug.open(lying_path), tmp_path, [base])


_FILES = st.dictionaries(
    st.sampled_from(["f", "g", "h", "d/i"]), st.text("ABCD", min_size=1, max_size=4), min_size=1, max_size=4
)
_EDITS = st.lists(st.tuples(st.sampled_from(["f", "g", "h"]), st.integers(0, 2 * LARGEST)), max_size=2)


@given(st.lists(st.tuples(_FILES, _EDITS), min_size=2, max_size=3))
@settings(max_examples=25, deadline=None)
@example([({"f": "AB", "g": "CD"}, []), ({"f": "AD"}, [])])
def test_releases_come_out_of_each_other(releases: list[tuple[dict[str, str], list[tuple[str, int]]]]) -> None:
    """Release after release, a tree made out of all before is that of its slug."""
    with tempfile.TemporaryDirectory() as name:
        place, bases = Path(name), list[Base]()
        for files, edits in releases:
            contents = {name: bytearray(_content(blocks)) for name, blocks in files.items()}
            for edited, at in edits:
                if edited in contents:
                    contents[edited][at : at + 1] = b"!"
            slug = _release(place, {name: bytes(content) for name, content in contents.items()})
            _same(slug, place, bases)
            bases.append(_unpacked(slug, place, bases))


def test_a_base_that_lost_a_file_is_not_believed(tmp_path: Path) -> None:
    """What a base no longer has, or has in another size, is unpacked, or the error is one to try again without it."""
    slug = _release(tmp_path, {"big": _content("ABC"), "a": b"a" * 600, "b": b"b" * 600})
    base = _unpacked(slug, tmp_path)
    (base.tree / "a").unlink()
    (base.tree / "b").write_bytes(b"cut")
    remove_tree(base.tree / "big")
    try:
        _same(slug, tmp_path, [base])
    except SlugkitError:
        raise
    except OSError:
        return
