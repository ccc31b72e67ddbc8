"""Sockets: those of the host and of other dynos, and the kinds that ask the kernel for more than a connection."""

import os
import socket

from kit import HELD, Outcome, Told

_SOON = 1.0  # seconds


def abstract_host(told: Told) -> Outcome:
    """Talk to the host over an abstract socket."""
    return _asked(socket.AF_UNIX, "\0" + told["abstract"]["victim"])


def abstract_neighbour(told: Told) -> Outcome:
    """Talk to another dyno over an abstract socket."""
    return _asked(socket.AF_UNIX, "\0" + told["abstract"]["neighbour"])


def unix_host(told: Told) -> Outcome:
    """Talk to the host over a socket in one of its directories, as one would to docker.sock."""
    return _asked(socket.AF_UNIX, told["unix"])


def unix_run(told: Told) -> Outcome:
    """Talk to the host over a socket in /run."""
    return _asked(socket.AF_UNIX, told["unix_run"])


def loopback_host(told: Told) -> Outcome:
    """Talk to a program of the host's that listens on 127.0.0.1."""
    return _asked(socket.AF_INET, ("127.0.0.1", told["ports"]["victim"]))


def loopback_neighbour(told: Told) -> Outcome:
    """Talk to another dyno on its $PORT."""
    return _asked(socket.AF_INET, ("127.0.0.1", told["ports"]["neighbour"]))


def vsock_host(told: Told) -> Outcome:
    """Talk to the host over a virtual machine's socket."""
    return _asked(socket.AF_VSOCK, (1, told["ports"]["vsock"]))


def _asked(family: int, address: str | tuple[object, int]) -> bytes:
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.settimeout(_SOON)
        one.connect(address)
        return one.recv(200)


def raw_socket(_told: Told) -> Outcome:
    """Make packets of any kind."""
    return _kept(socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))


def packet_socket(_told: Told) -> Outcome:
    """Listen to every packet of the machine."""
    return _kept(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)))


def netlink_events(_told: Told) -> Outcome:
    """Listen to the machine's devices come and go."""
    one = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 15)  # NETLINK_KOBJECT_UEVENT
    one.bind((0, 1))
    return _kept(one)


def listen_elsewhere(_told: Told) -> Outcome:
    """Listen on a port that is not $PORT."""
    one = socket.socket()
    one.bind(("127.0.0.1", 0))
    one.listen()
    return _kept(one)


def listen_low(told: Told) -> Outcome:
    """Listen on a port that belongs to root."""
    one = socket.socket()
    one.bind(("127.0.0.1", told["ports"]["low"]))
    one.listen()
    return _kept(one)


def _kept(one: socket.socket) -> str:
    os.dup(one.fileno())
    return HELD
