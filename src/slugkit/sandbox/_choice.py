"""Which sandbox: the strongest that works here, or the one that was named. Never a silent fall."""

from ..errors import SandboxUnavailableError
from ._bubblewrap import Bubblewrap
from ._spec import Sandbox
from ._unconfined import Unconfined

#: What "auto" tries, strongest first.
PREFERRED: tuple[Sandbox, ...] = (Bubblewrap(),)

#: What ``sandbox=`` and ``--sandbox`` understand.
NAMES = ("auto", *(sandbox.name for sandbox in (*PREFERRED, Unconfined())))


def choose(sandbox: str | Sandbox) -> Sandbox:
    """Return the sandbox that *sandbox* names, after trying it for real; "auto" takes the strongest that works.

    Raises:
        SandboxUnavailableError: None works, or the one named does not, or there is none of that name.
    """
    if not isinstance(sandbox, str):
        candidates: tuple[Sandbox, ...] = (sandbox,)
    elif sandbox == "auto":
        candidates = PREFERRED
    else:
        candidates = tuple(s for s in (*PREFERRED, Unconfined()) if s.name == sandbox)
    tried = []
    for candidate in candidates:
        reason = candidate.check()
        if reason is None:
            return candidate
        tried.append((candidate.name, reason))
    raise SandboxUnavailableError(tuple(tried) or ((str(sandbox), f"not one of {', '.join(NAMES)}"),))
