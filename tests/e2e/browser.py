"""Headless Chromium, a page of another origin, and a proxy that cuts its connections."""

import os
import shutil
import socket
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from playwright.async_api import Browser as AsyncBrowser
from playwright.async_api import async_playwright
from playwright.sync_api import Browser, sync_playwright

# The whole of what a page needs: an ordinary EventSource, told nothing of reconnects.
PAGE = b"""<!doctype html><meta charset="utf-8"><title>reader</title><script>
const url = new URLSearchParams(location.search).get("stream");
window.seen = []; window.ids = []; window.errors = 0; window.opens = 0; window.caught = 0;
const source = window.source = new EventSource(url);
source.onmessage = (e) => { seen.push(e.data); ids.push(Number(e.lastEventId)); };
source.onopen = () => { opens++; };
source.onerror = () => { errors++; };
source.addEventListener("caught-up", () => { caught++; });
</script>"""


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, format: str, *args: object) -> None:
        """Tests read the page, not its server's log."""


@contextmanager
def page_server() -> Generator[str]:
    """Serve the page; yield its origin."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def launch_options() -> dict[str, Any]:
    """Return how Debian's Chromium is started; its absence is a failure, not a reason to skip."""
    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    assert binary, "browser tests need Chromium: apt-get install chromium"
    # Its sandbox needs namespaces, which root in a container doesn't have.
    return {"executable_path": binary, "args": ["--no-sandbox"] if os.geteuid() == 0 else []}


@contextmanager
def chromium() -> Generator[Browser]:
    """Run headless Chromium. Not inside of a running event loop: there it is `chromium_beside`."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**launch_options())
        try:
            yield browser
        finally:
            browser.close()


@asynccontextmanager
async def chromium_beside() -> AsyncGenerator[AsyncBrowser]:
    """Run headless Chromium beside what else the event loop does."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**launch_options())
        try:
            yield browser
        finally:
            await browser.close()


class CuttingProxy:
    """A TCP proxy to one address that resets every connection when told to."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> int:
        """Reset every open connection; return how many there were."""
        with self._lock:
            cut, self._open = self._open, set()
        for one in cut:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        return len(cut) // 2

    def retarget(self, host: str, port: int) -> None:
        """Send later connections elsewhere."""
        self._target = (host, port)

    def close(self) -> None:
        """Stop accepting and cut what is open."""
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target, timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            self.connections += 1
            with self._lock:
                self._open |= {client, server}
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
            with self._lock:
                self._open.discard(one)
