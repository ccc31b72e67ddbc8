"""When a crashed dyno of a formation is started again (contract.md 4.6)."""

from attrs import frozen


@frozen
class Backoff:
    """Heroku's numbers of 2014, in seconds.

    A dyno that ends within ``early`` seconds of its start has crashed on boot. The first such crash is followed by a
    restart at once; the next in a row by a cool-off of ``cool_off``, which doubles up to ``longest``. A dyno that lived
    longer is started again at once, and what it crashed before is forgotten; so it is by a new release.
    """

    early: float = 600.0
    cool_off: float = 600.0
    longest: float = 86400.0

    def crashes(self, before: int, lived: float) -> int:
        """Return how many boot crashes in a row there are, after *before* and one that *lived* so many seconds.

        >>> [Backoff().crashes(before, lived) for before, lived in [(0, 1), (4, 599), (4, 601)]]
        [1, 5, 0]
        """
        return before + 1 if lived <= self.early else 0

    def delay(self, crashes: int) -> float:
        """Return the seconds to wait after so many boot crashes in a row.

        >>> [Backoff().delay(crashes) for crashes in (0, 1, 2, 3, 4, 9, 10, 10_000)]
        [0.0, 0.0, 600.0, 1200.0, 2400.0, 76800.0, 86400.0, 86400.0]
        """
        if crashes <= 1:
            return 0.0
        return min(self.cool_off * 2.0 ** min(crashes - 2, 64), self.longest)
