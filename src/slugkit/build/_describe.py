"""What a compiled tree is: its process types, its writable directories, its manifest."""

import os
import platform
from pathlib import Path

from .._tree import read_beneath, remove_tree
from .._version import __version__
from ..buildpacks import ReleaseDefaults
from ..errors import ProcfileUnreadableError
from ..events import ProcessTypesDiscovered, ProcfileWarned
from ..procfile import Procfile, parse_procfile
from ..slug import BuildpackRecord, Manifest, Platform
from ._packs import Emit


def read_procfile(root: Path) -> Procfile:
    """Return the Procfile in *root*, an empty one if there is none.

    Raises:
        ProcfileUnreadableError: It is no regular UTF-8 file; a link may lead anywhere on the host.
    """
    if not os.path.lexists(root / "Procfile"):
        return Procfile()
    try:
        raw = read_beneath(root, "Procfile")
    except OSError as error:
        raise ProcfileUnreadableError("Procfile", error.strerror or str(error)) from error
    if raw is None:
        raise ProcfileUnreadableError("Procfile", "it is not a regular file")
    try:
        return parse_procfile(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ProcfileUnreadableError("Procfile", f"it is not UTF-8 ({error.reason})") from error


def empty_writable_directories(root: Path) -> None:
    """Leave tmp/ and log/ as empty directories: a dyno's writable ones are mounted there (contract.md 10.1, 10)."""
    for name in ("tmp", "log"):
        remove_tree(root / name)
        (root / name).mkdir(mode=0o755)


def describe(
    procfile: Procfile,
    records: tuple[BuildpackRecord, ...],
    defaults: ReleaseDefaults,
    *,
    stack: str,
    commit: str | None,
) -> Manifest:
    """Return the manifest: process types are the defaults overlaid by the *procfile* (contract.md 1.4)."""
    return Manifest(
        process_types=dict(sorted({**defaults.process_types, **procfile}.items())),
        buildpacks=records,
        stack=stack,
        platform=Platform(platform.machine(), "-".join(platform.libc_ver()).strip("-"), defaults.interpreter),
        config_vars=dict(defaults.config_vars),
        addons=defaults.addons,
        source_commit=commit,
        builder=f"slugkit {__version__}",
    )


def announce(procfile: Procfile, manifest: Manifest, emit: Emit) -> None:
    """Tell what the *procfile* may not mean, and where the process types of *manifest* come from."""
    for warning in procfile.warnings:
        where = (warning.code, warning.line, warning.column)
        emit(ProcfileWarned(*where, warning.message, warning.fix))
    undeclared = tuple(name for name in manifest.process_types if name not in procfile)
    emit(ProcessTypesDiscovered(tuple(sorted(procfile)), undeclared, manifest.buildpacks[-1].detected))
