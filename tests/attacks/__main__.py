"""``python tests/attacks --sandbox NAME``: print what gets through here, for whoever runs it."""

import argparse
import json
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])

from attacks.catalogue import CATALOGUE  # noqa: E402 - the path first
from attacks.suite import attack  # noqa: E402


def main() -> int:
    """Try, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sandbox", default="auto", help='a name, or "control" for no protection at all')
    parser.add_argument("--only", default="", help="attempts, separated by commas")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--without", default="", help="attempts to leave out, separated by commas")
    options = parser.parse_args()
    without = set(options.without.split(","))
    names = set(filter(None, options.only.split(","))) or {one.name for one in CATALOGUE}
    found = attack(options.sandbox, names - without)
    if options.json:
        told = {
            "unavailable": found.unavailable,
            "tried": sorted(found.tried),
            "through": sorted(found.through),
            "errors": found.errors,
            "seconds": found.seconds,
        }
        sys.stdout.write(json.dumps(told))
        return 0
    if found.unavailable:
        sys.stdout.write(f"{found.unavailable}\n")
        return 1
    for one in CATALOGUE:
        if one.name in found.tried:
            verdict = "THROUGH" if one.name in found.through else "       "
            sys.stdout.write(f"{verdict} {one.group:12} {one.name:24} {found.errors[one.name]}\n")
    sys.stdout.write(f"{len(found.through)} of {len(found.tried)} got through, {found.seconds:.1f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
