"""However a client is cut, it ends up with exactly the bytes that an uninterrupted one has."""

import random

import pytest

from tests.e2e.raw import Frames, RawStream, read_to_end
from tests.e2e.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]

# Small enough to cut at every boundary, large enough for deltas, steps, messages and stages.
TEAM = {"requirement": "a URL shortener"}


@pytest.fixture(scope="module")
def team(stack: Stack) -> dict[str, str]:
    """A finished run of the team."""
    run = stack.start("team", TEAM)
    assert stack.ended(run["run_id"])["status"] == "completed"
    return run


# protocol P3
def test_an_uninterrupted_client_gets_the_bytes_of_the_json_history(
    stack: Stack, team: dict[str, str]
) -> None:
    history = stack.history(team["session_id"])

    frames = read_to_end(f"{stack.url}/v1/runs/{team['run_id']}/stream")

    assert frames.events == [line for line in history if team["run_id"].encode() in line]
    assert [int(line.partition(b'"seq":')[2].split(b",")[0]) for line in history] == list(
        range(1, len(history) + 1)
    )


# protocol P2
def test_a_client_that_is_cut_at_every_event_boundary_misses_and_repeats_nothing(
    stack: Stack, team: dict[str, str]
) -> None:
    """Each connection delivers one event, from alternating gateways, until 204 says that there is no more."""
    url = f"/v1/runs/{team['run_id']}/stream"
    whole = read_to_end(stack.url + url)

    frames, connections = Frames(), 0
    while True:
        stream = RawStream(stack.gateways[connections % 2] + url, last_event_id=frames.cursor)
        connections += 1
        if stream.status == 204:
            stream.close()
            break
        seen = len(frames.events)
        for frame in stream.frames():
            frames.take(frame)
            if len(frames.events) > seen:
                break
        stream.close()

    assert frames.events == whole.events
    assert connections == len(whole.events) + 1


def test_a_client_that_is_cut_in_the_middle_of_frames_misses_and_repeats_nothing(
    stack: Stack, team: dict[str, str]
) -> None:
    """What came of a frame before the cut doesn't count: only a whole one moves the cursor."""
    url = f"/v1/runs/{team['run_id']}/stream"
    whole = read_to_end(stack.url + url)
    chance = random.Random(1337)

    frames, connections = Frames(), 0
    while True:
        stream = RawStream(stack.gateways[connections % 2] + url, last_event_id=frames.cursor)
        connections += 1
        if stream.status == 204:
            stream.close()
            break
        pending, budget = b"", chance.randrange(200, 6000)
        for chunk in stream.bytes():
            pending = (pending + chunk)[:budget]
            if len(pending) == budget:
                break
        stream.close()
        for frame in pending.split(b"\n\n")[:-1]:
            frames.take(frame)

    assert frames.events == whole.events
    assert connections > 5


def test_a_live_client_that_is_cut_again_and_again_sees_what_the_log_says(stack: Stack) -> None:
    """The run is going on while the client comes and goes."""
    run = stack.start("ticker", {"events": 300, "interval_ms": 5})
    url = f"/v1/runs/{run['run_id']}/stream"
    chance = random.Random(7)

    frames, connections = Frames(), 0
    while True:
        stream = RawStream(stack.gateways[connections % 2] + url, last_event_id=frames.cursor)
        connections += 1
        if stream.status == 204:
            stream.close()
            break
        left = chance.randrange(1, 30)
        for frame in stream.frames():
            seen = len(frames.events)
            frames.take(frame)
            left -= len(frames.events) - seen
            if left <= 0:
                break
        stream.close()

    history = stack.history(run["session_id"])
    assert frames.events == [line for line in history if run["run_id"].encode() in line]


@pytest.mark.parametrize("types", ["message.*", "step.started,step.completed,run.completed"])
def test_a_filtered_client_that_is_cut_gets_exactly_what_passes_the_filter(
    stack: Stack, team: dict[str, str], types: str
) -> None:
    """Filtered events are accounted for by id-only frames, so the cursor moves past them."""
    url = f"/v1/runs/{team['run_id']}/stream?types={types}"
    names = [name.removesuffix("*") for name in types.split(",")]
    wanted = [
        line
        for line in read_to_end(f"{stack.url}/v1/runs/{team['run_id']}/stream").events
        if any(f'"type":"{name}'.encode() in line for name in names)
        or b'"type":"run.completed"' in line
    ]

    frames, connections = Frames(), 0
    while True:
        stream = RawStream(stack.gateways[connections % 2] + url, last_event_id=frames.cursor)
        connections += 1
        if stream.status == 204:
            stream.close()
            break
        seen = len(frames.events)
        for frame in stream.frames():
            frames.take(frame)
            if len(frames.events) > seen:
                break
        stream.close()

    assert frames.events == wanted


@pytest.mark.parametrize("harm", ["trimmed", "deleted"])
# protocol P2
def test_any_seq_can_be_resumed_when_the_redis_stream_is_gone(stack: Stack, harm: str) -> None:
    run = stack.start("ticker", {"events": 60, "interval_ms": 0})
    stack.ended(run["run_id"])
    for window in stack.windows():
        if harm == "deleted":
            stack.redis("DEL", window)
        else:
            stack.redis("XTRIM", window, "MAXLEN", 3)
    whole = [line for line in stack.history(run["session_id"]) if run["run_id"].encode() in line]
    url = f"/v1/runs/{run['run_id']}/stream"

    for after in range(len(whole)):
        frames = read_to_end(stack.gateways[after % 2] + url, last_event_id=after)

        assert frames.events == [line for line in whole if _seq(line) > after], after


def _seq(line: bytes) -> int:
    return int(line.partition(b'"seq":')[2].split(b",")[0])
