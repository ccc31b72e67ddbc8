"""What a dyno may use (contract.md 4.8)."""

from attrs import field, frozen

from ..errors import InvalidSettingError

_MIB = 2**20
#: Times its memory limit, from where on a dyno is killed (R15, contract.md 4.8).
MOST_MEMORY = 2


@frozen
class Limits:
    """Of a dyno: ``memory`` and ``files`` in bytes, the others numbers; None for no limit.

    Beyond ``memory`` a dyno goes on and is told so (R14); at twice as much it is killed (R15). ``processes`` counts
    threads as well. ``files`` and ``inodes`` bound each of tmp/, log/ and /tmp, which lie in memory and count as such.
    ``cpu`` is a weight: with 200 a dyno gets twice the time of one with 100, when there is not enough for both.
    ``network`` off leaves a dyno alone with itself: a web dyno is up when it listens there, and nobody else can
    connect. ``only_port`` lets it listen on $PORT and no other TCP port, where the kernel can.

    Raises:
        InvalidSettingError: One is not above 0.
    """

    memory: int | None = 512 * _MIB
    processes: int | None = 256
    files: int = 512 * _MIB
    inodes: int = 2**18
    open_files: int | None = 65_536
    cpu: int | None = None
    network: bool = True
    only_port: bool = False
    _checked: None = field(init=False, repr=False, eq=False)

    @_checked.default
    def _check(self) -> None:
        for name in ("memory", "processes", "files", "inodes", "open_files", "cpu"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise InvalidSettingError(f"limits.{name}", f"{value} is not above 0")
