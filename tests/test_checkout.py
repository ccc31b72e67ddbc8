"""Checking a source out: everything that is to be built, nothing else, and no code of a repository is run."""

import gzip
import io
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from slugkit.build._checkout import checkout
from slugkit.errors import SlugkitError, SourceNotFoundError, SourceUnusableError, UnsafeMemberError
from slugkit.source import DirectorySource, GitSource, Source, TarballSource, as_source
from support import NOBODY, as_nobody

FILES = {"Procfile": b"web: ./run\n", "run": b"#!/bin/sh\n", "lib/a.txt": b"a\n", "lib/deep/b.txt": b"b\n"}


def _write(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def _tree(root: Path) -> dict[str, bytes | str | None]:
    """Return what is below *root*: content, link targets, None for directories and whatever else there is."""
    found: dict[str, bytes | str | None] = {}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = str(path.readlink())
        else:
            found[name] = path.read_bytes() if path.is_file() else None
    return found


def _files(root: Path) -> dict[str, bytes | str | None]:
    return {name: content for name, content in _tree(root).items() if content is not None}


class Build:
    """A place for BUILD_DIR; `take` checks out there and remembers what was ignored."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.directory = home / "build_1"
        self.counts: list[int] = []

    def take(self, source: Source) -> str | None:
        """Check *source* out."""
        commit, ignored = checkout(source, self.directory)
        self.counts += [] if ignored is None else [ignored]
        return commit

    @property
    def files(self) -> dict[str, bytes | str | None]:
        """Files and links of BUILD_DIR."""
        return _files(self.directory)


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Return a place for BUILD_DIR."""
    (tmp_path / "work").mkdir()
    return Build(tmp_path / "work")


# --- directories -----------------------------------------------------------------------------------------------


def test_a_directory_is_copied(tmp_path: Path, build: Build) -> None:
    """A directory's files come with content, permissions and times; it has no commit."""
    source = _write(tmp_path / "app", FILES)
    (source / "run").chmod(0o750)
    (source / "empty").mkdir()
    os.utime(source / "run", (1_000_000_000, 1_000_000_000))

    assert build.take(DirectorySource(source)) is None
    assert _tree(build.directory) == _tree(source)
    assert (build.directory / "run").stat().st_mode & 0o777 == 0o750
    assert (build.directory / "run").stat().st_mtime == 1_000_000_000
    assert build.counts == []


def test_git_is_left_out_at_any_depth(tmp_path: Path, build: Build) -> None:
    """No ``.git`` reaches a build: directory, file of a worktree or submodule, or link, at any depth."""
    secret = b"https://user:hunter2@example.com"
    extra = {".git/config": secret, "lib/.git/config": secret, "lib/deep/.git": secret, "a/b/c/.git/x/.git/y": secret}
    source = _write(tmp_path / "app", {**FILES, **extra, ".gitignore": b"x", "lib/.github/x": b"y", "x.git/z": b"z"})
    (source / "x.git/.git").symlink_to("../.git")
    build.take(DirectorySource(source))

    assert build.files == {**FILES, ".gitignore": b"x", "lib/.github/x": b"y", "x.git/z": b"z"}


def test_links_are_copied_as_links(tmp_path: Path, build: Build) -> None:
    """A link in a directory stays a link: nothing it points to is copied, and a dangling one is no error."""
    links = {"up": "../secret", "abs": "/etc/passwd", "gone": "nowhere", "dir": "lib", "self": "self", "odd": "\udcff"}
    (tmp_path / "secret").write_text("hunter2")
    source = _write(tmp_path / "app", FILES)
    for name, target in links.items():
        (source / name).symlink_to(target)
    build.take(DirectorySource(source))

    assert build.files == {**FILES, **links}


def test_what_no_slug_holds_is_dropped(tmp_path: Path, build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets and FIFOs, as editors and servers leave them, are left out and not waited for."""
    source = _write(tmp_path / "app", FILES)
    os.mkfifo(source / "lib/pipe")
    monkeypatch.chdir(source)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind("server.sock")
        build.take(DirectorySource(source))

    assert set(_tree(build.directory)) == {*FILES, "lib", "lib/deep"}


def test_hard_links_become_files_of_their_own(tmp_path: Path, build: Build) -> None:
    """A build that changes its copy does not change the source, hard links included."""
    source = _write(tmp_path / "app", FILES)
    os.link(source / "run", source / "run2")
    build.take(DirectorySource(source))
    (build.directory / "run").write_text("changed")

    assert (source / "run").read_bytes() == FILES["run"]
    assert (build.directory / "run2").read_bytes() == FILES["run"]


def test_odd_names_are_copied(tmp_path: Path, build: Build) -> None:
    """Names that are not UTF-8, start with a dash or hold a newline come along."""
    odd = {"caf\udce9": b"1", "-rf": b"2", "new\nline": b"3", " ": b"4", "\\": b"5", "...": b"6"}
    build.take(DirectorySource(_write(tmp_path / "app", odd)))

    assert build.files == odd


def test_a_read_only_directory_can_be_built_in(tmp_path: Path, build: Build) -> None:
    """A directory without write permission is copied, and its copy can be written by its owner."""
    source = _write(tmp_path / "app", FILES)
    (source / "lib/deep").chmod(0o555)
    try:
        build.take(DirectorySource(source))
    finally:
        (source / "lib/deep").chmod(0o755)

    assert build.files == FILES
    assert (build.directory / "lib/deep").stat().st_mode & 0o200


def test_the_source_is_unchanged(tmp_path: Path, build: Build) -> None:
    """Checking out, ``.slugignore`` included, changes nothing in the source."""
    source = _write(tmp_path / "app", {**FILES, ".slugignore": b"lib\n", ".git/HEAD": b"x"})
    before = _stamps(source)
    build.take(DirectorySource(source))

    assert _stamps(source) == before
    assert build.counts == [1]


def _stamps(root: Path) -> list[tuple[str, int, int, int, int]]:
    def stamp(path: Path) -> tuple[str, int, int, int, int]:
        info = path.lstat()
        return str(path), info.st_ino, info.st_mode, info.st_size, info.st_mtime_ns

    return sorted(stamp(path) for path in [root, *root.rglob("*")])


@pytest.mark.parametrize("below", ["build", "tmp/work/build"])
def test_a_build_directory_inside_of_the_source_is_not_copied_into_itself(tmp_path: Path, below: str) -> None:
    """With TMPDIR inside of the app, the build's own directory is left out instead of being copied for ever."""
    source = _write(tmp_path / "app", FILES)
    directory = source / below
    directory.parent.mkdir(parents=True, exist_ok=True)
    checkout(DirectorySource(source), directory)

    assert _files(directory) == FILES


@pytest.mark.parametrize("name", ["secret.key", "lib/closed"])
def test_what_cannot_be_read_is_named(name: str) -> None:
    """A file or directory that cannot be read is an error that names it, never a build without it."""
    home = Path(tempfile.mkdtemp(prefix="slugkit-test-"))
    home.chmod(0o777)
    source = _write(home / "app", FILES)
    bad = source / name
    if name == "secret.key":
        bad.write_text("x")
    else:
        bad.mkdir()
    bad.chmod(0o000)
    try:
        with as_nobody(), pytest.raises(SourceUnusableError) as caught:
            Build(home).take(DirectorySource(source))
        assert name in caught.value.reason
        assert "Permission denied" in caught.value.reason
        assert caught.value.path == str(source)
    finally:
        bad.chmod(0o755)
        shutil.rmtree(home)


def test_a_directory_that_vanished_is_an_error(tmp_path: Path, build: Build) -> None:
    """A directory that is not there, or is a file, is an error and no empty build."""
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(SourceUnusableError):
            Build(build.home).take(DirectorySource(path))
        shutil.rmtree(build.directory, ignore_errors=True)


# --- git -------------------------------------------------------------------------------------------------------


def _git(*arguments: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None, stdin: bytes = b"") -> str:
    """Run git as the test's author would, with nothing of the host's configuration."""
    clean = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C", **(env or {})}
    config = ["-c", "user.name=n", "-c", "user.email=e@example.com", "-c", "protocol.file.allow=always"]
    command = ["git", *config, *map(str, arguments)]
    return (
        subprocess.run(command, cwd=cwd, env=clean, input=stdin, check=True, capture_output=True)
        .stdout.decode()
        .strip()
    )


def _commit(repository: Path, files: dict[str, bytes], message: str = "m") -> str:
    _write(repository, files)
    _git("add", "-A", cwd=repository)
    _git("commit", "-q", "--no-verify", "-m", message, cwd=repository)
    return _git("rev-parse", "HEAD", cwd=repository)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the repository of which each test gets a copy."""
    path = tmp_path_factory.mktemp("pristine") / "repo"
    _git("init", "-q", "-b", "main", path)
    _commit(path, {**FILES, "old": b"old\n"})
    (path / "run").chmod(0o755)
    _commit(path, {"lib/a.txt": b"a\n"}, "executable")
    _git("tag", "v1", cwd=path)
    _git("tag", "-a", "-m", "annotated", "v1-annotated", cwd=path)
    _git("branch", "feature/old", cwd=path)
    _git("rm", "-q", "old", cwd=path)
    _commit(path, {"new": b"new\n"}, "newer")
    return path


@pytest.fixture
def repository(pristine: Path, tmp_path: Path) -> Path:
    """Return a repository whose branch main is one commit ahead of the tags v1 and of the branch feature/old."""
    return Path(shutil.copytree(pristine, tmp_path / "repo", symlinks=True))


NEW = {**FILES, "new": b"new\n"}
OLD = {**FILES, "old": b"old\n"}


def _sha(repository: Path, ref: str) -> str:
    return _git("rev-parse", f"{ref}^{{commit}}", cwd=repository)


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ("HEAD", NEW),
        ("main", NEW),
        ("refs/heads/main", NEW),
        ("v1", OLD),
        ("v1-annotated", OLD),
        ("tags/v1", OLD),
        ("feature/old", OLD),
        ("HEAD~1", OLD),
        ("@", NEW),
    ],
)
def test_a_ref_is_checked_out(repository: Path, build: Build, ref: str, expected: dict[str, bytes]) -> None:
    """A branch, a tag, a commit or an expression gives the files of that commit, and tells its id."""
    assert build.take(GitSource(repository, ref)) == _sha(repository, ref)
    assert build.files == expected
    assert (build.directory / "run").stat().st_mode & 0o777 == 0o755
    assert [path.name for path in build.home.iterdir()] == ["build_1"]


@pytest.mark.parametrize("length", [40, 12, 7])
def test_a_commit_is_checked_out(repository: Path, build: Build, length: int) -> None:
    """A commit id, whole or shortened, is a ref."""
    commit = _sha(repository, "v1")

    assert build.take(GitSource(repository, commit[:length])) == commit
    assert build.files == OLD


def test_only_what_is_committed_is_built(repository: Path, build: Build) -> None:
    """Changes, staged or not, and untracked files of the work tree do not reach a build."""
    _write(repository, {"new": b"changed", "untracked": b"x", "staged": b"y"})
    _git("add", "staged", cwd=repository)
    build.take(GitSource(repository))

    assert build.files == NEW


def test_a_bare_repository_is_a_source(repository: Path, build: Build, tmp_path: Path) -> None:
    """A bare repository is as good as one with a work tree."""
    _git("clone", "-q", "--bare", repository, tmp_path / "bare.git")

    assert build.take(GitSource(tmp_path / "bare.git", "main")) == _sha(repository, "main")
    assert build.files == NEW


def test_a_packed_repository_is_a_source(repository: Path, build: Build) -> None:
    """Packed objects and packed refs are read as well as loose ones."""
    _git("gc", "-q", cwd=repository)
    build.take(GitSource(repository, "v1"))

    assert build.files == OLD


def test_a_shared_or_shallow_clone_is_a_source(repository: Path, tmp_path: Path) -> None:
    """A clone that borrows its objects, and one without history, are sources."""
    _git("clone", "-q", "--shared", repository, tmp_path / "shared")
    _git("clone", "-q", "--depth=1", f"file://{repository}", tmp_path / "shallow")
    for name in ("shared", "shallow"):
        (tmp_path / f"work-{name}").mkdir()
        build = Build(tmp_path / f"work-{name}")
        build.take(GitSource(tmp_path / name))

        assert build.files == NEW


def test_a_linked_worktree_is_a_source(repository: Path, build: Build, tmp_path: Path) -> None:
    """A directory of ``git worktree add`` builds its own HEAD."""
    _git("worktree", "add", "-q", "--detach", tmp_path / "linked", "v1", cwd=repository)

    assert build.take(GitSource(tmp_path / "linked")) == _sha(repository, "v1")
    assert build.files == OLD


def test_a_submodule_is_a_source(repository: Path, build: Build, tmp_path: Path) -> None:
    """A submodule's own directory, whose ``.git`` is a file, builds its own HEAD."""
    _git("init", "-q", tmp_path / "super")
    _git("submodule", "add", "-q", repository, "sub", cwd=tmp_path / "super")
    build.take(GitSource(tmp_path / "super/sub"))

    assert build.files == NEW


@pytest.mark.parametrize(
    ("cwd", "path"),
    [
        ("", "repo"),
        ("", "./repo/"),
        ("repo", "."),
        ("repo/lib", ".."),
        ("repo/lib/deep", "../../"),
        ("repo/.git", ".."),
    ],
)
def test_relative_paths_are_taken_from_the_current_directory(
    repository: Path, build: Build, monkeypatch: pytest.MonkeyPatch, cwd: str, path: str
) -> None:
    """A repository may be named relative to the current directory, wherever that is."""
    monkeypatch.chdir(repository.parent / cwd)
    build.take(GitSource(Path(path), "v1"))

    assert build.files == OLD


@pytest.mark.parametrize("cwd", ["super/sub", "super/sub/lib", "linked", "linked/lib"])
def test_relative_paths_from_within_a_work_tree(
    repository: Path, build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cwd: str
) -> None:
    """A relative path works from within a submodule or a linked worktree too, whose git directory is elsewhere."""
    _git("init", "-q", tmp_path / "super")
    _git("submodule", "add", "-q", repository, "sub", cwd=tmp_path / "super")
    _git("worktree", "add", "-q", "--detach", tmp_path / "linked", "main", cwd=repository)
    monkeypatch.chdir(tmp_path / cwd)
    build.take(GitSource(Path(".." if cwd.endswith("lib") else ".")))

    assert build.files == NEW


@pytest.mark.parametrize("name", ["with space", "-dash", "caf\u00e9", "caf\udce9", 'quo"te', "#hash", "a:b", "\x0c"])
def test_a_repository_may_lie_anywhere(
    repository: Path, build: Build, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repository's directory may have any name the file system takes, absolute or relative."""
    repository.rename(tmp_path / name)
    build.take(GitSource(tmp_path / name))
    assert build.files == NEW
    shutil.rmtree(build.directory)
    monkeypatch.chdir(tmp_path)
    build.take(GitSource(Path(name)))

    assert build.files == NEW


def test_a_repository_in_a_directory_with_a_newline_is_one_error_at_most(
    repository: Path, build: Build, tmp_path: Path
) -> None:
    """A newline in a repository's path, which git's own files cannot hold, is one error unless it works."""
    repository.rename(tmp_path / "new\nline")
    try:
        build.take(GitSource(tmp_path / "new\nline"))
    except SourceUnusableError:
        assert not (build.home / "build_1.git").exists()
    else:
        assert build.files == NEW


REFUSED = [
    "missing",
    "v2",
    "",
    " ",
    "--upload-pack=touch canary",
    "--output=canary",
    "--help",
    "--git-dir=/",
    "-x",
    "-",
    "--",
    "--end-of-options",
    "--all",
    "HEAD:run",
    "HEAD^{tree}",
    "v1..main",
    "HEAD --all",
    "HEAD\nHEAD",
    "0" * 40,
    "f" * 40,
    "$(touch canary)",
    "`touch canary`",
    "; touch canary",
    "|touch canary",
    "../../canary",
    "a\0b",
    "\udcff",
    "@{upstream}",
    "HEAD~99",
    "x" * 5000,
]


@pytest.mark.parametrize("ref", REFUSED, ids=lambda ref: repr(ref)[:30])
def test_an_unknown_ref_is_an_error(repository: Path, build: Build, monkeypatch: pytest.MonkeyPatch, ref: str) -> None:
    """A ref that is no commit, or looks like an option or a command, is one error that names it; nothing is run."""
    monkeypatch.chdir(build.home)

    with pytest.raises(SourceUnusableError) as caught:
        build.take(GitSource(repository, ref))
    assert caught.value.path == str(repository)
    assert repr(ref) in caught.value.reason
    assert list(build.home.iterdir()) == []


def test_the_error_says_what_git_said(repository: Path, build: Build) -> None:
    """The reason for an unknown ref is git's own sentence."""
    with pytest.raises(SourceUnusableError, match="single revision"):
        build.take(GitSource(repository, "missing"))


@pytest.mark.parametrize("what", ["empty directory", "file", "unborn", "no objects"])
def test_what_is_no_repository_is_an_error(repository: Path, build: Build, tmp_path: Path, what: str) -> None:
    """A directory without a repository, a repository without a commit or without its objects, is one error."""
    path = tmp_path / "other"
    if what == "empty directory":
        path.mkdir()
    elif what == "file":
        path.write_text("x")
    elif what == "unborn":
        _git("init", "-q", path)
    else:
        path = repository
        shutil.rmtree(path / ".git/objects/pack", ignore_errors=True)
        for directory in (path / ".git/objects").glob("??"):
            shutil.rmtree(directory)

    with pytest.raises(SourceUnusableError):
        build.take(GitSource(path))
    assert not (build.home / "build_1.git").exists()


def test_a_repository_above_is_not_found(repository: Path, build: Build) -> None:
    """A directory inside of a repository is not that repository: git does not look above."""
    with pytest.raises(SourceUnusableError):
        build.take(GitSource(repository / "lib"))


def test_a_branch_beats_no_tag_silently(repository: Path, build: Build) -> None:
    """Where a branch and a tag share a name, git's choice (the tag) is built, in spite of its warning."""
    _git("branch", "v1", "main", cwd=repository)

    assert build.take(GitSource(repository, "v1")) == _sha(repository, "refs/tags/v1")
    assert build.files == OLD


def test_a_file_named_as_the_ref_is_no_obstacle(
    repository: Path, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of the current directory that is named as the ref changes nothing."""
    (repository / "v1").write_text("x")
    monkeypatch.chdir(repository)
    build.take(GitSource(Path(), "v1"))

    assert build.files == OLD


def test_links_of_a_repository_are_links(repository: Path, build: Build) -> None:
    """A committed link comes out as a link, wherever it points, and nothing is written through it."""
    for name, target in {"in": "lib/a.txt", "out": "../../canary", "abs": "/etc/passwd", "dir": "lib"}.items():
        (repository / name).symlink_to(target)
    _commit(repository, {})
    build.take(GitSource(repository))

    assert build.files == {**NEW, "in": "lib/a.txt", "out": "../../canary", "abs": "/etc/passwd", "dir": "lib"}


def test_submodules_are_empty(repository: Path, build: Build, tmp_path: Path) -> None:
    """A submodule is not resolved (contract.md 3.5): at most an empty directory stands for it."""
    _git("init", "-q", tmp_path / "other")
    _commit(tmp_path / "other", {"inside": b"x"})
    _git("submodule", "add", "-q", tmp_path / "other", "sub", cwd=repository)
    _commit(repository, {})
    build.take(GitSource(repository))

    assert set(build.files) == {*NEW, ".gitmodules"}
    assert not (build.directory / "sub").exists() or list((build.directory / "sub").iterdir()) == []


def test_odd_names_of_a_repository_come_out(repository: Path, build: Build) -> None:
    """Names that are not UTF-8, start with a dash or hold a newline come out of a repository."""
    odd = {"caf\udce9": b"1", "-rf": b"2", "new\nline": b"3", "tab\t": b"4"}
    _commit(repository, odd)
    build.take(GitSource(repository))

    assert build.files == {**NEW, **odd}


def _raw_tree(repository: Path, *entries: tuple[bytes, bytes, str]) -> str:
    """Write a tree object of (mode, name, id) as it is, without git's own checks, and return a commit of it."""
    raw = b"".join(mode + b" " + name + b"\0" + bytes.fromhex(one) for mode, name, one in entries)
    tree = _git("hash-object", "-t", "tree", "--literally", "-w", "--stdin", cwd=repository, stdin=raw)
    return _git("commit-tree", "-m", "hostile", tree, cwd=repository)


def _hostile_entries(repository: Path) -> dict[str, list[tuple[bytes, bytes, str]]]:
    blob = _git("hash-object", "-w", "--stdin", cwd=repository, stdin=b"evil")
    up = _git("hash-object", "-w", "--stdin", cwd=repository, stdin=b"..")
    below = _git("mktree", cwd=repository, stdin=f"100644 blob {blob}\tcanary\n".encode())
    return {
        "..": [(b"40000", b"..", below)],
        "../canary": [(b"100644", b"../canary", blob)],
        "/canary": [(b"100644", b"/canary", blob)],
        ".git": [(b"40000", b".git", below)],
        ".GIT": [(b"40000", b".GIT", below)],
        "link and tree": [(b"120000", b"a", up), (b"40000", b"a", below)],
        "tree and link": [(b"40000", b"a", below), (b"120000", b"a", up)],
        "slash": [(b"120000", b"a", up), (b"100644", b"a/canary", blob)],
        "empty": [(b"100644", b"", blob)],
        "dot": [(b"40000", b".", below)],
        "mode": [(b"100000", b"a", blob)],
        "device": [(b"20666", b"a", blob)],
    }


HOSTILE_TREES = [
    "..",
    "../canary",
    "/canary",
    ".git",
    ".GIT",
    "link and tree",
    "tree and link",
    "slash",
    "empty",
    "dot",
]


@pytest.mark.parametrize("name", [*HOSTILE_TREES, "mode", "device"])
def test_hostile_trees_stay_inside(repository: Path, build: Build, name: str) -> None:
    """A tree that git itself would never make is refused or stays inside: nothing is written beside the build."""
    (build.home / "canary").write_text("here")
    commit = _raw_tree(repository, *_hostile_entries(repository)[name])
    try:
        build.take(GitSource(repository, commit))
    except SourceUnusableError:
        pass
    else:
        assert not any(part == ".git" for path in build.directory.rglob("*") for part in path.parts)
    assert (build.home / "canary").read_text() == "here"
    assert {path.name for path in build.home.iterdir()} <= {"canary", "build_1"}


# --- repositories that want to run something -------------------------------------------------------------------

CONFIGS: dict[str, str] = {
    "fsmonitor": "[core]\n\tfsmonitor = {canary}\n",
    "hooksPath": "[core]\n\thooksPath = {hooks}\n",
    "sshCommand": '[core]\n\tsshCommand = {canary}\n[remote "origin"]\n\turl = ssh://localhost/x\n',
    "pager and editor": "[core]\n\tpager = {canary}\n\teditor = {canary}\n\taskPass = {canary}\n",
    "gitProxy": "[core]\n\tgitProxy = {canary}\n",
    "alternateRefsCommand": "[core]\n\talternateRefsCommand = {canary}\n",
    "aliases": "[alias]\n"
    + "".join(f"\t{one} = !{{canary}}\n" for one in ("rev-parse", "read-tree", "checkout-index", "init")),
    "filters": '[filter "evil"]\n\tsmudge = {canary}\n\tclean = {canary}\n\tprocess = {canary}\n\trequired = true\n',
    "external diff": '[diff]\n\texternal = {canary}\n[diff "evil"]\n\tcommand = {canary}\n\ttextconv = {canary}\n',
    "merge driver": '[merge "evil"]\n\tdriver = {canary} %A %O %B\n[mergetool "x"]\n\tcmd = {canary}\n',
    "credentials": "[credential]\n\thelper = !{canary}\n",
    "gpg": "[gpg]\n\tprogram = {canary}\n[log]\n\tshowSignature = true\n[commit]\n\tgpgSign = true\n",
    "uploadpack": '[remote "origin"]\n\turl = {root}\n\tuploadpack = {canary}\n\tpromisor = true\n',
    "lazy fetch": '[extensions]\n\tpartialClone = origin\n[remote "origin"]\n\tpromisor = true\n'
    '\turl = "ext::sh -c {canary}"\n[protocol "ext"]\n\tallow = always\n[protocol]\n\tallow = always\n',
    "work tree": "[core]\n\tworktree = {root}\n\tattributesFile = {root}/attributes\n",
    "trace": "[trace2]\n\tnormalTarget = {marker}\n\teventTarget = {marker}\n",
    "maintenance": "[gc]\n\tauto = 1\n\trecentObjectsHook = {canary}\n[uploadpack]\n\tpackObjectsHook = {canary}\n",
}


def _armed(repository: Path, home: Path) -> dict[str, str]:
    """Arm *repository* with a script that makes ``home/ran``, hooks and attributes; return what configs name."""
    marker = home / "ran"
    canary = home / "canary.sh"
    canary.write_text(f'#!/bin/sh\necho "$0 $*" >> {marker}\ncat\n')
    canary.chmod(0o755)
    hooks = home / "hooks"
    hooks.mkdir()
    for name in ("post-checkout", "post-index-change", "reference-transaction", "pre-auto-gc", "fsmonitor-watchman"):
        for directory in (hooks, repository / ".git/hooks"):
            shutil.copy(canary, directory / name)
    (repository / ".git/info").mkdir(exist_ok=True)
    (repository / ".git/info/attributes").write_text("* filter=evil diff=evil merge=evil\n")
    return {"marker": str(marker), "canary": str(canary), "hooks": str(hooks), "root": str(home)}


@pytest.mark.parametrize("included", [False, True], ids=["config", "include"])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_hostile_repository_runs_nothing(
    repository: Path,
    build: Build,
    tmp_path: Path,
    name: str,
    included: bool,  # noqa: FBT001 - a parameter
) -> None:
    """No line of a repository's own configuration, hooks or attributes runs anything or writes anywhere."""
    home = tmp_path / "hostile"
    home.mkdir()
    commit = _commit(repository, {".gitattributes": b"* filter=evil diff=evil merge=evil\n"})
    text = CONFIGS[name].format(**_armed(repository, home))
    if included:
        (home / "more").write_text(text)
        text = f'[include]\n\tpath = {home}/more\n[includeIf "gitdir:/"]\n\tpath = {home}/more\n'
    with (repository / ".git/config").open("a") as config:
        config.write(text)
    (repository / ".git/refs/heads/absent").write_text("1234567890" * 4 + "\n")

    assert build.take(GitSource(repository, commit)) == commit
    assert build.files == {**NEW, ".gitattributes": b"* filter=evil diff=evil merge=evil\n"}
    with pytest.raises(SourceUnusableError):
        Build(home).take(GitSource(repository, "absent"))
    assert not (home / "ran").exists()


def test_the_canary_would_run(repository: Path, tmp_path: Path) -> None:
    """The traps of the test above do run under a careless git: it does not pass for want of a trap."""
    home = tmp_path / "hostile"
    home.mkdir()
    _commit(repository, {".gitattributes": b"* filter=evil\n"})
    names = _armed(repository, home)
    with (repository / ".git/config").open("a") as config:
        config.write((CONFIGS["filters"] + CONFIGS["fsmonitor"]).format(**names))
    with suppress(subprocess.CalledProcessError):  # the canary is no good filter
        _git("status", cwd=repository)

    assert (home / "ran").exists()


@pytest.mark.parametrize("place", [".", "lib", "lib/deep"])
def test_a_directory_with_a_hostile_git_directory_runs_nothing(repository: Path, tmp_path: Path, place: str) -> None:
    """A directory source never asks git: its ``.git`` is left out unread, at any depth."""
    home = tmp_path / "hostile"
    home.mkdir()
    names = _armed(repository, home)
    with (repository / ".git/config").open("a") as config:
        config.write("".join(CONFIGS.values()).format(**names))
    if place != ".":
        (repository / ".git").rename(repository / place / ".git")
    (home / "work").mkdir()
    build = Build(home / "work")
    build.take(DirectorySource(repository))

    assert build.files == NEW
    assert not (home / "ran").exists()


@pytest.mark.parametrize(
    "env",
    [
        {"GIT_DIR": "{other}/.git"},
        {"GIT_DIR": "/nonexistent"},
        {"GIT_WORK_TREE": "{other}"},
        {"GIT_INDEX_FILE": "{other}/index"},
        {"GIT_OBJECT_DIRECTORY": "{other}/.git/objects"},
        {"GIT_COMMON_DIR": "{other}/.git"},
        {"GIT_NAMESPACE": "other"},
        {"GIT_CEILING_DIRECTORIES": "/"},
        {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.fsmonitor", "GIT_CONFIG_VALUE_0": "touch {other}/ran"},
        {"GIT_CONFIG_PARAMETERS": "'core.fsmonitor=touch {other}/ran'"},
        {"GIT_TEMPLATE_DIR": "{other}/template"},
        {"GIT_TRACE": "{other}/ran"},
        {"GIT_EXEC_PATH": "/nonexistent"},
        {"GIT_SSH_COMMAND": "touch {other}/ran"},
        {"GIT_EXTERNAL_DIFF": "touch {other}/ran"},
        {"GIT_DEFAULT_HASH": "sha256"},
        {"GIT_LITERAL_PATHSPECS": "1"},
        {"XDG_CONFIG_HOME": "{other}/config", "HOME": "{other}"},
        {"LC_ALL": "de_DE.UTF-8", "LANGUAGE": "de"},
        {"PATH": "/nonexistent"},
    ],
    ids=lambda env: next(iter(env)),
)
def test_the_hosts_git_variables_have_no_effect(
    repository: Path, build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, env: dict[str, str]
) -> None:
    """What a git hook or a shell left in the environment (GIT_DIR, GIT_INDEX_FILE, ...) changes nothing."""
    other = tmp_path / "other"
    _git("init", "-q", "-b", "main", other)
    _commit(other, {"wrong": b"wrong"})
    config = f"[core]\n\tfsmonitor = touch {other}/ran\n\thooksPath = {other}\n\tautocrlf = true\n"
    _write(other, {".gitconfig": config.encode(), "config/git/config": config.encode(), "template/hooks/x": b"x"})
    expected = _sha(repository, "main")
    before = _stamps(other)
    for name, value in env.items():
        monkeypatch.setenv(name, value.format(other=other))

    assert build.take(GitSource(repository, "main")) == expected
    assert build.files == NEW
    assert _stamps(other) == before


def test_the_repository_is_unchanged(repository: Path, build: Build) -> None:
    """Checking out of a repository, even failing to, leaves every file of it as it was: index, refs, logs."""
    _write(repository, {"untracked": b"x"})
    before = _stamps(repository)
    build.take(GitSource(repository, "v1"))
    with pytest.raises(SourceUnusableError):
        Build(build.home).take(GitSource(repository, "missing"))

    assert _stamps(repository) == before


def test_a_read_only_repository_of_somebody_else_is_a_source(repository: Path, build: Build) -> None:
    """A repository that belongs to another user and cannot be written is a source, unless it cannot be read."""
    if os.geteuid() == 0:
        for path in [repository, *repository.rglob("*")]:
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    directories = [path for path in [repository, *repository.rglob("*")] if path.is_dir()]
    for path in directories:
        path.chmod(0o555)
    try:
        build.take(GitSource(repository))
    finally:
        for path in directories:
            path.chmod(0o755)

    assert build.files == NEW


# --- tarballs --------------------------------------------------------------------------------------------------


def _tarball(path: Path, files: dict[str, bytes], links: dict[str, str] | None = None, mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return path


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("top", ["", "./", "app-1.0/", "./app-1.0/", "app/", "build_1/"])
def test_a_tarball_is_unpacked(tmp_path: Path, build: Build, mode: str, top: str) -> None:
    """A tarball, compressed or not, gives its tree, less the single directory that holds all of it."""
    path = _tarball(tmp_path / "source", {top + name: content for name, content in FILES.items()}, mode=mode)

    assert build.take(TarballSource(path)) is None
    assert build.files == FILES
    assert [one.name for one in build.home.iterdir()] == ["build_1"]


def test_an_app_directory_in_a_bare_tree_is_kept(tmp_path: Path, build: Build) -> None:
    """A Rails app's ``app/`` directory is a directory of the tree, not the tree; what is beside it stays."""
    files = {"app/models/x.rb": b"x", "Procfile": b"web: x\n", "config.ru": b"y"}
    build.take(TarballSource(_tarball(tmp_path / "source.tgz", files)))

    assert build.files == files


def test_only_one_directory_is_stripped(tmp_path: Path, build: Build) -> None:
    """Of directories in directories only the outermost goes."""
    build.take(TarballSource(_tarball(tmp_path / "source.tgz", {"repo/app/app/x": b"x"})))

    assert build.files == {"app/app/x": b"x"}


def test_a_single_file_or_link_is_not_stripped(tmp_path: Path, build: Build) -> None:
    """A tarball of one file, or of a directory and a file beside it, is taken as it is."""
    build.take(TarballSource(_tarball(tmp_path / "1.tgz", {"Procfile": b"web: x\n"})))
    assert build.files == {"Procfile": b"web: x\n"}
    shutil.rmtree(build.directory)

    build.take(TarballSource(_tarball(tmp_path / "2.tgz", {"x": b"x"}, {"l": "x"})))
    assert build.files == {"x": b"x", "l": "x"}


def test_what_git_archive_makes_is_a_source(repository: Path, tmp_path: Path, build: Build) -> None:
    """A tarball as GitHub hands it out, with a global header and a prefix, is a source."""
    path = tmp_path / "archive.tgz"
    _git("archive", "--prefix=repo-main/", "-o", path, "main", cwd=repository)
    build.take(TarballSource(path))

    assert build.files == NEW
    assert (build.directory / "run").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("form", ["gnu", "posix", "ustar"])
def test_what_gnu_tar_makes_is_a_source(tmp_path: Path, build: Build, form: str) -> None:
    """A tarball of GNU tar in any of its formats is a source."""
    source = _write(tmp_path / "app", FILES)
    path = tmp_path / "source.tgz"
    subprocess.run(["tar", f"--format={form}", "-czf", str(path), "-C", str(tmp_path), "app"], check=True)
    build.take(TarballSource(path))

    assert build.files == _files(source)


def test_git_is_left_out_of_a_tarball(tmp_path: Path, build: Build) -> None:
    """No ``.git`` of a tarball reaches a build, at any depth."""
    files = {f"top/{name}": content for name, content in FILES.items()}
    extra = {"top/.git/config": b"x", "top/lib/.git/hooks/post-checkout": b"x", "top/lib/deep/.git": b"gitdir: /"}
    build.take(TarballSource(_tarball(tmp_path / "source.tgz", {**files, **extra})))

    assert build.files == FILES


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"hello\n",
        b"PK\x03\x04" + bytes(1000),
        b"\x1f\x8b",
        gzip.compress(b"hello"),
        gzip.compress(b""),
        bytes(512),
        b"BZh9" + bytes(100),
        b"\xfd7zXZ\0" + bytes(100),
    ],
    ids=["empty", "text", "zip", "magic", "gzip of text", "gzip of nothing", "one block", "bzip2", "xz"],
)
def test_what_is_no_tarball_is_an_error(tmp_path: Path, build: Build, raw: bytes) -> None:
    """A file that is no tar archive is one error that names it, and leaves nothing."""
    (tmp_path / "file").write_bytes(raw)

    with pytest.raises(SourceUnusableError) as caught:
        build.take(TarballSource(tmp_path / "file"))
    assert caught.value.path == str(tmp_path / "file")
    assert list(build.home.iterdir()) == []


@pytest.mark.parametrize(
    ("files", "links"),
    [
        ({"../canary": b"evil"}, {}),
        ({"/tmp/canary": b"evil"}, {}),
        ({"top/../../canary": b"evil"}, {}),
        ({"top/a": b"1", "top/./a": b"2"}, {}),
        ({}, {"l": ".."}),
        ({}, {"l": "/proc/self/environ"}),
        ({"x": b"x"}, {"a/l": "../../canary"}),
        ({}, {"top/a": "../../canary"}),
    ],
)
def test_a_hostile_tarball_is_refused(
    tmp_path: Path, build: Build, files: dict[str, bytes], links: dict[str, str]
) -> None:
    """A tarball that reaches outside is refused, and nothing is written outside or left."""
    (build.home / "canary").write_text("here")
    path = _tarball(tmp_path / "source.tgz", files, links)

    with pytest.raises(UnsafeMemberError):
        build.take(TarballSource(path))
    assert [one.name for one in build.home.iterdir()] == ["canary"]
    assert (build.home / "canary").read_text() == "here"


# --- .slugignore -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["directory", "git", "tarball"])
def test_slugignore_is_applied_to_every_source(tmp_path: Path, build: Build, repository: Path, kind: str) -> None:
    """``.slugignore`` in the root of any source removes what it names, and the number is told."""
    files = {**FILES, ".slugignore": b"*.txt\n/new # comment\n!run\n", "deep/.slugignore": b"run\n"}
    source: Source
    if kind == "directory":
        source = DirectorySource(_write(tmp_path / "app", {**files, "new": b"x"}))
    elif kind == "git":
        _commit(repository, files)
        source = GitSource(repository)
    else:
        source = TarballSource(_tarball(tmp_path / "s.tgz", {f"top/{k}": v for k, v in {**files, "new": b"x"}.items()}))
    build.take(source)

    assert set(build.files) == {"Procfile", "run", ".slugignore", "deep/.slugignore"}
    assert build.counts == [3]


def test_a_slugignore_that_matches_nothing_counts_nothing(tmp_path: Path, build: Build) -> None:
    """With a ``.slugignore`` the number is told, even if it is 0; without one, nothing is."""
    build.take(DirectorySource(_write(tmp_path / "app", {**FILES, ".slugignore": b"nothing\n"})))

    assert build.counts == [0]


@pytest.mark.parametrize(
    "pattern", [".", ".*", "\\", "./", "*/..", "..", "../*", "../../*", "/..", "lib/..", "{.,..}", "/"]
)
def test_a_slugignore_never_removes_the_root_or_above(tmp_path: Path, build: Build, pattern: str) -> None:
    """A pattern that means the root, or climbs out of it, removes neither the build nor anything beside it."""
    (build.home / "build_10").mkdir()
    (build.home / "build_10/x").write_text("x")
    build.take(DirectorySource(_write(tmp_path / "app", {**FILES, ".slugignore": pattern.encode()})))

    assert {name: build.files[name] for name in FILES} == FILES
    assert (build.home / "build_10/x").read_text() == "x"


@pytest.mark.parametrize(
    "pattern", ["link/*", "link/**/*", "link/canary", "**/canary", "*/canary", "link/", "link/../*", "l[i]nk/*"]
)
def test_a_slugignore_deletes_nothing_through_a_link(tmp_path: Path, build: Build, pattern: str) -> None:
    """Nothing is found, let alone deleted, through a link to elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/canary").write_text("here")
    source = _write(tmp_path / "app", {**FILES, ".slugignore": pattern.encode()})
    (source / "link").symlink_to(tmp_path / "elsewhere")
    (source / "lib/link").symlink_to("../../elsewhere")
    build.take(DirectorySource(source))

    assert (tmp_path / "elsewhere/canary").read_text() == "here"
    assert {name: build.files[name] for name in FILES} == FILES


def test_a_slugignore_removes_a_link_and_not_its_target(tmp_path: Path, build: Build) -> None:
    """A link that is named goes; what it points to stays, inside of the tree or outside."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/canary").write_text("here")
    source = _write(tmp_path / "app", {**FILES, ".slugignore": b"out in"})
    (source / "out").symlink_to(tmp_path / "elsewhere")
    (source / "in").symlink_to("lib")
    build.take(DirectorySource(source))

    assert (tmp_path / "elsewhere/canary").read_text() == "here"
    assert build.files == {**FILES, ".slugignore": b"out in"}
    assert build.counts == [2]


@pytest.mark.parametrize("kind", ["link", "directory", "dangling"])
def test_a_slugignore_is_a_regular_file(tmp_path: Path, build: Build, kind: str) -> None:
    """A ``.slugignore`` that is a link or a directory is not one: no host file is read for patterns."""
    (tmp_path / "patterns").write_text("*")
    source = _write(tmp_path / "app", FILES)
    if kind == "directory":
        (source / ".slugignore").mkdir()
    else:
        (source / ".slugignore").symlink_to(tmp_path / ("patterns" if kind == "link" else "missing"))
    build.take(DirectorySource(source))

    assert {name: build.files[name] for name in FILES} == FILES
    assert build.counts == []


@given(st.lists(st.sampled_from(["*", "**", ".", "..", "/", "lib", "link", "\\", "{a,", "}", "[", "?", " ", ".*"])))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(["link", "/", "*"])
@example(["..", "/", "build_10", "/", "*"])
def test_no_slugignore_reaches_outside(tmp_path: Path, pieces: list[str]) -> None:
    """Whatever a ``.slugignore`` says, it deletes nothing outside of the build, and the build is there."""
    with tempfile.TemporaryDirectory(dir=tmp_path) as name:
        home = Path(name)
        source = _write(home / "app", {**FILES, ".slugignore": "".join(pieces).encode()})
        (source / "link").symlink_to("../elsewhere")
        _write(home / "elsewhere", {"canary": b"here", "lib/canary": b"here"})
        (home / "work").mkdir()
        build = Build(home / "work")
        before = _stamps(home / "elsewhere")
        build.take(DirectorySource(source))

        assert build.directory.is_dir()
        assert _stamps(home / "elsewhere") == before
        assert _files(source).keys() >= FILES.keys()


# --- what a source is ------------------------------------------------------------------------------------------


def test_a_path_means_a_directory_or_a_tarball(tmp_path: Path) -> None:
    """A path is a directory source or, being a file, a tarball; a repository has to be asked for."""
    (tmp_path / "file").write_text("x")
    git = GitSource(tmp_path, "main")

    assert as_source(tmp_path) == DirectorySource(tmp_path)
    assert as_source(str(tmp_path)) == DirectorySource(tmp_path)
    assert as_source(str(tmp_path / "file")) == TarballSource(tmp_path / "file")
    assert as_source(git) is git


@pytest.mark.parametrize("make", [str, Path, GitSource, TarballSource, DirectorySource])
def test_a_path_where_nothing_is_is_an_error(tmp_path: Path, make: Callable[[Path], Source | str]) -> None:
    """A source that does not exist is SourceNotFoundError, before anything is made."""
    with pytest.raises(SourceNotFoundError):
        as_source(make(tmp_path / "missing"))


@pytest.mark.parametrize("kind", [DirectorySource, GitSource, TarballSource])
def test_every_failure_is_one_of_ours(tmp_path: Path, build: Build, kind: Callable[[Path], Source]) -> None:
    """A source that vanished between being named and being read is one SlugkitError."""
    with pytest.raises(SlugkitError):
        build.take(kind(tmp_path / "vanished"))
