"""Which ports dynos are given, and which of them are listened on."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

from attrs import define, field

from ..errors import InvalidSettingError, PortInUseError
from ._supervisor import Supervisor

_LARGEST = 65535
_LOOK = 0.02  # seconds between looks whether a port is listened on
_SHARE = 10  # of the time at most one part in so many is spent looking: the kernel's tables may be long


@define(eq=False)
class Ports:
    """The ports that dynos have been given, listened on yet or not; for any thread."""

    _taken: set[int] = field(factory=set, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def take(self, wanted: int | None = None) -> int:
        """Return *wanted*, or a free port, which is the caller's until it is given back.

        Raises:
            PortInUseError: Somebody listens on *wanted*, or a dyno has been given it.
            InvalidSettingError: It is no port, or not one this user may listen on.
        """
        if wanted is not None and not 0 < wanted <= _LARGEST:
            raise InvalidSettingError("port", f"{wanted} is not a port")
        with self._lock:
            if wanted in self._taken:
                raise PortInUseError(wanted or 0)
            while (port := _bindable(wanted or 0)) in self._taken:
                continue
            self._taken.add(port)
        return port

    def take_some(self, wanted: int | None) -> int:
        """Return *wanted* if it is free, else a port that is, which is the caller's until it is given back."""
        if wanted is not None:
            with suppress(PortInUseError):
                return self.take(wanted)
        return self.take()

    def take_from(self, first: int) -> int:
        """Return the first port from *first* on that is free, the caller's until it is given back.

        Raises:
            PortInUseError: None is.
            InvalidSettingError: *first* is no port, or not one this user may listen on.
        """
        for port in range(first, _LARGEST):
            with suppress(PortInUseError):
                return self.take(port)
        return self.take(max(first, _LARGEST))

    def give_back(self, port: int) -> None:
        """Let others have *port*."""
        with self._lock:
            self._taken.discard(port)


def _bindable(wanted: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", wanted))
        except PermissionError:
            raise InvalidSettingError("port", f"{wanted} is not one this user may use") from None
        except OSError:
            raise PortInUseError(wanted) from None
        port: int = probe.getsockname()[1]
        return port


#: Returns the directory in which the kernel tells of a network; None as long as there is none.
Network = Callable[[], str | None]


@define(eq=False)
class Listening:
    """Tells when ports are listened on, with one look at the kernel's tables for all dynos that share a network.

    On the supervisor's thread only.
    """

    _supervisor: Supervisor
    _expected: dict[tuple[int, int], tuple[Network, Callable[[], None]]] = field(factory=dict, init=False)
    _looking: bool = field(default=False, init=False)

    def expect(self, port: int, uid: int, network: Network, callback: Callable[[], None]) -> None:
        """Call *callback* once a process of *uid* listens on TCP *port* of *network*."""
        self._expected[port, uid] = network, callback
        if not self._looking:
            self._look()

    def forget(self, port: int, uid: int) -> None:
        """Expect it no longer."""
        self._expected.pop((port, uid), None)

    def _look(self) -> None:
        self._looking = bool(self._expected)
        if not self._looking:
            return
        began = time.monotonic()
        listeners = cache(listened_on)
        for key, (network, callback) in tuple(self._expected.items()):
            directory = network()
            if directory is not None and key in self._expected and key in listeners(directory):
                del self._expected[key]
                callback()
        self._supervisor.after(max(_LOOK, _SHARE * (time.monotonic() - began)), self._look)


_LISTEN = "0A"
# Where 127.0.0.1 is answered, as the kernel spells it: any address, itself, and both as IPv6 knows them.
_REACHABLE = frozenset(("00000000", "0100007F", "0" * 32, "0000000000000000FFFF00000100007F"))


def listened_on(network: str) -> set[tuple[int, int]]:
    """Return the TCP ports that are listened on and by which uid; asked of the kernel, not by connecting.

    *network* is the directory in which it tells: /proc/net, or /proc/PID/net.
    """
    return {found for table in ("tcp", "tcp6") for found in _listeners(Path(network, table))}


def _listeners(table: Path) -> set[tuple[int, int]]:
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:  # no such protocol here, or whose network it was has ended
        return set()
    found = set()
    for line in lines:
        _, local, _, state, _, _, _, owner, *_ = line.split(None, 8)
        address, _, port = local.partition(":")
        if state == _LISTEN and address in _REACHABLE:
            found.add((int(port, 16), int(owner)))
    return found
