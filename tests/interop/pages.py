"""A server for pages that a test takes out of the documentation."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
GATEWAY = "http://127.0.0.1:8000"


def block(page: str, title: str, language: str) -> str:
    """Return the fenced block of `language` below the heading `title`."""
    _, found, rest = (DOCS / page).read_text().partition(f"# {title}\n")
    assert found, f"{page} has no heading {title!r}"
    fenced = re.search(rf"^```{language}\n(.*?)^```", rest, re.M | re.S)
    assert fenced, f"no {language} below {title!r}"
    return fenced[1]


class Pages:
    """What is served, by path."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self._bodies: dict[str, bytes] = {}

    def put(self, name: str, html: str) -> str:
        """Serve `html`; return where."""
        self._bodies[f"/{name}"] = html.encode()
        return f"{self.origin}/{name}"

    def body(self, path: str) -> bytes | None:
        """Return what is at `path`."""
        return self._bodies.get(path)


@contextmanager
def pages_server() -> Iterator[Pages]:
    """Serve pages on a port of their own: an origin that isn't the gateway's."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.body(self.path)
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:
            """Tests read the page, not its server's log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    pages = Pages(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield pages
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
