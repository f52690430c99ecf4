"""For those who run the gateway: is it alive, may it get traffic, what does it count."""

import asyncio
from typing import Literal

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from holdfast.events.errors import StoreError
from holdfast.gateway.gateway import Gateway, Here

# A load balancer asks every few seconds and gives up after one.
HEALTH_TIMEOUT_S = 1.0

router = APIRouter(tags=["operations"])


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class PostgresHealth(BaseModel):
    """What the database says of itself."""

    reachable: bool
    version: str | None = None
    durable: bool | None = None


class RedisHealth(BaseModel):
    """Whether wake-ups come in; while not, readers get their events a second later."""

    connected: bool


class Readiness(BaseModel):
    """Whether new clients should come here. Postgres and Redis are reported and decide nothing: a gateway
    without them still sends its clients away politely, and all replicas would fail at once.
    """

    status: Literal["ready", "draining"]
    postgres: PostgresHealth
    redis: RedisHealth
    streams: int


@router.get("/livez")
async def livez() -> Alive:
    """Tell that the process answers."""
    return Alive()


@router.get("/readyz", responses={503: {"model": Readiness, "description": "draining"}})
async def readyz(here: Here, response: Response) -> Readiness:
    """Tell whether new clients should come here."""
    if here.draining:
        response.status_code = 503
    return Readiness(
        status="draining" if here.draining else "ready",
        postgres=await _postgres(here),
        redis=RedisHealth(connected=here.wakes.connected),
        streams=here.hub.subscribers,
    )


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(here: Here) -> Response:
    """Return the counts in Prometheus' text format."""
    return Response(here.metrics.exposition(), media_type=here.metrics.media_type)


async def _postgres(here: Gateway) -> PostgresHealth:
    try:
        async with asyncio.timeout(HEALTH_TIMEOUT_S):
            health = await here.store.health()
    except (StoreError, TimeoutError):
        return PostgresHealth(reachable=False)
    return PostgresHealth(reachable=True, version=health.version, durable=health.durable)
