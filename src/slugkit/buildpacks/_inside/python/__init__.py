"""The steps of the Python buildpack, run by the app's own interpreter."""

from .steps import STEPS

__all__ = ["STEPS"]
