"""Which members a slug may hold: decided on names alone, before anything is made (security.md 4). Pure."""

from attrs import define, evolve, field

from ..errors import UnsafeMemberError
from ._tar import Kind, Member

_GIB = 2**30
MOST_BYTES = 2 * _GIB
MOST_FILE = _GIB
MOST_MEMBERS = 150_000
MOST_MANIFEST = 2**20  # bytes
_MOST_TEXT = 2**25  # characters of names and targets, which readers have to keep
_LONGEST_PATH = 3_000  # bytes
_LONGEST_TARGET = 4_095  # bytes: what symlink(2) takes
_LONGEST_PART = 255  # bytes
_DEEPEST = 200
_MOST_NAMES = 1_000
_KERNEL = ("proc", "sys", "run", "dev")
_NEVER_LINKS = ("tmp", "log", "Procfile")


@define
class MemberTable:
    """The members accepted so far, by path; ``accept`` refuses what would break the rules together with them."""

    _kinds: dict[str, Kind] = field(factory=dict, init=False)
    _origins: dict[str, str] = field(factory=dict, init=False)  # of hard links
    _names: dict[str, int] = field(factory=dict, init=False)
    _bytes: int = field(default=0, init=False)
    _text: int = field(default=0, init=False)
    _beside: int = field(default=0, init=False)
    _bytes_beside: int = field(default=0, init=False)

    def accept(self, member: Member, name: str, target: str | None = None) -> Member:
        """Return *member* renamed to the clean relative path *name* means, its mode 0644 or 0755.

        *target* is what a hard link means, as a path like *name*.

        Raises:
            UnsafeMemberError: It would reach outside, twice exist, lie below something that is no directory, or be
                more, or larger, than a slug may hold.
        """
        path = check_path(name)
        if path == "":
            if member.kind != "dir":
                raise UnsafeMemberError(name, "the app itself is no directory")
            self.ignore(member)
            return evolve(member, name="", mode=0o755)
        self._check_parents(path)
        if path in self._kinds and not (self._kinds[path] == member.kind == "dir"):
            raise UnsafeMemberError(path, "it is there twice")
        if member.kind == "link":
            check_link(path, member.target)
        elif member.kind == "hardlink":
            member = evolve(member, target=self._check_hard_link(path, target or ""))
        if path in self._kinds:  # a directory may come twice, or behind what is in it
            self.ignore(member)
        else:
            self._count(path, member)
        self._kinds[path] = member.kind
        mode = 0o755 if member.kind == "dir" or member.mode & 0o111 else 0o644
        if path == member.name and mode == member.mode:
            return member
        return Member(path, member.kind, member.size, mode, member.mtime, member.target)

    def ignore(self, member: Member) -> None:
        """Count *member*, which adds nothing to the app; what does has the limits to itself.

        Raises:
            UnsafeMemberError: There are more, or larger, members than there may be.
        """
        self._beside += 1
        self._bytes_beside += member.size
        _check_sizes(member, self._bytes_beside, self._beside)

    def _check_hard_link(self, path: str, target: str) -> str:
        """Return the earlier regular file that a hard link at *path* means by *target*, itself no hard link."""
        clean = check_path(target)
        if self._kinds.get(clean) not in {"file", "hardlink"}:
            raise UnsafeMemberError(path, f"a hard link to {clean!r}, not an earlier file")
        clean = self._origins[path] = self._origins.get(clean, clean)
        self._names[clean] = self._names.get(clean, 1) + 1
        if self._names[clean] > _MOST_NAMES:
            raise UnsafeMemberError(path, f"one of more than {_MOST_NAMES} hard links to {clean!r}")
        return clean

    def _check_parents(self, path: str) -> None:
        parent = path
        while "/" in parent:
            parent = parent.rpartition("/")[0]
            kind = self._kinds.get(parent)
            if kind == "dir":  # so are its own parents
                return
            if kind is not None:
                raise UnsafeMemberError(path, f"its parent {parent!r} is no directory")
            self._kinds[parent] = "dir"
            self._text += len(parent)

    def _count(self, path: str, member: Member) -> None:
        self._bytes += member.size
        self._text += len(path) + len(member.target)
        _check_sizes(member, self._bytes, len(self._kinds) + 1)
        if self._text > _MOST_TEXT:
            raise UnsafeMemberError(_short(member.name), "more than 32 MiB of names up to here")


def _check_sizes(member: Member, total: int, members: int) -> None:
    if member.size > MOST_FILE:
        raise UnsafeMemberError(_short(member.name), "larger than 1 GiB")
    if total > MOST_BYTES or members > MOST_MEMBERS:
        raise UnsafeMemberError(_short(member.name), "more than 2 GiB or 150 000 members up to here")


def _is_odd(name: str) -> bool:
    """Return whether a part may be empty, "." or ".."; quickly, for hardly any is."""
    return name[:1] in ("", "/", ".") or "/." in name or "//" in name or name[-1] == "/"


def check_path(name: str) -> str:
    """Return *name* as a relative path without ``.`` parts, or refuse it; "" is the root itself."""
    if len(name) <= _LONGEST_PART and name.isascii() and not _is_odd(name):
        return name
    if name.startswith("/"):
        raise UnsafeMemberError(_short(name), "absolute path")
    parts = [part for part in name.rstrip("/").split("/") if part != "."]
    if ".." in parts:
        raise UnsafeMemberError(_short(name), "climbs out with '..'")
    if "" in parts and parts != [""]:
        raise UnsafeMemberError(_short(name), "an empty part")
    sizes = [len(part.encode("utf-8", "surrogateescape")) for part in parts]
    if len(parts) > _DEEPEST or sum(sizes) > _LONGEST_PATH or max(sizes, default=0) > _LONGEST_PART:
        raise UnsafeMemberError(_short(name), "too long or too deep")
    return "/".join(parts)


def check_link(path: str, target: str) -> None:
    """Refuse a symbolic link at *path* (relative to the app) whose *target* leads out of the app or into the kernel.

    An absolute target is allowed otherwise: ``bin/python -> /usr/bin/python3`` is how environments are made.
    """
    if path in _NEVER_LINKS:
        raise UnsafeMemberError(path, "must not be a link")
    if not target:
        raise UnsafeMemberError(path, "a link to nothing")
    if len(target.encode("utf-8", "surrogateescape")) > _LONGEST_TARGET:
        raise UnsafeMemberError(path, "a link to something too long")
    parts = [part for part in target.split("/") if part not in {"", "."}]
    if target.startswith("/"):
        # "/" itself too: through it, another link's relative target would be any of those.
        if not parts or ".." in parts or parts[0] in _KERNEL or parts[:2] == ["var", "run"]:
            raise UnsafeMemberError(path, f"a link to {target!r}")
        return
    # A parent of a member is a directory, so leading ".." mean what they say; behind a name that may itself be a link
    # they would not.
    climbs = len(parts) - len([part for part in parts if part != ".."])
    if climbs > path.count("/") or ".." in parts[climbs:]:
        raise UnsafeMemberError(path, f"a link to {target!r}, outside of the app or by a detour")


def _short(name: str) -> str:
    """Return what of *name* an error shows; a header may hold a mebibyte."""
    return name[:_LONGEST_PART]
