"""``python -m slugkit`` and the ``slugkit`` command; ``--version`` answers before anything else is imported."""

import sys


def main() -> int:
    """Run the command line and return its exit status."""
    if sys.argv[1:] == ["--version"]:
        from ._version import __version__  # noqa: PLC0415 - nothing else is needed

        print(f"slugkit {__version__}")  # noqa: T201 - the answer
        return 0
    from .cli import run  # noqa: PLC0415 - click and rich cost more than the answer above

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
