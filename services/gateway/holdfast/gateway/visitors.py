"""Who asks for a stream; also as a dependency of the routes that serve one."""

from typing import Annotated

import structlog
from fastapi import Depends, Request
from starlette.types import Scope

from holdfast.gateway.address import client_address, undeclared_proxy
from holdfast.gateway.gateway import Gateway, Here
from holdfast.gateway.principal import Caller, Principal
from holdfast.gateway.seats import Visitor

log = structlog.get_logger("holdfast.gateway")


def visitor_of(scope: Scope, caller: Principal, here: Gateway) -> Visitor:
    """Return the principal of a request, and the address that it is held against."""
    proxies = here.settings.networks
    if here.settings.streams_per_address_max and not here.told_of_proxy:
        _tell_of_proxy(here, undeclared_proxy(scope, proxies))
    return Visitor(caller, client_address(scope, proxies))


async def visitor(request: Request, caller: Caller, here: Here) -> Visitor:
    """Return who asks, as a dependency."""
    return visitor_of(request.scope, caller, here)


def _tell_of_proxy(here: Gateway, address: str | None) -> None:
    if address is None:
        return
    here.told_of_proxy = True
    log.warning(
        "proxy.undeclared",
        address=address,
        limit=here.settings.streams_per_address_max,
        hint="all its clients count as one address; if it is a proxy of yours, name it in HOLDFAST_PROXIES",
    )


Visiting = Annotated[Visitor, Depends(visitor)]
