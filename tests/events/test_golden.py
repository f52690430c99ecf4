"""Old logs must stay readable for ever: every line that was ever golden still is."""

import orjson
import pytest

from holdfast.events.catalog import MODELS, UnknownEvent
from holdfast.events.codec import encode
from holdfast.events.recorded import Context, RecordedEvent
from tests.events.golden import GOLDEN, vector
from tests.events.samples import BY_TYPE, recorded
from tests.events.stories import STORIES

LINES = sorted(GOLDEN.glob("v*/*.json"))


def _read(body: bytes) -> RecordedEvent:
    envelope = orjson.loads(body)
    return RecordedEvent(envelope["seq"], envelope["type"], envelope.get("run_id"), body)


def _context(event: RecordedEvent) -> Context:
    fields = ("attempt", "agent", "step", "lane", "parent_run_id", "task_id", "item_id")
    more = ("user_id", "trace_id")
    return Context(
        run_id=event.run_id,
        metadata=event.metadata or {},
        **{name: getattr(event, name) for name in fields + more},
    )


def test_every_type_has_a_golden_line() -> None:
    """A type without one could change unnoticed: `python -m tests.events.golden` writes it."""
    assert {path.stem for path in GOLDEN.glob("v1/*.json")} >= set(MODELS)


@pytest.mark.parametrize("path", LINES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_a_golden_line_is_read_and_encoded_to_the_same_bytes(path) -> None:
    line = path.read_bytes()
    event = _read(line.removesuffix(b"\n"))

    assert line.count(b"\n") == 1
    assert event.type == path.stem
    assert not isinstance(event.event, UnknownEvent)
    again = encode(
        event.event,
        _context(event),
        session_id=event.session_id,
        seq=event.seq,
        ts=event.ts,
    )
    assert again == event.body


@pytest.mark.parametrize("type_", list(MODELS))
def test_the_writer_still_writes_what_is_golden(type_: str) -> None:
    event, context = BY_TYPE[type_]

    assert (GOLDEN / "v1" / f"{type_}.json").read_bytes() == (
        recorded(event, context, seq=42).body + b"\n"
    )


@pytest.mark.parametrize("name", list(STORIES))
def test_the_fold_s_vectors_are_current(name: str) -> None:
    """Twins in other languages are tested with them; a change here needs a new FOLD_VERSION."""
    assert (GOLDEN / "fold" / f"{name}.json").read_bytes() == vector(STORIES[name])
