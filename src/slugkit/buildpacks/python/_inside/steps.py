"""Each step, by the name that the buildpack calls it, and its way through the cache."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from .bytecode import compile_all
from .environment import ENV, check
from .relocate import relocate_paths, relocate_scripts
from .vendor import link_stack, vendor

ARCHIVE = "env.tar"  # one file: a build's cache is copied, and an environment has 10 000


def restore(notes: str, cached: str, key: str) -> int:
    """Bring the environment that *key* names back from the cache; 3 when it is not there, or not whole."""
    cache = Path(cached)
    if (cache / "key").is_file() and (cache / "key").read_text() == f"{key} {size_of(cache / ARCHIVE)}":
        argv = ["tar", "-xpf", str(cache / ARCHIVE), "--no-same-owner"]
        if subprocess.run(argv, check=False).returncode == 0:
            note(notes, "cache_status", "reused")
            return 0
        shutil.rmtree(ENV, ignore_errors=True)
    note(notes, "cache_status", "discarded" if cache.is_dir() else "empty")
    return 3


def save(cached: str, key: str) -> int:
    """Put the environment into the cache, in place of the one before."""
    cache = Path(cached)
    shutil.rmtree(cache, ignore_errors=True)
    cache.mkdir()
    kept = [ENV, *(path for path in [Path(".heroku/requirements.lock")] if path.is_file())]
    subprocess.run(["tar", "-cf", cache / ARCHIVE, *kept], check=True)
    (cache / "key").write_text(f"{key} {size_of(cache / ARCHIVE)}")  # tar takes an archive's half for a whole one
    return 0


def size_of(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1


def bring(archive: str, data: str) -> int:
    """Bring what the package managers keep back from the cache; of an archive that is not whole, nothing."""
    Path(data).mkdir()
    argv = ["tar", "-xpf", archive, "--no-same-owner", "-C", data]
    if Path(archive).is_file() and subprocess.run(argv, check=False).returncode != 0:
        shutil.rmtree(data)
        Path(data).mkdir()
    return 0


def keep(archive: str, data: str) -> int:
    """Put what the package managers keep into the cache, as one file."""
    subprocess.run(["tar", "-cf", archive, "-C", data, "."], check=True)
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


def app() -> int:
    """Compile the app's own modules: a dyno cannot write bytecode, and would compile them at each start."""
    shutil.rmtree("__pycache__", ignore_errors=True)
    visible = [path for path in Path().iterdir() if not path.name.startswith(".") and not path.is_symlink()]
    compile_all(path for path in visible if path.is_dir() or path.suffix == ".py")
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


STEPS: dict[str, Callable[..., int]] = {
    "restore": restore,
    "save": save,
    "bring": bring,
    "keep": keep,
    "finish": finish,
    "app": app,
    "profile": profile,
    "remember": remember,
}


def main() -> None:
    """Do the step that the command line names, with its arguments."""
    step, *arguments = sys.argv[1:]
    sys.exit(STEPS[step](*arguments))
