"""The library's own diagnostics: structlog, silent until the host program configures it.

A bare ``structlog.get_logger()`` in a program that never configured structlog prints to standard output, which
corrupts scripts that parse it. Log from the calling thread only; dyno output is data and never comes here.
"""

import sys
from typing import Any


def debug(event: str, **fields: Any) -> None:  # noqa: ANN401 - structlog's own signature
    """Log *event* if the host program has configured structlog, else do nothing.

    structlog is not imported here: a program that configured it has imported it.
    """
    structlog = sys.modules.get("structlog")
    if structlog is not None and structlog.is_configured():
        structlog.get_logger("slugkit").debug(event, **fields)
