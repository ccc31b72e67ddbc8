"""``import slugkit`` against ``import attrs``."""

from benchmarks._pair import Row, pair, python


def measure(runs: int) -> list[Row]:
    """Measure whole interpreters: start, import, exit."""
    ours, theirs = ("import slugkit", python("-c", "import slugkit")), ("import attrs", python("-c", "import attrs"))
    return [pair("import", ours, theirs, target=1.5, runs=runs)]
