"""Following, against a server that really sends and really breaks off."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from holdfast.client import (
    Backoff,
    Follower,
    Holdfast,
    ProblemError,
    Reset,
    State,
    Status,
)
from holdfast.events.recorded import RecordedEvent
from tests.client.scripted import QuickClock, Reply, Request, Scripted, body, control, frame

Turn = Callable[[Request, Reply], Awaitable[None]]

LOG = 5
RETRY = b"retry: 1\n\n"


def log(after: int, head: int = LOG) -> bytes:
    """What a gateway sends to a cursor, up to live."""
    events = b"".join(frame(seq) for seq in range(after + 1, head + 1))
    return b": hello\n\n" + events + control("caught-up", head=head)


async def whole(request: Request, reply: Reply) -> None:
    """Everything after the cursor, and the end when there is nothing more."""
    if request.cursor >= LOG:
        await reply.status(204)
        return
    await reply.stream()
    await reply.send(log(request.cursor))
    await reply.end()


def turns(*script: Turn) -> Scripted:
    """Answer the first requests with these, and all that follow like a good gateway."""
    left = list(script)

    async def handle(request: Request, reply: Reply) -> None:
        await (left.pop(0) if left else whole)(request, reply)

    return Scripted(handle)


def sending(stream: bytes, *, cut: bool = True) -> Turn:
    async def turn(request: Request, reply: Reply) -> None:
        await reply.stream()
        await reply.send(stream)
        await (reply.cut() if cut else reply.end())

    return turn


def answering(status: int, **headers: str) -> Turn:
    async def turn(request: Request, reply: Reply) -> None:
        await reply.status(
            status, b"no", {name.replace("_", "-"): v for name, v in headers.items()}
        )

    return turn


@asynccontextmanager
async def client(*servers: str, stall_s: float = 5, **options: object) -> AsyncIterator[Holdfast]:
    clock = options.pop("clock", None) or QuickClock()
    async with Holdfast(
        servers, backoff=Backoff(0.001, 0.01), stall_s=stall_s, clock=clock, **options
    ) as client:
        yield client


async def collect(events: Follower) -> list[int | Reset]:
    async with events, asyncio.timeout(20):
        return [e.seq if isinstance(e, RecordedEvent) else e async for e in events]


ALL = list(range(1, LOG + 1))


async def test_every_event_arrives_once_in_order_and_byte_for_byte():
    async with (
        turns().serve() as server,
        client(server.url) as holdfast,
        holdfast.follow("s") as events,
    ):
        bodies = [e.body async for e in events if isinstance(e, RecordedEvent)]

    assert bodies == [body(seq) for seq in ALL]


async def test_a_stream_cut_after_any_byte_is_resumed_without_loss_or_repetition():
    """Inside a frame, between two, in the middle of a character: every place there is."""
    stream = log(0)
    # The middle looks like the beginning: two whole events, and the end with its control frame.
    cuts = [*range(len(log(0, head=2))), *range(len(log(0, head=4)), len(stream))]
    script: list[Turn] = []

    async def handle(request: Request, reply: Reply) -> None:
        await (script.pop(0) if script else whole)(request, reply)

    # One client for all of them: making one costs 30 ms of TLS set-up.
    async with Scripted(handle).serve() as server, client(server.url) as holdfast:
        for at in cuts:
            script[:] = [sending(stream[:at])]
            events = holdfast.follow("s")

            assert await collect(events) == ALL, f"cut after byte {at}"
            assert (events.counters.gaps, events.counters.broken) == (0, 0)
            assert events.counters.duplicates == 0


@pytest.mark.parametrize("seq", ALL[:-1])
async def test_a_stream_that_ends_cleanly_between_events_is_resumed_at_the_cursor(seq: int):
    turn = sending(b"".join(map(frame, range(1, seq + 1))), cut=False)
    async with turns(turn).serve() as server, client(server.url) as holdfast:
        events = holdfast.follow("s")

        assert await collect(events) == ALL
        assert events.counters.resumes == 1
        assert [r.cursor for r in server.requests] == [0, seq, LOG]


async def test_a_stream_that_comes_byte_by_byte_is_the_same_stream():
    async def dribble(request: Request, reply: Reply) -> None:
        await reply.stream()
        for byte in log(0):
            await reply.send(bytes([byte]))
        await reply.end()

    async with turns(dribble).serve() as server, client(server.url) as holdfast:
        assert await collect(holdfast.follow("s")) == ALL


async def test_events_that_were_had_before_are_dropped_and_counted():
    stale = sending(frame(1) + frame(2) + frame(1) + frame(2) + frame(2) + frame(3))
    async with turns(stale).serve() as server, client(server.url) as holdfast:
        events = holdfast.follow("s")

        assert await collect(events) == ALL
        assert events.counters.duplicates == 3


# protocol P1
async def test_a_hole_in_the_stream_is_noticed_and_filled_from_the_cursor():
    holed = sending(frame(1) + frame(2) + frame(4) + frame(5), cut=False)
    async with turns(holed).serve() as server, client(server.url) as holdfast:
        events = holdfast.follow("s")

        assert await collect(events) == ALL
        assert events.counters.gaps == 1
        assert [r.cursor for r in server.requests] == [0, 2, LOG]


async def test_an_id_only_frame_is_no_gap_and_is_resumed_from():
    filtered = sending(frame(1) + b"id: 3\n\n" + frame(4) + b"id: 4\n\n")
    async with turns(filtered).serve() as server, client(server.url) as holdfast:
        events = holdfast.follow("s", types=["notification.*", "run.failed"])

        assert await collect(events) == [1, 4, 5]
        assert events.counters.gaps == 0
        assert [r.cursor for r in server.requests] == [0, 4, LOG]
        assert {r.query["types"] for r in server.requests} == {"notification.*,run.failed"}


@pytest.mark.parametrize(("after", "position"), [(40, 2), (1, 3)])
async def test_a_reset_is_told_where_it_happens_and_the_stream_goes_on_from_it(
    after: int, position: int
):
    reset = b'event: reset\nid: %d\ndata: {"reason":"somewhere"}\n\n' % position
    rest = b"".join(map(frame, range(position + 1, LOG + 1)))
    async with turns(sending(reset + rest)).serve() as server, client(server.url) as holdfast:
        events = holdfast.follow("s", after=after)

        got = await collect(events)

    first, *others = got
    assert isinstance(first, Reset)
    assert (first.seq, first.reason) == (position, "somewhere")
    assert others == list(range(position + 1, LOG + 1))
    assert events.counters.resets == 1


@pytest.mark.parametrize(
    "nonsense",
    [
        frame(1) + b"id: 2\ndata: {broken\n\n",
        frame(1) + b"id: 2\ndata: %b\n\n" % body(3),
        frame(1) + b"data: %b\n\n" % body(2),
        frame(1) + b"data: " + b"x" * 2_000_000,
    ],
)
async def test_a_stream_that_makes_no_sense_is_left_and_resumed(nonsense: bytes):
    async with turns(sending(nonsense)).serve() as server, client(server.url) as holdfast:
        events = holdfast.follow("s")

        assert await collect(events) == ALL
        assert events.counters.broken == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_a_refusal_that_passes_is_tried_again(status: int):
    script = [answering(status)] * 3
    async with turns(*script).serve() as server, client(server.url) as holdfast:
        events = holdfast.follow("s")

        assert await collect(events) == ALL
        assert events.counters.failures == 3


async def test_a_page_of_something_else_is_tried_again():
    portal = answering(200, content_type="text/html")
    async with turns(portal).serve() as server, client(server.url) as holdfast:
        events = holdfast.follow("s")

        assert await collect(events) == ALL
        assert (events.counters.failures, events.counters.resumes) == (1, 0)


@pytest.mark.parametrize("refusal", [b"503 X", b"200 OK\r\ncontent-type: text/html"])
async def test_the_connection_of_a_refusal_is_given_back_unread(refusal: bytes):
    """A page that never ends must not keep a connection for each time it was tried."""
    given_back = asyncio.Event()

    async def endless(request: Request, reply: Reply) -> None:
        await reply.raw(b"HTTP/1.1 " + refusal + b"\r\ncontent-length: 9\r\n\r\nhalf")
        await reply.gone()
        given_back.set()

    async with turns(endless).serve() as server, client(server.url) as holdfast:
        assert await collect(holdfast.follow("s")) == ALL

        async with asyncio.timeout(10):
            await given_back.wait()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
async def test_a_refusal_that_stays_is_raised_and_ends_it(status: int):
    async def refuse(request: Request, reply: Reply) -> None:
        await reply.problem(status, "session-unknown", "no session 's'")

    async with Scripted(refuse).serve() as server, client(server.url) as holdfast:
        events = holdfast.follow("s")
        with pytest.raises(ProblemError) as caught:
            await anext(events)

        assert (caught.value.status, caught.value.code) == (status, "session-unknown")
        assert caught.value.detail == "no session 's'"
        assert await collect(events) == []
        assert len(server.requests) == 1


async def test_the_servers_retry_is_the_least_that_is_waited():
    clock = QuickClock()
    turn = sending(b"retry: 3500\n\n" + frame(1), cut=False)
    async with (
        turns(turn, answering(500)).serve() as server,
        client(server.url, clock=clock) as holdfast,
    ):
        assert await collect(holdfast.follow("s")) == ALL

    assert len(clock.slept) == 3
    assert all(slept == pytest.approx(3.5) for slept in clock.slept)


def crashing(stream: bytes) -> Turn:
    """A gateway that asks for 3.5 s in its first frame, as each does, and then isn't there any
    more.
    """
    return sending(b"retry: 3500\n\n" + stream)


async def test_after_a_crash_the_next_gateway_is_tried_at_once():
    """`retry:` is for one gateway's return; another one is there already."""
    clock = QuickClock()
    async with (
        turns(crashing(frame(1))).serve() as first,
        turns(crashing(frame(2))).serve() as second,
        Holdfast([first.url, second.url], clock=clock, backoff=Backoff(0.1, 100)) as holdfast,
    ):
        events = holdfast.follow("s")
        assert [(await anext(events)).seq for _ in range(3)] == [1, 2, 3]

    assert len(clock.slept) == 2
    assert all(0.1 <= slept <= 0.2 for slept in clock.slept)


async def test_when_every_gateway_was_tried_the_servers_retry_is_waited():
    clock = QuickClock()
    async with turns().serve() as gone, turns().serve() as gone_too:
        pass
    async with (
        turns(crashing(frame(1))).serve() as first,
        Holdfast(
            [first.url, gone.url, gone_too.url], clock=clock, backoff=Backoff(0.1, 1)
        ) as holdfast,
    ):
        events = holdfast.follow("s")
        assert [(await anext(events)).seq for _ in range(2)] == [1, 2]

    assert len(clock.slept) == 3
    assert max(clock.slept[:2]) <= 0.4
    assert clock.slept[2] == pytest.approx(3.5)


@pytest.mark.parametrize(
    "leaving",
    [
        sending(b"retry: 3500\n\n", cut=False),
        sending(b"retry: 3500\n\n" + frame(1), cut=False),
        crashing(frame(1) + control("drain")),
    ],
)
async def test_the_retry_of_a_gateway_that_refuses_or_drains_is_waited_before_any_other(
    leaving: Turn,
):
    """Else the clients of a fleet that drains would come back to it all at once."""
    clock = QuickClock()
    async with (
        turns(leaving).serve() as first,
        turns().serve() as second,
        Holdfast([first.url, second.url], clock=clock, backoff=Backoff(0.1, 1)) as holdfast,
    ):
        assert await collect(holdfast.follow("s")) == ALL

    assert clock.slept[:1] == [pytest.approx(3.5)]


async def test_retry_after_is_waited_for():
    clock = QuickClock()
    async with (
        turns(answering(503, retry_after="7")).serve() as server,
        client(server.url, clock=clock) as holdfast,
    ):
        assert await collect(holdfast.follow("s")) == ALL

    assert clock.slept[0] == pytest.approx(7)


async def test_a_passing_refusal_by_retry_and_close_waits_longer_each_time():
    """200, `retry:`, close is how a gateway refuses an EventSource: it is no progress."""
    clock = QuickClock()
    refused = sending(b"retry: 0\n\n", cut=False)
    async with turns(*[refused] * 6).serve() as server:
        holdfast = Holdfast(server.url, clock=clock, backoff=Backoff(0.1, 100))
        async with holdfast:
            assert await collect(holdfast.follow("s")) == ALL

    assert max(clock.slept[:6]) > 0.4


async def test_after_a_stream_that_brought_something_the_waits_begin_anew():
    clock = QuickClock()
    script = [*[answering(500)] * 8, sending(frame(1))]
    async with (
        turns(*script).serve() as server,
        Holdfast(server.url, clock=clock, backoff=Backoff(0.1, 100)) as holdfast,
    ):
        assert await collect(holdfast.follow("s")) == ALL

    assert max(clock.slept[:8]) > 1
    assert clock.slept[8] <= 0.2


async def test_a_silent_stream_is_given_up_and_resumed():
    async def hang(request: Request, reply: Reply) -> None:
        await reply.stream()
        await reply.send(frame(1))
        await reply.gone()

    async with turns(hang).serve() as server, client(server.url, stall_s=0.2) as holdfast:
        events = holdfast.follow("s")

        assert await collect(events) == ALL
        assert events.counters.silences == 1


async def test_heartbeats_keep_a_quiet_stream():
    async def quiet(request: Request, reply: Reply) -> None:
        await reply.stream()
        for _ in range(12):
            await reply.send(b": hb\n\n")
            await asyncio.sleep(0.05)
        await reply.send(log(0))
        await reply.end()

    async with turns(quiet).serve() as server, client(server.url, stall_s=0.4) as holdfast:
        events = holdfast.follow("s")

        assert await collect(events) == ALL
        assert events.counters.silences == 0


async def test_a_gateway_that_accepts_and_never_answers_is_left_after_the_handshakes_time():
    async def mute(request: Request, reply: Reply) -> None:
        await reply.gone()

    async with (
        turns(mute).serve() as server,
        client(server.url, stall_s=600, handshake_s=0.2) as holdfast,
    ):
        events = holdfast.follow("s")

        assert await collect(events) == ALL
        assert events.counters.failures == 1


async def test_events_are_delivered_as_they_arrive():
    """The second event is sent only when the first has been seen."""
    seen = asyncio.Event()

    async def one_by_one(request: Request, reply: Reply) -> None:
        await reply.stream()
        await reply.send(frame(1))
        await seen.wait()
        await reply.send(frame(2))
        await reply.gone()

    async with (
        Scripted(one_by_one).serve() as server,
        client(server.url) as holdfast,
        holdfast.follow("s") as events,
        asyncio.timeout(10),
    ):
        assert (await anext(events)).seq == 1
        seen.set()
        assert (await anext(events)).seq == 2


async def test_a_run_is_over_with_its_terminal_event_although_the_stream_stays_open():
    async def run(request: Request, reply: Reply) -> None:
        await reply.stream()
        await reply.send(b"id: 6\n\n")
        await reply.send(frame(7, "run.started", workflow="w", workflow_version="1"))
        await reply.send(b"id: 9\n\n" + frame(10, "run.completed", duration_ms=1) + frame(11))
        await reply.gone()

    async with Scripted(run).serve() as server, client(server.url) as holdfast:
        events = holdfast.follow_run("r1", after=2)

        assert await collect(events) == [7, 10]
        assert server.requests[0].path == "/v1/runs/r1/stream"
        assert events.status == Status(State.ENDED, "complete")


async def test_a_run_that_is_over_ends_at_once():
    async with Scripted(answering(204)).serve() as server, client(server.url) as holdfast:
        assert await collect(holdfast.follow_run("r1", after=10)) == []


async def test_a_replay_resumes_and_ends_at_its_last_event():
    async with (
        turns(sending(frame(1) + frame(2)[:20])).serve() as server,
        client(server.url) as holdfast,
    ):
        assert await collect(holdfast.replay("s", until=4, speed=2.5)) == [1, 2, 3, 4]
        assert server.requests[0].query == {"after": "0", "until": "4", "speed": "2.5"}
        assert [r.cursor for r in server.requests] == [0, 1]


async def test_a_replay_is_over_when_the_gateway_says_so():
    """Its last events may have been compacted away: nobody will ever send number 4."""
    short = sending(frame(1) + control("caught-up", head=4), cut=False)
    async with turns(short).serve() as server, client(server.url) as holdfast:
        assert await collect(holdfast.replay("s", until=4)) == [1]
        assert len(server.requests) == 1


async def test_another_gateway_takes_over_where_the_first_one_broke_off():
    async with (
        turns(sending(frame(1) + frame(2))).serve() as first,
        turns().serve() as second,
        client(first.url, second.url) as holdfast,
    ):
        assert await collect(holdfast.follow("s")) == ALL
        assert [r.cursor for r in first.requests] == [0, LOG]
        assert [r.cursor for r in second.requests] == [2]


async def test_a_gateway_that_does_not_listen_is_passed_over():
    async with turns().serve() as gone:
        pass
    async with turns().serve() as there, client(gone.url, there.url) as holdfast:
        events = holdfast.follow("s")

        assert await collect(events) == ALL
        assert events.counters.failures >= 1


async def test_a_wait_that_was_cancelled_loses_nothing():
    async def slow(request: Request, reply: Reply) -> None:
        await reply.stream()
        await reply.send(frame(1) + frame(2)[:30])
        await reply.gone()

    async with turns(slow).serve() as server, client(server.url) as holdfast:
        events = holdfast.follow("s")
        first = await anext(events)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(events), 0.1)

        assert [first.seq, *await collect(events)] == ALL


async def test_a_wait_that_was_cancelled_keeps_the_connection():
    """Waiting with a timeout, again and again, is one stream and not one per wait."""
    go = asyncio.Event()

    async def slow(request: Request, reply: Reply) -> None:
        await reply.stream()
        await go.wait()
        await reply.send(log(0))
        await reply.gone()

    async with (
        Scripted(slow).serve() as server,
        client(server.url) as holdfast,
        holdfast.follow("s") as events,
    ):
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(events), 0.05)
        go.set()
        async with asyncio.timeout(10):
            assert [(await anext(events)).seq for _ in ALL] == ALL

        assert (events.counters.connections, len(server.requests)) == (1, 1)


async def test_a_follower_that_is_cut_resumes():
    """As a network would break it: in the middle of a wait, and nobody told the reader."""

    async def half(request: Request, reply: Reply) -> None:
        await reply.stream()
        await reply.send(frame(1) + frame(2))
        await reply.gone()

    async with turns(half).serve() as server, client(server.url) as holdfast:
        events = holdfast.follow("s")
        events.cut()  # before there is anything to cut
        first = [(await anext(events)).seq for _ in range(2)]
        waiting = asyncio.create_task(collect(events))
        await asyncio.sleep(0)
        events.cut()

        assert [*first, *await waiting] == ALL
        assert (events.counters.resumes, events.counters.silences) == (1, 0)
        assert [r.cursor for r in server.requests] == [0, 2, LOG]


async def test_leaving_the_block_closes_the_connection():
    gone = asyncio.Event()

    async def hang(request: Request, reply: Reply) -> None:
        await reply.stream()
        await reply.send(frame(1))
        await reply.gone()
        gone.set()

    async with Scripted(hang).serve() as server, client(server.url) as holdfast:
        async with holdfast.follow("s") as events:
            await anext(events)

        async with asyncio.timeout(10):
            await gone.wait()
        assert events.cursor == 1


async def test_the_status_tells_connecting_catching_up_stalled_live_waiting_and_the_end():
    told: list[str] = []
    stream = log(0) + control("stalled", since="2026-11-21T09:00:00Z") + control("live")
    async with (
        turns(answering(503), sending(stream, cut=False)).serve() as server,
        client(server.url) as holdfast,
    ):
        events = holdfast.follow("s", on_status=lambda status: told.append(status.state))
        assert await collect(events) == ALL

    assert told == [
        "connecting",
        "waiting",
        "connecting",
        "catching-up",
        "live",
        "stalled",
        "live",
        "waiting",
        "connecting",
        "ended",
    ]


async def test_a_status_carries_what_belongs_to_its_state():
    told: list[Status] = []
    stream = log(0) + control("stalled", since="2026-11-21T09:00:00Z")
    script = [answering(503, retry_after="7"), answering(502), sending(stream), answering(410)]
    async with turns(*script).serve() as server, client(server.url) as holdfast:
        events = holdfast.follow("s", on_status=told.append)
        with pytest.raises(ProblemError) as refusal:
            await collect(events)

    waiting = [status for status in told if status.state is State.WAITING]
    assert [status.attempt for status in waiting] == [1, 2, 1]
    assert (waiting[0].reason, waiting[0].delay_s) == (f"{server.url} answered 503", 7)
    assert Status(State.STALLED, since="2026-11-21T09:00:00Z") in told
    assert (told[-1].state, told[-1].error) == (State.FAILED, refusal.value)
    assert events.status is told[-1]
    assert events.counters.events == LOG


@pytest.mark.parametrize("data", ["{}", "nonsense", '{"since": 7}'])
async def test_a_worker_that_is_gone_since_nobody_knows_when_is_gone_all_the_same(data: str):
    stalled = b"event: stalled\ndata: %b\n\n" % data.encode()
    told: list[Status] = []
    async with turns(sending(log(0) + stalled)).serve() as server, client(server.url) as holdfast:
        assert await collect(holdfast.follow("s", on_status=told.append)) == ALL

    assert Status(State.STALLED) in told


async def test_the_status_comes_between_the_events_where_it_belongs():
    """One chunk holds everything: live is told after the last old event and not before the first."""
    order: list[object] = []
    async with turns().serve() as server, client(server.url) as holdfast:
        events = holdfast.follow("s", on_status=lambda status: order.append(status.state))
        async for event in events:
            order.append(event.seq)  # noqa: PERF401 - the status is told in between

    assert order[:8] == ["connecting", "catching-up", *ALL, "live"]


async def test_the_cursor_is_the_last_event_that_was_handed_out_and_not_the_last_that_came():
    async with (
        turns().serve() as server,
        client(server.url) as holdfast,
        holdfast.follow("s") as events,
    ):
        await anext(events)
        await anext(events)

        assert events.cursor == 2


async def test_a_header_that_cannot_be_sent_is_an_error_and_no_reason_to_try_for_ever():
    async with (
        turns().serve() as server,
        client(server.url, headers={"authorization": "a\nb"}) as holdfast,
    ):
        with pytest.raises(Exception, match="header"):
            await anext(holdfast.follow("s"))
