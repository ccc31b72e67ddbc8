"""Where a buildpack is to come from, as text means it: a directory, a git repository, an archive. Pure."""

import base64
import re
from typing import Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from attrs import frozen

_ARCHIVE = re.compile(r"\.(tgz|tar\.gz)$")
_SCP = re.compile(r"[\w.-]+@[\w.-]+:(?!//)")  # git@host:path, which git reads as ssh
_SCHEMES = ("https", "http", "ssh", "file")
_REMOTE = ("https", "http")
_ELSEWHERE = (*_REMOTE, "ssh")

Kind = Literal["path", "git", "archive"]


@frozen
class Origin:
    """A place and what is there; ``ref`` is what followed ``#``: a branch, tag or commit, or ``sha256=...``.

    ``scheme`` is "" for a path of this machine.
    """

    kind: Kind
    scheme: str
    location: str
    ref: str | None

    @property
    def is_remote(self) -> bool:
        """Whether it names a public place, rather than files or credentials of this machine."""
        return self.scheme in _REMOTE

    @property
    def url(self) -> str:
        """The location without credentials: they must not show in a process listing."""
        return _without_credentials(self.location) if self.scheme in _REMOTE else self.location

    @property
    def authorization(self) -> str:
        """The value of an Authorization header with the credentials in the location, or ""."""
        credentials = urlsplit(self.location).netloc.rpartition("@")[0] if self.is_remote else ""
        return credentials and "Basic " + base64.b64encode(unquote(credentials).encode()).decode()

    @property
    def name(self) -> str:
        """What a build calls the pack; a path of this machine is no part of it, or slugs would differ by it."""
        return self.shown if self.scheme in _ELSEWHERE else self.shown.rstrip("/").rpartition("/")[2]

    @property
    def source(self) -> str:
        """Where a manifest says it came from: a URL, or the kind of thing on this machine."""
        return self.shown.partition("#")[0] if self.scheme in _ELSEWHERE else self.kind

    @property
    def shown(self) -> str:
        """The whole for people to read: without credentials, and without the query, which may hold some."""
        plain = self.url.partition("?")[0]
        return f"{plain}#{self.ref}" if self.ref else plain


def parse_origin(text: str) -> Origin | None:
    """Return the place that *text* names, or None when it can only be a name (contract.md 2.5).

    >>> parse_origin("https://me:secret@example.com/pack.git#v2").shown
    'https://example.com/pack.git#v2'
    >>> parse_origin("https://example.com/pack.tgz?token=1").kind
    'archive'
    >>> parse_origin("./pack").kind
    'path'
    """
    location, _, ref = text.partition("#")
    scheme, colon, _ = location.partition("://")
    if colon:
        if scheme not in _SCHEMES:
            return None
        kind: Kind = "archive" if _ARCHIVE.search(location.partition("?")[0]) else "git"
        return Origin(kind, scheme, location, ref or None)
    if _SCP.match(location):
        return Origin("git", "ssh", location, ref or None)
    if _ARCHIVE.search(location):
        return Origin("archive", "", location, ref or None)
    if ref:
        return Origin("git", "", location, ref)
    return Origin("path", "", location, None) if "/" in location or location.startswith(".") else None


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
