"""The warden's modules in a program of their own: what a process does to itself there cannot be taken back."""

import json
import os
import subprocess
import sys
from typing import Any

from slugkit._exec import _warden

_IMPORT = _warden._BOOT.partition("from warden.main")[0]
_PRELUDE = f"""{_IMPORT}
import errno, json, marshal, os, socket, sys
from warden import family, init, landlock, main, namespaces, privileges, removal, seccomp, syscalls
sys.argv.pop(1)

def tried(action):
    try:
        action()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "ok"

def answer(value):
    print(json.dumps(value), flush=True)
"""


def alone(script: str, *arguments: object) -> Any:  # noqa: ANN401 - whatever the script answers
    """Return what *script*, which has the warden's modules and *arguments* in ``sys.argv``, gave to its ``answer``."""
    argv = [sys.executable, "-I", "-S", "-c", _PRELUDE + script, str(_warden._DIRECTORY), *map(str, arguments)]
    environment = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)
