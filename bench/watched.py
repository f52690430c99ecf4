"""Many sessions watched, few of them hot: what the idle ones cost those where something happens."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.contenders.contender import Contender, Pace
from bench.loads import BEGIN_IN_S, SETTLE_S, By, Cost, Load, Measured, sleep_until
from bench.rig.readers import Readers


def watched(
    *, sessions: int, hot: int, rate: float, seconds: float, program: Path
) -> Callable[[Contender], Cost]:
    """Live delivery to one client each of `hot` sessions, `rate` events/s in all, while all `sessions` are watched."""

    def run(contender: Contender) -> Cost:
        names = contender.sessions(sessions)
        events = max(2, int(rate * seconds / hot))
        followed = [
            Readers(
                program,
                contender.port,
                [contender.path(name) for name in part],
                connections=len(part),
                until=events,
                timeout_s=seconds + 180,
            )
            for part in (names[hot:], names[:hot])
            if part
        ]
        *quiet, readers = followed
        try:
            for each in quiet:
                each.ready()
            accept_s = readers.ready()
            begin = time.monotonic_ns() + int(BEGIN_IN_S * 1e9)
            contender.publish(names[:hot], Pace(events, int(1e6 * hot / rate), begin))
            sleep_until(begin)
            with Measured(contender) as used:
                seen = readers.result()
            contender.settle(SETTLE_S)
            return used.cost(seen, accept_s)
        finally:
            for each in followed:
                each.stop()

    return run


def watched_loads(program: Path, *, full: bool) -> Mapping[str, Load]:
    """The same hot sessions with and without idle ones beside them: the figures should be alike."""

    def of(sessions: int) -> Load:
        run = watched(
            sessions=sessions, hot=100, rate=1000, seconds=20.0 if full else 5.0, program=program
        )
        return Load(run, (By.GATEWAY, By.WITH_REDIS))

    return {
        "100 hot of 100 watched at 1,000/s": of(100),
        "100 hot of 10,000 watched at 1,000/s": of(10_000),
    }
