"""``python -m benchmarks NAME [--json]``."""

import argparse
import json
import sys
from importlib import import_module

from attrs import asdict

_DYNOS = ("start", "scale", "memory", "parent-size", "logs")
_SLUGS = ("pack", "repack", "unpack", "upgrade", "scale-files")
FIGURES = ("imports", "version", *_DYNOS, *_SLUGS, "rebuild", "plugin")


def main() -> int:
    """Measure one figure, or all, and print both sides, the ratio and the target."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=(*FIGURES, "all"))
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--runs", type=int, default=10, help="counted runs of each side (10)")
    options = parser.parse_args()
    names = FIGURES if options.name == "all" else (options.name,)
    rows = [
        row for name in names for row in import_module(f"benchmarks.{name.replace('-', '_')}").measure(options.runs)
    ]
    if options.json:
        print(json.dumps([{**asdict(row), "ratio": row.ratio} for row in rows], indent=2))
    else:
        print("\n".join(map(str, rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
