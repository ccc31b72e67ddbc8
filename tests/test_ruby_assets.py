"""What the Ruby buildpack keeps of compiled assets between builds, and what it takes out of them."""

import gzip
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from slugkit.buildpacks._inside import ruby
from slugkit.testing import write_tree

STALE = 1_000_000_000  # a time long ago


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an app's tree the working directory, as it is in the sandbox; the cache is ``tmp_path / "cache"``."""
    root = write_tree(tmp_path / "app", {"app/assets/a.css": "a\n"})
    monkeypatch.chdir(root)
    return root


def compiled(root: Path, name: str, files: Mapping[str, str], mtime: str = "2026-01-01T10:00:00+00:00") -> None:
    """Write what Sprockets would of *files*, contents by path, with a manifest of that *name*."""
    manifest = root / "public/assets" / f".sprockets-manifest-{name}.json"
    known = json.loads(manifest.read_text())["files"] if manifest.is_file() else {}
    entries = {path: {"mtime": mtime, "size": len(content)} for path, content in files.items()}
    text = json.dumps({"files": {**known, **entries}, "assets": {}})
    write_tree(root / "public/assets", {**files, manifest.name: text})


def times(root: Path) -> dict[str, str]:
    """Return when each asset was new, as the manifest says."""
    manifest = next(root.glob("public/assets/.sprockets-manifest-*.json"))
    return {name: entry["mtime"][-8:-6] for name, entry in json.loads(manifest.read_text())["files"].items()}


def test_nothing_is_kept_yet(root: Path, tmp_path: Path) -> None:
    """Without assets in the cache the tree stays as it is, and the step says so."""
    assert ruby.restore_assets(str(tmp_path / "cache")) == 3
    assert sorted(path.name for path in root.iterdir()) == ["app"]


def test_what_was_compiled_comes_back(root: Path, tmp_path: Path) -> None:
    """Assets and the compiler's notes come back, with their times, but never in the place of the source's own."""
    write_tree(root, {"public/assets/old.css": "old\n", "public/assets/logo.png": "old\n", "tmp/cache/assets/x": "x"})
    os.utime(root / "public/assets/old.css", (STALE, STALE))
    ruby.save_assets(str(tmp_path / "cache"))
    shutil.rmtree(root / "tmp")
    shutil.rmtree(root / "public")
    write_tree(root, {"public/assets/logo.png": "mine\n"})

    assert ruby.restore_assets(str(tmp_path / "cache")) == 0
    assert (root / "public/assets/old.css").stat().st_mtime == STALE
    assert (root / "public/assets/logo.png").read_text() == "mine\n"
    assert (root / "tmp/cache/assets/x").read_text() == "x"


def test_a_cache_that_cannot_come_back_fails_nothing(root: Path, tmp_path: Path) -> None:
    """An app with a file where assets would be is compiled without the cache."""
    write_tree(tmp_path / "cache", {"assets/public/assets/x": "x"})
    write_tree(root, {"public": "mine\n"})

    assert ruby.restore_assets(str(tmp_path / "cache")) == 3
    assert (root / "public").read_text() == "mine\n"


def test_the_time_of_a_source_is_its_content(root: Path, tmp_path: Path) -> None:
    """Sprockets goes by times, which an edit or a package manager may keep: only the same content has the same time."""
    seen: list[tuple[float, ...]] = []
    (root / "dangling").symlink_to("/nowhere")
    for content, name in (("a\n", "x"), ("a\n", "x"), ("b\n", "x"), ("b\n", "y")):
        write_tree(root, {"app/assets/a.css": content, f"app/{name}.css": "x"})
        for path in (root / "app/assets/a.css", root / "app"):
            os.utime(path, (STALE + len(seen), STALE + len(seen)))
        ruby.restore_assets(str(tmp_path / "cache"))
        seen.append(tuple((root / path).stat().st_mtime for path in ("app/assets/a.css", "app")))
    (first, one), (second, two), (third, three), (fourth, four) = seen

    assert first == second != third == fourth
    assert one == two == three != four


def test_no_clock_and_no_dice(root: Path, tmp_path: Path) -> None:
    """Sprockets' random name and times, and the times in gzip's headers, are the same in two builds of one tree."""
    found: list[dict[str, bytes]] = []
    for name, mtime in (("aa", "2026-01-01T10:00:00+00:00"), ("bb", "2026-02-02T11:11:11+01:00")):
        compiled(root, name, {"a-1.css": "a", "b-1.css": "b"}, mtime)
        packed = gzip.compress(b"a", mtime=STALE + len(found))
        write_tree(root / "public/assets", {"a-1.css.gz": packed, "not.gz": "no archive", "directory.gz/x": ""})
        ruby.save_assets(str(tmp_path / name))
        made = (path for path in (root / "public/assets").rglob("*") if path.is_file())
        found.append({path.name: path.read_bytes() for path in made})
        shutil.rmtree(root / "public")

    assert found[0] == found[1]
    assert gzip.decompress(found[0]["a-1.css.gz"]) == b"a"
    assert found[0]["not.gz"] == b"no archive"


def test_the_manifest_counts_builds(root: Path, tmp_path: Path) -> None:
    """An asset keeps the number of the build that made it first: assets:clean removes the oldest."""
    cache = str(tmp_path / "cache")
    builds = (["a-1.css", "b-1.css"], ["a-2.css", "b-1.css"], ["a-2.css", "b-1.css"], ["a-3.css"])
    for build, names in enumerate(builds):
        ruby.restore_assets(cache)
        here = next(root.glob("public/assets/.sprockets-manifest-*.json"), Path(".sprockets-manifest-0.json"))
        name = here.name.removeprefix(".sprockets-manifest-").removesuffix(".json")
        compiled(root, name, dict.fromkeys(names, "x"), f"2026-01-0{build + 1}T00:00:00+00:00")
        ruby.save_assets(cache)
        last = times(root)
        shutil.rmtree(root / "public")

    assert last == {"a-1.css": "00", "b-1.css": "00", "a-2.css": "01", "a-3.css": "02"}


@pytest.mark.parametrize("text", ["", "[]", '{"files": []}', '{"files": {"a": 1}}', "{"])
def test_a_manifest_of_another_make_is_left_alone(root: Path, tmp_path: Path, text: str) -> None:
    """What is no manifest of Sprockets' stays as it is, and fails nothing."""
    write_tree(root, {"public/assets/.sprockets-manifest-x.json": text})

    assert ruby.save_assets(str(tmp_path / "cache")) == 0
    assert (root / "public/assets/.sprockets-manifest-x.json").read_text() == text


def test_notes_do_not_grow_forever(tmp_path: Path) -> None:
    """Of the compiler's notes the oldest go, until the rest is small enough."""
    for number in range(5):
        write_tree(tmp_path, {f"d/{number}": "x" * 10})
        os.utime(tmp_path / f"d/{number}", (STALE + number, STALE + number))
    ruby.drop_oldest(tmp_path, 25)

    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == ["3", "4"]
