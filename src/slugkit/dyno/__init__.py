"""The dyno narrative: a slug's process types, run in read-only sandboxes, watched, stopped, gone."""

from ._dyno import Dyno, DynoState
from ._runner import DynoRunner

__all__ = ["Dyno", "DynoRunner", "DynoState"]
