"""What comes of building a source twice, as values."""

from collections import Counter
from pathlib import Path
from typing import Literal

from attrs import frozen

CauseCode = Literal[
    "build-path",
    "timestamp",
    "file-time",
    "order",
    "locale-order",
    "cpu-count",
    "user-id",
    "process-id",
    "random",
    "compressed",
    "run-bit",
    "unknown",
]
DifferenceKind = Literal["content", "mode", "link", "kind", "only-first", "only-second", "manifest", "archive"]

#: What to do about a cause, as a hint says it.
REMEDIES: dict[str, str] = {
    "build-path": "write paths below $HOME or /app, not those of the build",
    "timestamp": "leave the time out, or take SOURCE_DATE_EPOCH for it",
    "file-time": "leave the times of files out; a checkout gives them new ones",
    "order": "sort what comes from a directory, a set or a hash before it is written",
    "locale-order": "sort with LC_ALL=C",
    "cpu-count": "leave the number of CPUs to the start of the app",
    "user-id": "leave the user's number out: builds run as any",
    "process-id": "leave process ids and random numbers out, or seed them",
    "random": "derive names and ids from the content, or seed them",
    "compressed": "compress without names and times (gzip -n), after making what is inside the same",
    "run-bit": "set run bits with chmod, whatever the umask",
}


@frozen
class Condition:
    """One condition of the two builds; ``note`` says why it is not varied, or how far it is."""

    name: str
    first: str
    second: str
    note: str = ""

    @property
    def varied(self) -> bool:
        """Whether the second build really had another one."""
        return self.first != self.second


@frozen
class Range:
    """Bytes from offset ``first`` to offset ``last``, both included."""

    first: int
    last: int


@frozen
class Cause:
    """Why two files likely differ: a stable ``code``, and a sentence with what gives it away."""

    code: CauseCode
    detail: str


@frozen
class Difference:
    """One entry that the two slugs do not share.

    ``ranges`` are where its bytes differ, at most eight, close ones as one; ``count`` is how many bytes differ in all.
    Of files that are not equally long (``sizes``, in bytes) the longer one is counted in, without the beginning and
    the end that both share.
    """

    path: str
    kind: DifferenceKind
    causes: tuple[Cause, ...]
    sizes: tuple[int, int] = (0, 0)
    ranges: tuple[Range, ...] = ()
    count: int = 0


@frozen
class BuiltSlug:
    """One of the two slugs; ``path`` is where it was kept, or None. ``size`` is in bytes."""

    digest: str
    diff_id: str
    size: int
    path: Path | None = None


@frozen
class Reproduction:
    """What came of building a source twice."""

    conditions: tuple[Condition, ...]
    slugs: tuple[BuiltSlug, BuiltSlug]
    differences: tuple[Difference, ...] = ()

    @property
    def identical(self) -> bool:
        """Whether both builds made the same app: one ``diff_id``."""
        return self.slugs[0].diff_id == self.slugs[1].diff_id

    @property
    def remedy(self) -> str:
        """What to do about the cause that shows most often; "" when none is known."""
        codes = Counter(cause.code for one in self.differences for cause in one.causes if cause.code in REMEDIES)
        return REMEDIES[codes.most_common(1)[0][0]] if codes else ""
