"""For those who run the gateway: is it alive, may it get traffic, what does it count."""

from typing import Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from holdfast.gateway.gateway import Here
from holdfast.gateway.probe import PostgresHealth
from holdfast.gateway.problems import Problem
from holdfast.processes.link import Link, SupervisorSilent

router = APIRouter(tags=["operations"])


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


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
        postgres=await here.probe.postgres(),
        redis=RedisHealth(connected=here.wakes.connected),
        streams=here.streams,
    )


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(here: Here, request: Request) -> Response:
    """Return the counts in Prometheus' text format; of all processes, where several share a port."""
    link: Link | None = getattr(request.app.state, "link", None)
    try:
        # Of one process alone, a counter would go back and forth with whoever happens to answer.
        text = here.metrics.exposition() if link is None else await link.everyone()
    except SupervisorSilent:
        raise Problem(503, "metrics-unavailable", "the processes' supervisor is silent") from None
    return Response(text, media_type=here.metrics.media_type)
