"""Where a request comes from, behind proxies too: for limits only, never for what anybody may see."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from starlette.types import Scope

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# What one household or one machine is given of IPv6: whoever has one address there has all of them.
_V6_PREFIX = 64


def client_address(scope: Scope, proxies: Sequence[Network]) -> str | None:
    """Return the address to hold a request against, an IPv6 one as its /64; None where it isn't known.

    It isn't for what comes from this machine, or from a proxy, and doesn't say whom it forwards for. `X-Forwarded-For`
    is read from its end, as far as proxies wrote it: what a client put there itself counts for nothing.
    """
    peer = scope.get("client")
    address = _parsed(peer[0]) if peer else None
    if address is None or not _is_ours(address, proxies):
        return _shown(address)
    for forwarded in reversed(_forwarded_for(scope)):
        address = _parsed(forwarded)
        if address is None or not _is_ours(address, proxies):
            return _shown(address)
    return None


def undeclared_proxy(scope: Scope, proxies: Sequence[Network]) -> str | None:
    """Return the address of one that forwards for others, as it says, and isn't known to: maybe a proxy of ours."""
    peer = scope.get("client")
    address = _parsed(peer[0]) if peer else None
    if address is None or _is_ours(address, proxies) or not _forwarded_for(scope):
        return None
    return str(address)


def _forwarded_for(scope: Scope) -> list[str]:
    values = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return b",".join(values).decode("latin-1").split(",") if values else []


def _is_ours(address: Address, proxies: Sequence[Network]) -> bool:
    return address.is_loopback or any(address in network for network in proxies)


@lru_cache(maxsize=1024)  # of one proxy, or of one machine: who connects anew is mostly known
def _parsed(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _shown(address: Address | None) -> str | None:
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, _V6_PREFIX), strict=False))
    return None if address is None else str(address)
