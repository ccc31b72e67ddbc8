"""The dyno narrative: a slug's process types, run in read-only sandboxes, watched, stopped, gone."""

from ._backoff import Backoff
from ._delivery import RunnerEvent
from ._dyno import Dyno
from ._formation import Formation
from ._limits import Limits
from ._record import DynoState
from ._runner import DynoRunner
from ._tail import Tail
from ._usage import Usage

__all__ = ["Backoff", "Dyno", "DynoRunner", "DynoState", "Formation", "Limits", "RunnerEvent", "Tail", "Usage"]
