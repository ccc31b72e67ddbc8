"""Sandboxes: functions from a command and a description of its view to a command that is confined to it."""

from ._bubblewrap import Bubblewrap
from ._cgroups import cgroups, memory_cgroup, memory_used
from ._choice import NAMES, choose, examine
from ._landlock import Landlock
from ._namespaces import Namespaces
from ._owned import Owned
from ._promises import PROMISES, Level, Promise, SandboxReport
from ._spec import Bind, File, Link, Mount, Overlay, Sandbox, SandboxSpec, Tmpfs
from ._stack import REGISTRY_ETC, dyno_uid, stack_view
from ._unconfined import Unconfined

__all__ = [
    "NAMES",
    "PROMISES",
    "REGISTRY_ETC",
    "Bind",
    "Bubblewrap",
    "File",
    "Landlock",
    "Level",
    "Link",
    "Mount",
    "Namespaces",
    "Overlay",
    "Owned",
    "Promise",
    "Sandbox",
    "SandboxReport",
    "SandboxSpec",
    "Tmpfs",
    "Unconfined",
    "cgroups",
    "choose",
    "dyno_uid",
    "examine",
    "memory_cgroup",
    "memory_used",
    "stack_view",
]
