"""The only place that starts processes: given a `Command`, its whole environment, and nothing of ours.

No ``preexec_fn``: the host program may have threads. Descriptors above 2 are closed, but for those a command asks for,
which the sandbox or the boot script consumes before the app's first instruction.
"""

from ._family import Process, extinguish, kill, members, open_init, signal_quietly
from ._git import git, last_line
from ._process import DEVNULL, PIPE, STDOUT, DeadlineError, StartError, close, end, exit_status, follow, run, spawn

__all__ = [
    "DEVNULL",
    "PIPE",
    "STDOUT",
    "DeadlineError",
    "Process",
    "StartError",
    "close",
    "end",
    "exit_status",
    "extinguish",
    "follow",
    "git",
    "kill",
    "last_line",
    "members",
    "open_init",
    "run",
    "signal_quietly",
    "spawn",
]
