"""The steps of the Python buildpack that touch the app's files, run inside the build's sandbox.

A script on its own (``python -I -S``), standard library only: the tree may be hostile, and in here its links lead
nowhere that matters. The working directory is the tree.
"""

import base64
import compileall
import csv
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from py_compile import PycInvalidationMode

ENV = Path(".heroku/python")
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
# Of the standard library, what a server never runs: its tests, editors, toolkits, and what builds extensions.
UNWANTED_BELOW = {"__pycache__", "test", "tests"}
UNWANTED = {
    *UNWANTED_BELOW,
    *("ensurepip", "idlelib", "turtledemo"),
    *("dist-packages", "site-packages", "EXTERNALLY-MANAGED", "sitecustomize.py"),
}
TEST_MODULES = ("_test", "_ctypes_test", "_xxtest", "xxlimited")
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
# A script that finds the interpreter beside itself, wherever that is; to Python, the exec line is a string.
SHEBANG = """#!/bin/sh
'''exec' "$(dirname -- "$(realpath -- "$0")")"/'python' "$0" "$@"
' '''
"""


def restore(notes: str, cached: str, key: str) -> int:
    """Bring the environment that *key* names back from the cache; 3 when it is not there."""
    cache = Path(cached)
    if not (cache / "key").is_file() or (cache / "key").read_text() != key:
        note(notes, "cache_status", "discarded" if cache.is_dir() else "empty")
        return 3
    note(notes, "cache_status", "reused")
    link_tree(cache / "env", ENV)
    if (cache / "requirements.lock").is_file():
        shutil.copyfile(cache / "requirements.lock", ".heroku/requirements.lock")
    return 0


def save(cached: str, key: str) -> int:
    """Put the environment into the cache, in place of the one before."""
    cache = Path(cached)
    shutil.rmtree(cache, ignore_errors=True)
    link_tree(ENV, cache / "env")
    if Path(".heroku/requirements.lock").is_file():
        shutil.copyfile(".heroku/requirements.lock", cache / "requirements.lock")
    (cache / "key").write_text(key)
    return 0


def finish(runtime: str) -> int:
    """Make the environment work at any path, bytecode included."""
    for useless in [*ENV.glob("bin/*activate*"), *ENV.glob("bin/pydoc*"), ENV / "CACHEDIR.TAG", ENV / ".lock"]:
        useless.unlink(missing_ok=True)
    if runtime == "vendored":
        vendor()
    else:
        link_stack()
    relocate_scripts()
    relocate_paths()
    compile_all(ENV)
    return check(runtime)


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


def relocate_scripts() -> None:
    """Let every script in bin/ find the interpreter beside itself, and put their new digests on record."""
    changed = {}
    for path in sorted(ENV.glob("bin/*")):
        if path.is_symlink() or not path.is_file():
            continue
        content = path.read_bytes()
        match = re.match(rb"#!(?:/bin/sh\n'''exec' )?(\S+)[^\n]*\n(?:' '''\n)?", content)
        if match and b"python" in match[1] and str(ENV).encode() in match[1]:
            changed[path.name] = SHEBANG.encode() + content[match.end() :]
            replace(path, changed[path.name])
    for record in ENV.glob("lib/python*/site-packages/*.dist-info/RECORD"):
        rewrite_record(record, changed)


def rewrite_record(record: Path, changed: dict[str, bytes]) -> None:
    with record.open(newline="") as file:
        rows = list(csv.reader(file))
    for row in rows:
        path, name = os.path.split(row[0])
        if path.endswith("/bin") and name in changed:
            digest = base64.urlsafe_b64encode(hashlib.sha256(changed[name]).digest()).decode().rstrip("=")
            row[1:] = [f"sha256={digest}", str(len(changed[name]))]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    replace(record, text.getvalue().encode())


def replace(path: Path, content: bytes) -> None:
    """Give *path* another *content*, as a file of its own: what is there may be linked to from an installer's cache."""
    mode = path.stat().st_mode
    path.unlink()
    path.write_bytes(content)
    path.chmod(mode)


def relocate_paths() -> None:
    """Make what names this build's directory relative: .pth lines count from site-packages, editable finders from it.

    What pip notes about where a package came from is not kept: it would be the path of this build.
    """
    here = str(Path.cwd())
    for path in ENV.glob("lib/python*/site-packages/*.pth"):
        lines = path.read_text().split("\n")
        moved = [os.path.relpath(s, path.resolve().parent) if s.startswith(here) else s for s in lines]
        if moved != lines:
            replace(path, "\n".join(moved).encode())
    for path in ENV.glob("lib/python*/site-packages/__editable__*.py"):
        relocate_finder(path, here)
    for path in ENV.glob("lib/python*/site-packages/*.dist-info/direct_url.json"):
        if here in path.read_text():
            path.unlink()
    lock = Path(".heroku/requirements.lock")
    if lock.is_file() and here in lock.read_text():
        replace(lock, lock.read_text().replace(here, "/app").encode())


def relocate_finder(path: Path, here: str) -> None:
    """Let the finder of an editable package, which maps names to absolute paths, find the app from where it is."""
    home = "_HOME = __import__('os').path.realpath(__file__ + '/../../../../../..')\n"
    text = path.read_text()
    moved = re.sub(rf"'{re.escape(here)}((?:/[^']*)?)'", r"(_HOME + '\1')", text)
    if moved == text:
        return
    future = re.match(r"from __future__ import [^\n]*\n", moved)
    start = future.end() if future else 0
    replace(path, (moved[:start] + home + moved[start:]).encode())


def compile_all(root: Path) -> None:
    """Compile every module to bytecode that no clock can make stale; what does not compile stays source."""
    for cache in list(root.rglob("__pycache__")):
        shutil.rmtree(cache)
    compileall.compile_dir(
        root,
        maxlevels=50,
        quiet=2,
        stripdir=str(root),
        prependdir=f"/app/{root}",
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
        workers=1,
    )


def app() -> int:
    """Compile the app's own modules: a dyno cannot write bytecode, and would compile them at each start."""
    shutil.rmtree("__pycache__", ignore_errors=True)
    for entry in sorted(os.listdir()):
        path = Path(entry)
        if entry.startswith(".") or path.is_symlink():
            continue
        if path.is_dir():
            compile_all(path)
        elif path.suffix == ".py":
            compileall.compile_file(
                entry,
                quiet=2,
                stripdir="",
                prependdir="/app",
                invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
            )
    return 0


def profile(scripts: str) -> int:
    """Put the profile scripts into .profile.d."""
    target = Path(".profile.d")
    target.mkdir(exist_ok=True)
    for script in Path(scripts).glob("*.sh"):
        shutil.copyfile(script, target / script.name)
    return 0


def remember(notes: str, path: str, version: str) -> int:
    """Note in the cache which Python this build had: the next one has the same unless it is told otherwise."""
    Path(path).write_text(version)
    note(notes, "python_version", ".".join(map(str, sys.version_info[:3])))
    return 0


def note(notes: str, name: str, fact: str) -> None:
    """Add a fact to what the build reports."""
    with Path(notes).open("a") as file:
        file.write(f"{name}={fact}\n")


def check(runtime: str) -> int:
    """Try the finished environment from another directory: it must find itself and need nothing of the old one."""
    prefix, mapped = json.loads(ask(LOAD_ALL))
    if os.path.realpath(prefix) != os.path.realpath(ENV):
        print(f"the environment takes {prefix} for its prefix", file=sys.stderr)
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


def link_tree(source: Path, target: Path) -> None:
    """Copy a tree by hard links where the file system allows; neither side is edited in place afterwards."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, symlinks=True, copy_function=link_or_copy)


def link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


STEPS: dict[str, Callable[..., int]] = {
    "restore": restore,
    "save": save,
    "finish": finish,
    "app": app,
    "profile": profile,
    "remember": remember,
}

if __name__ == "__main__":
    step, *arguments = sys.argv[1:]
    sys.exit(STEPS[step](*arguments))
