"""Sandboxes: functions from a command and a description of its view to a command that is confined to it."""

from ._bubblewrap import Bubblewrap
from ._choice import NAMES, choose
from ._spec import Bind, File, Link, Mount, Sandbox, SandboxSpec, Tmpfs
from ._stack import REGISTRY_ETC, dyno_uid, stack_view
from ._unconfined import Unconfined

__all__ = [
    "NAMES",
    "REGISTRY_ETC",
    "Bind",
    "Bubblewrap",
    "File",
    "Link",
    "Mount",
    "Sandbox",
    "SandboxSpec",
    "Tmpfs",
    "Unconfined",
    "choose",
    "dyno_uid",
    "stack_view",
]
