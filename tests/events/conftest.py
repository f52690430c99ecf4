"""Hypothesis here has no deadline per example (machines are shared) and leaves no files behind."""

from hypothesis import settings

settings.register_profile("holdfast", deadline=None, database=None)
settings.load_profile("holdfast")
