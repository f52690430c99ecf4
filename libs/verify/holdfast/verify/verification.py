"""`holdfast verify`: a load and a crowd in sessions of our own, then everything that was written down to the checker.

Whatever happens, the sessions are erased and their runs with them. Stopped in the middle, it checks what there is.
"""

import asyncio
import ipaddress
import secrets
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2

from holdfast.client import ClientError, Holdfast, ProblemError, Unreachable
from holdfast.verify.checker import check
from holdfast.verify.crowd import Crowd
from holdfast.verify.gauges import Gauges, measures, read_gauges
from holdfast.verify.history import BOUND_S, Client, Copy, History, RunRow
from holdfast.verify.index import Index
from holdfast.verify.load import Load
from holdfast.verify.log import SessionLog
from holdfast.verify.numbers import numbers
from holdfast.verify.plan import FRAMES_MAX, PREFIX, Plan, Timeline
from holdfast.verify.report import Report
from holdfast.verify.rows_postgres import Rows, read_rows
from holdfast.verify.truth import Pages
from holdfast.verify.windows_redis import read_windows

# How often progress is told, and what has come to rest is looked at.
LOOK_EVERY_S = 0.25

# Cleaning up may take this long, also after Ctrl-C; so many sessions at a time.
CLEAN_S = 20.0
CLEANERS = 8

# Stopped, it waits for its runs to end and its clients to see it for as long. With the cleaning it is gone within the
# 30 s that most give a process after SIGTERM, on a system that answers.
STOP_S = 4.0

T = TypeVar("T")

_CREATED = 409  # the session is there: an earlier try of ours made it


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a verification is."""

    phase: str
    elapsed_s: float
    total_s: float
    delivered: int


class Stopped(Exception):
    """It was stopped before there was anything to check."""


class Verification:
    """One verification; call `run` once."""

    def __init__(
        self, plan: Plan, on_progress: Callable[[Progress], None] = lambda _: None
    ) -> None:
        self._plan, self._on_progress = plan, on_progress
        self._prefix = f"{PREFIX}{secrets.token_hex(4)}"
        self._sessions = [f"{self._prefix}-{n}" for n in range(1, plan.sessions + 1)]
        self._timeline = Timeline()
        self._begun = self._timeline.now()
        self._notes: list[str] = []
        self._stopping = asyncio.Event()
        self._stopped_by: str | None = None

    def stop(self, why: str) -> None:
        """Start nothing more, cancel what runs, and report on what there was."""
        self._stopped_by = self._stopped_by or why
        self._stopping.set()

    async def run(self) -> Report:
        """Do all of it. Raises Unreachable, ProblemError, AnswerInvalid, StoreUnavailable, StreamUnavailable, and
        Stopped when it was stopped before its clients came.
        """
        plan = self._plan
        async with Holdfast(plan.urls, headers=plan.headers) as client:
            load = Load(plan, client, self._timeline)
            await self._unless_stopped(self._ready(client))
            before = await self._unless_stopped(read_gauges(plan))
            try:
                for session in self._sessions:
                    await self._unless_stopped(self._create(client, load, session))
                crowd = await self._let_run(client, load)
                history = await self._gather(client, load, crowd.clients, before)
            except BaseExceptionGroup as group:
                # One failure is what there is to say; the others are its echo.
                raise group.exceptions[0] from group
            finally:
                # Shielded: a Ctrl-C in the middle must not leave runs behind that go on for ever.
                await asyncio.shield(self._clean(client, load))
            connects = [s for reader in crowd.readers for s in reader.connects]
            if refusals := sum(reader.refusals for reader in crowd.readers):
                self._notes.append(f"{refusals} stream requests were refused")
            return Report(
                seed=self._plan.seed,
                prefix=self._prefix,
                seconds=self._timeline.now() - self._begun,
                numbers=numbers(history, connects=connects),
                violations=check(history),
                checked=self._checked(),
                notes=self._notes,
                stopped_by=self._stopped_by,
            )

    async def _unless_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.create_task(work)
        stop = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([task, stop], return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise Stopped(f"stopped by {self._stopped_by} before anything was checked")
            return task.result()
        finally:
            task.cancel()
            stop.cancel()

    async def _ready(self, client: Holdfast) -> None:
        known = {str(item["name"]): item for item in await client.workflows()}
        found = known.get(self._plan.workflow)
        if found is None:
            raise ValueError(
                f"no workflow {self._plan.workflow!r}; known: {', '.join(sorted(known)) or 'none'}"
            )
        if not found.get("workers"):
            raise Unreachable(
                self._plan.urls[0], f"no live worker has workflow {self._plan.workflow!r}"
            )

    async def _create(self, client: Holdfast, load: Load, session: str) -> None:
        metadata = {"by": "holdfast verify"}
        try:
            await load.patiently(lambda: client.create_session(session, metadata=metadata))
        except ProblemError as error:
            if error.status != _CREATED:
                raise

    async def _let_run(self, client: Holdfast, load: Load) -> Crowd:
        until = self._timeline.now() + self._plan.duration_s
        async with asyncio.TaskGroup() as group:
            crowd = Crowd(self._plan, self._sessions, self._timeline, group)
            crowd.come()
            drivers = [
                group.create_task(load.drive(session, until, crowd.on_run))
                for session in self._sessions
            ]
            while not all(driver.done() for driver in drivers) and not self._stopping.is_set():
                self._tell("running", crowd)
                if crowd.frames > FRAMES_MAX and not load.full:
                    load.full = True
                    self._notes.append(f"stopped early, with {crowd.frames:,} frames to check")
                await asyncio.sleep(LOOK_EVERY_S)
            for driver in drivers:
                driver.cancel()  # without effect, unless it was stopped
            crowd.calm()
            if self._stopping.is_set():
                await self._cancel_runs(client, load, load.open)
            await self._runs_end(load, crowd)
            await self._all_seen(crowd)
            await crowd.leave()
        return crowd

    async def _runs_end(self, load: Load, crowd: Crowd) -> None:
        begun = self._timeline.now()
        while load.open and self._timeline.now() - begun < self._patience_s(self._plan.patience_s):
            self._tell("waiting for runs to end", crowd)
            for run_id in list(load.open):
                await load.ended(run_id)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _all_seen(self, crowd: Crowd) -> None:
        index = Index(History(logs=(await self._pages())[0]))
        begun = self._timeline.now()
        while crowd.behind(index) and self._timeline.now() - begun < self._patience_s(BOUND_S):
            self._tell("waiting for clients", crowd)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _gather(
        self, client: Holdfast, load: Load, clients: list[Client], before: Gauges
    ) -> History:
        plan = self._plan
        logs, copies = await self._pages()
        shown = [
            RunRow(
                run_id=run_id,
                session=str(run["session_id"]),
                status=str(run["status"]),
                attempts=int(run["attempts"]),
            )
            for run_id in dict.fromkeys(ask.run_id for ask in load.asks)
            for run in [await load.patiently(lambda run_id=run_id: client.run(run_id))]
        ]
        rows: Rows | None = None
        if plan.database_url:
            rows = await read_rows(plan.database_url, self._sessions)
            # The first gateway's pages are one more copy now.
            copies += [_copy_of(log, plan.urls[0]) for log in logs]
            if plan.redis_url:
                copies += await read_windows(plan.redis_url, rows.log_id, rows.numbers)
        return History(
            logs=rows.logs if rows else logs,
            clients=clients,
            copies=copies,
            runs=[*shown, *(rows.runs if rows else ())],
            commands=rows.commands if rows else (),
            asks=load.asks,
            measures=await measures(plan, before) if plan.alone else (),
            # When each was recorded is known from Postgres only, and comparable on one machine only.
            one_clock=rows is not None and all(_is_here(url) for url in plan.urls),
            seed=plan.seed,
            # What was stopped had no time to come to rest: order, agreement and isolation hold all the same.
            settled=not self._stopping.is_set(),
        )

    def _patience_s(self, usual_s: float) -> float:
        return min(usual_s, STOP_S) if self._stopping.is_set() else usual_s

    async def _pages(self) -> tuple[list[SessionLog], list[Copy]]:
        """Return the logs by the first gateway that answers, and every other gateway's copies of them."""
        logs: list[SessionLog] | None = None
        copies: list[Copy] = []
        failure: ClientError | None = None
        async with httpx2.AsyncClient(headers=dict(self._plan.headers)) as http:
            for url in self._plan.urls:
                pages = Pages(http, url)
                try:
                    if logs is None:
                        logs = [await pages.log(session) for session in self._sessions]
                    else:
                        copies += [await pages.copy(session) for session in self._sessions]
                except Unreachable as error:
                    failure = error
        if logs is None:
            raise failure or Unreachable(self._plan.urls[0], "no gateway")
        return logs, copies

    async def _clean(self, client: Holdfast, load: Load) -> None:
        turn = asyncio.Semaphore(CLEANERS)

        async def clean(session: str) -> None:
            async with turn:
                with suppress(ClientError):
                    asked = [ask.run_id for ask in load.asks if ask.session == session]
                    await self._cancel_runs(client, load, asked)
                    # An erasure ends whatever is open, also a run whose start was never answered.
                    await client.erase(session)
                    return
                self._notes.append(f"session {session} could not be erased")

        with suppress(TimeoutError):
            async with asyncio.timeout(CLEAN_S):
                await asyncio.gather(*(clean(session) for session in self._sessions))

    async def _cancel_runs(self, client: Holdfast, load: Load, runs: Iterable[str]) -> None:
        for run_id in [run_id for run_id in dict.fromkeys(runs) if run_id in load.open]:
            with suppress(ProblemError):
                await client.cancel(run_id, reason="verify is over")

    def _tell(self, phase: str, crowd: Crowd) -> None:
        elapsed = self._timeline.now() - self._begun
        self._on_progress(Progress(phase, elapsed, self._plan.duration_s, crowd.frames))

    def _checked(self) -> list[str]:
        plan = self._plan
        found = ["streams", "pages", "runs"]
        found += ["rows and epochs in Postgres", "commands"] if plan.database_url else []
        found += ["windows in Redis"] if plan.redis_url else []
        found += ["gauges"] if plan.alone else []
        return found


def _copy_of(log: SessionLog, url: str) -> Copy:
    events = [(event.seq, event.digest) for event in log.events]
    return Copy(name=f"pages of {url}", session=log.session, events=events, whole=True)


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
