"""Buildpacks: the Protocol, the built-in ones in detection order, and how text finds one."""

from ._classic import SCRIPTS, ClassicBuildpack, is_left_out
from ._contract import (
    BuildContext,
    Buildpack,
    Detection,
    Exporting,
    NotDetected,
    Offering,
    ReleaseDefaults,
    Reporting,
    Testing,
)
from ._fetch import Fetcher
from ._find import INLINE, LAST_RESORTS, builtin, detectable, find, find_for_app
from ._origin import Origin, parse_origin, without_credentials
from ._procfile_only import ProcfileBuildpack
from .nodejs import NodejsBuildpack
from .python import PythonBuildpack, Runtime
from .ruby import RubyBuildpack
from .static import StaticBuildpack

__all__ = [
    "INLINE",
    "LAST_RESORTS",
    "SCRIPTS",
    "BuildContext",
    "Buildpack",
    "ClassicBuildpack",
    "Detection",
    "Exporting",
    "Fetcher",
    "NodejsBuildpack",
    "NotDetected",
    "Offering",
    "Origin",
    "ProcfileBuildpack",
    "PythonBuildpack",
    "ReleaseDefaults",
    "Reporting",
    "RubyBuildpack",
    "Runtime",
    "StaticBuildpack",
    "Testing",
    "builtin",
    "detectable",
    "find",
    "find_for_app",
    "is_left_out",
    "parse_origin",
    "without_credentials",
]
