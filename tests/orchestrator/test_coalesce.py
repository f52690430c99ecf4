"""Pieces of text are joined before the log, and nothing else about them changes."""

import asyncio

from holdfast.events.catalog import MessageDelta, ReasoningDelta
from holdfast.events.recorded import NOWHERE, Context
from holdfast.orchestrator.coalesce import Coalescer, Delta
from tests.orchestrator.harness import until


class Appended:
    """What reaches the log, as (message, text)."""

    def __init__(self) -> None:
        self.deltas: list[tuple[str, str]] = []
        self.contexts: list[Context] = []

    def __call__(self, delta: Delta, context: Context) -> None:
        name = delta.message_id if isinstance(delta, MessageDelta) else delta.type
        self.deltas.append((name, delta.text))
        self.contexts.append(context)


def piece(text: str, message: str = "m") -> MessageDelta:
    return MessageDelta(message_id=message, text=text)


async def test_the_first_piece_goes_at_once_and_later_ones_are_joined() -> None:
    log = Appended()
    coalescer = Coalescer(log, window_ms=10)
    for text in "abcd":
        coalescer.add(piece(text), NOWHERE)
    assert log.deltas == [("m", "a")]
    await until(lambda: len(log.deltas) == 2)
    assert log.deltas == [("m", "a"), ("m", "bcd")]


async def test_a_piece_waits_for_one_window_not_for_the_stream_to_pause() -> None:
    log = Appended()
    coalescer = Coalescer(log, window_ms=20)
    coalescer.add(piece("a"), NOWHERE)
    began = asyncio.get_running_loop().time()
    while len(log.deltas) < 2:
        coalescer.add(piece("x"), NOWHERE)
        await asyncio.sleep(0.001)
    assert asyncio.get_running_loop().time() - began < 2
    assert set(log.deltas[1][1]) == {"x"}
    coalescer.close()


async def test_many_characters_go_without_waiting_for_the_window() -> None:
    log = Appended()
    coalescer = Coalescer(log, window_ms=60_000, chars=256)
    coalescer.add(piece("first"), NOWHERE)
    coalescer.add(piece("x" * 255), NOWHERE)
    assert len(log.deltas) == 1
    coalescer.add(piece("y"), NOWHERE)
    assert log.deltas[1] == ("m", "x" * 255 + "y")
    coalescer.close()


async def test_a_piece_never_flushes_another_message() -> None:
    log = Appended()
    coalescer = Coalescer(log, window_ms=60_000)
    coalescer.add(piece("a", "one"), NOWHERE)
    coalescer.add(piece("b", "one"), NOWHERE)
    coalescer.add(piece("c", "two"), NOWHERE)
    coalescer.add(ReasoningDelta(reasoning_id="one", text="d"), NOWHERE)
    assert log.deltas == [("one", "a"), ("two", "c"), ("reasoning.delta", "d")]
    coalescer.close()


async def test_a_flush_brings_out_all_that_waits_in_its_context() -> None:
    log = Appended()
    coalescer = Coalescer(log, window_ms=60_000)
    here, there = Context(step="here"), Context(step="there")
    for text in "ab":
        coalescer.add(piece(text, "one"), here)
        coalescer.add(piece(text, "two"), there)
    coalescer.flush()
    assert log.deltas[2:] == [("one", "b"), ("two", "b")]
    assert log.contexts[2:] == [here, there]
    coalescer.add(piece("c", "one"), here)
    # After a flush a message begins anew: its next piece goes at once.
    assert log.deltas[4:] == [("one", "c")]
    coalescer.close()


async def test_a_window_of_zero_turns_joining_off() -> None:
    log = Appended()
    coalescer = Coalescer(log, window_ms=0)
    for text in "abc":
        coalescer.add(piece(text), NOWHERE)
    assert log.deltas == [("m", "a"), ("m", "b"), ("m", "c")]


async def test_what_waits_when_it_is_closed_is_dropped() -> None:
    log = Appended()
    coalescer = Coalescer(log, window_ms=1)
    coalescer.add(piece("a"), NOWHERE)
    coalescer.add(piece("b"), NOWHERE)
    coalescer.close()
    await asyncio.sleep(0.01)
    assert log.deltas == [("m", "a")]
