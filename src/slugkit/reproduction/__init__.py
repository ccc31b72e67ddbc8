"""Whether a build is reproducible: two builds under changed conditions, and what differs where and why."""

from ._reproduce import reproduce
from ._values import BuiltSlug, Cause, Condition, Difference, Range, Reproduction

__all__ = ["BuiltSlug", "Cause", "Condition", "Difference", "Range", "Reproduction", "reproduce"]
