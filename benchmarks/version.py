"""``slugkit --version`` against an interpreter that does nothing."""

from benchmarks._pair import Row, pair, python


def measure(runs: int) -> list[Row]:
    """Measure whole interpreters."""
    ours, theirs = ("--version", python("-m", "slugkit", "--version")), ("pass", python("-c", "pass"))
    return [pair("version", ours, theirs, target=3.0, runs=runs)]
