"""While no worker lives nothing can go on: then clients are told so, and told again when one is back."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.raw import Frames, RawStream
from tests.e2e.stack import eventually
from tests.faults.evidence import check_log, check_ticks
from tests.faults.rig import LEASE_S, WORKERS, Rig, now, rigged

pytestmark = [
    pytest.mark.alone,  # a promised bound is asserted: nothing else may use the cores
    pytest.mark.fault,
    pytest.mark.e2e,
    pytest.mark.postgres,
    pytest.mark.redis,
]

# The promise: `stalled` is said within the lease plus this.
TOLD_S = 5.0

# 10 s of work, of which half a second is done before the workers stop: the rest outlasts a look, so that `live` is
# said. (A run that ends before the next look ends its streams without it.)
TICKS = 500


class Watcher:
    """A client that writes down when it was told what."""

    def __init__(self, url: str) -> None:
        self.frames = Frames()
        self.told: list[tuple[str, float]] = []
        self._stream = RawStream(url, timeout_s=60)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for frame in self._stream.frames():
                self.frames.take(frame)
                if frame.startswith(b"event: "):
                    name = frame.split(b"\n")[0].removeprefix(b"event: ").decode()
                    self.told.append((name, now()))
        finally:
            self._stream.close()

    def hears(self, name: str, *, within_s: float) -> float:
        """Wait until it is told `name`; return when it was."""
        return eventually(
            f"the client is told {name}",
            lambda: next((at for told, at in self.told if told == name), None),
            within_s=within_s,
        )

    def ends(self) -> None:
        """Wait for the end of its stream."""
        self._thread.join(30)
        assert not self._thread.is_alive()


@pytest.fixture(scope="module")
def rig(place: Path) -> Iterator[Rig]:
    with rigged(place / "stalled") as rig:
        yield rig


def test_clients_are_told_when_the_last_worker_has_gone_and_when_one_is_back(rig: Rig) -> None:
    """Both workers stand still, as in a cluster whose workers all hang: nobody starts new ones."""
    run = rig.stack.start("ticker", {"events": TICKS, "interval_ms": 20})
    watchers = [Watcher(f"{url}/v1/runs/{run['run_id']}/stream") for url in rig.stack.gateways]
    rig.reaches(run["session_id"], "message.delta", count=20)

    stopped_at = now()
    for name in WORKERS:
        rig.stack.kill(name, signal.SIGSTOP)
    try:
        stalled_at = [w.hears("stalled", within_s=LEASE_S + TOLD_S + 10) for w in watchers]
        # One that comes in the middle of it is told at once, with what there is.
        late = Watcher(f"{rig.stack.url}/v1/runs/{run['run_id']}/stream")
        late.hears("stalled", within_s=TOLD_S)
        assert not any(told == "live" for w in watchers for told, _ in w.told)
    finally:
        back_at = now()
        for name in WORKERS:
            rig.stack.kill(name, signal.SIGCONT)
    live_at = [w.hears("live", within_s=LEASE_S + TOLD_S + 10) for w in [*watchers, late]]

    # Not before the lease is over (two thirds of it at least were left): until then a worker may merely be slow.
    assert min(stalled_at) - stopped_at >= LEASE_S / 2
    assert max(stalled_at) - stopped_at <= LEASE_S + TOLD_S
    assert max(live_at) - back_at <= LEASE_S + TOLD_S
    assert rig.stack.ended(run["run_id"])["status"] == "completed"
    log = rig.log(run["session_id"])
    check_log(log, run["run_id"])
    check_ticks(log, TICKS)
    for watcher in [*watchers, late]:
        watcher.ends()
        assert watcher.frames.events == [row.body for row in log if row.run_id == run["run_id"]]
