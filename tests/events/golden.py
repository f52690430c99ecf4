"""The golden files: one wire line per event type and version, written once and never changed.

`python -m tests.events.golden` writes the lines of new types, and the vectors of the fold; a line
that exists is a promise to every reader of old logs and is left alone.
"""

from pathlib import Path

import orjson

from holdfast.events.fold import fold, to_plain
from holdfast.events.recorded import RecordedEvent
from tests.events.samples import SAMPLES, recorded
from tests.events.stories import STORIES

GOLDEN = Path(__file__).parents[1] / "golden"


def main() -> None:
    for event, context in SAMPLES:
        path = GOLDEN / "v1" / f"{event.type}.json"
        if not path.exists():
            path.write_bytes(recorded(event, context, seq=42).body + b"\n")
    for name, events in STORIES.items():
        (GOLDEN / "fold" / f"{name}.json").write_bytes(vector(events))


def vector(events: list[RecordedEvent]) -> bytes:
    """Return what the fold's twins are tested with: wire events and the state they add up to."""
    content = {"events": [e.envelope for e in events], "state": to_plain(fold(events))}
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


if __name__ == "__main__":
    main()
