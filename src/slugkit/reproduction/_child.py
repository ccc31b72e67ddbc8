"""One of the two builds, in a process of its own, whose umask, locale, time zone and CPUs it may change."""

import locale
import os
import pickle
import signal
import sys
import threading
import time
from pathlib import Path

from attrs import define, field

from .._tree import remove_tree, walk
from .._whole import writing
from ..build import SlugBuilder, heroku_text
from ..errors import SlugkitError
from ..events import BuildEvent, WorkspaceOpened
from ._circumstances import Circumstances, Report, Request, Surroundings
from ._clock import fake_clock
from ._values import BuiltSlug

_INTERRUPTED = 130
_1980 = 315_532_800  # zip knows no time before


def main(request_fd: str, lifeline: str, answer: str) -> int:
    """Do the build that the descriptor *request_fd* describes, and write a `Report` or the error to *answer*.

    When the pipe *lifeline* ends, its caller is gone: the build is interrupted, and clears up.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a caller in the background ignores it, and so would we
    threading.Thread(target=_interrupt_at_end_of, args=(int(lifeline),), daemon=True).start()
    with os.fdopen(int(request_fd), "rb") as file:
        request: Request = pickle.load(file)  # noqa: S301 - from our caller, through a descriptor of its own
    try:
        told: Report | SlugkitError = build(request)
    except SlugkitError as error:
        told = error
    except KeyboardInterrupt:
        return _INTERRUPTED
    Path(answer).write_bytes(pickle.dumps(told))
    return 0


def _interrupt_at_end_of(lifeline: int) -> None:
    os.read(lifeline, 1)
    os.kill(os.getpid(), signal.SIGINT)


def build(request: Request) -> Report:
    """Do one build under its surroundings and return what it made and what it really had around it.

    Raises:
        SlugkitError: Whatever `SlugBuilder.build` raises.
    """
    around = request.surroundings
    spoken = surround(around)
    fake = fake_clock(request.settings["sandbox"], around.ahead)
    os.environ.update(fake or {})
    listener = _Listener(around)
    settings = {**request.settings, "host_env": (*request.settings["host_env"], "TZ", *(fake or {}))}
    began = time.time()
    builder = SlugBuilder(**settings, cache_dir=request.cache_dir, on_event=listener)
    slug = builder.build(request.source, request.output)
    circumstances = Circumstances(
        source=str(request.source.path),
        cache_dir=request.cache_dir,
        build_dir=listener.build_dir,
        umask=around.umask,
        locale=spoken,
        zone=around.zone,
        began=began,
        ended=time.time(),
        ahead=None if fake is None else around.ahead,
        earlier=around.earlier,
        reordered=listener.reordered,
        cpus=len(os.sched_getaffinity(0)),
        uid=listener.uid,
    )
    return Report(BuiltSlug(slug.digest, slug.diff_id, slug.size, slug.path), circumstances)


def surround(around: Surroundings) -> str:
    """Give this process its surroundings, and return the locale that it really has: not every one is installed."""
    os.umask(around.umask)
    if around.cpus:
        os.sched_setaffinity(0, around.cpus)
    os.environ["TZ"] = around.zone
    time.tzset()
    try:
        return locale.setlocale(locale.LC_ALL, around.locale)
    except locale.Error:
        return locale.setlocale(locale.LC_ALL, "C")


@define
class _Listener:
    """Prints what the build says, and changes its source before anything of it is run: the build waits meanwhile."""

    around: Surroundings
    build_dir: str = field(default="", init=False)
    uid: int = field(default=-1, init=False)
    reordered: bool = field(default=False, init=False)

    def __call__(self, event: BuildEvent) -> None:
        for line in heroku_text(event):
            sys.stdout.buffer.write(line.encode("utf-8", "surrogateescape") + b"\n")
        sys.stdout.flush()
        if isinstance(event, WorkspaceOpened):
            self.build_dir = event.build_dir
            root = Path(event.build_dir)
            self.uid = root.stat().st_uid
            with writing(root):
                if self.around.reverse:
                    self.reordered = reverse(root)
                if self.around.earlier:
                    age(root, self.around.earlier)


def reverse(root: Path) -> bool:
    """Make the entries below *root* anew, last ones first; return whether any directory now lists them differently."""
    aside = root.parent.with_name("reversed")  # beside what the build sees as /tmp, and not in it
    aside.mkdir()
    changed = False
    for directory in [root, *(root / entry.path for entry in walk(root) if entry.is_dir)]:
        before = _names(directory)
        for name in _backwards(before):
            (directory / name).rename(aside / name)
        for name in _backwards(before):
            (aside / name).rename(directory / name)
        changed |= _names(directory) != before
    remove_tree(aside)
    return changed


def _names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def _backwards(names: list[str]) -> list[str]:
    return sorted(names, key=os.fsencode, reverse=True)


def age(root: Path, seconds: int) -> None:
    """Make what is below *root* older, or younger where it is as old as zip can tell; its order in time stays."""
    for entry in list(walk(root)):
        then = entry.info.st_mtime_ns - seconds * 10**9
        if then < (_1980 + seconds) * 10**9:
            then = entry.info.st_mtime_ns + seconds * 10**9
        os.utime(root / entry.path, ns=(then, then), follow_symlinks=False)
