"""What operators are told of who asks."""

from types import SimpleNamespace
from typing import Any, cast

from fastapi import Request
from structlog.testing import capture_logs

from holdfast.gateway import visitors
from holdfast.gateway.principal import Principal
from holdfast.gateway.visitors import visitor


def asked_by(peer: str, *forwarded: str) -> Request:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    return Request({"type": "http", "client": (peer, 4711), "headers": headers})


def gateway(limit: int) -> Any:
    settings = SimpleNamespace(networks=(), streams_per_address_max=limit)
    return SimpleNamespace(settings=settings, told_of_proxy=False)


async def warned(here: Any, *requests: Request) -> list[Any]:
    visitors.log = visitors.structlog.get_logger("holdfast.gateway")
    with capture_logs() as logged:
        for request in requests:
            await visitor(request, cast("Principal", None), here)
    return [line["address"] for line in logged if line["event"] == "proxy.undeclared"]


async def test_a_proxy_that_nobody_declared_is_told_of_once():
    """All its clients share one address's streams, and only a metric would say so."""
    through = asked_by("198.51.100.7", "203.0.113.9")

    assert await warned(gateway(200), asked_by("198.51.100.7"), through, through) == [
        "198.51.100.7"
    ]


async def test_without_a_limit_of_addresses_there_is_nothing_to_tell():
    assert await warned(gateway(0), asked_by("198.51.100.7", "203.0.113.9")) == []
