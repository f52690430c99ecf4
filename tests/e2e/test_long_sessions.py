"""A session ten times as long costs the gateway no more memory, however it is opened."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.history.making import make_session
from bench.history.million import Opening
from holdfast.events.fold.state import WEIGHT_MAX
from tests.e2e.stack import Stack, running
from tests.faults.rig import Rig

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.fault,
    pytest.mark.long,
    pytest.mark.postgres,
    pytest.mark.redis,
]

SHORT, LONG = 3_000, 30_000

# Characters of a delta: the long session is some 30 MB of frames.
CHARS = 600

# A page of the store, its frames and what is on its way to the client: 2 MB each; the rest is the allocator's. Whoever
# holds what passes through holds three times as much.
STREAMED_KB = 12 * 1024

# A state of the greatest weight as objects, its JSON three times: in the snapshot, in the answer, on its way out.
FOLDED_KB = 32 * 1024


@pytest.fixture
def stack(server_dir: Path) -> Iterator[Stack]:
    """A gateway of our own: what others do to it would count."""
    with running(server_dir / "stack") as stack:
        yield stack


def test_a_long_session_is_opened_in_constant_memory(stack: Stack) -> None:
    rig = Rig(stack)
    try:
        for events in (SHORT, LONG):
            made = make_session(stack, rig, events, say=lambda _: None, chars=CHARS)
            opening = Opening(stack, rig, made, slow=False)
            done = {name: opening.do(name, deed) for name, deed in opening.deeds().items()}
        snapshots = rig.rows("select count(*) from snapshots")
    finally:
        rig.close()

    states = {name: deed for name, deed in done.items() if "state" in name or name == "messages"}
    assert {name: deed.grown_kb for name, deed in states.items() if deed.grown_kb > FOLDED_KB} == {}
    streams = {name: deed for name, deed in done.items() if name not in states}
    assert {
        name: deed.grown_kb for name, deed in streams.items() if deed.grown_kb > STREAMED_KB
    } == {}
    assert done["stream from the start, one client"].size > 3 * STREAMED_KB * 1024
    assert all(deed.size < 1.25 * WEIGHT_MAX for deed in states.values())
    # Erased, with all that was made of them.
    assert snapshots == [(0,)]
