"""Bring a buildpack here: a directory as it is, a git commit or an archive into a cache keyed by what it is."""

import hashlib
import os
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from .. import _exec
from .._tree import remove_tree, sync, writing
from ..archive import unpack_source
from ..environ import user_cache
from ..errors import BuildpackFetchError, InvalidBuildpackError, SourceUnusableError, UnsafeMemberError
from ._classic import ClassicBuildpack
from ._origin import Origin

_TIMEOUT = 90.0  # seconds, as the slug compiler's BUILDPACK_FETCH_TIMEOUT (contract.md 2.5)
_STALE = 3600.0  # seconds after which what a killed fetch left is removed; no fetch takes longer
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_PINNED = re.compile(r"sha256[=:]([0-9a-f]{64})")


@frozen
class Fetcher:
    """Fetches buildpacks into ``cache``; ``env`` is how this host reaches the network (proxies, certificates)."""

    env: Mapping[str, str]
    cache: Path | None = None

    def fetch(self, origin: Origin) -> ClassicBuildpack:
        """Return the buildpack at *origin*.

        Raises:
            BuildpackFetchError: It cannot be had.
            InvalidBuildpackError: What is there is no buildpack.
            OutputError: The disk said no.
        """
        try:
            match origin.kind:
                case "path":
                    return self._directory(origin)
                case "git":
                    return self._git(origin)
                case "archive":
                    return self._archive(origin)
        except _exec.StartError:
            raise BuildpackFetchError(origin.shown, "git is not installed") from None
        except (_exec.DeadlineError, TimeoutError):
            raise BuildpackFetchError(origin.shown, f"it took longer than {_TIMEOUT:g} seconds") from None

    def _directory(self, origin: Origin) -> ClassicBuildpack:
        directory = Path(origin.location)
        if not directory.is_dir():
            raise BuildpackFetchError(origin.shown, "there is no such directory")
        directory = directory.resolve()
        return ClassicBuildpack(_checked(directory, origin), directory.name)

    def _git(self, origin: Origin) -> ClassicBuildpack:
        commit = origin.ref if origin.ref and _COMMIT.fullmatch(origin.ref) else None
        if commit is None or not self._tree(commit).is_dir():
            commit = self._checked_out(origin, time.monotonic() + _TIMEOUT)
        return ClassicBuildpack(_checked(self._tree(commit), origin), origin.name, origin.source, commit)

    def _checked_out(self, origin: Origin, deadline: float) -> str:
        """Fetch the commit that the ref of *origin* means today, unless it is here, and return it."""
        url = str(Path(origin.location).absolute()) if origin.scheme == "" else origin.url
        ref, protocols, env = origin.ref, (origin.scheme or "file",), self._git_env(origin)

        def git(*arguments: str | Path) -> str:
            done = _exec.git(*arguments, protocols=protocols, env=env, deadline=deadline)
            if done.status != 0:
                raise BuildpackFetchError(origin.shown, _exec.last_line(done))
            return done.output

        known = dict(line.split("\t")[::-1] for line in git("ls-remote", "--", url).splitlines() if "\t" in line)
        names = (f"refs/heads/{ref}", f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}") if ref else ("HEAD",)
        commit = next((known[name] for name in names if name in known), None)
        if commit is not None and self._tree(commit).is_dir():
            return commit
        with self._scratch() as scratch:
            ours = ("--git-dir", scratch / "git")
            git("init", "--quiet", "--bare", "--template=", scratch / "git")
            if commit is not None:
                wanted = next(name for name in names if name in known).removesuffix("^{}")
                git(*ours, "fetch", "--quiet", "--no-tags", "--depth=1", "--", url, wanted)
                commit = git(*ours, "rev-parse", "--verify", "FETCH_HEAD^{commit}").strip()
            else:  # a commit, perhaps abbreviated: it has no name to ask for
                git(*ours, "fetch", "--quiet", "--", url, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
                found = _exec.git(*ours, "rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}")
                commit = found.output.strip()
                if found.status != 0 or not _COMMIT.fullmatch(commit):
                    raise BuildpackFetchError(origin.shown, f"it has no branch, tag or commit {ref!r}")
            (scratch / "tree").mkdir()
            here = (*ours, "--work-tree", scratch / "tree")
            git(*here, "read-tree", commit)
            git(*here, "checkout-index", "--all", "--force")
            self._keep(scratch / "tree", commit)
        return commit

    def _git_env(self, origin: Origin) -> dict[str, str]:
        """Return what git needs to reach *origin*; credentials by environment, never on a command line."""
        env = dict(self.env)
        if "SSL_CERT_FILE" in env:
            env.setdefault("GIT_SSL_CAINFO", env["SSL_CERT_FILE"])
        if origin.scheme == "ssh":
            env["GIT_SSH_COMMAND"] = "ssh -o BatchMode=yes"
            env.update({name: os.environ[name] for name in ("SSH_AUTH_SOCK",) if name in os.environ})
        if origin.authorization:
            env |= {
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": f"http.{origin.url}.extraHeader",
                "GIT_CONFIG_VALUE_0": f"Authorization: {origin.authorization}",
            }
        return env

    def _archive(self, origin: Origin) -> ClassicBuildpack:
        pinned = _PINNED.fullmatch(origin.ref or "")
        if origin.ref and not pinned:
            raise BuildpackFetchError(origin.shown, "what follows # of an archive is sha256=<64 hex digits>")
        digest = pinned[1] if pinned else None
        if digest is None or not self._tree(digest).is_dir():
            with self._scratch() as scratch:
                archive = self._here(origin, scratch / "archive")
                digest = _sha256(archive)
                if pinned and digest != pinned[1]:
                    raise BuildpackFetchError(origin.shown, f"its sha256 is {digest}")
                if not self._tree(digest).is_dir():
                    self._unpack(origin, archive, scratch / "tree", digest)
        return ClassicBuildpack(_checked(self._tree(digest), origin), origin.name, origin.source, f"sha256:{digest}")

    def _unpack(self, origin: Origin, archive: Path, tree: Path, digest: str) -> None:
        try:
            unpack_source(archive, tree, keep="bin")
        except (SourceUnusableError, UnsafeMemberError) as error:
            raise BuildpackFetchError(origin.shown, getattr(error, "reason", str(error))) from error
        self._keep(tree, digest)

    def _here(self, origin: Origin, target: Path) -> Path:
        """Return the archive as a file: the one that was named, or *target* with what was downloaded."""
        if origin.is_remote:
            from ._download import download  # noqa: PLC0415 - http and ssl take 40 ms, and few builds need them

            download(origin, target, self.env, time.monotonic() + _TIMEOUT)
            return target
        path = Path(origin.location.removeprefix("file://"))
        if not path.is_file():
            raise BuildpackFetchError(origin.shown, "there is no such file")
        return path

    @property
    def _root(self) -> Path:
        return self.cache or user_cache(os.environ) / "buildpacks"

    def _tree(self, key: str) -> Path:
        return self._root / key

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        with writing(self._root):
            self._root.mkdir(parents=True, exist_ok=True)
            for stale in self._root.glob("new-*"):
                if time.time() - stale.stat().st_mtime > _STALE:
                    remove_tree(stale)
            scratch = self._root / f"new-{uuid.uuid4().hex[:8]}"
            scratch.mkdir(mode=0o700)
        try:
            with writing(self._root):
                yield scratch
        finally:
            remove_tree(scratch)

    def _keep(self, tree: Path, key: str) -> None:
        """Put *tree* in its place by one rename; somebody else's, there first, is the same."""
        sync(tree)
        try:
            tree.rename(self._tree(key))
        except OSError:
            if not self._tree(key).is_dir():
                raise


def _checked(directory: Path, origin: Origin) -> Path:
    for script in ("detect", "compile"):
        if not os.path.lexists(directory / "bin" / script):
            raise InvalidBuildpackError(origin.shown, f"it has no bin/{script}")
    return directory


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
