"""Make the files of an app in a new directory: nothing is written through a link, and nothing outside."""

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from attrs import define, field

from ._tar import Member, encode

_EARLIEST, _LATEST = 315_532_800, 4_102_444_800  # 1980 and 2100: what every file system can tell
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_FULL = 0o755


@define
class NewTree:
    """The tree that is being made in the empty directory *root*; symbolic links are made last, by `finish`.

    Files bear the archive's times if *keep_times*, else the time when they are made. Once the directories are there,
    threads may share it.
    """

    root: Path
    keep_times: bool = True
    _fd: int = field(init=False)
    _made: set[str] = field(factory=lambda: {""}, init=False)
    _links: list[Member] = field(factory=list, init=False)
    _masked: bool = field(init=False)

    @_fd.default
    def _open(self) -> int:
        return os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)

    @_masked.default
    def _find_mask(self) -> bool:
        """Tell whether the umask takes something away: a mode set again costs a tenth of what a file does."""
        os.mkdir(".mask", dir_fd=self._fd)
        kept = os.stat(".mask", dir_fd=self._fd).st_mode & _FULL
        os.rmdir(".mask", dir_fd=self._fd)
        return kept != _FULL

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what is open."""
        os.close(self._fd)

    def add_directory(self, name: str) -> None:
        """Make the directory *name* and those above it, where they are not there yet."""
        if name in self._made:
            return
        self.add_directory(name.rpartition("/")[0])
        self._made.add(name)
        os.mkdir(encode(name), 0o755, dir_fd=self._fd)
        if self._masked:
            os.chmod(encode(name), _FULL, dir_fd=self._fd)

    def directories(self) -> int:
        """Return how many directories there are below the root."""
        return len(self._made) - 1

    def add_file(self, member: Member, pieces: Iterable[bytes | memoryview]) -> None:
        """Make the file *member*, whose directory is there, of *pieces*."""
        fd = os.open(encode(member.name), _NEW, member.mode, dir_fd=self._fd)
        try:
            for piece in pieces:
                _write(fd, piece)
            if self._masked:
                os.fchmod(fd, member.mode)
            self._set_times(fd, member)
        finally:
            os.close(fd)

    def add_part(self, member: Member, offset: int, data: memoryview) -> None:
        """Write *data* into the file *member*, which is there, at *offset*."""
        fd = os.open(encode(member.name), os.O_WRONLY | os.O_NOFOLLOW, dir_fd=self._fd)
        try:
            os.lseek(fd, offset, os.SEEK_SET)
            _write(fd, data)
            self._set_times(fd, member)
        finally:
            os.close(fd)

    def _set_times(self, fd: int, member: Member) -> None:
        if self.keep_times:
            seconds = min(max(member.mtime, _EARLIEST), _LATEST)
            os.utime(fd, (seconds, seconds))

    def add_hard_link(self, member: Member) -> None:
        """Make *member* another name of its target, which is there."""
        self._link(member.target, member.name, self._fd)

    def share(self, member: Member, tree: int) -> None:
        """Make *member* another name of the same file in the directory open as *tree*.

        Raises:
            OSError: It is not there, or not as it was made, as far as one look tells.
        """
        self._link(member.name, member.name, tree)
        info = os.stat(encode(member.name), dir_fd=self._fd, follow_symlinks=False)
        if info.st_size != member.size or info.st_mode != stat.S_IFREG | member.mode:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), member.name)

    def _link(self, target: str, name: str, tree: int) -> None:
        os.link(encode(target), encode(name), src_dir_fd=tree, dst_dir_fd=self._fd, follow_symlinks=False)

    def add_link(self, member: Member) -> None:
        """Note the symbolic link *member*."""
        self._links.append(member)

    def finish(self) -> None:
        """Make the symbolic links."""
        for member in self._links:
            os.symlink(encode(member.target), encode(member.name), dir_fd=self._fd)


def _write(fd: int, data: bytes | memoryview) -> None:
    with memoryview(data) as view:
        done = 0
        while done < len(view):
            done += os.write(fd, view[done:])
