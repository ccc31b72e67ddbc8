"""Copy a source into BUILD_DIR: without ``.git``, without what ``.slugignore`` names, and without running it."""

import os
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .. import _exec
from .._tree import copy_tree, read_beneath, remove_tree, walk
from ..archive import unpack_source
from ..command import Command, Completed
from ..environ import BUILD_PATH
from ..errors import SlugkitError, SourceUnusableError
from ..slugignore import Tree, ignored
from ..source import DirectorySource, GitSource, Source, TarballSource

# A repository's own configuration runs code (security.md 6): hooks, monitors, filters and transports are off, and
# the work tree is written from a bare repository of ours that only borrows the objects.
_SAFE = (
    *("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "protocol.allow=never"),
    *("-c", "safe.directory=*", "-c", "core.attributesFile=/dev/null"),
)
_GIT_ENV = {
    "PATH": BUILD_PATH,
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}


def checkout(
    source: Source,
    build_dir: Path,
    on_ignored: Callable[[int], None],
    leave_out: Iterable[Path] = (),
) -> str | None:
    """Put *source* into *build_dir*, which is absent, and return its commit if it has one.

    *leave_out* are paths that a directory may hold and that are not its source: the build's own cache and output.

    Raises:
        SourceUnusableError: It cannot be read, or has no such ref.
        UnsafeMemberError: A hostile tarball.
    """
    commit = None
    try:
        match source:
            case DirectorySource(path):
                _copy(path, build_dir, leave_out)
            case GitSource(path, ref):
                commit = _checkout_git(path, ref, build_dir)
            case TarballSource(path):
                unpack_source(path, build_dir)
        build_dir.chmod(0o755)  # whatever the umask: the packs' user enters it
        _prune(build_dir, on_ignored)
    except OSError as error:
        if isinstance(error, SlugkitError):
            raise
        where = f"{error.filename}: " if error.filename else ""
        reason = f"{where}{error.strerror or error}"
        raise SourceUnusableError(str(source.path), reason) from error
    return commit


def _copy(source: Path, build_dir: Path, leave_out: Iterable[Path]) -> None:
    real = source.resolve()
    own = {str(p.resolve().relative_to(real)) for p in (build_dir, *leave_out) if p.resolve().is_relative_to(real)}
    build_dir.mkdir()
    copy_tree(source, build_dir, skip=lambda path: _is_git(path) or path in own)


def _is_git(path: str) -> bool:
    return path.rpartition("/")[2] == ".git"


def _prune(build_dir: Path, on_ignored: Callable[[int], None]) -> None:
    for entry in list(walk(build_dir)):
        if _is_git(entry.path):
            remove_tree(build_dir / entry.path)
    text = read_beneath(build_dir, ".slugignore")
    if text is None:
        return
    found = ignored(text.decode("utf-8", "surrogateescape"), _as_tree(build_dir))
    for path in found.paths:
        remove_tree(build_dir / path)
    on_ignored(found.count)


def _as_tree(root: Path) -> Tree:
    tree: dict[str, Any] = {}
    directories = {"": tree}
    for entry in walk(root):
        parent, _, name = entry.path.rpartition("/")
        directories[parent][name] = {} if entry.is_dir else None
        if entry.is_dir:
            directories[entry.path] = directories[parent][name]
    return tree


def _checkout_git(repository: Path, ref: str, build_dir: Path) -> str:
    """Write the tree of *ref* through a bare repository of ours that borrows the objects of *repository*."""
    if shutil.which("git", path=BUILD_PATH) is None:
        raise SourceUnusableError(str(repository), "git is not installed")
    if "\0" in ref:
        raise SourceUnusableError(str(repository), f"no commit {ref!r}")
    git_dir = _git_dir(repository)
    commit = _resolve(repository, git_dir, ref)
    ours = build_dir.with_name(f"{build_dir.name}.git")
    try:
        _git_or_raise(repository, "init", "--quiet", "--bare", "--template=", ours)
        # Borrowed through a link of a plain name: the file that lists what is borrowed cannot spell every path.
        (ours / "borrowed").symlink_to(_common_dir(git_dir).absolute() / "objects")
        (ours / "objects/info").mkdir(exist_ok=True)
        (ours / "objects/info/alternates").write_text("../borrowed\n")
        build_dir.mkdir()
        here = ("--git-dir", ours, "--work-tree", build_dir)
        _git_or_raise(repository, *here, "read-tree", commit)
        _git_or_raise(repository, *here, "checkout-index", "--all", "--force")
    finally:
        remove_tree(ours)
    return commit


def _git_dir(repository: Path) -> Path:
    """Return where the repository's data is: a bare one itself, its ``.git``, or where that file says."""
    inside = repository / ".git"
    if not inside.is_file():
        return inside if inside.is_dir() else repository
    _, _, target = os.fsdecode(inside.read_bytes()).partition("gitdir: ")
    return repository / target.removesuffix("\n")


def _common_dir(git_dir: Path) -> Path:
    """Return the directory with the objects: a linked work tree shares those of its main repository."""
    try:
        return git_dir / os.fsdecode((git_dir / "commondir").read_bytes()).removesuffix("\n")
    except (FileNotFoundError, NotADirectoryError):
        return git_dir


def _resolve(repository: Path, git_dir: Path, ref: str) -> str:
    arguments = ("--git-dir", git_dir, "rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}")
    found = _git(*arguments)
    commit = found.output.rstrip("\n").rpartition("\n")[2]  # behind a warning that the ref is ambiguous
    if found.status != 0 or not re.fullmatch(r"[0-9a-f]{40,64}", commit):
        raise SourceUnusableError(str(repository), f"no commit {ref!r}: {_last(found)}")
    return commit


def _git_or_raise(repository: Path, *arguments: str | Path) -> None:
    done = _git(*arguments)
    if done.status != 0:
        raise SourceUnusableError(str(repository), f"git: {_last(done)}")


def _git(*arguments: str | Path) -> Completed:
    return _exec.run(Command(("git", *_SAFE, *map(str, arguments)), env=_GIT_ENV))


def _last(done: Completed) -> str:
    lines = done.output.strip().splitlines()
    return lines[-1] if lines else f"git exited with status {done.status}"
