"""A state that is kept: always what the gateway would answer at its seq."""

import asyncio

import orjson
import pytest

from holdfast.client import AnswerInvalid, Holdfast, Reset
from holdfast.events.fold import FOLD_VERSION, apply, empty_state, to_json, to_plain
from holdfast.events.fold.state import State
from holdfast.events.recorded import RecordedEvent
from tests.client.scripted import QuickClock, Reply, Request, Scripted, body, control, frame
from tests.client.test_follow import client


def recorded(seq: int) -> RecordedEvent:
    return RecordedEvent(seq, "notification.sent", "r1", body(seq))


def folded(upto: int) -> State:
    state = empty_state()
    for seq in range(1, upto + 1):
        apply(state, recorded(seq))
    return state


class Gateway:
    """A log of `head` events, its state, and streams that break off after `each` of them."""

    def __init__(self, head: int, *, at: int, each: int = 100) -> None:
        self.head, self.at, self.each = head, at, each
        self.states: list[int] = []  # what the next requests for the state are given
        self.first: bytes = b""  # what the first stream begins with
        self.asked: list[int] = []

    async def __call__(self, request: Request, reply: Reply) -> None:
        if request.path.endswith("/state"):
            seq = self.states.pop(0) if self.states else self.at
            await reply.status(200, to_json(folded(seq)))
            return
        self.asked.append(request.cursor)
        first, self.first = self.first, b""
        after = int(first.partition(b"id: ")[2].split(b"\n")[0]) if first else request.cursor
        if after >= self.head:
            await reply.status(204)
            return
        last = min(after + self.each, self.head)
        await reply.stream()
        await reply.send(first + b"".join(map(frame, range(after + 1, last + 1))))
        await reply.cut()


# protocol P21
async def test_the_state_at_every_event_is_the_fold_up_to_it():
    gateway = Gateway(12, at=4, each=3)
    async with (
        Scripted(gateway).serve() as server,
        client(server.url) as holdfast,
        holdfast.live_state("s") as live,
    ):
        assert to_plain(live.state) == to_plain(folded(4))
        seqs: list[int] = []
        async for event in live:
            seqs.append(event.seq)
            assert to_json(live.state) == to_json(folded(event.seq))

    assert seqs == list(range(5, 13))
    assert gateway.asked == [4, 7, 10, 12]
    assert (live.counters.events, live.counters.resumes) == (8, 2)
    assert live.status is not None
    assert live.status.state == "ended"


@pytest.mark.parametrize(("position", "loaded"), [(2, 6), (6, 6), (8, 9)])
async def test_after_a_reset_the_state_is_loaded_anew_and_goes_on(position: int, loaded: int):
    """Also when it is ahead of the position: what it holds already isn't applied twice."""
    gateway = Gateway(12, at=4)
    gateway.states = [4, loaded]
    gateway.first = b'event: reset\nid: %d\ndata: {"reason":"ahead"}\n\n' % position
    async with (
        Scripted(gateway).serve() as server,
        client(server.url) as holdfast,
        holdfast.live_state("s") as live,
    ):
        reset = await anext(live)
        assert isinstance(reset, Reset)
        assert live.state.seq == loaded
        rest = [event.seq async for event in live]

    assert rest == list(range(loaded + 1, 13))
    assert to_json(live.state) == to_json(folded(12))


async def test_a_load_that_was_cancelled_is_made_again():
    gateway = Gateway(6, at=4)
    gateway.first = b'event: reset\nid: 4\ndata: {"reason":"ahead"}\n\n'
    hang = True

    async def slow_state(request: Request, reply: Reply) -> None:
        if request.path.endswith("/state") and gateway.asked and hang:
            await reply.gone()
            return
        await gateway(request, reply)

    async with (
        Scripted(slow_state).serve() as server,
        client(server.url) as holdfast,
        holdfast.live_state("s") as live,
    ):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(live), 0.3)
        hang = False
        got = [type(item).__name__ async for item in live]

    assert got == ["Reset", "RecordedEvent", "RecordedEvent"]
    assert to_json(live.state) == to_json(folded(6))


async def test_a_state_behind_the_stream_is_asked_for_again_and_then_refused():
    gateway = Gateway(12, at=4)
    gateway.first = b'event: reset\nid: 8\ndata: {"reason":"retention"}\n\n'
    async with (
        Scripted(gateway).serve() as server,
        client(server.url) as holdfast,
        holdfast.live_state("s") as live,
    ):
        with pytest.raises(AnswerInvalid, match="after 8"):
            await anext(live)


@pytest.mark.parametrize("answer", [{}, {"fold_version": 99}, {"fold_version": FOLD_VERSION}])
async def test_a_state_that_cannot_be_kept_is_refused(answer: dict[str, int]):
    async def strange(request: Request, reply: Reply) -> None:
        await reply.status(200, orjson.dumps(answer))

    async with Scripted(strange).serve() as server, client(server.url) as holdfast:
        with pytest.raises(AnswerInvalid, match="state"):
            await anext(holdfast.live_state("s"))


async def test_waiting_for_a_state_ends_when_it_is_reached_or_never_can_be():
    gateway = Gateway(12, at=4)
    async with (
        Scripted(gateway).serve() as server,
        client(server.url) as holdfast,
        holdfast.live_state("s") as live,
    ):
        assert (await live.until(lambda state: state.seq >= 4)).seq == 4
        assert (await live.until(lambda state: state.seq >= 7)).seq == 7
        with pytest.raises(EOFError):
            await live.until(lambda state: state.seq > 12)


async def test_a_live_state_that_is_cut_resumes():
    async def half(request: Request, reply: Reply) -> None:
        if request.path.endswith("/state"):
            await reply.status(200, to_json(folded(0)))
        elif request.cursor == 0:
            await reply.stream()
            await reply.send(frame(1) + control("caught-up", head=1))
            await reply.gone()
        else:
            await reply.status(204)

    async with (
        Scripted(half).serve() as server,
        Holdfast(server.url, clock=QuickClock()) as holdfast,
        holdfast.live_state("s") as live,
    ):
        assert (await anext(live)).seq == 1
        live.cut()
        assert [event async for event in live] == []
