"""A network that breaks after so many bytes, wherever in a frame that may be."""

import socket
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

# Closing with a linger of zero is a reset: what a gateway's crash or a lost route looks like.
_RESET = struct.pack("ii", 1, 0)


class MeasuredProxy:
    """A TCP proxy whose n-th connection goes to the n-th gateway, round and round, and is reset
    after `budgets[n]` bytes of the answer; later ones last.
    """

    def __init__(self, gateways: Sequence[str], budgets: Sequence[int]) -> None:
        self._gateways = [urlsplit(url) for url in gateways]
        self._budgets = budgets
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop accepting and break what is open."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            left = list(self._open)
        for one in left:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            number, self.connections = self.connections, self.connections + 1
            gateway = self._gateways[number % len(self._gateways)]
            server = socket.create_connection((gateway.hostname, gateway.port), timeout=5)
            server.settimeout(None)
            with self._lock:
                self._open |= {client, server}
            budget = self._budgets[number] if number < len(self._budgets) else None
            threading.Thread(target=self._up, args=(client, server), daemon=True).start()
            threading.Thread(target=self._down, args=(server, client, budget), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                server.sendall(data)
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)

    def _down(self, server: socket.socket, client: socket.socket, budget: int | None) -> None:
        how = socket.SHUT_RDWR
        with suppress(OSError):
            while data := server.recv(65536):
                if budget is None:
                    client.sendall(data)
                    continue
                client.sendall(data[:budget])
                budget -= len(data)
                if budget <= 0:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    self.cuts += 1
                    # Not the sending side, which would end the answer politely.
                    how = socket.SHUT_RD
                    break
        # The other thread waits in a read, and as long as it does a close closes nothing.
        for one, side in ((server, socket.SHUT_RDWR), (client, how)):
            with suppress(OSError):
                one.shutdown(side)
            one.close()
            with self._lock:
                self._open.discard(one)
