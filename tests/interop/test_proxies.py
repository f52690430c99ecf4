"""The proxies of docs/browser.md, started with the very configuration that stands there."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.e2e.raw import Frames, RawStream
from tests.e2e.stack import Stack, eventually
from tests.interop.pages import block

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]

# A proxy that collected a buffer of 4 KB first would need 13 of these events, 10 s, for it.
TICKER = {"events": 1000, "interval_ms": 800}
AT_ONCE_S = 8.0

NGINX = """
daemon off;
pid {directory}/pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    gzip on;  # what a distribution's own file says
    gzip_types text/event-stream;
    {block}
}}
"""

# Each with what it needs around its block, and how it is started.
PROXIES = {
    "nginx": ("nginx", NGINX, ["nginx", "-c", "{file}"]),
    "Caddy": (
        "caddy",
        "{{\n admin off\n}}\n{block}",
        ["caddy", "run", "--adapter", "caddyfile", "--config", "{file}"],
    ),
    "HAProxy": ("haproxy", "{block}", ["haproxy", "-db", "-f", "{file}"]),
}

# nginx is always there: .ci/run installs it. The others are tried wherever they are.
HERE = [
    name for name, (_, _, command) in PROXIES.items() if name == "nginx" or shutil.which(command[0])
]


def _listening(port: int) -> Callable[[re.Match[str]], str]:
    return lambda match: f"{match[1].rstrip(' :')} 127.0.0.1:{port}"


@contextmanager
def running(name: str, stack: Stack, directory: Path) -> Iterator[str]:
    """Run a proxy in front of the stack's gateways; yield its URL."""
    language, around, command = PROXIES[name]
    assert shutil.which(command[0]), f"this test needs {command[0]}: apt-get install {command[0]}"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = block("browser.md", name, language)
    for said, meant in zip(("127.0.0.1:8000", "127.0.0.1:8001"), stack.gateways, strict=True):
        assert said in text
        text = text.replace(said, urlsplit(meant).netloc)
    # On loopback only, and on a port that is free. A bare address would make Caddy speak TLS.
    text, listens = re.subn(r"^:8080 {", f":{port} {{\n    bind 127.0.0.1", text, flags=re.M)
    if not listens:
        text, listens = re.subn(r"\b(listen |bind :)8080\b", _listening(port), text)
    assert listens == 1
    file = directory / "config"
    file.write_text(around.format(directory=directory, block=text))
    with (directory / "out").open("wb") as out:
        process = subprocess.Popen(
            [part.format(file=file) for part in command],
            cwd=directory,
            env={"PATH": os.environ["PATH"], "HOME": str(directory)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )

    def up() -> bool:
        assert process.poll() is None, (directory / "out").read_text()
        try:
            return httpx2.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code == 200
        except httpx2.TransportError:
            return False

    try:
        eventually(f"{name} answers", up)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.parametrize("name", HERE)
def test_through_a_proxy_events_arrive_at_once_and_streams_resume(
    name: str, stack: Stack, tmp_path: Path
) -> None:
    """protocol P17, and P2 through somebody else's hands."""
    with running(name, stack, tmp_path) as url:
        run = stack.start("ticker", TICKER)
        path = f"{url}/v1/runs/{run['run_id']}/stream"
        frames = Frames()
        for connection in range(2):
            stream = RawStream(path, last_event_id=frames.cursor, timeout_s=AT_ONCE_S)
            assert stream.status == 200
            had = len(frames.events)
            # One tick after the other, each within the socket's timeout.
            for frame in stream.frames():
                frames.take(frame)
                if len(frames.events) >= had + 3:
                    break
            stream.close()
            assert "content-encoding" not in stream.headers, connection
        httpx2.post(f"{url}/v1/runs/{run['run_id']}/cancel", json={}, timeout=10)
        stack.ended(run["run_id"])
        with httpx2.stream("GET", path, headers={"accept-encoding": "gzip, br"}) as whole:
            assert "content-encoding" not in whole.headers
            lines = [
                line[6:] for line in whole.read().split(b"\n") if line.startswith(b'data: {"v"')
            ]

    assert frames.events == lines[: len(frames.events)]
    assert lines == [
        line for line in stack.history(run["session_id"]) if run["run_id"].encode() in line
    ]
