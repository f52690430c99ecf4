import asyncio
import time
from dataclasses import replace
from typing import Any

import orjson
import pytest

from holdfast.events.catalog.message import MessageCompleted, MessageDelta
from holdfast.events.errors import StoreUnavailable
from holdfast.events.store import Page
from holdfast.gateway import catchup, pace
from holdfast.gateway.gateway import FOLDS_MAX
from tests.gateway.http.conftest import Served
from tests.gateway.http.frames import eventually, named, parse, seqs

# What would be changed by anybody who parses and writes it again.
DIFFICULT = '1.10 "quoted" \u2028 \u0085 é 😀 </script>'


def said(content: str) -> MessageCompleted:
    return MessageCompleted(message_id=content, content=content, duration_ms=1)


def page(response: Any) -> tuple[list[int], int, int]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    found = response.json()
    return [item["seq"] for item in found["items"]], found["next_after"], found["head"]


async def test_events_are_the_recorded_bytes(served: Served):
    session_id, session = await served.session()
    recorded = await served.worker.record(session, said(DIFFICULT), said("b"))

    response = await served.client.get(
        f"/v1/sessions/{session_id}/events?after=1", headers={"accept-encoding": "gzip"}
    )

    expected = b",".join(event.body for event in recorded)
    assert response.content == (
        b'{"items":[' + expected + b'],"next_after":3,"head":3,"min_seq":1}'
    )
    assert "content-encoding" not in response.headers
    assert orjson.loads(response.content)["items"][0]["data"]["content"] == DIFFICULT


# protocol P20
async def test_pages_meet_without_a_gap_and_tell_when_they_end(served: Served):
    session_id, session = await served.session()
    await served.worker.record(session, *[said(str(n)) for n in range(4)])
    path = f"/v1/sessions/{session_id}/events"

    first = await served.client.get(f"{path}?limit=3")
    second = await served.client.get(f"{path}?limit=3&after=3")
    third = await served.client.get(f"{path}?limit=3&after=5")

    assert page(first) == ([1, 2, 3], 3, 5)
    assert page(second) == ([4, 5], 5, 5)
    assert page(third) == ([], 5, 5)


async def test_a_filtered_page_moves_the_cursor_past_what_it_left_out(served: Served):
    session_id, session = await served.session()
    await served.worker.record(session, said("a"), MessageDelta(message_id="b", text="c"))

    response = await served.client.get(f"/v1/sessions/{session_id}/events?types=message.completed")

    assert page(response) == ([2], 3, 3)


async def test_a_filtered_page_says_how_far_it_looked(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    """A filter that matches nothing would else go through millions of events in one statement."""
    monkeypatch.setattr(catchup, "SCAN_SEQS_MAX", 2)
    session_id, session = await served.session()
    await served.worker.record(session, *[MessageDelta(message_id="m", text="x")] * 3, said("a"))
    path = f"/v1/sessions/{session_id}/events"

    first = await served.client.get(f"{path}?types=message.completed")
    last = await served.client.get(f"{path}?types=message.completed&after=4")

    assert page(first) == ([], 2, 5)
    assert page(last) == ([5], 5, 5)
    assert page(await served.client.get(path))[1] == 5


@pytest.mark.parametrize("limit", ["0", "501", "x", "-1", "1.5"])
async def test_a_limit_beyond_a_page_is_refused(served: Served, limit: str):
    await served.session("s")

    response = await served.client.get(f"/v1/sessions/s/events?limit={limit}")

    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/limit"


@pytest.mark.parametrize("call", ["events?after=9", "state?at=9", "messages?at=9"])
# protocol P5
async def test_a_seq_that_is_not_there_yet_is_a_conflict(served: Served, call: str):
    await served.session("s")

    response = await served.client.get(f"/v1/sessions/s/{call}")

    assert (response.status_code, response.json()["code"]) == (409, "cursor-ahead")
    assert response.json()["head"] == 1


# protocol P21
async def test_the_state_is_the_fold_at_the_seq_that_was_asked_for(served: Served):
    session_id, session = await served.session()
    await served.worker.record(session, said("a"), said("b"))
    path = f"/v1/sessions/{session_id}"

    now = (await served.client.get(f"{path}/state")).json()
    before = (await served.client.get(f"{path}/state?at=2")).json()
    messages = (await served.client.get(f"{path}/messages")).json()
    start = (await served.client.get(f"{path}/state?at=0")).json()

    assert (now["seq"], [m["content"] for m in now["messages"]]) == (3, ["a", "b"])
    assert (before["seq"], [m["content"] for m in before["messages"]]) == (2, ["a"])
    assert start["seq"] == 0
    assert [(m["id"], m["role"], m["content_type"]) for m in messages["items"]] == [
        ("a", "assistant", "text/plain"),
        ("b", "assistant", "text/plain"),
    ]


async def test_a_long_session_is_folded_over_many_pages(served: Served):
    session_id, session = await served.session()
    for _ in range(3):
        deltas = [MessageDelta(message_id="m", text="x") for _ in range(500)]
        await served.worker.record(session, *deltas)

    state = (await served.client.get(f"/v1/sessions/{session_id}/state")).json()

    assert state["seq"] == 1501
    assert state["messages"][0]["content"] == "x" * 1500


async def test_a_state_says_from_which_event_on_it_knows(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    _, session = await served.session("s")
    await served.worker.record(session, said("a"), said("b"))
    read = served.store.reader.read

    async def retained(*given: Any, **more: Any) -> Page:
        return replace(await read(*given, **more), min_seq=3)

    whole = [(await served.client.get(f"/v1/sessions/s/{c}")).json() for c in ("state", "messages")]
    monkeypatch.setattr(served.store.reader, "read", retained)
    rest = [(await served.client.get(f"/v1/sessions/s/{c}")).json() for c in ("state", "messages")]

    assert [answer["min_seq"] for answer in whole] == [1, 1]
    assert [answer["min_seq"] for answer in rest] == [3, 3]
    assert whole[0]["seq"] == 3


async def test_few_sessions_are_folded_at_once(served: Served, monkeypatch: pytest.MonkeyPatch):
    """Each fold asks for page after page: unbounded, they would hold every connection to the store."""
    names = [f"s{number}" for number in range(2 * FOLDS_MAX)]
    for name in names:
        await served.session(name)
    read, freed = served.store.reader.read, asyncio.Event()
    reading = 0

    async def held(*given: Any, **more: Any) -> Page:
        nonlocal reading
        reading += 1
        await freed.wait()
        return await read(*given, **more)

    monkeypatch.setattr(served.store.reader, "read", held)
    async with asyncio.TaskGroup() as tasks:
        asked = [
            tasks.create_task(served.client.get(f"/v1/sessions/{name}/{call}"))
            for name, call in zip(names, ("state", "messages") * FOLDS_MAX, strict=True)
        ]
        await eventually(lambda: len(served.server.server_state.tasks) == 2 * FOLDS_MAX)
        await eventually(lambda: reading >= FOLDS_MAX)
        assert reading == FOLDS_MAX
        freed.set()

    assert {task.result().status_code for task in asked} == {200}
    assert reading == 2 * FOLDS_MAX


async def test_a_replay_shows_every_event_and_ends(served: Served):
    session_id, session = await served.session()
    recorded = await served.worker.record(session, *[said(str(n)) for n in range(120)])

    response = await served.client.get(f"/v1/sessions/{session_id}/replay?speed=0&after=1")

    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert b"\r" not in response.content
    frames = parse(response.content)
    assert [f["data"] for f in frames if "id" in f] == [event.body for event in recorded]
    assert named(frames) == ["caught-up"]


async def test_a_replay_ends_where_it_was_told_to(served: Served):
    session_id, session = await served.session()
    await served.worker.record(session, *[said(str(n)) for n in range(5)])
    path = f"/v1/sessions/{session_id}/replay?speed=0"

    some = await served.client.get(f"{path}&until=3")
    rest = await served.client.get(path, headers={"last-event-id": "4"})
    done = await served.client.get(f"{path}&until=3", headers={"last-event-id": "3"})
    beyond = await served.client.get(f"{path}&until=99")

    assert seqs(parse(some.content)) == [1, 2, 3]
    assert seqs(parse(rest.content)) == [5, 6]
    assert done.status_code == 204
    assert seqs(parse(beyond.content)) == [1, 2, 3, 4, 5, 6]


async def test_a_replay_keeps_the_pace_of_the_original(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    session_id, session = await served.session()
    await served.worker.record(session, said("a"))
    await asyncio.sleep(0.3)
    await served.worker.record(session, said("b"))
    path = f"/v1/sessions/{session_id}/replay?after=1&speed="

    begun = time.monotonic()
    await served.client.get(path + "1")
    at_once = time.monotonic()
    await served.client.get(path + "1000")

    assert at_once - begun >= 0.25
    assert time.monotonic() - at_once < 0.2


def test_a_long_silence_is_cut_and_speed_divides_it():
    from datetime import UTC, datetime, timedelta

    start = datetime(2026, 1, 1, tzinfo=UTC)
    slow, quick, still = pace.Pace(1), pace.Pace(4), pace.Pace(0)

    for each in (slow, quick, still):
        assert each.pause_before(start) == 0
    later = start + timedelta(hours=1)
    assert slow.pause_before(later) == pace.PAUSE_MAX_S
    assert quick.pause_before(later) == pace.PAUSE_MAX_S / 4
    assert still.pause_before(later) == 0
    assert slow.pause_before(start) == 0  # a clock that went back


@pytest.mark.parametrize(
    "query",
    ["speed=x", "speed=-1", "speed=0.01", "speed=1001", "speed=nan", "speed=inf", "until=x"],
)
async def test_a_replay_with_a_wrong_parameter_is_a_400(served: Served, query: str):
    await served.session("s")

    response = await served.client.get(f"/v1/sessions/s/replay?{query}")

    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_replay_that_loses_its_store_ends_so_that_the_client_comes_back(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    session_id, _ = await served.session()

    def away(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable("away")

    monkeypatch.setattr(served.store.reader, "read", away)

    response = await served.client.get(f"/v1/sessions/{session_id}/replay?speed=0")

    assert response.status_code == 200
    assert [list(frame) for frame in parse(response.content)] == [["retry"]]


async def test_a_replay_whose_client_left_does_not_freeze_the_process(served: Served):
    """Writes to a connection that is gone return at once: a replay that never waits would go on and on."""
    session_id, session = await served.session()
    for _ in range(10):
        await served.worker.record(session, *[said("x" * 1000) for _ in range(500)])

    async with served.client.stream("GET", f"/v1/sessions/{session_id}/replay?speed=0") as response:
        await anext(response.aiter_raw())
    async with asyncio.timeout(2):
        assert (await served.client.get("/livez")).status_code == 200
