"""`/livez`, `/readyz` and `/metrics` of a process, from a thread: they answer while its event loop is busy.

The standard library's server is enough for three read-only pages on loopback; the gateway is the one that serves users.
"""

import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# An operator's probe asks once in seconds; whoever holds a connection longer is let go.
REQUEST_TIMEOUT_S = 5


class OpsServer:
    """Serves the three pages until it is closed."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        live: Callable[[], bool],
        ready: Callable[[], bool],
        metrics: Callable[[], bytes],
    ) -> None:
        """Listen at once; port 0 takes a free one. Raises OSError when the address is taken."""

        def page(path: str) -> tuple[HTTPStatus, bytes]:
            match path.partition("?")[0]:
                case "/livez":
                    return _verdict(live(), "live", "blocked")
                case "/readyz":
                    return _verdict(ready(), "ready", "not ready")
                case "/metrics":
                    return HTTPStatus.OK, metrics()
                case _:
                    return HTTPStatus.NOT_FOUND, b"not found\n"

        class Handler(BaseHTTPRequestHandler):
            timeout = REQUEST_TIMEOUT_S
            server_version, sys_version = "holdfast", ""

            def do_GET(self) -> None:
                status, body = page(self.path)
                self.send_response(status)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "no-store")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Probes are not worth a log line each."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="holdfast-ops", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._server.server_address[1]

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(REQUEST_TIMEOUT_S)


def _verdict(good: bool, yes: str, no: str) -> tuple[HTTPStatus, bytes]:
    status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
    return status, f"{yes if good else no}\n".encode()
