"""Compile modules to bytecode that no clock can make stale, the same on every machine, on all of its CPUs."""

import os
import py_compile
import sys
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from ..files import remove

# Always as many, however many CPUs there are: what a module compiles to may depend on what was compiled before it.
SHARES = 16


def compile_all(roots: Iterable[str | Path], leave_out: str = "") -> None:
    """Compile every module below *roots*, which are files or directories, but for directories called *leave_out*.

    What does not compile stays source.
    """
    modules = sorted(module for root in roots for module in find_modules(str(root), leave_out))
    children: set[int] = set()
    failed = 0
    for number in range(min(SHARES, len(modules))):
        if len(children) == len(os.sched_getaffinity(0)):
            failed |= wait_for_one(children)
        children.add(start(modules[number::SHARES]))
    while children:
        failed |= wait_for_one(children)
    if failed:
        version = ".".join(map(str, sys.version_info[:3]))
        sys.exit(f"Python {version} died while it compiled modules to bytecode: name another one in .python-version")


def find_modules(root: str, leave_out: str) -> list[str]:
    """Return the modules below *root* that are to be compiled, where the bytecode that there is is removed."""
    if os.path.isfile(root):
        return [root]
    found = []
    for directory, names, files in os.walk(root):
        remove(os.path.join(directory, "__pycache__"))
        names[:] = [name for name in names if name != "__pycache__"]
        if leave_out not in directory.split("/"):
            found += [os.path.join(directory, name) for name in files if name.endswith(".py")]
    return [path for path in found if os.path.isfile(path)]


def start(modules: Sequence[str]) -> int:
    """Return the process that compiles *modules*, one by one."""
    process = os.fork()
    if process:
        return process
    status = 1
    warnings.simplefilter("ignore")  # of the compiler, meant for whoever wrote the module
    try:
        for module in modules:
            compile_one(module)
        status = 0
    finally:
        os._exit(status)


def compile_one(module: str) -> None:
    """Compile *module*, which notes the path that it has in a dyno."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    with suppress(OSError):  # a directory that is not to be written to, a cache that is a FIFO: it stays source
        py_compile.compile(module, dfile=f"/app/{module}", quiet=2, invalidation_mode=mode)


def wait_for_one(children: set[int]) -> int:
    """Wait until one of *children* has ended, and return its status."""
    process, status = os.wait()
    children.discard(process)
    return status
