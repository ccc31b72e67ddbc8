"""The way from a pack into the sandbox: its steps in `_inside` are run as a program there."""

import os
import sys
from pathlib import Path

INSIDE = Path(__file__).parent / "_inside"
# As a package of its own: neither its directory nor slugkit's is on the path of the interpreter.
BOOT = (
    "import sys; from importlib import import_module; _, inside, pack, step, *arguments = sys.argv;"
    "package = type(sys)('inside'); package.__path__ = [inside]; sys.modules['inside'] = package;"
    "sys.exit(import_module('inside.run').run(import_module(f'inside.{pack}').STEPS[step], *arguments))"
)


def step_argv(pack: str, *arguments: str | Path, python: Path | None = None) -> tuple[str | Path, ...]:
    """Return the command of a step of *pack*, run by *python*, or else by the Python that runs slugkit."""
    return (python or Path(os.path.realpath(sys.executable)), "-I", "-S", "-c", BOOT, INSIDE, pack, *arguments)
