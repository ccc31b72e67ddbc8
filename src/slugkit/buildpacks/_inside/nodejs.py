"""The steps of the Node.js buildpack."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from .files import add_profile, link_or_copy, note, on_stack, remove, special, text_of

MODULES = Path("node_modules")
STATE = Path(".yarn/install-state.gz")
ARCHIVES = Path(".yarn/cache")  # of an app that checks them in: what they hold is in node_modules
# What package managers note for themselves: times, and directories of the build.
NOTES = (
    *(".cache", ".modules.yaml", ".yarn-integrity", ".yarn-state.yml"),
    *(".pnpm-workspace-state.json", ".pnpm-workspace-state-v1.json"),
)
# What node-gyp leaves beside the module it has made: its own settings and what was compiled on the way.
LEFT_BY_GYP = ("Makefile", "config.gypi", "*.mk", "*.Makefile", "gyp-*-tool", "*/.deps", "*/obj", "*/obj.target")


def clear() -> int:
    """Remove what an install is to make."""
    remove(MODULES)
    remove(STATE)
    return 0


def restore(cached: str, key: str, how: str, notes: str = "") -> int:
    """Bring the modules that *key* names back from the cache; 3 when they are not there."""
    cache = Path(cached)
    had, key = key_of(cache), on_stack(key)
    if notes:
        note(notes, f"cache_status={'valid' if had == key else 'new-signature' if had else 'not-found'}")
    if had != key:
        return 3
    clear()
    carry(cache, Path(), how)
    return 0


def key_of(cache: Path) -> str:
    return text_of(cache / "key")


def save(cached: str, key: str, how: str) -> int:
    """Put the modules into the cache, in place of those before."""
    cache = Path(cached)
    remove(cache)
    cache.mkdir(parents=True)
    carry(Path(), cache, how)
    (cache / "key").write_text(on_stack(key))
    return 0


def bring(cached: str, key: str, *names: str) -> int:
    """Put the directories *names* back where the app has none, if they were kept under *key*."""
    valid = key_of(Path(cached)) == on_stack(key)
    for name in names:
        source, target = Path(cached, "tree", name), Path(name)
        if os.path.lexists(target):
            print(f"- {name} (exists - skipping)")
        elif not valid or not source.is_dir():
            print(f"- {name} (not cached - skipping)")
        else:
            print(f"- {name}")
            shutil.copytree(source, target, symlinks=True)
    return 0


def keep(cached: str, key: str, *names: str) -> int:
    """Keep the directories *names*, in place of those before."""
    cache = Path(cached)
    remove(cache)
    for name in names:
        if Path(name).is_dir():
            print(f"- {name}")
            shutil.copytree(name, cache / "tree" / name, symlinks=True, ignore=special, dirs_exist_ok=True)
        else:
            print(f"- {name} (nothing to cache)")
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "key").write_text(on_stack(key))
    return 0


def carry(source: Path, target: Path, how: str) -> None:
    """Take the modules from one tree to another, by hard links where nothing edits them afterwards.

    What tools keep in ``.cache`` there stays: with it, a warm build would not be a cold one.
    """
    if (source / MODULES).is_dir():
        copy = link_or_copy if how == "link" else shutil.copy2
        top = str(source / MODULES)
        shutil.copytree(
            source / MODULES,
            target / MODULES,
            symlinks=True,
            copy_function=copy,
            ignore=lambda directory, names: {*special(directory, names), *([".cache"] if directory == top else [])},
        )
    if (source / STATE).is_file():
        (target / STATE).parent.mkdir(exist_ok=True)
        shutil.copy2(source / STATE, target / STATE)


def finish(scripts: str, cached: str) -> int:
    """Remove what differs from build to build and no app reads; put the profile script into .profile.d."""
    for builds in Path(cached).glob("pnpm/*/projects"):
        remove(builds)  # where pnpm counts each build's directory for a project of its own
    for name in NOTES:
        remove(MODULES / name)
    remove(STATE)
    remove(ARCHIVES)
    if STATE.parent.is_dir() and not os.listdir(STATE.parent):
        STATE.parent.rmdir()
    for gyp in list(MODULES.rglob("binding.gyp")):
        for pattern in LEFT_BY_GYP:
            for path in list((gyp.parent / "build").glob(pattern)):
                remove(path)
    return add_profile(scripts)


def tool(downloaded: str, target: str, package: str, digest: str) -> int:
    """Make a package manager out of its package, with its commands in bin/; 4 when it is not what *digest* says."""
    archive = next(Path(downloaded).glob("*.tgz"))
    place = Path(target)
    for other in place.parent.glob("*"):
        remove(other)  # of a manager the version in use is kept, not its history
    making = place.with_name(f".{place.name}")
    (making / "package").mkdir(parents=True)
    unpack = ("tar", "-xzf", archive, "-C", making / "package", "--strip-components=1", "--no-same-owner")
    subprocess.run(unpack, check=True)
    commands = json.loads((making / "package/package.json").read_text())["bin"]
    if isinstance(commands, str):
        commands = {place.name.rpartition("-")[0]: commands}
    if digest and not is_it(archive if package != "@yarnpkg/cli-dist" else making / "package/bin/yarn.js", digest):
        return 4
    (making / "bin").mkdir()
    for name, path in commands.items():
        (making / "package" / path).chmod(0o755)
        (making / "bin" / name).symlink_to(Path("../package", path))
    making.rename(place)
    remove(Path(downloaded))
    return 0


def is_it(file: Path, digest: str) -> bool:
    """Return whether *digest*, "sha512.<hex>", is that of *file*: of Yarn 2 and later corepack takes the program's."""
    kind, _, expected = digest.partition(".")
    return kind in hashlib.algorithms_guaranteed and hashlib.new(kind, file.read_bytes()).hexdigest() == expected


STEPS: dict[str, Callable[..., int]] = {
    "clear": clear,
    "note": note,
    "restore": restore,
    "save": save,
    "bring": bring,
    "keep": keep,
    "finish": finish,
    "tool": tool,
}
