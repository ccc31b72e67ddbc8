"""Copy a source into BUILD_DIR: without ``.git``, without what ``.slugignore`` names, and without running it.

The work tree of a git ref is written from a bare repository of ours that only borrows the objects: the configuration
of the one that was named is never read.
"""

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .._exec import git, last_line
from .._tree import copy_tree, read_beneath, remove_tree, walk
from ..archive import unpack_source
from ..environ import BUILD_PATH
from ..errors import SlugkitError, SourceUnusableError
from ..slugignore import Tree, ignored
from ..source import DirectorySource, GitSource, Source, TarballSource

_LARGEST_REFS = 64 * 2**20  # bytes of packed-refs


def checkout(source: Source, build_dir: Path, leave_out: Iterable[Path] = ()) -> tuple[str | None, int | None]:
    """Put *source* into *build_dir*, which is absent; return its commit and how much ``.slugignore`` removed, if any.

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
        return commit, _prune(build_dir)
    except SlugkitError:
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        reason = f"{where}{error.strerror or error}"
        raise SourceUnusableError(str(source.path), reason) from error


def _copy(source: Path, build_dir: Path, leave_out: Iterable[Path]) -> None:
    real = source.resolve()
    own = {str(p.resolve().relative_to(real)) for p in (build_dir, *leave_out) if p.resolve().is_relative_to(real)}
    if "." in own:
        raise SourceUnusableError(str(source), "it is the build's own cache directory")
    build_dir.mkdir()
    copy_tree(source, build_dir, skip=lambda path: _is_git(path) or path in own)


def _is_git(path: str) -> bool:
    return path.rpartition("/")[2] == ".git"


def _prune(build_dir: Path) -> int | None:
    for entry in list(walk(build_dir)):
        if _is_git(entry.path):
            remove_tree(build_dir / entry.path)
    text = read_beneath(build_dir, ".slugignore")
    if text is None:
        return None
    found = ignored(text.decode("utf-8", "surrogateescape"), _as_tree(build_dir))
    for path in found.paths:
        remove_tree(build_dir / path)
    return found.count


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
    """Write the tree of *ref* through a bare repository of ours that borrows the refs and objects of *repository*."""
    if shutil.which("git", path=BUILD_PATH) is None:
        raise SourceUnusableError(str(repository), "git is not installed")
    ours = build_dir.with_name(f"{build_dir.name}.git")
    try:
        _git_or_raise(repository, "init", "--quiet", "--bare", "--template=", ours)
        _borrow(repository, ours)
        commit = _resolve(repository, ours, ref)
        build_dir.mkdir()
        here = ("--git-dir", ours, "--work-tree", build_dir)
        _git_or_raise(repository, *here, "read-tree", commit)
        _git_or_raise(repository, *here, "checkout-index", "--all", "--force")
    finally:
        remove_tree(ours)
    return commit


def _borrow(repository: Path, ours: Path) -> None:
    """Let *ours* see the objects of *repository*, and give it copies of its refs; its configuration is never read."""
    git_dir, common = _git_dirs(repository)
    # Borrowed through a link of a plain name: the file that lists what is borrowed cannot spell every path.
    (ours / "borrowed").symlink_to(common.absolute() / "objects")
    (ours / "objects/info").mkdir(exist_ok=True)
    (ours / "objects/info/alternates").write_text("../borrowed\n")
    for name in ("packed-refs", "shallow"):
        _copy_file(common, name, ours / name)
    _copy_file(git_dir, "HEAD", ours / "HEAD")
    for entry in walk(common / "refs") if (common / "refs").is_dir() else ():
        if entry.is_dir:
            (ours / "refs" / entry.path).mkdir(exist_ok=True)
        elif entry.is_file:
            _copy_file(common / "refs", entry.path, ours / "refs" / entry.path)


def _copy_file(root: Path, name: str, target: Path) -> None:
    content = read_beneath(root, name, _LARGEST_REFS)
    if content is not None:
        target.write_bytes(content)


def _git_dirs(repository: Path) -> tuple[Path, Path]:
    """Return the directories with HEAD and with refs and objects; they differ for a linked work tree only.

    Raises:
        SourceUnusableError: It leads to a repository that does not know of it: the caller has named this one.
    """
    inside = repository / ".git"
    if inside.is_symlink():
        raise SourceUnusableError(str(repository), "its .git is a link; name the repository itself")
    if not inside.is_file():
        bare = inside if inside.is_dir() else repository
        if (bare / "commondir").exists():
            raise SourceUnusableError(str(repository), "it is part of another repository; name that one")
        return bare.resolve(), bare.resolve()
    _, _, target = os.fsdecode(inside.read_bytes()).partition("gitdir: ")
    git_dir = repository / target.removesuffix("\n")
    if any(git_dir.resolve().is_relative_to(above / ".git/modules") for above in repository.resolve().parents):
        return git_dir, git_dir  # a submodule of the repository it lies in
    back = read_beneath(git_dir, "gitdir") if git_dir.is_dir() else None
    if back is None or Path(os.fsdecode(back).removesuffix("\n")).resolve() != inside.resolve():
        raise SourceUnusableError(str(repository), "its .git names a repository that does not name it")
    common = read_beneath(git_dir, "commondir") or b"."
    return git_dir, git_dir / os.fsdecode(common).removesuffix("\n")


def _resolve(repository: Path, ours: Path, ref: str) -> str:
    if "\0" in ref:
        raise SourceUnusableError(str(repository), f"no commit {ref!r}")
    found = git("--git-dir", ours, "rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}")
    commit = found.output.rstrip("\n").rpartition("\n")[2]  # behind a warning that the ref is ambiguous
    if found.status != 0 or not re.fullmatch(r"[0-9a-f]{40,64}", commit):
        raise SourceUnusableError(str(repository), f"no commit {ref!r}: {last_line(found)}")
    return commit


def _git_or_raise(repository: Path, *arguments: str | Path) -> None:
    done = git(*arguments)
    if done.status != 0:
        raise SourceUnusableError(str(repository), f"git: {last_line(done)}")
