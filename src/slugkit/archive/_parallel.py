"""Work on segments: as many threads as CPUs, results in order, so few ahead that memory stays bounded."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_order(work: Callable[[T], R], jobs: Iterable[T]) -> Iterator[R]:
    """Yield ``work(job)`` for each of *jobs*, in their order; codecs, hashes and system calls leave the lock to others.

    When a job raises, those not begun are dropped.
    """
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    under_way: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(threads, "slugkit-segments")
    try:
        for job in jobs:
            under_way.append(pool.submit(work, job))
            if len(under_way) > 2 * threads:  # segments differ in size: with fewer, threads wait for the largest
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
