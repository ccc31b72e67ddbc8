"""Messages with descriptors: between the host program, the warden, an init and its command."""

from __future__ import annotations

import struct

from .light import socket

TYPE_CHECKING = False  # typing takes 4 ms of a start that takes 25
if TYPE_CHECKING:
    from collections.abc import Sequence

_LARGEST = 65536  # bytes of a message
_MOST_DESCRIPTORS = 250  # SCM_MAX_FD is 253


def pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a new channel."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return ours, theirs


def give(connection: socket.socket, data: bytes, descriptors: Sequence[int]) -> None:
    """Send *data*, and *descriptors* with it."""
    packed = struct.pack(f"{len(descriptors)}i", *descriptors)
    connection.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, packed)])


def received(connection: socket.socket) -> tuple[bytes, list[int]]:
    """Return the next message, b"" at the end, and the descriptors that came with it."""
    space = socket.CMSG_SPACE(_MOST_DESCRIPTORS * struct.calcsize("i"))
    data, ancillary, _, _ = connection.recvmsg(_LARGEST, space, socket.MSG_CMSG_CLOEXEC)
    descriptors: list[int] = []
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors += struct.unpack(f"{len(payload) // struct.calcsize('i')}i", payload)
    return data, descriptors
