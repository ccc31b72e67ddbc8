"""Make what names the build's directory find things from where it is itself."""

import base64
import csv
import hashlib
import io
import os
import re
import shutil
import sys
from pathlib import Path

from .environment import ENV, replace

# A script that finds the interpreter beside itself, wherever that is; to Python, the exec line is a string.
SHEBANG = """#!/bin/sh
'''exec' "$(dirname -- "$(realpath -- "$0")")"/'python' "$0" "$@"
' '''
"""
FIXED = """an editable package cannot be moved: {name} in site-packages names the directory of this build
install that package without -e, or with a build backend that leads to it by a line of a .pth file"""


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


def relocate_paths() -> None:
    """Make what names this build's directory relative: .pth lines count from site-packages, editable finders from it.

    What pip notes about where a package came from is not kept: it would be the path of this build.
    """
    here = str(Path.cwd())
    remove_clones(here)
    for path in ENV.glob("lib/python*/site-packages/*.pth"):
        lines = path.read_text().split("\n")
        moved = [os.path.relpath(s, path.resolve().parent) if s.startswith(here) else s for s in lines]
        if moved != lines:
            replace(path, "\n".join(moved).encode())
    for path in ENV.glob("lib/python*/site-packages/*editable*.py"):
        relocate_finder(path, here)
    for path in ENV.glob("lib/python*/site-packages/*.dist-info/direct_url.json"):
        if here in path.read_text():
            path.unlink()
    lock = Path(".heroku/requirements.lock")
    if lock.is_file() and here in lock.read_text():
        replace(lock, lock.read_text().replace(here, "/app").encode())
    left = next((path for path in guides() if here.encode() in path.read_bytes()), None)
    if left is not None:
        sys.exit(FIXED.format(name=left.name))


def guides() -> list[Path]:
    """Return the files that lead Python from site-packages to packages elsewhere, or may do so."""
    return [path for end in ("pth", "py", "egg-link") for path in ENV.glob(f"lib/python*/site-packages/*.{end}")]


def remove_clones(here: str) -> None:
    """Of the repositories in src/, keep the files of those that are used where they are, and nothing of the others."""
    leading = "\n".join(path.read_text(errors="replace") for path in guides())
    for clone in ENV.glob("src/*"):
        used = re.search(rf"{re.escape(f'{here}/{clone}')}(?![\w.-])", leading)
        shutil.rmtree(clone / ".git" if used else clone, ignore_errors=True)


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
