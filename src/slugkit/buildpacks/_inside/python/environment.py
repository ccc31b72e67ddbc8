"""The app's environment: where it is, what its own interpreter says, and whether it needs nothing of elsewhere."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ENV = Path(".heroku/python")
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
# Where a library of the stack is; /usr/local is not the same on every machine that has the stack.
STACK = ("/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/")
# What loads all of the interpreter's extension modules, and says which files that mapped.
LOAD_ALL = """
import contextlib, importlib, json, os, sys
for path in sys.path:
    if path.endswith("lib-dynload") and os.path.isdir(path):
        for name in sorted(os.listdir(path)):
            with contextlib.suppress(Exception):
                importlib.import_module(name.split(".")[0])
with open("/proc/self/maps") as file:
    mapped = {line.split(maxsplit=5)[5].strip() for line in file if line.count("/")}
print(json.dumps([sys.prefix, sorted(mapped)]))
"""
CANNOT = """the interpreter {executable} cannot be put into a slug: {reason}
take another one (.python-version, SLUGKIT_PYTHONS), or leave it on the host: runtime="stack", --runtime stack"""


def check(runtime: str) -> int:
    """Try the finished environment from another directory: it must find itself and need nothing of the old one."""
    prefix, mapped = json.loads(ask(LOAD_ALL))
    if os.path.realpath(prefix) != os.path.realpath(ENV):
        print(CANNOT.format(executable=sys.executable, reason=f"it takes {prefix} for its prefix"), file=sys.stderr)
        return 1
    elsewhere = libraries_elsewhere(mapped, os.path.realpath(ENV))
    if runtime == "vendored" and elsewhere:
        reason = f"it loads {', '.join(elsewhere[:3])}, which the stack has not"
        print(CANNOT.format(executable=sys.executable, reason=reason), file=sys.stderr)
        return 1
    return 0


def libraries_elsewhere(mapped: list[str], env: str) -> list[str]:
    """Return the shared libraries among the *mapped* files that are neither in *env* nor in the stack."""
    libraries = [path for path in mapped if re.search(r"\.so(\.[\d.]+)?$", path)]
    return [path for path in libraries if not path.startswith((*STACK, env + "/"))]


def ask(code: str) -> str:
    """Return what the environment's own interpreter prints for *code*."""
    argv = [str(Path.cwd() / ENV / "bin" / "python"), "-I", "-c", code]
    return subprocess.run(argv, check=True, capture_output=True, text=True, cwd="/").stdout


def replace(path: Path, content: bytes) -> None:
    """Give *path* another *content*, as a file of its own: what is there may be linked to from an installer's cache."""
    mode = path.stat().st_mode
    path.unlink()
    path.write_bytes(content)
    path.chmod(mode)
