"""The worlds of the orchestrator's tests, and the provider of the models'."""

from tests.models.conftest import provider
from tests.orchestrator.conftest import memory_world, real_world

__all__ = ["memory_world", "provider", "real_world"]
