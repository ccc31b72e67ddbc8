"""The slug file: the only place that knows tar and gzip."""

from ._pack import EPOCH, Digests, pack
from ._rebuild import damaged
from ._restore import Base, Proof, Restored
from ._slugfile import Slug, UnpackedTree
from ._unpack import SlugFile, SurveyedFile, unpack_source

__all__ = [
    "EPOCH",
    "Base",
    "Digests",
    "Proof",
    "Restored",
    "Slug",
    "SlugFile",
    "SurveyedFile",
    "UnpackedTree",
    "damaged",
    "pack",
    "unpack_source",
]
