"""Test buildpacks and tools that embed slugkit: fakes of its seams, real builds of small apps, contract checks."""

from ._fakes import FakeBuildpack, RecordingRunner, fake_context, make_slug, write_tree

__all__ = ["FakeBuildpack", "RecordingRunner", "fake_context", "make_slug", "write_tree"]
