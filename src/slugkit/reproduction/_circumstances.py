"""The circumstances of one build: those asked for, and those that were found."""

from datetime import UTC, datetime
from typing import Any

from attrs import frozen

from ..source import Source
from ._values import BuiltSlug, Condition


@frozen
class Surroundings:
    """How a build is to be surrounded.

    ``ahead`` is the seconds to put the clock forward, ``earlier`` those by which the files of the source are made
    older; ``reverse`` makes them anew in the opposite order.
    """

    umask: int
    locale: str
    zone: str
    cpus: frozenset[int]
    ahead: int = 0
    earlier: int = 0
    reverse: bool = False


# A time zone, a clock and times of files that no machine has; the clock less than certificates are valid for.
PLAIN = Surroundings(umask=0o022, locale="C.UTF-8", zone="UTC0", cpus=frozenset())
CHANGED = Surroundings(
    umask=0o077,
    locale="tr_TR.UTF-8",
    zone="<+1345>-13:45",
    cpus=frozenset(),
    ahead=93_784,
    earlier=432_123,
    reverse=True,
)
ZONE_OFFSET = 13 * 3600 + 45 * 60  # seconds that CHANGED.zone is east of UTC


@frozen
class Request:
    """One build, as its process is asked for it; ``settings`` are those of `SlugBuilder`."""

    source: Source
    output: str
    cache_dir: str
    settings: dict[str, Any]
    surroundings: Surroundings


@frozen
class Circumstances:
    """What one build really had around it. Times are in seconds, by the host's clock.

    ``ahead`` is how far the clock of its commands was before that: None when nothing here can change it.
    ``reordered`` says whether directories of the source list their names in another order than before.
    """

    source: str
    cache_dir: str
    build_dir: str
    umask: int
    locale: str
    zone: str
    began: float
    ended: float
    ahead: int | None
    earlier: int
    reordered: bool
    cpus: int
    uid: int


@frozen
class Report:
    """What a build's process answers."""

    slug: BuiltSlug
    circumstances: Circumstances


def conditions(first: Circumstances, second: Circumstances, *, root: bool) -> tuple[Condition, ...]:
    """Return the conditions of both builds, with a note on each that could not be varied; *root* is who ran them."""
    one_cpu = "" if first.cpus != second.cpus else "there is one CPU"
    order = "" if second.reordered else "this file system lists names in an order of its own"
    user = "" if root else "only root builds as another user"
    return (
        Condition("source path", first.source, second.source),
        Condition("build path", first.build_dir, second.build_dir),
        Condition("cache path", first.cache_dir, second.cache_dir, "both were empty"),
        Condition("umask", f"{first.umask:03o}", f"{second.umask:03o}", "slugkit's own: its builds always have 022"),
        Condition("locale", first.locale, second.locale, "slugkit's own: its builds have none"),
        Condition("time zone", first.zone, second.zone),
        _clock(first, second),
        Condition("file times", "as they are", f"{second.earlier} seconds earlier"),
        Condition("file order", "sorted", "reversed" if second.reordered else "sorted", order),
        Condition("cpus", str(first.cpus), str(second.cpus), one_cpu),
        Condition("user id", str(first.uid), str(second.uid), user),
        Condition("host name", "this one", "this one", "builds in a sandbox see localhost everywhere"),
    )


def _clock(first: Circumstances, second: Circumstances) -> Condition:
    if second.ahead is None:
        note = "the time that passed: install libfaketime for more"
    else:
        note = f"libfaketime put it forward by {second.ahead} seconds"
    return Condition("clock", _shown(first), _shown(second), note)


def _shown(build: Circumstances) -> str:
    return datetime.fromtimestamp(int(build.began + (build.ahead or 0)), UTC).isoformat()
