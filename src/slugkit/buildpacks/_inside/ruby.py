"""The steps of the Ruby buildpack."""

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from .files import add_profile, as_directory, link_or_copy, on_stack, remove, special, text_of

BUNDLE = Path("vendor/bundle")
COMPILED = Path("public/assets")
NOTED = Path("tmp/cache/assets")  # what the compiler of assets notes of sources, to be faster the next time
MOST_NOTED = 50 * 2**20  # bytes; Heroku keeps as much
# What a native extension leaves where it was compiled: it holds paths and times, and is of no use to a dyno.
LEFTOVERS = re.compile(r"mkmf\.log|gem_make\.out|conftest.*|\..*\.time|.*\.o")
MANIFEST = re.compile(r"\.?(sprockets-)?manifest.*\.json")  # of compiled assets
FIRST = datetime.fromisoformat("1980-01-01T00:00:00+00:00")  # stands for when the oldest of an app's assets was made
TASK = re.compile(r"^rake (\S+)", re.MULTILINE)


def prepare(cached: str, notes: str, key: str) -> int:
    """Make the cached bundle one of *key*, a new one if it is another's, and remove what the source has of its own."""
    cache = as_directory(Path(cached))
    kept, key = cache / "key", on_stack(key)
    before = text_of(kept)
    if before != key:
        for of_another in (cache / "bundle", cache / "assets", kept):
            remove(of_another)
        kept.write_text(key)
    for ours in (cache / "bundle", cache / "assets"):
        as_directory(ours)
    Path(notes, "cache-status").write_text("reused" if before == key else "discarded" if before else "empty")
    remove(BUNDLE)
    remove(".bundle/config")
    return 0


def place(cached: str) -> int:
    """Put the bundle into the app, without what only installing needs."""
    compiled = {path.name for path in Path(cached, "bundle").glob("ruby/*/extensions/*/*/*")}
    for gems in sorted(Path(cached, "bundle").glob("ruby/*")):
        target = BUNDLE / "ruby" / gems.name
        shutil.copytree(gems, target, symlinks=True, ignore=unwanted, copy_function=link_or_copy, dirs_exist_ok=True)
        for library in sorted(target.glob("extensions/*/*/*/**/*.so")):
            strip(library)
        for name in sorted(compiled):
            for library in sorted([*target.glob(f"gems/{name}/**/*.so"), *target.glob(f"bundler/gems/{name}/**/*.so")]):
                strip(library)
    Path(BUNDLE, "bin/bundle").unlink(missing_ok=True)  # would refuse a lock that is BUNDLED WITH a later version
    for archive in Path("vendor/cache").glob("*.gem"):
        remove(archive)
    with contextlib.suppress(OSError):
        Path("vendor/cache").rmdir()  # git's gems are used where they are
    return 0


def unwanted(directory: str, names: list[str]) -> set[str]:
    """Return those of *names* that stay out of the slug."""
    found = {name for name in names if LEFTOVERS.fullmatch(name)}
    parts = Path(directory).parts
    if parts[-2:-1] == ("ruby",):
        found |= {"cache"}.intersection(names)
    if "extconf.rb" in names:
        found |= {"Makefile"}.intersection(names)
    if parts[-3:-1] == ("bundler", "gems"):
        found |= {".git"}.intersection(names)
    return found


def strip(library: Path) -> None:
    """Take the directory it was compiled in out of a library, and the identity that is made of it."""
    stripped = library.with_name(f"{library.name}.stripped")
    argv = ["strip", "--strip-debug", "--remove-section=.note.gnu.build-id", "-o", str(stripped), str(library)]
    if shutil.which("strip") and subprocess.run(argv, check=False).returncode == 0:
        stripped.chmod(0o755)
        stripped.replace(library)  # a new file: the one before is also the cache's


def tasks(notes: str) -> int:
    """Ask rake which tasks there are, for what follows and for the release."""
    done = subprocess.run(["bundle", "exec", "rake", "-P"], check=False, capture_output=True, errors="replace")
    Path(notes, "tasks.json").write_text(json.dumps(TASK.findall(done.stdout)))
    sys.stderr.write(done.stderr if done.returncode else "")
    return done.returncode


def has_assets() -> int:
    """Return 0 if the source brings its assets compiled."""
    found = COMPILED.glob("*manifest*.json")
    return 0 if any(MANIFEST.fullmatch(path.name) for path in found) else 1


def restore_assets(cached: str) -> int:
    """Bring back what the last build compiled, but nothing in the place of the source's own; 3 if there is nothing.

    Sprockets takes a source with the same time for the same, and notes each: the time of a file is made of its content.
    """
    for directory, names, files in os.walk("."):
        names[:] = [name for name in names if Path(directory, name) != BUNDLE]
        for path in (Path(directory, name) for name in files):
            if path.is_file() and not path.is_symlink():
                with contextlib.suppress(OSError):
                    set_time(path, path.read_bytes())
        set_time(Path(directory), "\0".join(sorted([*names, *files])).encode("utf-8", "surrogateescape"))
    status = 3
    for kept in (COMPILED, NOTED):
        with contextlib.suppress(OSError):  # shutil.Error is one: the cache makes a build faster, and never fails it
            shutil.copytree(Path(cached, "assets", kept), kept, copy_function=copy_new, dirs_exist_ok=True)
            status = 0
    return status


def set_time(path: Path, content: bytes) -> None:
    seconds = int(FIRST.timestamp()) + int.from_bytes(hashlib.sha256(content).digest()[:4], "big") % 2**30
    os.utime(path, (seconds, seconds))


def copy_new(source: str, target: str) -> None:
    if not os.path.lexists(target):
        shutil.copy2(source, target)


def save_assets(cached: str) -> int:
    """Keep what was compiled, and what the compiler noted for itself, for the next build."""
    for archive in (path for path in COMPILED.rglob("*.gz") if path.is_file()):
        with archive.open("r+b") as file:
            if file.read(4)[:2] == b"\x1f\x8b":
                file.write(bytes(4))  # the time in gzip's header
    name_manifest(Path(cached, "assets", COMPILED))
    drop_oldest(NOTED, MOST_NOTED)
    for kept in (COMPILED, NOTED):
        target = Path(cached, "assets", kept)
        remove(target)
        if kept.is_dir():
            shutil.copytree(kept, target, symlinks=True, ignore=special)
    return 0


def name_manifest(before: Path) -> None:
    """Give Sprockets' manifest, whose name is random, one of its content; *before* has the last build's.

    The times in it say in which build an asset was new: assets:clean removes the oldest.
    """
    for path in list(COMPILED.glob(".sprockets-manifest-*.json")):
        with contextlib.suppress(ValueError, TypeError, AttributeError, KeyError):  # of another make: left as it is
            manifest = json.loads(path.read_text())
            old = before / path.name  # Sprockets goes on with the one that it finds
            count_builds(manifest["files"], json.loads(old.read_text())["files"] if old.is_file() else {})
            text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
            digest = hashlib.sha256(text.encode()).hexdigest()[:32]
            path.write_text(text)
            path.rename(path.with_name(f".sprockets-manifest-{digest}.json"))


def count_builds(files: dict[str, Any], before: dict[str, Any]) -> None:
    """Set the times of *files* to those *before*, and of new ones to a second after the latest of them."""
    times = [datetime.fromisoformat(file["mtime"]) for file in before.values()]
    now = max(times, default=FIRST - timedelta(seconds=1)) + timedelta(seconds=1)
    for name, file in files.items():
        file["mtime"] = before[name]["mtime"] if name in before else now.isoformat()


def drop_oldest(directory: Path, most: int) -> None:
    """Remove the oldest files of *directory* until they have at most *most* bytes."""
    files = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in directory.rglob("*") if path.is_file())
    size = sum(size for _, size, _ in files)
    for _, freed, path in files:
        if size <= most:
            break
        path.unlink()
        size -= freed


def secret(cached: str) -> int:
    """Make the app's SECRET_KEY_BASE, once."""
    file = Path(cached, "secret_key_base")
    if not file.is_file():
        remove(file)
        file.write_text(secrets.token_hex(64))
        file.chmod(0o600)
    return 0


STEPS: dict[str, Callable[..., int]] = {
    "prepare": prepare,
    "place": place,
    "tasks": tasks,
    "has-assets": has_assets,
    "restore-assets": restore_assets,
    "save-assets": save_assets,
    "secret": secret,
    "profile": add_profile,
}
