"""Test buildpacks and tools that embed slugkit: fakes of its seams, real builds of small apps, contract checks."""

from ._app import App
from ._checks import CODES, Finding
from ._evidence import Step
from ._fakes import FakeBuildpack, RecordingRunner, fake_context, make_slug, write_tree
from ._outcome import ContractError, UnexpectedOutcomeError
from ._rebuilds import check_buildpack
from ._result import Build, TestResult
from ._web import Response, WebDyno

__all__ = [
    "CODES",
    "App",
    "Build",
    "ContractError",
    "FakeBuildpack",
    "Finding",
    "RecordingRunner",
    "Response",
    "Step",
    "TestResult",
    "UnexpectedOutcomeError",
    "WebDyno",
    "check_buildpack",
    "fake_context",
    "make_slug",
    "write_tree",
]
