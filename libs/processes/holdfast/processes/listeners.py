"""Listening sockets for several processes at one port: one for each, all held by the supervisor.

One shared socket would be simpler, but whoever wakes first takes what waits: of 300 connections that came one by one
one of two processes took 200, and streams stay where they are. With a socket of each (SO_REUSEPORT) the kernel spreads
them evenly (160 and 140), but what waits in the queue of a process that dies is reset with its socket. So the
supervisor opens the sockets and keeps them open: the queue outlives the process, and its successor answers it.

A socket takes connections from the moment its process listens on it, not before: a process that starts gets none.
"""

import socket
import sys

# Elsewhere SO_REUSEPORT gives all connections to one of the sockets, so there they share one.
_SPREADS = sys.platform == "linux"


class Listeners:
    """Sockets bound to one port, one for each process; port 0 takes a free one. Raises OSError if it is taken."""

    def __init__(self, host: str, port: int, count: int) -> None:
        # Ours share the port with whoever has SO_REUSEPORT set, so they would not find out that another service has it.
        with _bound(host, port, shared=False) as probe:
            self._address = (host, probe.getsockname()[1])
        first = self._bound()
        self._sockets = [first, *(self._bound() if _SPREADS else first for _ in range(count - 1))]

    @property
    def port(self) -> int:
        """The port."""
        return self._address[1]

    def descriptor(self, number: int) -> int:
        """Return the socket of a process, counted from 1, to be inherited."""
        return self._sockets[number - 1].fileno()

    def renew(self, number: int) -> None:
        """Give a process another socket: what waits at the old one is refused, and comes back to the others.

        Raises OSError when there is none to be had; the old one stays.
        """
        if _SPREADS:
            # The new one first: the port is never free for somebody else to take.
            renewed = self._bound()
            self._sockets[number - 1].close()
            self._sockets[number - 1] = renewed

    def close(self) -> None:
        """Refuse what waits and what comes."""
        for one in self._sockets:
            one.close()

    def _bound(self) -> socket.socket:
        return _bound(*self._address, shared=_SPREADS)


def _bound(host: str, port: int, *, shared: bool) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound
