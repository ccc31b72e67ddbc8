"""Which members a slug may hold: decided on names alone, before anything is made (security.md 4). Pure."""

from attrs import define, evolve, field

from ..errors import CorruptSlugError, UnsafeMemberError
from ._tar import Kind, Member

_GIB = 2**30
MOST_BYTES = 2 * _GIB
MOST_FILE = _GIB
MOST_MEMBERS = 150_000
_LONGEST_PATH = 3_000  # bytes
_LONGEST_PART = 255  # bytes
_DEEPEST = 200
_MOST_NAMES = 1_000
_FORBIDDEN_TARGETS = ("proc", "sys", "run", "dev")
_NEVER_LINKS = ("tmp", "log", "Procfile")


@define
class MemberTable:
    """The members accepted so far, by path; ``accept`` refuses what would break the rules together with them."""

    _kinds: dict[str, Kind] = field(factory=dict, init=False)
    _names: dict[str, int] = field(factory=dict, init=False)
    _bytes: int = field(default=0, init=False)

    def accept(self, member: Member, name: str, target: str | None = None) -> Member:
        """Return *member* renamed to the clean relative path *name* means, its mode 0644 or 0755.

        *target* is what a hard link means, as a path like *name*.

        Raises:
            UnsafeMemberError: It would reach outside, twice exist, or lie below something that is no directory.
            CorruptSlugError: There are more, or larger, members than a slug may hold.
        """
        path = check_path(name)
        if path == "":
            if member.kind != "dir":
                raise UnsafeMemberError(name, "the app itself is no directory")
            return evolve(member, name="", mode=0o755)
        self._check_parents(path)
        if path in self._kinds and not (self._kinds[path] == member.kind == "dir"):
            raise UnsafeMemberError(path, "it is there twice")
        if member.kind == "link":
            check_link(path, member.target)
        elif member.kind == "hardlink":
            member = evolve(member, target=self._check_hard_link(path, target or ""))
        self._count(member)
        self._kinds[path] = member.kind
        executable = member.kind == "dir" or member.mode & 0o111
        return evolve(member, name=path, mode=0o755 if executable else 0o644)

    def _check_hard_link(self, path: str, target: str) -> str:
        """Return the clean path of the earlier regular file that a hard link at *path* means by *target*."""
        clean = check_path(target)
        if self._kinds.get(clean) not in {"file", "hardlink"}:
            raise UnsafeMemberError(path, f"a hard link to {clean!r}, not an earlier file")
        self._names[clean] = self._names.get(clean, 1) + 1
        if self._names[clean] > _MOST_NAMES:
            raise UnsafeMemberError(path, f"one of more than {_MOST_NAMES} hard links to {clean!r}")
        return clean

    def _check_parents(self, path: str) -> None:
        parent = path
        while "/" in parent:
            parent = parent.rpartition("/")[0]
            kind = self._kinds.setdefault(parent, "dir")
            if kind != "dir":
                raise UnsafeMemberError(path, f"its parent {parent!r} is no directory")

    def _count(self, member: Member) -> None:
        self._bytes += member.size
        if member.size > MOST_FILE:
            raise UnsafeMemberError(member.name, "larger than 1 GiB")
        if self._bytes > MOST_BYTES or len(self._kinds) >= MOST_MEMBERS:
            raise CorruptSlugError(member.name, "more than 2 GiB or 150 000 members up to here")


def check_path(name: str) -> str:
    """Return *name* as a relative path without ``.`` parts, or refuse it; "" is the root itself."""
    if name.startswith("/"):
        raise UnsafeMemberError(name, "absolute path")
    parts = [part for part in name.rstrip("/").split("/") if part != "."]
    if ".." in parts:
        raise UnsafeMemberError(name, "climbs out with '..'")
    if "" in parts and parts != [""]:
        raise UnsafeMemberError(name, "an empty part")
    sizes = [len(part.encode("utf-8", "surrogateescape")) for part in parts]
    if len(parts) > _DEEPEST or sum(sizes) > _LONGEST_PATH or max(sizes, default=0) > _LONGEST_PART:
        raise UnsafeMemberError(name[:_LONGEST_PART], "too long or too deep")
    return "/".join(parts)


def check_link(path: str, target: str) -> None:
    """Refuse a symbolic link at *path* (relative to the app) whose *target* leads out of the app or into the kernel.

    An absolute target is allowed otherwise: ``bin/python -> /usr/bin/python3`` is how environments are made.
    """
    if path in _NEVER_LINKS:
        raise UnsafeMemberError(path, "must not be a link")
    if not target:
        raise UnsafeMemberError(path, "a link to nothing")
    parts = [part for part in target.split("/") if part not in {"", "."}]
    if target.startswith("/"):
        if ".." in parts or (parts and parts[0] in _FORBIDDEN_TARGETS):
            raise UnsafeMemberError(path, f"a link to {target!r}")
        return
    # A parent of a member is a directory, so leading ".." mean what they say; behind a name that may itself be a link
    # they would not.
    climbs = len(parts) - len([part for part in parts if part != ".."])
    if climbs > path.count("/") or ".." in parts[climbs:]:
        raise UnsafeMemberError(path, f"a link to {target!r}, outside of the app or by a detour")
