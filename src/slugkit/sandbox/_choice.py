"""Which sandbox: the strongest that works here, or the one that was named. Never a silent fall."""

from collections.abc import Collection

from ..command import Command
from ..errors import InvalidSettingError, SandboxUnavailableError
from ._bubblewrap import Bubblewrap
from ._cgroups import cgroups
from ._landlock import Landlock
from ._namespaces import Namespaces
from ._obstacles import circumstances, obstacles
from ._owned import Owned
from ._promises import PROMISES, SandboxReport, report
from ._selftest import tried
from ._spec import Sandbox, SandboxSpec
from ._unconfined import Unconfined

#: What "auto" tries, strongest first.
PREFERRED: tuple[Sandbox, ...] = (Namespaces(), Bubblewrap(), Landlock())

_WEAKER: tuple[Sandbox, ...] = (Owned(), Unconfined())

_ADDED_UP = "it is added up once a second"

#: What ``sandbox=`` and ``--sandbox`` understand.
NAMES = ("auto", *(sandbox.name for sandbox in (*PREFERRED, *_WEAKER)))


def choose(sandbox: str | Sandbox, require: Collection[str] = ()) -> Sandbox:
    """Return the sandbox that *sandbox* names, after trying it for real; "auto" takes the strongest that works.

    *require* names promises (`PROMISES`) that it has to keep as well.

    Raises:
        SandboxUnavailableError: None works, or the one named does not, or there is none of that name.
        InvalidSettingError: There is no promise of a name in *require*.
    """
    for name in require:
        if name not in PROMISES:
            raise InvalidSettingError("require", f"{name!r} is not one of {', '.join(PROMISES)}")
    tried = []
    for candidate in _candidates(sandbox):
        reason = candidate.check()
        if reason is None and require:
            lacking = sorted(set(require) - examine(candidate).kept())
            reason = f"it does not keep {', '.join(lacking)}" if lacking else None
        if reason is None:
            return candidate
        tried.append((candidate.name, reason))
    isolating = {Namespaces().name, Bubblewrap().name} & {name for name, _ in tried}
    remedy = obstacles(circumstances()).remedy if isolating else ""
    raise SandboxUnavailableError(tuple(tried) or ((str(sandbox), f"not one of {', '.join(NAMES)}"),), remedy)


def _candidates(sandbox: str | Sandbox) -> tuple[Sandbox, ...]:
    if not isinstance(sandbox, str):
        return (sandbox,)
    if sandbox == "auto":
        return PREFERRED
    return tuple(one for one in (*PREFERRED, *_WEAKER) if one.name == sandbox)


def examine(sandbox: Sandbox) -> SandboxReport:
    """Return what *sandbox*, which works here, promised when it was tried, and why the stronger ones do not work."""
    stronger = PREFERRED[: PREFERRED.index(sandbox)] if sandbox in PREFERRED else PREFERRED
    reasons = {one.name: one.check() for one in stronger}
    others = tuple((name, reason) for name, reason in reasons.items() if reason is not None)
    better = next((name for name, reason in reasons.items() if reason is None), None)
    found = {**tried(sandbox).found, "bounded_memory": "" if _bounds(sandbox) else _ADDED_UP}
    return report(sandbox.name, getattr(sandbox, "level", "none"), found, others, better)


def _bounds(sandbox: Sandbox) -> bool:
    """Return whether a dyno of *sandbox* has cgroups of its own: they can be made here, and it is put into them."""
    bases = cgroups(memory=1, processes=None, cpu=None).bases
    confined = sandbox.confine(Command(("true",)), SandboxSpec((), cgroups=bases))
    return bool(confined.confinement.get("cgroups"))
