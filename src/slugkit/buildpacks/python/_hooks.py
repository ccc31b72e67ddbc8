"""What a build runs of the app itself: its bin/pre_compile and bin/post_compile, collectstatic, NLTK's downloads."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..._tree import read_beneath
from ...environ import for_build
from ...errors import CommandFailedError
from .._contract import BuildContext
from ._job import ENV, SETTINGS, Job

_LAST_LINES = 20
_DEEPEST = 3  # directories below which no manage.py is looked for, the app's own being the first
# The app's environment comes first on the PATH that there is; $1 is its bin/.
_RUN = 'PATH="$1:$PATH"; export PATH; shift; exec "$@"'


def run_hook(context: BuildContext, name: str) -> None:
    """Run ``bin/NAME`` of the app, if it has one, with the config vars and the build's directories (contract.md 2.8).

    Raises:
        CommandFailedError: It failed.
    """
    path = f"bin/{name}"
    if read_beneath(context.build_dir, path, 1) is None:
        return
    context.say(f"-----> Running {path} hook")
    directories = {"BUILD_DIR": context.build_dir, "CACHE_DIR": context.cache_dir, "ENV_DIR": context.env_dir}
    _run(context, path, ["/bin/sh", "-c", f"chmod +x {path} && exec {path}"], directories)


def collect_static(job: Job) -> None:
    """Let Django collect its static files, unless that is switched off (contract.md 8.3).

    Raises:
        CommandFailedError: It failed.
    """
    context = job.context
    manage = find_manage(context.build_dir) if has_package(context.build_dir, job.python.short, "django") else None
    if manage is None:
        return
    if context.config_vars.get("DISABLE_COLLECTSTATIC", "0") != "0":
        context.say("-----> Skipping Django collectstatic: DISABLE_COLLECTSTATIC is set")
        return
    if os.path.lexists(context.build_dir / ".heroku/collectstatic_disabled"):
        context.say("-----> Skipping Django collectstatic: .heroku/collectstatic_disabled is there")
        return
    context.say(f"-----> $ python {manage} collectstatic --noinput")
    argv = ["python", manage, "collectstatic", "--noinput", "--traceback"]
    env = {"PYTHONPATH": "."}
    if context.config_vars.get("DEBUG_COLLECTSTATIC", "0") != "0":
        _run(context, "env", ["/usr/bin/env"], env)
    try:
        _run(context, f"python {manage} collectstatic", argv, env)
    except CommandFailedError:
        context.say(" !     Fix what it says, or set the config var DISABLE_COLLECTSTATIC=1")
        raise


def download_nltk(job: Job) -> None:
    """Download what nltk.txt lists, a package a line, where NLTK will find it; only when NLTK is installed.

    Raises:
        CommandFailedError: A download failed.
    """
    context = job.context
    if not has_package(context.build_dir, job.python.short, "nltk"):
        return
    text = read_beneath(context.build_dir, "nltk.txt")
    if text is None:
        context.say(" !     NLTK is installed and there is no nltk.txt: no data is downloaded")
        return
    packages = [name for line in text.decode("utf-8", "replace").split("\n") if (name := line.strip())]
    if not packages:  # the downloader would ask which ones
        context.say(" !     nltk.txt is empty: no data is downloaded")
        return
    context.say(f"-----> Downloading NLTK packages: {' '.join(packages)}")
    argv: tuple[str | Path, ...] = ("python", "-m", "nltk.downloader", "-d", job.env_dir / "nltk_data")
    _run(context, "nltk.downloader", (*argv, *packages), {})


def find_manage(root: Path) -> str | None:
    """Return the manage.py nearest to *root*, as a relative path; no link is followed."""
    level = [""]
    for _ in range(_DEEPEST):
        for directory in level:
            if read_beneath(root, f"{directory}manage.py", 1) is not None:
                return f"{directory}manage.py"
        level = [f"{directory}{name}/" for directory in level for name in _directories(root / directory)]
    return None


def has_package(root: Path, version: str, name: str) -> bool:
    """Return whether the environment in *root*, of Python *version* (``N.N``), can import the package *name*."""
    return read_beneath(root, f"{ENV}/lib/python{version}/site-packages/{name}/__init__.py", 1) is not None


def _directories(directory: Path) -> list[str]:
    with os.scandir(directory) as entries:
        found = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    return sorted(name for name in found if name != ".heroku")


def _run(context: BuildContext, name: str, argv: Sequence[str | Path], env: Mapping[str, str | Path]) -> None:
    """Run *argv* of the app: the config vars win in its environment, and its own Python is the first on PATH."""
    line = ["/bin/sh", "-c", _RUN, "sh", context.build_dir / ENV / "bin", *argv]
    done = context.run(line, env={**SETTINGS, **for_build(context.config_vars), **env}, check=False)
    if done.status:
        context.say(f" !     {name} exited with status {done.status}")
        raise CommandFailedError(name, done.status, tuple(done.output.splitlines()[-_LAST_LINES:]))
