"""What becomes of the hostile slugs, tried one after the other in a process of its own: JSON lines on stdout.

``python attempts.py DIRECTORY FIRST STEP`` tries every STEPth from the FIRST on, below DIRECTORY.
"""

import hashlib
import io
import json
import os
import re
import shutil
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hostile import Hostile, slugs
from slugkit._tree import remove_tree, snapshot
from slugkit.archive import Slug
from slugkit.errors import SlugkitError
from slugkit.slug import Manifest
from slugkit.store import DirectoryStore
from tars import file_, slug

CANARY = "still here"
SAMPLED = 5  # of so many archives one is given to the command


def main(directory: str, first: str, step: str) -> None:
    """Try them, and say what became of each."""
    place = Path(directory) / first
    place.mkdir()
    _tried(place, Hostile("warm-up", 0, slug(file_("./app/a")), tree={}), sampled=True)
    for number, one in list(enumerate(slugs()))[int(first) :: int(step)]:
        sys.stdout.write(json.dumps(_tried(place, one, sampled=number % SAMPLED == 0)) + "\n")


def _tried(directory: Path, one: Hostile, *, sampled: bool) -> dict[str, Any]:
    scratch = directory / hashlib.sha256(one.name.encode()).hexdigest()[:8]
    home, path = scratch / "home", scratch / "hostile.tgz"
    (home / "beside").mkdir(parents=True)
    (home / "canary").write_text(CANARY)
    path.write_bytes(one.archive())
    os.utime(home, (1, 1))
    before = _state(scratch)
    said: dict[str, Any] = {
        "name": one.name,
        "size": path.stat().st_size,
        **_measured(lambda: _used(path, home / "app")),
    }
    if not one.bomb:
        said |= _in_other_ways(path, home / "app")
    if sampled or (not one.bomb and one.tree is None):  # what a store takes it brings to the disk, which takes time
        said |= _in_a_store(path, scratch / "store")
    if sampled:
        said["command"] = _attempt(lambda: _command(path, home / "app"))
    os.utime(home, (1, 1))  # a staging directory came and went
    said["touched"] = sorted(set(_state(scratch)) ^ set(before))
    remove_tree(scratch)
    return said


def _in_a_store(path: Path, store: Path) -> dict[str, Any]:
    stored = _attempt(lambda: _stored(path, store))
    left = _kept(store) if "error" in stored else []
    remove_tree(store)
    return {"stored": stored, "left in the store": left}


def _in_other_ways(path: Path, target: Path) -> dict[str, Any]:
    said: dict[str, Any] = {"direct": _attempt(lambda: _unpacked(_unopened(path), target))}
    with patch("slugkit.archive._slugfile.read_index", lambda *_: None):
        said["streamed"] = _attempt(lambda: _unpacked(_unopened(path), target))
    said["verified"] = _attempt(lambda: _unopened(path).verify())
    said["files"] = _attempt(lambda: _listed(_unopened(path)))
    said["surveyed"] = _attempt(lambda: _surveyed(_unopened(path)))
    said["read"] = _attempt(lambda: _read(_unopened(path)))
    return said


def _unopened(path: Path) -> Slug:
    return Slug(path, Manifest(), path.stat().st_size)


def _used(path: Path, target: Path) -> dict[str, str]:
    opened = Slug.open(path)
    str(opened.process_types)
    return _unpacked(opened, target)


def _unpacked(slug: Slug, target: Path) -> dict[str, str]:
    slug.unpack(target)
    found = snapshot(target)
    for name in found:
        info = (target / name).lstat()
        assert (info.st_uid, info.st_gid) == (os.geteuid(), os.getegid()), name
        assert (info.st_mode & 0o7777 in {0o644, 0o755}) or (target / name).is_symlink(), name
        assert not os.listxattr(target / name, follow_symlinks=False), name
    remove_tree(target)
    return found


def _listed(slug: Slug) -> dict[str, str]:
    return {one.path: one.kind for one in slug.files()}


def _surveyed(slug: Slug) -> dict[str, str]:
    return {one.path: one.sha256 for one in slug.survey() if one.kind == "file"}


def _read(slug: Slug) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in slug.read(lambda _: True).items()}


def _stored(path: Path, root: Path) -> dict[str, str]:
    return snapshot(DirectoryStore(root).tree(Slug.open(path)))


def _kept(store: Path) -> list[str]:
    """Return what is in *store* but for its own directories and locks."""
    return [str(one) for one in store.rglob("*") if not one.is_dir() and one.stat().st_size] if store.is_dir() else []


def _command(path: Path, target: Path) -> dict[str, Any]:
    from slugkit.cli import run  # noqa: PLC0415 - what it imports is no reader's memory

    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        try:
            status = run(["unpack", str(path), str(target)])
        except SystemExit as leaving:
            status = leaving.code  # type: ignore[assignment]
    shutil.rmtree(target, ignore_errors=True)
    return {"status": status, "out": out.getvalue(), "err": err.getvalue()}


def _attempt(what: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"made": what()}
    except SlugkitError as error:
        return {"error": error.code, "text": f"{error}\n{error.hint}"}
    except Exception:  # noqa: BLE001 - whatever it is, it is a bug
        return {"error": "crash", "text": traceback.format_exc()}


def _measured(what: Callable[[], Any]) -> dict[str, Any]:
    """Return what became of *what*, the CPU seconds it took in all threads, and by how many bytes the memory grew."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is what is there now
    before, started = _status("VmRSS"), time.process_time()
    used = _attempt(what)
    return {"used": used, "cpu": time.process_time() - started, "grown": _status("VmHWM") - before}


def _status(key: str) -> int:
    found = re.search(rf"{key}:\s*([0-9]+)", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


def _state(scratch: Path) -> list[tuple[str, int, int, int, int]]:
    """Return what is below *scratch*, and above it the canaries that archives would write."""
    paths = [*scratch.rglob("*"), *Path("/tmp").glob("slugkit-canary*")]
    return [(str(one), (i := one.lstat()).st_mode, i.st_size, i.st_mtime_ns, i.st_nlink) for one in paths]


if __name__ == "__main__":
    main(*sys.argv[1:])
