"""The signal and socket modules without what they bring along - enum, selectors, collections.

With that the warden needs 39 ms until it can fork its first init, without 19; and there is less memory to fork.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    import socket
else:
    import _signal as signal
    import _socket as socket

__all__ = ["signal", "socket"]
