"""The build narrative: a source becomes a compiled app, and a compiled app becomes a slug."""

from ._builder import CompiledApp, SlugBuilder
from ._text import heroku_text, human_size

__all__ = ["CompiledApp", "SlugBuilder", "heroku_text", "human_size"]
