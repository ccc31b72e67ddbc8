"""Where slugs and unpacked slugs live: content-addressed, built once, shared read-only by every dyno."""

from pathlib import Path
from typing import Protocol

from ..archive import Slug
from ._collect import MONTH, Collected
from ._directory import DirectoryStore, user_store
from ._stored import StoredSlug
from ._verify import Damage

__all__ = ["MONTH", "Collected", "Damage", "DirectoryStore", "SlugStore", "StoredSlug", "user_store"]


class SlugStore(Protocol):
    """Keep unpacked slugs."""

    def tree(self, slug: Slug) -> Path:
        """Return the directory of *slug*'s app, unpacked and checked; nobody may write it."""
