"""A gateway over the in-memory twins, in this process; `tests.fuzz.target` is one in a process of its own."""

from tests.gateway.http.conftest import _plain_tracebacks, serve, served
from tests.orchestrator.conftest import real_world

__all__ = ["_plain_tracebacks", "real_world", "serve", "served"]
