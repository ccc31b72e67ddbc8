"""Sizes and long lists as people write and read them."""

import re
from collections.abc import Sequence

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
_SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,6})?) ?(?:([KMG])(?:iB)?|B)?", re.ASCII)  # MB: of 1000 or 1024? refused


def human_size(size: int) -> str:
    """Return *size* in bytes as Heroku prints it: one decimal for M, none for K and B.

    >>> human_size(646), human_size(596 * 1024), human_size(41208000)
    ('646B', '596K', '39.3M')
    """
    if size < 2**10:
        return f"{size}B"
    return f"{size // 2**10}K" if size < 2**20 else f"{size / 2**20:.1f}M"


def human_growth(size: int) -> str:
    """Return *size* in bytes with its sign, as `human_size` prints it.

    >>> human_growth(2048), human_growth(-3), human_growth(0)
    ('+2K', '-3B', '0B')
    """
    sign = "+" if size > 0 else "-" if size < 0 else ""
    return sign + human_size(abs(size))


def parse_size(text: str) -> int:
    """Return the bytes that *text* names: a number, and K, M or G (KiB, MiB, GiB: powers of 1024) or nothing.

    >>> parse_size("1.5MiB"), parse_size("30 M"), parse_size("512")
    (1572864, 31457280, 512)

    Raises:
        ValueError: It is no size.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r}: not a size such as 120MiB, 900K or 1048576")
    return int(float(found[1]) * _UNITS[found[2] or ""])


def few(texts: Sequence[str], most: int = 5) -> str:
    """Return the first of *texts* and how many more there are.

    >>> few(["a", "b"]), few("abcdef", most=3)
    ('a, b', 'a, b, c and 3 more')
    """
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more
