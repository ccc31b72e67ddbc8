"""Each step, by the name that the buildpack calls it, and its way through the cache."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from .bytecode import compile_all
from .environment import ENV, check
from .relocate import relocate_paths, relocate_scripts
from .vendor import link_stack, vendor


def restore(notes: str, cached: str, key: str) -> int:
    """Bring the environment that *key* names back from the cache; 3 when it is not there."""
    cache = Path(cached)
    if not (cache / "key").is_file() or (cache / "key").read_text() != key:
        note(notes, "cache_status", "discarded" if cache.is_dir() else "empty")
        return 3
    note(notes, "cache_status", "reused")
    link_tree(cache / "env", ENV)
    if (cache / "requirements.lock").is_file():
        shutil.copyfile(cache / "requirements.lock", ".heroku/requirements.lock")
    return 0


def save(cached: str, key: str) -> int:
    """Put the environment into the cache, in place of the one before."""
    cache = Path(cached)
    shutil.rmtree(cache, ignore_errors=True)
    link_tree(ENV, cache / "env")
    if Path(".heroku/requirements.lock").is_file():
        shutil.copyfile(".heroku/requirements.lock", cache / "requirements.lock")
    (cache / "key").write_text(key)
    return 0


def finish(runtime: str) -> int:
    """Make the environment work at any path, bytecode included."""
    for useless in [*ENV.glob("bin/*activate*"), *ENV.glob("bin/pydoc*"), ENV / "CACHEDIR.TAG", ENV / ".lock"]:
        useless.unlink(missing_ok=True)
    if runtime == "vendored":
        vendor()
    else:
        link_stack()
    relocate_scripts()
    relocate_paths()
    compile_all([ENV])
    return check(runtime)


def app() -> int:
    """Compile the app's own modules: a dyno cannot write bytecode, and would compile them at each start."""
    shutil.rmtree("__pycache__", ignore_errors=True)
    visible = [path for path in Path().iterdir() if not path.name.startswith(".") and not path.is_symlink()]
    compile_all(path for path in visible if path.is_dir() or path.suffix == ".py")
    return 0


def profile(scripts: str) -> int:
    """Put the profile scripts into .profile.d."""
    target = Path(".profile.d")
    target.mkdir(exist_ok=True)
    for script in Path(scripts).glob("*.sh"):
        shutil.copyfile(script, target / script.name)
    return 0


def remember(notes: str, path: str, version: str) -> int:
    """Note in the cache which Python this build had: the next one has the same unless it is told otherwise."""
    Path(path).write_text(version)
    note(notes, "python_version", ".".join(map(str, sys.version_info[:3])))
    return 0


def note(notes: str, name: str, fact: str) -> None:
    """Add a fact to what the build reports."""
    with Path(notes).open("a") as file:
        file.write(f"{name}={fact}\n")


def link_tree(source: Path, target: Path) -> None:
    """Copy a tree by hard links where the file system allows; neither side is edited in place afterwards."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, symlinks=True, copy_function=link_or_copy)


def link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


STEPS: dict[str, Callable[..., int]] = {
    "restore": restore,
    "save": save,
    "finish": finish,
    "app": app,
    "profile": profile,
    "remember": remember,
}


def main() -> None:
    """Do the step that the command line names, with its arguments."""
    step, *arguments = sys.argv[1:]
    sys.exit(STEPS[step](*arguments))
