"""What the ways to the servers do to a call is what the real adapters let their callers see.

Of the real ones it is proved by `tests/contract/test_store_resolve.py` (a lost reply is looked up, what is absent is
sent again), `tests/faults/test_commit_reply_lost.py` (a commit whose reply is cut off) and
`tests/contract/test_stream_redis.py` (a call that fails may have been carried out).
"""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

import pytest

from holdfast.events.errors import StoreBusy, StoreUnavailable
from tests.simulation.loop import SimulatedLoop
from tests.simulation.ports import Server, Weather, Wire
from tests.simulation.process import Process


class Rig:
    """A server that counts, and a caller."""

    def __init__(self, weather: Weather | None = None) -> None:
        self.loop = SimulatedLoop(random.Random(1))
        self.server = Server(
            self.loop, "postgres", StoreUnavailable, answer_s=(2.0, 10.0), chance=random.Random(2)
        )
        self.server.weather = weather or Weather()
        self.caller = Process(self.loop, "caller")
        self.wire = Wire(self.caller, self.server)
        self.done = 0
        self.worked = asyncio.Event()

    async def work(self) -> int:
        await asyncio.sleep(0)
        self.done += 1
        self.worked.set()
        return self.done

    async def call(self, what: str = "writer.append") -> int:
        return await self.wire.call(what, self.work)

    def live(self, work: Coroutine[Any, Any, Any]) -> Any:
        try:
            return self.loop.run_until_complete(self.caller.start(work))
        finally:
            self.loop.dispose()


async def refusal(call: Coroutine[Any, Any, int]) -> str:
    with pytest.raises(StoreUnavailable) as caught:
        await call
    return str(caught.value)


async def after_a_pause(rig: Rig, lead_s: float) -> int:
    """Call; hold the caller back; break its connection so long after the call was carried out; let the caller go on."""
    held = Process(rig.loop, "held")
    answer = held.start(Wire(held, rig.server).call("held", rig.work))
    await asyncio.sleep(0.00001)
    held.pause()
    await rig.worked.wait()
    await asyncio.sleep(lead_s)
    rig.server.break_connections()
    held.proceed()
    return await answer


def test_a_calm_call_is_carried_out_once_and_takes_its_time() -> None:
    rig = Rig()

    assert rig.live(rig.call()) == 1
    assert rig.loop.time() > 0


def test_a_call_that_breaks_before_does_nothing() -> None:
    rig = Rig(Weather(before=1.0))

    assert "before" in rig.live(refusal(rig.call()))
    assert rig.done == 0


def test_a_row_that_is_held_is_told_as_busy_and_nothing_is_done() -> None:
    rig = Rig(Weather(busy=1.0))

    async def call() -> None:
        with pytest.raises(StoreBusy):
            await rig.call()

    rig.live(call())

    assert rig.done == 0


def test_a_call_that_breaks_after_has_its_effect_and_its_caller_does_not_know() -> None:
    rig = Rig(Weather(after=1.0))

    assert "after" in rig.live(refusal(rig.call()))
    assert rig.done == 1


def test_a_late_call_is_carried_out_after_its_caller_was_told_that_it_failed() -> None:
    rig = Rig(Weather(late=1.0))

    async def schedule() -> tuple[int, int]:
        await refusal(rig.call())
        told = rig.done
        await asyncio.sleep(5)
        return told, rig.done

    assert rig.live(schedule()) == (0, 1)


def test_a_late_call_is_lost_with_the_server_in_whose_buffer_it_was() -> None:
    rig = Rig(Weather(late=1.0))

    async def schedule() -> int:
        await refusal(rig.call())
        rig.server.break_connections()
        await asyncio.sleep(5)
        return rig.done

    assert rig.live(schedule()) == 0


def test_a_server_that_is_down_refuses_at_once_and_breaks_what_is_under_way() -> None:
    rig = Rig()

    async def schedule() -> tuple[str, str]:
        under_way = asyncio.ensure_future(refusal(rig.call()))
        await asyncio.sleep(0)
        rig.server.go_down()
        return await under_way, await refusal(rig.call())

    lost, refused = rig.live(schedule())

    assert "lost" in lost
    assert "refused" in refused
    assert rig.done == 0


def test_a_server_that_hangs_is_waited_for_as_long_as_the_adapter_waits() -> None:
    rig = Rig()
    rig.server.hang()

    assert "no answer" in rig.live(refusal(rig.call()))
    assert 2.0 <= rig.loop.time() <= 10.1


def test_what_a_killed_caller_sent_is_carried_out_and_what_it_would_send_is_not() -> None:
    rig = Rig()

    async def schedule() -> None:
        victim = Process(rig.loop, "victim")
        wire = Wire(victim, rig.server)
        victim.start(wire.call("sent", rig.work))
        await asyncio.sleep(0.00001)
        victim.kill()
        victim.start(wire.call("never sent", rig.work)).cancel()
        await asyncio.sleep(1)

    rig.live(schedule())

    assert rig.done == 1


def test_an_answer_that_came_before_its_server_went_is_read_after_a_pause() -> None:
    rig = Rig()

    assert rig.live(after_a_pause(rig, 1.0)) == 1


def test_an_answer_that_is_on_its_way_when_its_server_goes_is_lost() -> None:
    rig = Rig()

    assert "lost after" in rig.live(refusal(after_a_pause(rig, 0.0)))
    assert rig.done == 1
