"""Another clock for a build's commands: libfaketime, if it is installed and works in the sandbox."""

import time
from pathlib import Path

from .. import _exec
from ..command import Command
from ..environ import BUILD_PATH
from ..errors import SandboxUnavailableError
from ..sandbox import SandboxSpec, choose, dyno_uid, stack_view

_PLACES = ("lib/*/faketime", "lib64/faketime", "lib/faketime", "local/lib/faketime")
_TRY = 1_000_000  # seconds
_TOLERANCE = 60  # seconds


def fake_clock(sandbox: str, ahead: int) -> dict[str, str] | None:
    """Return the environment that puts a command's clock *ahead* by so many seconds; None when nothing here does.

    It was tried for real. The times of files stay those of the host, and no clock that only counts is changed.
    """
    for library in sorted(path for place in _PLACES for path in Path("/usr").glob(f"{place}/libfaketime.so.1")):
        if _works(sandbox, library):
            return _faking(library, ahead)
    return None


def _faking(library: Path, ahead: int) -> dict[str, str]:
    still = {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}
    return {"LD_PRELOAD": str(library), "FAKETIME": f"{ahead:+d}", **still}


def _works(name: str, library: Path) -> bool:
    uid = dyno_uid()
    command = Command(("/bin/date", "+%s"), env={"PATH": BUILD_PATH, **_faking(library, _TRY)})
    try:
        sandbox = choose(name)
        spec = SandboxSpec(stack_view(uid), uid if sandbox.name != "none" else None)
        done = _exec.run(sandbox.confine(command, spec))
    except (_exec.StartError, SandboxUnavailableError):  # the build is about to say so
        return False
    told = done.output.strip()
    return done.status == 0 and told.isdecimal() and abs(int(told) - time.time() - _TRY) < _TOLERANCE
