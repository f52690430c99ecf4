"""Where webhooks may go: a URL that somebody else chose must not reach what only we can reach.

The name is resolved once, every address it has is checked, and the connection goes to the checked one: a name that
resolves differently the second time (DNS rebinding) finds nobody asking.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import urlsplit

from holdfast.events.errors import HoldfastError

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

# `is_global` knows the registries' lists of special networks; these are beside them: shared address space of carriers
# (CGNAT), and forms that carry another address inside and are translated on the way.
_NEVER = tuple(
    ip_network(text)
    for text in (
        "100.64.0.0/10",
        "192.0.0.0/24",  # special, all of it: a cloud's metadata is at .192, and older lists let it pass
        "168.63.129.16/32",  # a cloud's own server, at a public address
        "::/96",  # IPv4-compatible
        "::ffff:0:0:0/96",  # IPv4-translated
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
        "192.88.99.0/24",  # 6to4 relays
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",
        "2002::/16",  # 6to4
        "2001::/32",  # Teredo
        "fec0::/10",  # site-local, as it was
    )
)


class TargetRefused(HoldfastError):
    """The URL leads to where webhooks don't go."""


@dataclass(frozen=True, slots=True)
class Target:
    """A checked place to connect to: the URL's host is for TLS and the Host header, the address for the socket."""

    scheme: str
    host: str
    port: int
    address: str
    path: str

    @property
    def url(self) -> str:
        """The URL with the address in place of the name."""
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.scheme}://{address}:{self.port}{self.path}"

    @property
    def authority(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


_PORTS = {"https": 443, "http": 80}


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system for a name's addresses."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Guard:
    """Decides about URLs. `allow` opens networks by name (`10.1.0.0/16`), `http` lets TLS be left out: both for
    targets of your own.
    """

    def __init__(
        self, *, allow: Sequence[str] = (), http: bool = False, resolve: Resolve = resolve
    ) -> None:
        self._allow: list[IPv4Network | IPv6Network] = [ip_network(text) for text in allow]
        self._schemes = ("https", "http") if http else ("https",)
        self._resolve = resolve

    def check(self, url: str) -> None:
        """Raise TargetRefused for a URL that is wrong as it stands."""
        self._parts(url)

    async def target(self, url: str) -> Target:
        """Resolve the URL and return where to connect. Raises TargetRefused, and OSError when there is no such name."""
        scheme, host, port, path = self._parts(url)
        addresses = await self._resolve(host, port)
        if not addresses:
            raise OSError(f"{host} has no address")
        for text in addresses:
            if not self._passes(_bare(text)):
                # The address is not told: that would make a map of our network.
                raise TargetRefused(f"{host} leads to an address that webhooks don't go to")
        return Target(scheme, host, port, str(_bare(addresses[0])), path)

    def _parts(self, url: str) -> tuple[str, str, int, str]:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            # Neither the URL nor what is wrong with it, which quotes it: it may be a secret.
            raise TargetRefused("a webhook's URL is no URL") from None
        if parts.scheme not in self._schemes:
            raise TargetRefused(f"a webhook's URL begins with {' or '.join(self._schemes)}")
        if not host or parts.username is not None or parts.password is not None or port == 0:
            raise TargetRefused("a webhook's URL names a host, and no user or password")
        if any(char <= " " or char == "\x7f" for char in url):
            raise TargetRefused("a webhook's URL has no spaces or control characters")
        path = parts.path or "/"
        return (
            parts.scheme,
            host,
            port or _PORTS[parts.scheme],
            path + (f"?{parts.query}" if parts.query else ""),
        )

    def _passes(self, address: Address) -> bool:
        if any(address in network for network in self._allow if network.version == address.version):
            return True
        return (
            address.is_global
            and not address.is_multicast
            and not any(address in net for net in _NEVER if net.version == address.version)
        )


def _bare(text: str) -> Address:
    """Return the address without its scope, and the IPv4 one that an IPv6 form carries."""
    address = ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
