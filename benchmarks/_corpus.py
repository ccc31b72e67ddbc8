"""The trees that slugs are measured on, made once a process in directories that are removed at its end.

Nothing is removed between runs: ext4 searches for a free inode past those it freed in the last 35 seconds, so that who
makes files after a large tree was removed pays for the removal.
"""

import atexit
import random
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from slugkit._tree import remove_tree

REQUIREMENTS = ("Django==5.2.*", "numpy==2.*", "pandas")


@cache
def scratch() -> Path:
    """Return a directory for everything that is measured."""
    directory = Path(tempfile.mkdtemp(prefix="slugkit-benchmarks-"))
    atexit.register(remove_tree, directory)
    return directory


@cache
def environment() -> Path:
    """Return an app with Django, numpy and pandas: more than 10 000 files, 240 MB."""
    app = scratch() / "app"
    subprocess.run([sys.executable, "-m", "venv", app / ".heroku/python"], check=True)
    pip = app / ".heroku/python/bin/pip"
    subprocess.run([pip, "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS], check=True)
    (app / "app.py").write_text("print('release 1')\n")
    (app / "Procfile").write_text("web: python app.py\n")
    return app


@cache
def small_files(count: int) -> Path:
    """Return an app of *count* files of half a kilobyte to two, 100 a directory: text, the same every time."""
    app, chance = scratch() / f"small-{count}", random.Random(count)  # noqa: S311 - the same each time
    words = [bytes(chance.choices(b"etaoinshrdlu", k=chance.randint(2, 9))) for _ in range(5000)]
    for number in range(count):
        path = app / f"d{number // 100:04d}" / f"{number:06d}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b" ".join(chance.choices(words, k=chance.randint(80, 320))))
    return app
