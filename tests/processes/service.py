"""A service for the supervisor's tests: answers each connection with its process' number, and does as it is told.

    python -m tests.processes.service FOLDER

`FOLDER/vain` lets it end at once with status 7, `FOLDER/vain-N` only process N; `FOLDER/deaf` lets it drain for ever.
As long as there is `FOLDER/hold` it doesn't come to serve, and heeds no SIGTERM; later the second one ends it at once.
"""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from holdfast.processes.link import Link, SupervisorSilent

DRAIN_S = 0.3


async def main() -> int:
    folder = Path(sys.argv[1])
    link = Link.of_environment()
    assert link is not None
    if (folder / "hold").exists():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (folder / "starts").open("a").write(f"{link.number} {os.getpid()} {time.monotonic()}\n")
    if (folder / "vain").exists() or (folder / f"vain-{link.number}").exists():
        return 7
    told, left = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    while (folder / "hold").exists():  # noqa: ASYNC110 - another process' doing
        await asyncio.sleep(0.01)

    def signalled() -> None:
        (left if told.is_set() else told).set()

    loop.add_signal_handler(signal.SIGTERM, signalled)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        word = (await reader.readline()).strip()
        answer = str(link.number)
        if word == b"metrics":
            try:
                answer = (await link.everyone()).decode()
            except SupervisorSilent:
                answer = "silent"
        writer.write(answer.encode())
        await writer.drain()
        writer.close()

    server = None
    if link.listener is not None:
        server = await asyncio.start_server(serve, sock=link.listener)
    text = f'# HELP served What.\n# TYPE served gauge\nserved{{by="{link.number}"}} 1.0\n'
    link.serve(
        metrics=text.encode,
        drain=lambda: loop.call_soon_threadsafe(told.set),
        leave=lambda: loop.call_soon_threadsafe(left.set),
    )
    await told.wait()
    if server is not None:
        server.close()
    link.draining()
    ends = loop.time() + DRAIN_S
    while not left.is_set() and (loop.time() < ends or (folder / "deaf").exists()):  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.01)
    if not left.is_set():
        (folder / "drained").open("a").write(f"{link.number}\n")
    return 0


sys.exit(asyncio.run(main()))
