"""Handlers that hang, heed nothing, or are called where others must not wait for them."""

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from holdfast.subscribe.delivery import Delivery
from holdfast.subscribe.handlers.webhook import Webhook
from holdfast.subscribe.subscription import subscription
from tests.subscribe.test_webhook import LOOPBACK, SECRET
from tests.subscribe.worlds import PostgresWorld, a_delivery, until

STUBBORN = """
import asyncio
from pathlib import Path
from holdfast.subscribe import Delivery, subscription

@subscription("stubborn")
async def never(event: Delivery) -> None:
    Path({path!r}).touch()
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass
"""


async def test_blocking_handlers_of_one_subscription_leave_threads_to_another() -> None:
    go, handled = threading.Event(), threading.Event()

    def hangs(_: Delivery) -> None:
        go.wait(20)

    def quick(_: Delivery) -> None:
        handled.set()

    slow, other = subscription("slow")(hangs), subscription("other")(quick)
    hanging = [asyncio.ensure_future(slow.handler(a_delivery(seq=n))) for n in range(1, 65)]
    await asyncio.sleep(0)  # so that they are first in line
    try:
        async with asyncio.timeout(5):
            await other.handler(a_delivery())
    finally:
        go.set()
        await asyncio.gather(*hanging)

    assert handled.is_set()


async def test_a_receiver_that_said_yes_has_it_whatever_becomes_of_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("holdfast.subscribe.handlers.webhook.ANSWER_S", 0.1)
    over = asyncio.Event()

    async def says_yes_and_no_more(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello")
        await reader.read()
        writer.close()
        over.set()

    server = await asyncio.start_server(says_yes_and_no_more, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await Webhook(f"http://127.0.0.1:{port}/", SECRET, guard=LOOPBACK).handle(a_delivery())
    await over.wait()
    server.close()
    await server.wait_closed()


@pytest.mark.postgres
async def test_a_handler_that_heeds_no_cancellation_does_not_keep_the_process(
    postgres_world: PostgresWorld, tmp_path: Path
) -> None:
    await postgres_world.session("one", 1)
    begun = tmp_path / "begun"
    app = tmp_path / "stubborn.py"
    app.write_text(STUBBORN.format(path=str(begun)))
    own = {
        "HOLDFAST_DATABASE_URL": postgres_world.url,
        "HOLDFAST_SUBSCRIBERS": str(app),
        "HOLDFAST_DRAIN_S": "0",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "holdfast.subscribe"),
        env={**os.environ, **own},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await until(begun.exists)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert code == 1
