"""Clients that nobody here wrote read a run through cuts, resume by themselves, and stop at its end.

Two runs are read by all of them at once: a cut costs each client the `retry:` that it was told, 1.5
to 4 s, which is waited once and not once per client.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.stack import Stack
from tests.interop.readers import PROGRAMS, Reader

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]

# An event is some 300 bytes, a run of these some 200 KB: the first cut comes while it runs, both
# in the middle of a frame.
CUTS_AFTER_BYTES = (15_001, 20_003)

# Three pieces of stream and two waits of at most 4 s.
RUNS: dict[str, dict[str, Any]] = {
    "ticker": {"events": 600, "interval_ms": 15},
    "team": {"requirement": "a URL shortener, für Ünïcödé \u2028 and <b>"},
}


@dataclass
class Read:
    """What a client saw of one run, and what the log says of it."""

    reader: Reader
    stopped: bool
    lines: list[bytes]


@pytest.fixture(scope="module")
def reads(stack: Stack) -> Iterator[dict[tuple[str, str], Read]]:
    """Every client's reading of every run."""
    reads: dict[tuple[str, str], Read] = {}
    runs = {workflow: stack.start(workflow, given) for workflow, given in RUNS.items()}
    readers = {
        (workflow, client): Reader(
            client, stack.gateways, f"/v1/runs/{run['run_id']}/stream", CUTS_AFTER_BYTES
        )
        for workflow, run in runs.items()
        for client in PROGRAMS
    }
    try:
        for workflow, run in runs.items():
            ended = stack.ended(run["run_id"], within_s=60)
            assert ended["status"] == "completed"
            history = stack.history(run["session_id"])
            lines = [line for line in history if run["run_id"].encode() in line]
            for client in PROGRAMS:
                key = workflow, client
                reads[key] = Read(readers[key], readers[key].wait(within_s=30), lines)
        yield reads
    finally:
        for reader in readers.values():
            reader.close()


@pytest.mark.parametrize("client", PROGRAMS)
@pytest.mark.parametrize("workflow", RUNS)
def test_a_client_that_is_cut_reads_the_whole_run_and_stops(
    client: str, workflow: str, reads: dict[tuple[str, str], Read]
) -> None:
    """Every event once, in order, byte for byte; then 204 ends it (protocol P1, P2, P3, P12)."""
    read = reads[workflow, client]
    reader = read.reader

    assert reader.errors == []
    assert [data.encode() for _, data in reader.events] == read.lines
    seqs = [seq for seq, _ in reader.events]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    assert seqs == [json.loads(data)["seq"] for _, data in reader.events]
    assert (read.stopped, reader.end) == (True, "204")
    assert reader.proxy.cuts == len(CUTS_AFTER_BYTES)
    assert reader.proxy.connections > len(CUTS_AFTER_BYTES)
