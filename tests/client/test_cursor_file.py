"""A cursor on disk: the next process goes on where this one stopped, and never beyond."""

import os
from pathlib import Path

import pytest

from holdfast.client import CursorFileInvalid, Follower, Holdfast
from holdfast.client.cursor_file import CursorFile
from holdfast.events.recorded import RecordedEvent
from tests.client.scripted import QuickClock
from tests.client.test_follow import ALL, LOG, client, turns


async def test_the_next_process_goes_on_after_what_was_dealt_with(tmp_path: Path):
    file = tmp_path / "cursor"
    async with turns().serve() as server:
        async with (
            client(server.url) as holdfast,
            holdfast.follow("s", after=1, cursor_file=file) as events,
        ):
            first = [(await anext(events)).seq for _ in range(2)]
        async with client(server.url) as holdfast:
            rest = [e.seq async for e in holdfast.follow("s", cursor_file=file)]

    assert [1, *first, *rest] == ALL
    assert CursorFile(file, "/v1/sessions/s/stream").load() == LOG


async def test_an_event_that_was_not_dealt_with_comes_again(tmp_path: Path):
    """The handler failed: what it was given last counts as not had."""
    file = tmp_path / "cursor"
    seen: list[int] = []

    async def handle(events: Follower) -> None:
        async with events:
            async for event in events:
                seen.append(event.seq)
                if event.seq == 3:
                    raise RuntimeError("the database is away")

    async with turns().serve() as server, client(server.url) as holdfast:
        with pytest.raises(RuntimeError):
            await handle(holdfast.follow("s", cursor_file=file))
        async with holdfast.follow("s", cursor_file=file) as events:
            seen += [event.seq async for event in events]

    assert seen == [1, 2, 3, 3, 4, 5]


async def test_a_process_that_is_killed_repeats_at_most_a_second_and_skips_nothing(tmp_path: Path):
    file = tmp_path / "cursor"

    class Ticking(QuickClock):
        """A second passes between two looks at it."""

        passed = 0.0

        def monotonic(self) -> float:
            self.passed += 1.0
            return self.passed

    async with turns().serve() as server, client(server.url, clock=Ticking()) as holdfast:
        events = holdfast.follow("s", cursor_file=file)
        for seq in ALL:
            assert isinstance(item := await anext(events), RecordedEvent)
            assert item.seq == seq
            # What a successor would find if this process died here.
            assert CursorFile(file, "/v1/sessions/s/stream").load() == seq - 1
        await events.aclose()


async def test_the_file_of_another_stream_or_another_thing_is_left_alone(tmp_path: Path):
    file = tmp_path / "cursor"
    await CursorFile(file, "/v1/sessions/s/stream").save(7)

    async with Holdfast("http://127.0.0.1:1") as holdfast:
        with pytest.raises(CursorFileInvalid, match="/v1/sessions/s/stream"):
            holdfast.follow("other", cursor_file=file)
        for other in (
            "",
            "7",
            "{}",
            '{"stream": "/v1/sessions/s/stream", "cursor": -1}',
            "x" * 9999,
        ):
            file.write_text(other)
            with pytest.raises(CursorFileInvalid):
                holdfast.follow("s", cursor_file=file)
            assert file.read_text() == other


async def test_a_write_that_fails_leaves_the_cursor_that_was_there(tmp_path: Path):
    file = tmp_path / "cursor"
    kept = CursorFile(file, "/v1/sessions/s/stream")
    await kept.save(7)
    elsewhere = CursorFile(tmp_path / "nowhere" / "cursor", "/v1/sessions/s/stream")
    with pytest.raises(OSError, match="nowhere"):
        await elsewhere.save(8)

    assert kept.load() == 7
    assert os.listdir(tmp_path) == ["cursor"]
