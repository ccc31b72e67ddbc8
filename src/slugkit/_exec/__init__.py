"""The only place that starts processes: given a `Command`, its whole environment, and nothing of ours.

No ``preexec_fn``: the host program may have threads. What is confined is forked by a warden, a small program apart;
descriptors above 2 are closed, but for those a command asks for.
"""

from ._git import git, last_line
from ._kept import Kept
from ._process import DeadlineError, StartError, follow, run
from ._warden import Process, Warden
from ._wardens import Lender, Wardens

__all__ = [
    "DeadlineError",
    "Kept",
    "Lender",
    "Process",
    "StartError",
    "Warden",
    "Wardens",
    "follow",
    "git",
    "last_line",
    "run",
]
