"""Which unpacked slugs dynos run on, so that the store may have the others back."""

import threading
from collections import Counter
from pathlib import Path

from attrs import define, field

from ..archive import Slug
from ..store import DirectoryStore, SlugStore

_IDLE = 4  # trees that stay held with no dyno on them: to look whether one is whole takes longer than to start a dyno


@define(eq=False)
class Trees:
    """The trees of a runner's slugs, counted; for any thread.

    ``_own`` is the store if no other runner has it: only then nobody else stands on what is let go.
    """

    _store: SlugStore
    _own: DirectoryStore | None
    _uses: Counter[Path] = field(factory=Counter, init=False)
    _idle: dict[Path, None] = field(factory=dict, init=False)  # longest ago first
    _left: set[Path] = field(factory=set, init=False)
    _arriving: int = field(default=0, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def take(self, slug: Slug) -> Path:
        """Return the tree of *slug*, which stays as it is until it is given back as often as it was taken.

        Raises:
            CorruptSlugError, UnsafeMemberError, OutputError: The slug cannot be unpacked.
        """
        with self._lock:
            self._arriving += 1  # what the store is about to hand out must not be let go meanwhile
        try:
            tree = self._store.tree(slug)
            with self._lock:
                self._uses[tree] += 1
                self._idle.pop(tree, None)
                self._left.discard(tree)
        finally:
            with self._lock:
                self._arriving -= 1
                self._let_go()
        return tree

    def give_back(self, tree: Path, *, for_good: bool = False) -> None:
        """Use *tree* once less; *for_good* says that its release was left: nobody is expected to want it again."""
        with self._lock:
            if for_good:
                self._left.add(tree)
            self._uses[tree] -= 1
            if not self._uses[tree]:
                del self._uses[tree]
                self._idle[tree] = None
            self._let_go()

    def _let_go(self) -> None:
        """Let the store have what nobody uses, but for the trees used last; within the lock."""
        if self._own is None or self._arriving:
            return
        left = [tree for tree in self._idle if tree in self._left]
        others = [tree for tree in self._idle if tree not in self._left]
        for tree in left + others[: max(len(others) - _IDLE, 0)]:
            del self._idle[tree]
            self._left.discard(tree)
            self._own.release(tree)
