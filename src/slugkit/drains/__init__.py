"""Where log lines go besides the host program: files, syslog receivers, HTTP receivers (contract.md 5.4).

Those that need a network are loaded when they are first used: not every runner has one.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._drain import Drain
from ._file import FileDrain
from ._named import drain_to
from ._pump import Pump

if TYPE_CHECKING:
    from ._http import HttpDrain
    from ._syslog import SyslogDrain

__all__ = ["Drain", "FileDrain", "HttpDrain", "Pump", "SyslogDrain", "drain_to"]

_HOMES = {"HttpDrain": "._http", "SyslogDrain": "._syslog"}


if not TYPE_CHECKING:  # or a type checker would take any name for one of ours

    def __getattr__(name: str) -> Any:  # noqa: ANN401 - a class
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name], __name__), name)
