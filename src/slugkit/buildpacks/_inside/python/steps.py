"""Each step, by the name that the buildpack calls it, and its way through the cache."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ..files import add_profile, note, on_stack, remove, text_of
from .bytecode import compile_all
from .environment import ENV, check
from .relocate import relocate_paths, relocate_scripts
from .vendor import link_stack, vendor

ARCHIVE = "env.tar"  # one file: a build's cache is copied, and an environment has 10 000
TAR = ("tar", "--blocking-factor=1024")  # half a megabyte a system call: a sixth less time than with tar's 10 kB


def restore(notes: str, cached: str, key: str) -> int:
    """Bring the environment that *key* names back from the cache; 3 when it is not there, or not whole."""
    cache = Path(cached)
    if text_of(cache / "key") == f"{on_stack(key)} {size_of(cache / ARCHIVE)}":
        argv = [*TAR, "-xpf", str(cache / ARCHIVE), "--no-same-owner"]
        if subprocess.run(argv, check=False).returncode == 0:
            note(notes, "cache_status=reused")
            return 0
        shutil.rmtree(ENV, ignore_errors=True)
    note(notes, f"cache_status={'discarded' if cache.is_dir() else 'empty'}")
    return 3


def save(cached: str, key: str) -> int:
    """Put the environment into the cache, in place of the one before."""
    cache = Path(cached)
    remove(cache)
    cache.mkdir()
    kept = [ENV, *(path for path in [Path(".heroku/requirements.lock")] if path.is_file())]
    subprocess.run([*TAR, "-cf", cache / ARCHIVE, *kept], check=True)
    (cache / "key").write_text(
        f"{on_stack(key)} {size_of(cache / ARCHIVE)}"
    )  # tar takes an archive's half for a whole one
    return 0


def size_of(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1


def bring(archive: str, data: str) -> int:
    """Bring what the package managers keep back from the cache; of an archive that is not whole, nothing."""
    Path(data).mkdir()
    argv = [*TAR, "-xpf", archive, "--no-same-owner", "-C", data]
    if Path(archive).is_file() and subprocess.run(argv, check=False).returncode != 0:
        shutil.rmtree(data)
        Path(data).mkdir()
    return 0


def keep(archive: str, data: str) -> int:
    """Put what the package managers keep into the cache, as one file."""
    remove(archive)
    subprocess.run([*TAR, "-cf", archive, "-C", data, "."], check=True)
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
    compile_all([ENV], leave_out="tests")  # a third of all modules of some packages
    return check(runtime)


def app(notes: str, path: str, version: str) -> int:
    """Compile the app's own modules: a dyno cannot write bytecode, and would compile them at each start.

    And note which Python this build had: the next one has the same unless it is told otherwise.
    """
    shutil.rmtree("__pycache__", ignore_errors=True)
    visible = [path for path in Path().iterdir() if not path.name.startswith(".") and not path.is_symlink()]
    compile_all(one for one in visible if one.is_dir() or one.suffix == ".py")
    remove(path)
    Path(path).write_text(version)
    return note(notes, f"python_version={'.'.join(map(str, sys.version_info[:3]))}")


STEPS: dict[str, Callable[..., int]] = {
    "restore": restore,
    "save": save,
    "bring": bring,
    "keep": keep,
    "finish": finish,
    "app": app,
    "profile": add_profile,
}
