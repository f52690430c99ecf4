"""Stands in for a gateway or an orchestrator: says that it is ready and what it was given.

    python standin.py [stubborn] [deaf] [WORDS...]

`stubborn` ignores SIGTERM; `deaf` never becomes ready. At SIGTERM it appends its name to the file
STANDIN_LOG together with whether Redis still answers.
"""

import json
import os
import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

NAME = os.environ.get("HOLDFAST_WORKER_NAME", "gateway")


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status = 503 if "deaf" in sys.argv else 200
        said = json.dumps({"env": dict(os.environ), "argv": sys.argv[1:], "pid": os.getpid()})
        self.send_response(status)
        self.end_headers()
        self.wfile.write(said.encode())

    def log_message(self, *_: object) -> None:
        pass


def redis_answers() -> bool:
    where = urlsplit(os.environ["HOLDFAST_REDIS_URL"])
    try:
        socket.create_connection((where.hostname or "", where.port or 0), timeout=1).close()
    except OSError:
        return False
    return True


def leave(*_: object) -> None:
    if path := os.environ.get("STANDIN_LOG"):
        with Path(path).open("a") as log:
            log.write(f"{NAME} {redis_answers()}\n")
    os._exit(0)


signal.signal(signal.SIGTERM, signal.SIG_IGN if "stubborn" in sys.argv else leave)
port = int(os.environ.get("HOLDFAST_OPS_PORT") or os.environ["HOLDFAST_PORT"])
print(f"{NAME} says hello")
ThreadingHTTPServer(("127.0.0.1", port), Answer).serve_forever()
