"""The slug file: the only place that knows tar and gzip."""

from ._pack import EPOCH, Digests, measure, pack
from ._slugfile import Slug
from ._unpack import SlugFile, SurveyedFile, unpack_source

__all__ = ["EPOCH", "Digests", "Slug", "SlugFile", "SurveyedFile", "measure", "pack", "unpack_source"]
