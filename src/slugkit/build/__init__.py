"""The build narrative: a source becomes a compiled app, and a compiled app becomes a slug."""

from ._builder import CompiledApp, SlugBuilder
from ._ci import TestRun
from ._packs import Answers
from ._secrets import SHORTEST_SECRET, leaked
from ._text import heroku_text
from ._workspace import write_env_dir

__all__ = [
    "SHORTEST_SECRET",
    "Answers",
    "CompiledApp",
    "SlugBuilder",
    "TestRun",
    "heroku_text",
    "leaked",
    "write_env_dir",
]
