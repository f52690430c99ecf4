"""All clients come back at once: how long it takes until the last one has everything, and that nobody missed a thing.

`storm` needs a deployment that it may load: it makes sessions of its own whose runs go on all the time, lets clients
follow them, breaks all of their connections in one moment (or has somebody else do it), and lets everybody connect
again without a pause, as no decent client would. Each frame of each client is checked as it comes.
"""

import asyncio
import math
import re
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.faults.swarm import Client

# What every client has to catch up with when it first comes: less than a page, more than nothing.
BACKLOG = 200

# One event each half second and session: often enough to notice who is not live, and 10,000 deliveries a second at
# 5,000 clients, which this process can take.
TICK_MS = 500

# Longer than any storm: the runs are cancelled when it is over.
TICKS = 2_000

# A gateway compares heads every 2 to 3 s; one that took longer than this between two of them was held up.
CHECK_LATE_S = 5.0

# Connections of one machine that are opened in one go, before it hands the loop over: as a load balancer would.
PER_SESSION = 50

_SAMPLE_S = 0.25
_LOOK_S = 0.05

Disturb = Callable[[], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class StormReport:
    """What a storm did. Times are seconds after the moment in which everything broke."""

    clients: int
    sessions: int
    served_again_s: float  # the first client was back
    recovered_p50_s: float  # half of them had all that there was when they connected
    recovered_p99_s: float
    recovered_s: float  # all of them
    connects: int  # tries to come back
    refused: int  # of them told to come later
    checks: (
        int  # head checks of the gateways since the beginning, in processes that are still there
    )
    late_checks: int  # of them later than CHECK_LATE_S after the one before
    waiting_max: int  # requests in line, at most
    postgres_connections_max: int  # of one gateway
    events: int  # delivered, to all clients
    violations: Sequence[str] = ()

    def __str__(self) -> str:
        return (
            f"{self.clients} clients of {self.sessions} sessions: first back after {self.served_again_s:.2f} s,"
            f" half after {self.recovered_p50_s:.2f} s, 99 % after {self.recovered_p99_s:.2f} s,"
            f" all after {self.recovered_s:.2f} s; {self.connects} connects, {self.refused} refused,"
            f" {self.waiting_max} in line at most, {self.late_checks} of {self.checks} head checks late,"
            f" {self.postgres_connections_max} connections to Postgres at most, {self.events} events,"
            f" {len(self.violations)} violations"
        )


@dataclass
class _Session:
    """A session, and its events as its first reader got them."""

    session_id: str
    run_id: str
    events: dict[int, bytes] = field(default_factory=dict[int, bytes])


class _Caller(Client):
    """A client that holds no history: each event is compared with what others got, and forgotten."""

    def __init__(self, gateways: Sequence[str], session: _Session, *, first: int) -> None:
        super().__init__(gateways, f"/v1/sessions/{session.session_id}/stream", first=first)
        self.session = session
        self.live_at: float | None = None  # when this connection had caught up
        self.first_at: float | None = None  # when this connection was served
        self.connects = self.refused = self.events = 0
        self.wrong: str | None = None
        self._connection: asyncio.Task[float] | None = None

    def cut(self) -> None:
        """Break the connection off."""
        if self._connection is not None:
            self._connection.cancel()

    async def keep_following(self) -> None:
        """Follow for ever; come back at once, unless a gateway asks for a pause."""
        while True:
            self._connection = asyncio.create_task(self._follow_once())
            try:
                pause = await self._connection
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    self._connection.cancel()
                    raise
                pause = 0.0
            await asyncio.sleep(pause)

    async def _follow_once(self) -> float:
        url = self._gateways[self._turn % len(self._gateways)]
        self._turn += 1
        self.connects += 1
        self.live_at = self.first_at = None
        last = b""
        try:
            async for last in self._frames(url):
                self._take(last)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            return 0.05  # nobody listens: a connect costs nothing, but not nothing at all
        except AssertionError as error:
            self.wrong = self.wrong or f"{self.session.session_id}: {error}"
            return 1.0
        if self.first_at is None:
            self.refused += 1
        told = re.search(rb"retry: (\d+)", last)
        return int(told[1]) / 1000 if told else 0.05

    def _take(self, frame: bytes) -> None:
        super()._take(frame)
        if b"event: caught-up" in frame:
            self.live_at = time.monotonic()
        if self.first_at is None and (b"data: " in frame):
            self.first_at = time.monotonic()
        for event in self.frames.events:
            self.events += 1
            seq = self.frames.cursor or 0
            known = self.session.events.setdefault(seq, event)
            assert known == event, f"event {seq} is not what another client got"
        self.frames.events.clear()
        self.frames.control.clear()
        self.retries.clear()


async def storm(
    *,
    clients: int,
    url: str | Sequence[str],
    disturb: Disturb | None = None,
    within_s: float = 60.0,
) -> StormReport:
    """Let `clients` follow sessions at `url` (one gateway or several), break everything, and watch them come back.

    `disturb` does the breaking; without it, the connections are cut on the clients' side. Fails when not all are back
    `within_s` after that.
    """
    _raise_descriptor_limit(clients)
    urls = [url] if isinstance(url, str) else list(url)
    async with httpx2.AsyncClient(base_url=urls[0], timeout=30) as http:
        sessions = [await _session(http) for _ in range(max(1, math.ceil(clients / PER_SESSION)))]
        callers = [_Caller(urls, sessions[n % len(sessions)], first=n) for n in range(clients)]
        gauges = _Gauges(urls)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(caller.keep_following()) for caller in callers]
            tasks.append(group.create_task(gauges.watch()))
            await _until(lambda: _live(callers), within_s, "all clients are live")
            before = sum(caller.connects for caller in callers), sum(c.refused for c in callers)
            broken_at = time.monotonic()
            if disturb is not None:
                await disturb()
            else:
                for caller in callers:
                    caller.cut()
            await _until(
                lambda: all(c.live_at is not None and c.live_at > broken_at for c in callers),
                within_s,
                "all clients are back",
            )
            # Live again means that what comes from now on arrives: one more event for everybody.
            marks = {s.session_id: max(s.events) for s in sessions}
            await _until(
                lambda: all(c.cursor > marks[c.session.session_id] for c in callers),
                within_s,
                "all clients get what is new",
            )
            back = sorted(c.live_at - broken_at for c in callers if c.live_at is not None)
            first = min(c.first_at - broken_at for c in callers if c.first_at is not None)
            for task in tasks:
                task.cancel()
        violations = [caller.wrong for caller in callers if caller.wrong]
        for session in sessions:
            await http.post(f"/v1/runs/{session.run_id}/cancel")
            violations += [v async for v in _compared(http, session)]
    return StormReport(
        clients=clients,
        sessions=len(sessions),
        served_again_s=first,
        recovered_p50_s=back[len(back) // 2],
        recovered_p99_s=back[math.ceil(len(back) * 0.99) - 1],
        recovered_s=back[-1],
        connects=sum(caller.connects for caller in callers) - before[0],
        refused=sum(caller.refused for caller in callers) - before[1],
        checks=gauges.checks,
        late_checks=gauges.late_checks,
        waiting_max=gauges.waiting_max,
        postgres_connections_max=gauges.connections_max,
        events=sum(caller.events for caller in callers),
        violations=violations,
    )


async def _session(http: httpx2.AsyncClient) -> _Session:
    """Make a session with a past, and a run that goes on."""
    past = await _start(http, "/v1/runs", BACKLOG, 0)
    while True:
        run = (await http.get(f"/v1/runs/{past['run_id']}")).json()
        if run["status"] == "completed":
            break
        await asyncio.sleep(_LOOK_S)
    session_id = past["session_id"]
    present = await _start(http, f"/v1/sessions/{session_id}/runs", TICKS, TICK_MS)
    return _Session(session_id, present["run_id"])


async def _start(
    http: httpx2.AsyncClient, path: str, events: int, interval_ms: int
) -> dict[str, Any]:
    answer = await http.post(
        path,
        json={"workflow": "ticker", "input": {"events": events, "interval_ms": interval_ms}},
    )
    assert answer.status_code == 202, answer.text
    return answer.json()


async def _compared(http: httpx2.AsyncClient, session: _Session) -> AsyncIterator[str]:
    """Hold what was received against the log's pages, and yield what differs."""
    seen, after = session.events, 0
    while after < max(seen):
        page = await http.get(
            f"/v1/sessions/{session.session_id}/events", params={"after": after, "limit": 500}
        )
        for event in page.json()["items"]:
            seq = event["seq"]
            if seq <= max(seen) and seq not in seen:
                yield f"{session.session_id}: event {seq} reached nobody"
        after = page.json()["next_after"]


class _Gauges:
    """What the gateways say of themselves, over and over."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = urls
        self._checks: dict[str, tuple[int, int]] = {}
        self.waiting_max = self.connections_max = 0

    @property
    def checks(self) -> int:
        """How many head checks there were."""
        return sum(count for count, _ in self._checks.values())

    @property
    def late_checks(self) -> int:
        """How many of them came late."""
        return sum(late for _, late in self._checks.values())

    async def watch(self) -> None:
        """Look until cancelled."""
        async with httpx2.AsyncClient(timeout=30) as http:
            while True:
                for url in self._urls:
                    with suppress(httpx2.HTTPError):
                        self._take(url, (await http.get(f"{url}/metrics")).text)
                await asyncio.sleep(_SAMPLE_S)

    def _take(self, url: str, text: str) -> None:
        def value(name: str) -> float:
            found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
            assert found, name
            return float(found[1])

        name = "holdfast_head_check_interval_seconds"
        count = int(value(f"{name}_count"))
        self._checks[url] = (
            count,
            count - int(value(f'{name}_bucket{{le="{CHECK_LATE_S}"}}')),
        )
        self.waiting_max = max(self.waiting_max, int(value("holdfast_sse_waiting")))
        self.connections_max = max(
            self.connections_max, int(value("holdfast_postgres_connections"))
        )


def _live(callers: Sequence[_Caller]) -> bool:
    return all(caller.live_at is not None for caller in callers)


async def _until(check: Callable[[], bool], within_s: float, what: str) -> None:
    deadline = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        await asyncio.sleep(_LOOK_S)


def _raise_descriptor_limit(clients: int) -> None:
    """Let this process open a socket for each client; the gateway's own limit is its starter's to raise."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = clients + 1_000
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
