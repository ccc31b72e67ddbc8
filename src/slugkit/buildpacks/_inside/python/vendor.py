"""Put the interpreter into the environment, or lead to the host's."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from .environment import CANNOT, ENV, VERSION, ask

# Of the standard library, what a server never runs: its tests, editors, toolkits, and what builds extensions.
UNWANTED_BELOW = {"__pycache__", "test", "tests"}
UNWANTED = {
    *UNWANTED_BELOW,
    *("ensurepip", "idlelib", "turtledemo"),
    *("dist-packages", "site-packages", "EXTERNALLY-MANAGED", "sitecustomize.py"),
}
TEST_MODULES = ("_test", "_ctypes_test", "_xxtest", "xxlimited")


def vendor() -> None:
    """Make a whole Python of the environment: its interpreter, its standard library, its shared library."""
    stdlib = Path(sysconfig.get_path("stdlib"))
    relative = stdlib.relative_to(sys.base_prefix)
    shutil.copytree(stdlib, ENV / relative, symlinks=True, ignore=unwanted, dirs_exist_ok=True)
    platstdlib = Path(sysconfig.get_path("platstdlib"))
    if platstdlib != stdlib:  # lib64 beside lib
        target = ENV / platstdlib.relative_to(sys.base_exec_prefix)
        shutil.copytree(platstdlib, target, symlinks=True, ignore=unwanted, dirs_exist_ok=True)
    name_interpreter()
    vendor_shared_library()
    strip()
    (ENV / "pyvenv.cfg").unlink()
    lead_to_site_packages()


def unwanted(directory: str, names: list[str]) -> set[str]:
    """Return those of *names* that stay out of the slug."""
    static = {name for name in names if name.endswith((".a", ".o"))}
    if Path(directory).name == VERSION:
        return static | {name for name in names if name in UNWANTED or name.startswith("config-")}
    if Path(directory).name == "lib-dynload":
        return static | {name for name in names if name.startswith(TEST_MODULES)}
    return static | UNWANTED_BELOW.intersection(names)


def name_interpreter() -> None:
    """Leave one executable in bin/, under its full name, and links to it."""
    real = ENV / "bin" / VERSION
    source = ENV / "bin" / "python"
    content = Path(os.path.realpath(source)).read_bytes()
    for path in ENV.glob("bin/python*"):
        path.unlink()
    real.write_bytes(content)
    real.chmod(0o755)
    link_names()


def link_names() -> None:
    for name in ("python", "python3"):
        (ENV / "bin" / name).unlink(missing_ok=True)
        (ENV / "bin" / name).symlink_to(VERSION)


def link_stack() -> None:
    """Lead bin/ to the host's interpreter by its real path: that is what a dyno is shown."""
    for path in ENV.glob("bin/python*"):
        path.unlink()
    (ENV / "bin" / VERSION).symlink_to(os.path.realpath(sys.executable))
    link_names()
    settings = ENV / "pyvenv.cfg"  # virtualenv notes its own command there, which names this build's directory
    lines = settings.read_text().splitlines(keepends=True)
    settings.write_text("".join(line for line in lines if not line.startswith("command = ")))


def vendor_shared_library() -> None:
    """Copy libpython, if the interpreter needs one, and let the interpreter look beside itself for it."""
    libdir, library = sysconfig.get_config_vars("LIBDIR", "INSTSONAME")
    if not sysconfig.get_config_var("Py_ENABLE_SHARED"):
        return
    executable = ENV / "bin" / VERSION
    old = str(libdir).encode() + b"\0"
    new = b"$ORIGIN/../lib\0".ljust(len(old), b"\0")
    content = executable.read_bytes()
    if content.count(b"\0" + old) != 1 or len(new) != len(old):
        if str(libdir).startswith(("/usr/lib", "/lib")):
            return  # found on the loader's own path, and the stack shows it
        reason = f"it looks for its own library in {libdir} only"
        sys.exit(CANNOT.format(executable=sys.executable, reason=reason))
    executable.write_bytes(content.replace(b"\0" + old, b"\0" + new))
    target = ENV / "lib" / str(library)
    shutil.copyfile(Path(str(libdir), str(library)), target)
    target.chmod(0o755)


def strip() -> None:
    """Take out what only a debugger reads, which is two thirds of an interpreter that was compiled here (pyenv's)."""
    program = shutil.which("strip")
    made = [*ENV.glob("lib/libpython*.so.*"), *ENV.glob(f"lib*/{VERSION}/lib-dynload/*.so"), ENV / "bin" / VERSION]
    if program is not None:
        subprocess.run([program, "--strip-debug", *sorted(made)], check=False)  # what it cannot read stays


def lead_to_site_packages() -> None:
    """Lead whatever other site directory the interpreter looks at (Debian's dist-packages) to site-packages."""
    site_packages = ENV / "lib" / VERSION / "site-packages"
    code = "import site, json; print(json.dumps(site.getsitepackages()))"
    looked_at = [Path(path) for path in json.loads(ask(code))]
    here = Path.cwd() / site_packages
    if here in looked_at:
        return
    first = next(path for path in looked_at if path.parent == here.parent)
    first.symlink_to(here.name)
