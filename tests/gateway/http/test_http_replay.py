"""A replay is a stream: it counts as one, and follows the rules of cursors."""

import asyncio
from dataclasses import replace
from typing import Any

import orjson
import pytest

from holdfast.events.catalog.message import MessageCompleted
from holdfast.events.store import Page
from tests.gateway.http.conftest import Serve, Served
from tests.gateway.http.frames import eventually, named, parse, seqs, until


def said(content: str) -> MessageCompleted:
    return MessageCompleted(message_id=content, content=content, duration_ms=1)


async def replayed(served: Served, query: str = "", **headers: str) -> Any:
    return await served.client.get(f"/v1/sessions/s/replay?speed=0{query}", headers=headers)


async def test_a_replay_counts_as_a_stream(serve: Serve):
    async with serve(streams_max=1) as served:
        _, session = await served.session("s")
        await asyncio.sleep(0.2)  # a pause to show: 2 s at a tenth of the speed
        await served.worker.record(session, said("a"))
        async with served.client.stream("GET", "/v1/sessions/s/replay?speed=0.1") as replay:
            body = replay.aiter_raw()
            await until(body, b"id: 1\n")
            second = await served.client.get("/v1/sessions/s/replay")
            live = await served.client.get("/v1/sessions/s/stream")
            metrics = (await served.client.get("/metrics")).text
            ready = (await served.client.get("/readyz")).json()
        await eventually(lambda: served.gateway.streams == 0)

        assert [list(frame) for frame in parse(second.content)] == [["retry"]]
        assert [list(frame) for frame in parse(live.content)] == [["retry"]]
        assert "holdfast_sse_connections 1.0" in metrics
        assert ready["streams"] == 1
        after = (await served.client.get("/metrics")).text
        assert "holdfast_sse_connections 0.0" in after
        assert 'holdfast_sse_disconnects_total{reason="client"} 1.0' in after


async def test_a_cursor_beyond_the_head_is_reset_to_it(served: Served):
    _, session = await served.session("s")
    await served.worker.record(session, said("a"))

    for response in (
        await replayed(served, "&after=9"),
        await replayed(served, **{"last-event-id": "9"}),
    ):
        frames = parse(response.content)
        assert named(frames) == ["reset", "caught-up"]
        assert (frames[1]["id"], orjson.loads(frames[1]["data"])) == (
            b"2",
            {"reason": "ahead", "head": 2},
        )
        assert seqs(frames) == []


async def test_a_cursor_below_what_is_kept_is_reset_to_the_earliest(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    _, session = await served.session("s")
    await served.worker.record(session, *[said(str(n)) for n in range(5)])
    read = served.store.reader.read

    async def retained(*given: Any, **more: Any) -> Page:
        page = await read(*given, **more)
        items = tuple(event for event in page.items if event.seq >= 4)
        return replace(page, items=items, min_seq=4)

    monkeypatch.setattr(served.store.reader, "read", retained)

    frames = parse((await replayed(served, "&after=1")).content)

    assert named(frames) == ["reset", "caught-up"]
    assert (frames[1]["id"], orjson.loads(frames[1]["data"])) == (
        b"3",
        {"reason": "retention", "earliest": 4},
    )
    assert seqs(frames) == [4, 5, 6]


async def test_a_replay_whose_end_was_compacted_leaves_a_cursor_at_its_end(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    """Else an EventSource would come back with the last id it saw, and be shown the end again for ever."""
    _, session = await served.session("s")
    await served.worker.record(session, *[said(str(n)) for n in range(3)])
    read = served.store.reader.read

    async def compacted(*given: Any, **more: Any) -> Page:
        page = await read(*given, **more)
        return replace(page, items=tuple(event for event in page.items if event.seq <= 2))

    monkeypatch.setattr(served.store.reader, "read", compacted)

    frames = parse((await replayed(served)).content)

    assert seqs(frames) == [1, 2]
    assert frames[-2] == {"id": b"4"}
    assert named(frames) == ["caught-up"]


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("&after=3", {}, 204),
        ("", {"last-event-id": "3"}, 204),
        ("&after=2&until=2", {}, 204),
        ("&after=3&until=2", {}, 204),
        ("&after=2", {}, 200),
        ("&after=0&until=0", {}, 200),
        ("&after=4", {}, 200),
    ],
)
async def test_a_cursor_at_the_end_is_told_that_nothing_follows(
    served: Served, query: str, headers: dict[str, str], status: int
):
    _, session = await served.session("s")
    await served.worker.record(session, said("a"), said("b"))

    assert (await replayed(served, query, **headers)).status_code == status
