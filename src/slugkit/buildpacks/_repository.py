"""The commit that a git URL and a ref mean today, as a tree without its repository."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from .. import _exec
from ..command import Completed
from ..errors import BuildpackFetchError
from ._origin import Origin
from ._trees import Trees, check_pack

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_LISTED = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})\t(refs/[^\t]+|HEAD)")
_MOST_FILES, _MOST_BYTES = 150_000, 2 * 2**30
_EVERYTHING = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


@frozen
class Repository:
    """A git repository somewhere; ``env`` is how this host reaches it, ``deadline`` is of the monotonic clock."""

    origin: Origin
    env: Mapping[str, str]
    deadline: float

    def check_out(self, trees: Trees) -> str:
        """Return the commit, its tree in *trees*; one that is there already is not fetched again.

        Raises:
            BuildpackFetchError: There is no such repository or commit, or it cannot be reached.
            StartError, DeadlineError: There is no git, or no time left.
        """
        ref = self.origin.ref
        pinned = ref if ref and _COMMIT.fullmatch(ref) else None  # never a name, whatever the server calls its branches
        name, known = (None, pinned) if pinned else self._look_up(ref)
        if known is not None and trees.has(self.origin.key(known)):
            return known
        with trees.scratch() as scratch:
            repository = ("--git-dir", scratch / "git")
            self._git("init", "--quiet", "--bare", "--template=", scratch / "git")
            commit = self._fetch(repository, name)
            if trees.has(self.origin.key(commit)):
                return commit
            self._check_size(repository, commit)
            (scratch / "tree").mkdir()
            here = (*repository, "--work-tree", scratch / "tree")
            self._git(*here, "read-tree", commit)
            self._git(*here, "checkout-index", "--all", "--force")
            check_pack(scratch / "tree", self.origin)
            trees.keep(scratch / "tree", self.origin.key(commit))
        return commit

    def _look_up(self, ref: str | None) -> tuple[str | None, str | None]:
        """Return the full name of *ref* there and its commit; None where it is no name, but perhaps a commit."""
        listed = self._git("ls-remote", "--", self._url).splitlines()
        known = {match[2]: match[1] for line in listed if (match := _LISTED.fullmatch(line))}
        names: tuple[str, ...] = (f"refs/heads/{ref}", f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}")
        if ref in {None, "HEAD"}:
            names = ("HEAD",)
            if "HEAD" not in known:
                raise BuildpackFetchError(self.origin.shown, "it has no commit")
        name = next((name for name in names if name in known), None)
        return (None, None) if name is None else (name.removesuffix("^{}"), known[name])

    def _fetch(self, repository: tuple[str | Path, ...], name: str | None) -> str:
        """Fetch *name*, or whatever commit the ref abbreviates, and return the commit."""
        ref = self.origin.ref or "HEAD"
        wanted = name or (ref if _COMMIT.fullmatch(ref) else None)
        if wanted is not None:
            options = ("fetch", "--quiet", "--no-tags")
            done = self._try(*repository, *options, "--depth=1", "--", self._url, wanted)
            if done.status != 0 and "dumb http" in done.output:  # a static server has no shallow copies
                done = self._try(*repository, *options, "--", self._url, wanted)
            if done.status == 0:
                commit = self._git(*repository, "rev-parse", "--verify", "FETCH_HEAD^{commit}").strip()
                if name is None and commit != ref:
                    raise BuildpackFetchError(self.origin.shown, f"it answers with another commit, {commit}")
                return commit
            if name is not None:
                raise self._failed(done)
        self._git(*repository, "fetch", "--quiet", "--", self._url, *_EVERYTHING)
        found = _exec.git(*repository, "rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}")
        if found.status != 0 or not _COMMIT.fullmatch(found.output.strip()):
            raise BuildpackFetchError(self.origin.shown, f"it has no branch, tag or commit {ref!r}")
        return found.output.strip()

    def _check_size(self, repository: tuple[str | Path, ...], commit: str) -> None:
        """Refuse a tree of more files or bytes than a slug may have (security.md 4) before it is written."""
        entries = self._git(*repository, "ls-tree", "-r", "-l", "-z", commit).split("\0")[:-1]
        sizes = (entry.partition("\t")[0].split()[-1] for entry in entries)
        if len(entries) > _MOST_FILES or sum(int(size) for size in sizes if size.isdecimal()) > _MOST_BYTES:
            raise BuildpackFetchError(self.origin.shown, f"it has more than {_MOST_FILES} files or {_MOST_BYTES} bytes")

    @property
    def _url(self) -> str:
        return self.origin.url if self.origin.scheme else str(Path(self.origin.location).absolute())

    def _git(self, *arguments: str | Path) -> str:
        done = self._try(*arguments)
        if done.status != 0:
            raise self._failed(done)
        return done.output

    def _try(self, *arguments: str | Path) -> Completed:
        scheme = self.origin.scheme or "file"
        protocols = ("http", "https") if scheme == "http" else (scheme,)  # many hosts lead from one to the other
        return _exec.git(*arguments, protocols=protocols, env=self._env(), deadline=self.deadline)

    def _failed(self, done: Completed) -> BuildpackFetchError:
        return BuildpackFetchError(self.origin.shown, self.origin.masked(_exec.last_line(done)))

    def _env(self) -> dict[str, str]:
        """Return what git needs to get there; credentials by environment, and for this server only."""
        env = dict(self.env)
        if "SSL_CERT_FILE" in env:
            env.setdefault("GIT_SSL_CAINFO", env["SSL_CERT_FILE"])
        if self.origin.scheme == "ssh":
            env["GIT_SSH_COMMAND"] = "ssh -o BatchMode=yes"
            env |= {name: os.environ[name] for name in ("SSH_AUTH_SOCK",) if name in os.environ}
        if self.origin.authorization:
            settings = {
                f"http.{self.origin.url}.extraHeader": f"Authorization: {self.origin.authorization}",
                "http.followRedirects": "false",  # git would send the header along
            }
            env["GIT_CONFIG_COUNT"] = str(len(settings))
            for number, (key, value) in enumerate(settings.items()):
                env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return env
