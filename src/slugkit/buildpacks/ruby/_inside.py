"""The steps of the Ruby buildpack that touch the app's files, run inside the build's sandbox.

A script on its own (``python -I -S``), standard library only: the tree may be hostile, and in here its links lead
nowhere that matters. The working directory is the tree.
"""

import contextlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

BUNDLE = Path("vendor/bundle")
# What a native extension leaves where it was compiled: it holds paths and times, and is of no use to a dyno.
LEFTOVERS = re.compile(r"mkmf\.log|gem_make\.out|conftest.*|\..*\.time|.*\.o")
MANIFEST = re.compile(r"\.?(sprockets-)?manifest.*\.json")  # of compiled assets
TASK = re.compile(r"^rake (\S+)", re.MULTILINE)


def prepare(cached: str, key: str) -> int:
    """Make the cached bundle one of *key*, a new one if it is another's, and remove what the source has of its own."""
    cache = Path(cached)
    kept, key = cache / "key", f"{os.environ['STACK']} {key}"
    if not kept.is_file() or kept.read_text() != key:
        shutil.rmtree(cache / "bundle", ignore_errors=True)
        kept.write_text(key)
    (cache / "tasks.json").unlink(missing_ok=True)
    shutil.rmtree(BUNDLE, ignore_errors=True)
    Path(".bundle/config").unlink(missing_ok=True)
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
            for library in sorted(target.glob(f"gems/{name}/**/*.so")):
                strip(library)
    Path(BUNDLE, "bin/bundle").unlink(missing_ok=True)  # would refuse a lock that is BUNDLED WITH a later version
    for archive in Path("vendor/cache").glob("*.gem"):
        archive.unlink()
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


def tasks(cached: str) -> int:
    """Ask rake which tasks there are, for what follows and for the release."""
    done = subprocess.run(["bundle", "exec", "rake", "-P"], check=False, capture_output=True, errors="replace")
    Path(cached, "tasks.json").write_text(json.dumps(TASK.findall(done.stdout)))
    sys.stderr.write(done.stderr if done.returncode else "")
    return done.returncode


def has_assets() -> int:
    """Return 0 if the source brings its assets compiled."""
    found = Path("public/assets").glob("*manifest*.json")
    return 0 if any(MANIFEST.fullmatch(path.name) for path in found) else 1


def secret(cached: str) -> int:
    """Make the app's SECRET_KEY_BASE, once."""
    file = Path(cached, "secret_key_base")
    if not file.is_file():
        file.write_text(secrets.token_hex(64))
        file.chmod(0o600)
    return 0


def profile(scripts: str) -> int:
    """Put the profile scripts into .profile.d."""
    target = Path(".profile.d")
    target.mkdir(exist_ok=True)
    for script in Path(scripts).glob("*.sh"):
        shutil.copyfile(script, target / script.name)
    return 0


def link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


STEPS: dict[str, Callable[..., int]] = {
    "prepare": prepare,
    "place": place,
    "tasks": tasks,
    "has-assets": has_assets,
    "secret": secret,
    "profile": profile,
}

if __name__ == "__main__":
    step, *arguments = sys.argv[1:]
    sys.exit(STEPS[step](*arguments))
