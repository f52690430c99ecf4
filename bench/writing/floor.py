"""The floor of emit → client: a commit, an XADD, a PUBLISH, a subscriber that writes to sockets. No Holdfast.

Two processes as in Holdfast: one writes (`python -m bench.writing.floor write …`), the other serves (`… serve …`).
Nothing is resumed, nothing checked, nobody is fenced: what stays is the price of going through Postgres and Redis at
all, in Python.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import hiredis
import redis.asyncio
import uvloop

from bench.contenders.contender import Pace
from bench.contenders.holdfast import Holdfast
from bench.rig.clocks import pin
from bench.writing.appenders import BATCH_MAX
from bench.writing.rows import INSERT_MANY, Author, Row, authors
from holdfast.local.ports import free_port

CHANNEL = "floor"
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


class Floor:
    """The two processes, beside a running Holdfast whose Postgres and Redis they use."""

    name = "floor"

    def __init__(self, beside: Holdfast) -> None:
        self._beside, self.port = beside, free_port()
        redis_url = f"redis://{beside.stack.processes()['redis']['address']}"
        self._server = self._start("serve", redis_url, str(self.port))
        self._writer = self._start("write", redis_url, beside.database_url)
        pin([self._server.pid], 0)
        pin([self._writer.pid], 1)
        self._hear(self._server)

    @property
    def pids(self) -> Sequence[int]:
        """Who serves."""
        return [self._server.pid]

    @property
    def beside(self) -> Sequence[int]:
        """The Redis between them."""
        return self._beside.beside

    def sessions(self, count: int) -> Sequence[str]:
        """Make fresh sessions."""
        self._say({"sessions": count})
        return [str(session) for session in self._hear(self._writer)]

    def path(self, session: str) -> str:
        """Where a session is followed from now on."""
        return f"/{session}"

    def publish(self, sessions: Sequence[str], pace: Pace) -> None:
        """Begin to write to all of them."""
        begins = [pace.begin_of(nth, len(sessions)) for nth in range(len(sessions))]
        self._say({"events": pace.events, "every_us": pace.every_us, "begins_ns": begins})

    def settle(self, timeout_s: float) -> None:
        """Wait until all is written."""
        self._hear(self._writer)

    def stop(self) -> None:
        """End both."""
        for process in (self._writer, self._server):
            process.terminate()
            process.wait(10)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    @staticmethod
    def _start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "bench.writing.floor", *arguments]
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def _say(self, what: dict[str, Any]) -> None:
        assert self._writer.stdin is not None
        self._writer.stdin.write(json.dumps(what) + "\n")
        self._writer.stdin.flush()

    @staticmethod
    def _hear(process: subprocess.Popen[str]) -> Any:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the floor ended with {process.wait(10)}")
        return json.loads(line)


async def serve(asked: argparse.Namespace) -> None:
    """Write what is published to whoever follows it."""
    followers: dict[bytes, list[asyncio.StreamWriter]] = {}

    async def follow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        followers.setdefault(head.split(b" ", 2)[1][1:], []).append(writer)
        writer.write(_HEAD)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(follow, "127.0.0.1", int(asked.where), backlog=4096)
    client = redis.asyncio.Redis.from_url(asked.redis_url, socket_timeout=None)
    ear = client.pubsub()
    await ear.subscribe(CHANNEL)
    print("true", flush=True)
    async with server:
        async for message in ear.listen():
            if message["type"] != "message":
                continue
            frames: dict[bytes, list[bytes]] = {}
            for line in message["data"].splitlines():
                session, seq, body = line.split(b" ", 2)
                frames.setdefault(session, []).append(b"id: %b\ndata: %b\n\n" % (seq, body))
            for session, ready in frames.items():
                for writer in followers.get(session, ()):
                    writer.write(b"".join(ready))


class Press:
    """The bare group commit, and what is made known of it."""

    def __init__(
        self, connection: Any, redis: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    ) -> None:
        self._connection, self._redis = connection, redis
        self._pending: list[Row] = []
        self._news = asyncio.Event()
        self._unpublished: list[Row] = []
        self._committed = asyncio.Event()

    def append(self, row: Row) -> None:
        """Take a row; nobody waits for it."""
        self._pending.append(row)
        self._news.set()

    async def commit(self) -> None:
        """Commit whatever is there, for ever."""
        statement = await self._connection.prepare(INSERT_MANY)
        while True:
            await self._news.wait()
            self._news.clear()
            while taken := self._pending[:BATCH_MAX]:
                del self._pending[:BATCH_MAX]
                await statement.fetch(*map(list, zip(*taken, strict=True)))
                self._unpublished += taken
                self._committed.set()

    async def publish(self) -> None:
        """Publish whatever is committed, for ever: an XADD each, and one PUBLISH with all of them."""
        reader, writer = self._redis
        parser = hiredis.Reader(notEnoughData=None)
        while True:
            await self._committed.wait()
            self._committed.clear()
            taken, self._unpublished = self._unpublished, []
            commands = [
                ("XADD", f"floor:{session}", f"{seq}-0", "b", body)
                for session, seq, *_, body in taken
            ]
            said = b"\n".join([b"%d %d %b" % (row[0], row[1], row[-1]) for row in taken])
            writer.write(b"".join(map(_packed, [*commands, ("PUBLISH", CHANNEL, said)])))
            answers = 0
            while answers <= len(taken):
                parser.feed(await reader.read(1 << 16))
                while parser.gets() is not None:
                    answers += 1


def _packed(command: tuple[Any, ...]) -> bytes:
    return hiredis.pack_command(command)


async def write(asked: argparse.Namespace) -> None:
    """Do what standard input says, one line of JSON at a time."""
    connection = await asyncpg.connect(asked.where)
    address = urlsplit(asked.redis_url)
    press = Press(connection, await asyncio.open_connection(address.hostname, address.port))
    tasks = [asyncio.create_task(press.commit()), asyncio.create_task(press.publish())]
    writers: list[Author] = []
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    while line := await lines.readline():
        told = json.loads(line)
        if "sessions" in told:
            writers = await authors(asked.where, told["sessions"])
            answer: Any = [one.session for one in writers]
        else:
            drips = zip(writers, told["begins_ns"], strict=True)
            await asyncio.gather(*(_drip(press, one, begin, told) for one, begin in drips))
            answer = True
        print(json.dumps(answer), flush=True)
    for task in tasks:
        task.cancel()


async def _drip(press: Press, author: Author, begin_ns: int, pace: dict[str, int]) -> None:
    for i in range(pace["events"]):
        late_ns = begin_ns + i * pace["every_us"] * 1000 - time.monotonic_ns()
        if late_ns > 0:
            await asyncio.sleep(late_ns / 1e9)
        press.append(author.row())


def main() -> None:
    """Be one of the two."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("serve", "write"))
    parser.add_argument("redis_url")
    parser.add_argument("where", help="a port to serve at, or the database to write to")
    asked = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run({"serve": serve, "write": write}[asked.what](asked))


if __name__ == "__main__":
    main()
