"""slugkit: a source tree becomes a slug by buildpacks, and a slug runs on dynos that cannot change it.

The names below are loaded when they are first used: importing slugkit prints nothing, starts nothing and is fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from . import errors, events, xray
    from .archive import Slug, SlugFile
    from .build import CompiledApp, SlugBuilder, TestRun, heroku_text
    from .buildpacks import (
        BuildContext,
        Buildpack,
        ClassicBuildpack,
        Detection,
        NotDetected,
        ProcfileBuildpack,
        PythonBuildpack,
        ReleaseDefaults,
    )
    from .command import Completed
    from .drains import Drain, FileDrain, HttpDrain, SyslogDrain
    from .dyno import Backoff, Dyno, DynoRunner, Formation, Limits, Tail, Usage
    from .environ import HOST_ENV
    from .errors import SlugkitError
    from .logline import LogLine
    from .procfile import Procfile, ProcfileWarning, format_procfile, parse_procfile
    from .reproduction import Reproduction, reproduce
    from .sandbox import Bubblewrap, Landlock, Namespaces, Owned, Sandbox, SandboxReport, Unconfined
    from .slug import Manifest
    from .source import GitSource, TarballSource
    from .store import DirectoryStore, SlugStore
    from .supply import provenance, sbom

_HOMES = {
    "archive": ("Slug", "SlugFile"),
    "build": ("CompiledApp", "SlugBuilder", "TestRun", "heroku_text"),
    "buildpacks": (
        *("BuildContext", "Buildpack", "Detection", "NotDetected", "ReleaseDefaults"),
        *("ClassicBuildpack", "ProcfileBuildpack", "PythonBuildpack"),
    ),
    "command": ("Completed",),
    "drains": ("Drain", "FileDrain", "HttpDrain", "SyslogDrain"),
    "dyno": ("Backoff", "Dyno", "DynoRunner", "Formation", "Limits", "Tail", "Usage"),
    "environ": ("HOST_ENV",),
    "errors": ("SlugkitError",),
    "logline": ("LogLine",),
    "procfile": ("Procfile", "ProcfileWarning", "format_procfile", "parse_procfile"),
    "reproduction": ("Reproduction", "reproduce"),
    "sandbox": ("Bubblewrap", "Landlock", "Namespaces", "Owned", "Sandbox", "SandboxReport", "Unconfined"),
    "slug": ("Manifest",),
    "source": ("GitSource", "TarballSource"),
    "store": ("DirectoryStore", "SlugStore"),
    "supply": ("provenance", "sbom"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_MODULES = ("errors", "events", "xray")

__all__ = [
    "HOST_ENV",
    "Backoff",
    "Bubblewrap",
    "BuildContext",
    "Buildpack",
    "ClassicBuildpack",
    "CompiledApp",
    "Completed",
    "Detection",
    "DirectoryStore",
    "Drain",
    "Dyno",
    "DynoRunner",
    "FileDrain",
    "Formation",
    "GitSource",
    "HttpDrain",
    "Landlock",
    "Limits",
    "LogLine",
    "Manifest",
    "Namespaces",
    "NotDetected",
    "Owned",
    "Procfile",
    "ProcfileBuildpack",
    "ProcfileWarning",
    "PythonBuildpack",
    "ReleaseDefaults",
    "Reproduction",
    "Sandbox",
    "SandboxReport",
    "Slug",
    "SlugBuilder",
    "SlugFile",
    "SlugStore",
    "SlugkitError",
    "SyslogDrain",
    "Tail",
    "TarballSource",
    "TestRun",
    "Unconfined",
    "Usage",
    "__version__",
    "errors",
    "events",
    "format_procfile",
    "heroku_text",
    "parse_procfile",
    "provenance",
    "reproduce",
    "sbom",
    "xray",
]


if not TYPE_CHECKING:  # or a type checker would take any name for one of ours

    def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever lives there
        if name in _MODULES:
            return import_module(f".{name}", __name__)
        if name not in _HOME_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
