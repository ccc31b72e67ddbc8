"""A build backend in the tree of what it builds (PEP 517 and 660): nothing is downloaded to use it.

The package is the one module that has its name. With a targets.txt beside it, the backend and each start of a Python
that has the package try to write to the files that it lists (see hook.py).
"""

import base64
import hashlib
import os
import tomllib
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
TARGETS = os.path.join(HERE, "targets.txt")
with open(os.path.join(HERE, "pyproject.toml"), "rb") as file:
    NAME = tomllib.load(file)["project"]["name"]


def build_wheel(directory, settings=None, metadata=None):
    with open(os.path.join(HERE, f"{NAME}.py")) as file:
        return make(directory, {f"{NAME}.py": file.read(), **hooked("build_wheel")})


def build_editable(directory, settings=None, metadata=None):
    return make(directory, {f"_{NAME}.pth": f"{HERE}\n", **hooked("build_editable")})


def hooked(turn):
    """Write everywhere now, and return the file that lets every later start of Python do it."""
    if not os.path.exists(TARGETS):
        return {}
    import hook

    with open(TARGETS) as file:
        targets = file.read().splitlines()
    hook.write_everywhere(turn, targets)
    return {"hook.pth": f"import hook; hook.write_everywhere('start', {targets!r})\n"}


def make(directory, files):
    info, name = f"{NAME}-1.dist-info", f"{NAME}-1-py3-none-any.whl"
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1\n"
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: in-tree\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    rows = [f"{info}/RECORD,,"]
    with zipfile.ZipFile(os.path.join(directory, name), "w") as wheel:
        for path, text in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
            rows.append(f"{path},sha256={digest},{len(text.encode())}")
            wheel.writestr(path, text)
        wheel.writestr(f"{info}/RECORD", "\n".join(rows) + "\n")
    return name
