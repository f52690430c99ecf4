"""What the gateway knows of its database's health, for those who ask whether it is ready."""

import asyncio

import structlog
from pydantic import BaseModel

from holdfast.events.errors import StoreError
from holdfast.events.store import Store

# A load balancer gives up after a second, some after half of one. Postgres answers within milliseconds.
PROBE_WAIT_S = 0.3

log: structlog.stdlib.BoundLogger = structlog.get_logger("holdfast.gateway")


class PostgresHealth(BaseModel):
    """What the database says of itself."""

    reachable: bool
    version: str | None = None
    durable: bool | None = None


class Probe:
    """Asks the store one question at a time and waits for no answer longer than PROBE_WAIT_S.

    A question that isn't answered is left to itself, not cancelled: the driver would wait for Postgres to confirm the
    cancelling, which one that hangs never does.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._asking: asyncio.Task[PostgresHealth] | None = None

    async def postgres(self) -> PostgresHealth:
        """Return what the database answers, or that it doesn't."""
        asking = self._asking
        if asking is None or asking.done():
            asking = self._asking = asyncio.create_task(self._ask())
        await asyncio.wait([asking], timeout=PROBE_WAIT_S)
        return asking.result() if asking.done() else PostgresHealth(reachable=False)

    async def _ask(self) -> PostgresHealth:
        try:
            health = await self._store.health()
        except StoreError:
            return PostgresHealth(reachable=False)
        except Exception:
            # Whatever it is, it must not make this replica look unready.
            log.exception("probe.failed")
            return PostgresHealth(reachable=False)
        return PostgresHealth(reachable=True, version=health.version, durable=health.durable)

    def close(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
