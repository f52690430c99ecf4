"""Publish over HTTP as fast as a server takes it: several POSTs in flight on each of a few connections."""

import json
import socket
import time
from collections.abc import Sequence
from dataclasses import replace

from bench.contenders.contender import Pace

# What Holdfast's own events look like around the number and the moment, so that all move the same bytes.
ENVELOPE = (
    '{"v":1,"type":"custom.bench.drop","session_id":"%s","run_id":"run_%s","attempt":1,'
    '"ts":"2026-01-01T00:00:00.000000Z","data":{"n":%d,"t":%d,"pad":"%s"}}'
)

# Answers are read once so many POSTs are unanswered: enough to keep the server busy, little enough to fit its buffers.
IN_FLIGHT = 64


def post_all(port: int, sessions: Sequence[str], pace: Pace) -> None:
    """Publish every event of every session at its time, sessions taking turns."""
    pace = replace(pace, begin_ns=pace.begin_ns or time.monotonic_ns())
    begins = [pace.begin_of(k, len(sessions)) for k in range(len(sessions))]
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answers = _Answers(connection)
        for i in range(pace.events):
            for k, session in enumerate(sessions):
                late_ns = begins[k] + i * pace.every_us * 1000 - time.monotonic_ns()
                if pace.every_us and late_ns > 0:
                    answers.drain()
                    late_ns = begins[k] + i * pace.every_us * 1000 - time.monotonic_ns()
                    if late_ns > 0:
                        time.sleep(late_ns / 1e9)
                now = time.monotonic_ns()
                body = ENVELOPE % (session, session, i + 1, now, "x" * pace.pad)
                assert json.loads(body) if i == 0 and k == 0 else True
                connection.sendall(
                    f"POST /pub/{session} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
                )
                answers.expect()
        answers.drain()


class _Answers:
    """Counts answers without parsing more of them than their first lines."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._open, self._rest = connection, 0, b""

    def expect(self) -> None:
        self._open += 1
        if self._open >= IN_FLIGHT:
            self._read()

    def drain(self) -> None:
        while self._open:
            self._read()

    def _read(self) -> None:
        data = self._rest + self._connection.recv(65536)
        if not data:
            raise ConnectionError("the server closed the publisher's connection")
        found = data.count(b"HTTP/1.1 20")
        self._open -= found
        # A status line may be cut in two: keep what could be the start of one.
        last = data.rfind(b"HTTP/1.1 20")
        self._rest = data[max(last + 11, len(data) - 10) :]
