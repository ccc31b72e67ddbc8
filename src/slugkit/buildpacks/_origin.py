"""Where a buildpack is to come from, as text means it: a directory, a git repository, an archive. Pure."""

import base64
import hashlib
import os
import re
from typing import Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from attrs import frozen

_ARCHIVE = re.compile(r"\.(tgz|tar\.gz)$")
_SCP = re.compile(r"[\w.-]+@[\w.-]+:(?!//)")  # git@host:path, which git reads as ssh
_SCHEMES = ("https", "http", "ssh", "file")
_REMOTE = ("https", "http")
_ELSEWHERE = (*_REMOTE, "ssh")
_USER_INFO = re.compile(r"(?<=//)[^/?#]*@")

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
        """The location without credentials, which must not show in a process listing; ssh keeps the user's name."""
        if self.scheme not in _ELSEWHERE or "://" not in self.location:
            return self.location
        parts = urlsplit(self.location)
        user, _, host = parts.netloc.rpartition("@")
        kept = f"{user.partition(':')[0]}@{host}" if user and self.scheme == "ssh" else host
        return urlunsplit(parts._replace(netloc=kept))

    @property
    def authorization(self) -> str:
        """The value of an Authorization header with the credentials in the location, or ""."""
        credentials = urlsplit(self.location).netloc.rpartition("@")[0] if self.is_remote else ""
        if not credentials:
            return ""
        whole = unquote(credentials if ":" in credentials else f"{credentials}:")
        return "Basic " + base64.b64encode(whole.encode()).decode()

    def key(self, version: str) -> str:
        """Return what a tree of *version*, a commit or a digest, is kept under; that of another place is another."""
        return f"{hashlib.sha256(os.fsencode(self.url)).hexdigest()[:16]}-{version}"

    @property
    def name(self) -> str:
        """What a build calls the pack; a path of this machine is no part of it, or slugs would differ by it."""
        if self.scheme in _ELSEWHERE:
            return self.shown
        last = self.location.rstrip("/").rpartition("/")[2]
        return f"{last}#{self.ref}" if self.ref else last

    @property
    def source(self) -> str:
        """Where a manifest says it came from: a URL, or the kind of thing on this machine."""
        return self.shown.partition("#")[0] if self.scheme in _ELSEWHERE else self.kind

    @property
    def shown(self) -> str:
        """The whole for people to read: without credentials, and without the query, which may hold some."""
        plain = self.url.partition("?")[0] if self.scheme else self.url
        return f"{plain}#{self.ref}" if self.ref else plain

    def masked(self, text: str) -> str:
        """Return somebody else's *text* about it without what `shown` does not show."""
        query = self.url.partition("?")[2] if self.scheme else ""
        return without_credentials(text.replace(f"?{query}", "") if query else text)


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
    if not location or not _can_be_named(text):
        return None
    scheme, colon, _ = location.partition("://")
    if colon:
        return _url(scheme.lower(), location, ref)
    if _SCP.match(location):
        return Origin("git", "ssh", location, ref or None)
    if _ARCHIVE.search(location):
        return Origin("archive", "", location, ref or None)
    if ref:
        return Origin("git", "", location, ref)
    return Origin("path", "", location, None) if "/" in location or location.startswith(".") else None


def without_credentials(text: str) -> str:
    """Return *text* with the user and password of every URL in it left out."""
    return _USER_INFO.sub("", text)


def _url(scheme: str, location: str, ref: str) -> Origin | None:
    if scheme not in _SCHEMES:
        return None
    try:
        host = urlsplit(location).hostname
    except ValueError:
        return None
    if scheme != "file" and not host:
        return None
    kind: Kind = "archive" if _ARCHIVE.search(location.partition("?")[0]) else "git"
    return Origin(kind, scheme, scheme + location[len(scheme) :], ref or None)


def _can_be_named(text: str) -> bool:
    """Return whether a command line can hold it."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False
