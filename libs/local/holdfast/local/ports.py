"""Loopback ports that a server can keep over a crash."""

import errno
import random
import socket
from collections.abc import Container

LOOPBACK = "127.0.0.1"

# Below every system's range for outgoing connections (Linux 32768, macOS and Windows 49152). A port
# inside that range can be lost while its server is down: a client that redials it may be given the
# very same port as its own source, connect to itself, and hold the address against the restart.
FIRST_PORT = 20_000
LAST_PORT = 32_000

# A machine with half of the range taken fails all 64 tries once in 2**64.
TRIES_MAX = 64


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Tell whether a server could listen on the port now (a port in TIME_WAIT counts as free)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            # Linux lets two sockets with SO_REUSEADDR bind the same port as long as neither
            # listens.
            probe.listen(1)
        except OSError as error:
            # A privileged port or a foreign address is not "taken": let the server say what is
            # wrong.
            return error.errno != errno.EADDRINUSE
    return True


def free_port(host: str = LOOPBACK, *, avoid: Container[int] = ()) -> int:
    """Return a port on which nothing listens now; someone else may take it before you do.

    `avoid` holds those that are promised to somebody who doesn't listen yet.
    """
    for _ in range(TRIES_MAX):
        port = random.randint(FIRST_PORT, LAST_PORT)
        if port not in avoid and is_free(port, host):
            return port
    raise OSError(errno.EADDRINUSE, f"no free port between {FIRST_PORT} and {LAST_PORT}")
