"""What several test modules need, each thing once."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slugkit.events import BuildEvent, BuildLine
from slugkit.testing import write_tree

NOBODY = 65534
PACKS = Path(__file__).parent / "buildpacks"
Files = dict[str, str | bytes]
OF_BASH = {"_", "OLDPWD", "PWD", "SHLVL"}  # variables that every bash sets
#: Names of files that terminals, pages and CI runners must not obey.
HOSTILE = (
    "<script>alert(1)</script>",
    "a\nb",
    "\x1b[2J\x07",
    os.fsdecode(b"bad\xff\xfe"),
    "::error::owned",
    "x##[group]y",
    '"onload="x',
    "&amp;",
    "\u202eevil",
)
#: An app with much that it has no use for.
JUNK: Files = {
    ".git/config": "x" * 2000,
    "design/logo.psd": "x" * 9000,
    "docs/manual.md": "x" * 3000,
    "docs/old/draft.psd": "x" * 4000,
    "tests/test_app.py": "x" * 5000,
    "lib/tests/fixture.txt": "x" * 6000,
    "img/.DS_Store": "x" * 6148,
    "web/.pytest_cache/x": "x" * 1024,
    "app.py": "x" * 7000,
}


@contextmanager
def as_nobody() -> Iterator[None]:
    """Be an ordinary user for a while; one who is not root is one already."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def pids_with(text: str) -> list[int]:
    """Return the processes of this machine whose command line holds *text*, this one and zombies left out."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                if text.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def small(root: Path, name: str = "small", **scripts: str) -> str:
    """Write a pack whose bin/ has *scripts*, bash where they have no shebang; ``test_compile`` is bin/test-compile."""
    texts = {"detect": f"echo {name.title()}", "compile": "", **scripts}
    files = {
        f"bin/{script.replace('_', '-')}": text if text.startswith("#!") else f"#!/usr/bin/env bash\n{text}\n"
        for script, text in texts.items()
    }
    return str(write_tree(root / name, files))


def lines(events: list[BuildEvent]) -> list[str]:
    """Return what the packs of a build printed."""
    return [event.text for event in events if isinstance(event, BuildLine)]


def leftovers(app: Path) -> list[str]:
    """Return what builds of *app* left in the cache directory beside it, but for what is kept."""
    here = app.parent / "cache"
    ours = {here / "cache", here / "lock", here / "ci", here / "ci/cache", here / "ci/lock", here / "segments"}
    return sorted(str(path) for path in [*here.glob("*"), *here.glob("ci/*")] if path not in ours)


def npm(name: str, version: str, size: int) -> Files:
    """Return a Node package of *size* bytes, as npm installs it."""
    return {
        f"node_modules/{name}/package.json": json.dumps({"name": name, "version": version}),
        f"node_modules/{name}/index.js": "x" * size,
    }
