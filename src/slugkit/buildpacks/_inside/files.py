"""What the packs' steps do with files alike."""

import os
import shutil
import stat
from pathlib import Path


def add_profile(scripts: str | Path) -> int:
    """Put the profile scripts of a pack into .profile.d."""
    target = Path(".profile.d")
    target.mkdir(exist_ok=True)
    for script in Path(scripts).glob("*.sh"):
        remove(target / script.name)  # a link or a directory that the source has in its place
        shutil.copyfile(script, target / script.name)
    return 0


def remove(path: str | Path) -> None:
    """Remove the directory *path*, or whatever is in its place."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    elif os.path.lexists(path):
        os.unlink(path)


def as_directory(path: Path) -> Path:
    """Make sure that *path* of the cache is a directory: what an earlier build has left there fails no later one."""
    if path.is_symlink() or not path.is_dir():
        remove(path)
        path.mkdir()
    return path


def text_of(path: Path) -> str:
    """Return what the file *path* of the cache says, nothing when it is none."""
    return path.read_text(errors="replace") if path.is_file() else ""


def on_stack(key: str) -> str:
    """Return *key* for the stack of this build: what was installed on another does not count (contract.md 8.3)."""
    return f"{os.environ.get('STACK', '')} {key}"


def special(directory: str, names: list[str]) -> set[str]:
    """Return those of *names* that no copy can have: sockets, FIFOs, devices."""
    return {name for name in names if is_special(os.path.join(directory, name))}


def is_special(path: str) -> bool:
    mode = os.lstat(path).st_mode
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))


def link_or_copy(source: str, target: str) -> None:
    """Make *target* the same file as *source*, or a copy where the file system cannot."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def note(notes: str, *facts: str) -> int:
    """Add lines of name=value to what the build is told of its steps."""
    with open(notes, "a") as file:
        file.writelines(f"{fact}\n" for fact in facts)
    return 0
