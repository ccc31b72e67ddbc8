"""The build workspace and the build cache: two of the four owners of state, side by side on one file system.

The workspace, in which packs hard-link and rename (contract.md 2.3), lies inside the app's cache directory: the cache
is then written back by one rename. Where root's builds run as another user, who sees the host's own paths, it lies
*apart*, among the temporary files: that user cannot enter root's cache directory, and is not to.
"""

import errno
import fcntl
import hashlib
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from attrs import define, evolve, field

from .. import _log
from .._tree import copy_tree, give_to, make_readable, remove_tree
from .._whole import writing
from ..environ import user_cache
from ..errors import CompileFailedError, OutputError
from ..source import Source


def app_cache(chosen: str | PathLike[str] | None, source: Source) -> Path:
    """Return the build cache directory that was *chosen*, or else one of the user's that belongs to *source*."""
    if chosen is not None:
        return Path(chosen).absolute()
    path = source.path.resolve()  # one cache, however the source is spelled
    key = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
    return user_cache(os.environ) / "builds" / f"{path.name[:100] or 'app'}-{key}"


@define
class Workspace:
    """The directories of one build, as the host sees them; ``tmp`` is what the sandbox shows as /tmp.

    ``full`` is what a command said last of the disk having no room.
    """

    root: Path
    segments: Path  # what of the app's slugs was compressed before; no script sees it
    full: str = field(init=False, default="")
    build_dir: Path = field(init=False)
    cache_dir: Path = field(init=False)

    @build_dir.default
    def _build_dir(self) -> Path:
        return self.tmp / f"build_{uuid.uuid4().hex[:8]}"

    @cache_dir.default
    def _cache_dir(self) -> Path:
        return self.tmp / "build_cache"  # always the same: caches may spell it; right below what no script can replace

    @property
    def tmp(self) -> Path:
        """The builds' private /tmp."""
        return self.root / "tmp"

    @property
    def home(self) -> Path:
        """The builds' writable /app, which is also HOME."""
        return self.root / "app"

    def note_full(self, line: str) -> None:
        """Note that a command has said, in *line*, that the disk is full."""
        self.full = line.strip()

    def explained(self, error: CompileFailedError) -> CompileFailedError:
        """Return *error* with the disk's being full as its cause, whatever the pack made of it; as it is otherwise."""
        if not self.full:
            return error
        said = tuple(line for line in error.last_lines if self.full not in line)
        fix = f"make room on the disk of {self.root.parent}, or choose another with --cache-dir (cache_dir=)"
        return evolve(error, last_lines=(*said, self.full), fix=fix)

    def give_to(self, uid: int) -> None:
        """Make all of it *uid*'s, who runs the packs, and let in nobody else."""
        os.chown(self.root, -1, uid)
        self.root.chmod(0o710)
        for directory in (self.tmp, self.home):
            give_to(directory, uid, uid)

    def keep(self) -> Path:
        """Move it aside, where nothing removes it, and return where it is."""
        kept = self.root.with_name(self.root.name.replace("work-", "failed-"))
        self.root.rename(kept)
        return kept


def write_env_dir(directory: Path, config_vars: Mapping[str, str]) -> None:
    """Make *directory* an ENV_DIR: a file a config var, for its owner only, with no newline added (contract.md 2.3).

    Raises:
        OutputError: The disk said no.
    """
    with writing(directory):
        directory.mkdir(mode=0o700)
        for name, value in config_vars.items():
            fd = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(value.encode("utf-8", "surrogateescape"))


@contextmanager
def open_workspace(app_cache: Path, on_wait: Callable[[], None], *, apart: bool = False) -> Iterator[Workspace]:
    """Yield a workspace with a copy of the cache in *app_cache*, which is written back if nothing is raised.

    Builds of one app wait for each other; *on_wait* is called when this one has to. *apart*: it is to lie elsewhere.

    Raises:
        OutputError: The disk said no; the cache is unchanged.
    """
    try:
        app_cache.parent.mkdir(parents=True, exist_ok=True)
        app_cache.mkdir(mode=0o700, exist_ok=True)
        lock = os.open(app_cache / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise OutputError(str(app_cache), error.strerror or str(error)) from error
    try:
        _wait_for(lock, on_wait)
        _remove_stale(app_cache)
        with _made(app_cache, apart=apart) as workspace:
            yield workspace
            _write_back(workspace, app_cache / "cache")
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)  # closing would not do while a fork of the host program holds it too
        os.close(lock)


@contextmanager
def scratch_workspace(*, apart: bool = False) -> Iterator[Workspace]:
    """Yield a workspace with an empty cache, for a question that changes nothing: no lock, nothing kept."""
    home = Path(tempfile.mkdtemp(prefix="slugkit-"))
    try:
        with _made(home, apart=apart) as workspace:
            yield workspace
    finally:
        remove_tree(home)


@contextmanager
def _made(app_cache: Path, *, apart: bool) -> Iterator[Workspace]:
    here = app_cache / f"work-{uuid.uuid4().hex[:8]}"
    workspace = Workspace(
        Path(tempfile.gettempdir(), f"slugkit-{here.name}") if apart else here, here.with_name("segments")
    )
    try:
        try:
            if apart:
                here.symlink_to(workspace.root)  # before it is there: who is killed leaves nothing that is not found
            workspace.root.mkdir(mode=0o700)
            for directory in (workspace.tmp, workspace.home, workspace.cache_dir):
                directory.mkdir()
                directory.chmod(0o755)  # whatever the umask: the packs' user enters them
            _copy_cache(app_cache / "cache", workspace.cache_dir)
        except OSError as error:
            raise OutputError(str(app_cache), error.strerror or str(error)) from error
        yield workspace
    finally:
        remove_tree(workspace.root)
        here.unlink(missing_ok=True)


def _copy_cache(cache: Path, target: Path) -> None:
    """Copy *cache* to the empty directory *target*; one that cannot be read is no cache, and fails no build."""
    if cache.is_symlink() or not cache.is_dir():
        return
    try:
        copy_tree(cache, target)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS}:
            raise
        _log.debug("the build cache cannot be read", cache=str(cache), error=repr(error))
        remove_tree(target)
        target.mkdir()
        target.chmod(0o755)


def _readable(cache: Path) -> bool:
    """Make *cache* readable for the next build; one with paths that no system call takes cannot be, and is dropped."""
    try:
        make_readable(cache)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        _log.debug("the build cache cannot be kept", cache=str(cache), error=repr(error))
        return False
    return True


def _wait_for(lock: int, on_wait: Callable[[], None]) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        on_wait()
        fcntl.flock(lock, fcntl.LOCK_EX)


def _remove_stale(app_cache: Path) -> None:
    """Remove what a killed build left: whoever holds the lock is alone."""
    for stale in [*app_cache.glob("work-*"), *app_cache.glob("old-*")]:
        if stale.is_symlink() and _is_ours(stale.readlink(), stale):
            remove_tree(stale.readlink())
        remove_tree(stale)
    if not (app_cache / "cache").exists():
        for complete in app_cache.glob("new-*"):  # killed between the two renames of _write_back
            complete.rename(app_cache / "cache")
    for stale in app_cache.glob("new-*"):
        remove_tree(stale)


def _is_ours(workspace: Path, link: Path) -> bool:
    """Return whether *workspace* is the one that *link* was made for: others may write to a cache that was chosen."""
    try:
        return workspace.name == f"slugkit-{link.name}" and workspace.lstat().st_uid == os.geteuid()
    except OSError:  # it was not made yet, or is removed
        return False


def _write_back(workspace: Workspace, cache: Path) -> None:
    """Put the workspace's cache in the place of *cache*: new beside old, then two renames."""
    with writing(cache):
        if workspace.cache_dir.is_symlink() or not workspace.cache_dir.is_dir():
            return  # a command has put something else there: the old cache stays
        if not _readable(workspace.cache_dir):
            return
        new = cache.with_name(f"new-{uuid.uuid4().hex[:8]}")
        _move(workspace.cache_dir, new)
        old = cache.with_name(f"old-{uuid.uuid4().hex[:8]}")
        if cache.exists():
            cache.rename(old)
        new.rename(cache)
        remove_tree(old)


def _move(written: Path, target: Path) -> None:
    """Give the directory *written* the name *target*, which it gets whole, also on another file system."""
    try:
        written.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy = target.with_name(f"work-{uuid.uuid4().hex[:8]}")
        try:
            copy.mkdir()
            copy_tree(written, copy)
            copy.rename(target)
        finally:
            remove_tree(copy)
