"""Sessions of any length, made by the production append in large batches: a conversation of run after run.

Nothing is faked in Postgres: events are numbered and encoded by the owner's own `SessionLog`, appended by the fenced
append under the session's epoch, and published to the window as its owner would.
"""

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import asyncpg

from holdfast.events import catalog as c
from holdfast.events.clock import SystemClock
from holdfast.events.recorded import Context, Emission
from holdfast.events.store import Claim, SessionStatus
from holdfast.events.store_postgres import open_store
from holdfast.events.stream_redis import RedisStream
from holdfast.local.postgres_server import DATABASE, USER
from holdfast.orchestrator.session_log import SessionLog
from tests.e2e.stack import Stack, eventually
from tests.faults.rig import Rig

# Events in one append, where a worker takes a few hundred: the same statement, five times as fast here.
BATCH_EVENTS = 2_000

# Deltas of one answer and characters of each: an answer of 4,000 characters, some 1,000 tokens, in coalesced pieces.
DELTAS, DELTA_CHARS = 40, 100

# Events that a conversation's turn has beside its deltas.
TURN_EVENTS = DELTAS + 12

_WORDS = [
    "the",
    "log",
    "remembers",
    "and",
    "a",
    "window",
    "moves",
    "what",
    "nobody",
    "waits",
    "for",
]


@dataclass(frozen=True, slots=True)
class Made:
    """A session that is there, with its number in this log."""

    session_id: str
    session: int
    events: int


def make_session(
    stack: Stack, rig: Rig, events: int, *, say: Callable[[str], object], chars: int = DELTA_CHARS
) -> Made:
    """Make a session whose head is `events` and that nobody owns."""
    session_id = rig.session()
    eventually("the session is created and released", lambda: _free(rig, session_id))
    number, epoch, head = rig.rows(
        "select id, epoch, next_seq - 1 from sessions where session_id = %s", session_id
    )[0]
    claim = Claim(
        session=number,
        tenant="local",
        session_id=session_id,
        status=SessionStatus.ACTIVE,
        epoch=epoch,
        head=head,
        published=head,
        last_ts=None,
        metadata={},
        ttl_s=None,
        taken_over=False,
        commands=(),
        runs=(),
    )
    redis_url = f"redis://{stack.processes()['redis']['address']}/0"
    asyncio.run(_append(claim, events, chars, database_url(stack), redis_url, say))
    return Made(session_id, number, events)


def database_url(stack: Stack) -> str:
    """Return where the stack's log is."""
    password = (stack.data_dir / "postgres" / "password").read_text(encoding="ascii").strip()
    return f"postgresql://{USER}:{password}@{stack.processes()['postgres']['address']}/{DATABASE}"


def _free(rig: Rig, session_id: str) -> bool:
    rows = rig.rows("select owner, next_seq from sessions where session_id = %s", session_id)
    return rows[0] == (None, 2)


async def _append(
    claim: Claim,
    events: int,
    chars: int,
    log_url: str,
    redis_url: str,
    say: Callable[[str], object],
) -> None:
    store = await open_store(log_url, pool_max=1, application_name="holdfast-bench")
    stream = RedisStream.open(redis_url, log_id=store.log_id)
    log = SessionLog(claim, clock=SystemClock())
    turns = conversation(claim.session, chars)
    said = 0
    try:
        while log.committed_head < events:
            wanted = min(BATCH_EVENTS, events - log.committed_head)
            log.add([next(turns) for _ in range(wanted)])
            batch, entries = log.batch(wanted)
            if await store.writer.append([batch]):
                raise RuntimeError("somebody else owns the session")
            recorded = log.commit(entries)
            await stream.publish(claim.session, recorded, at_rest=True)
            log.published = recorded[-1].seq
            if log.committed_head - said >= 100_000:
                said = log.committed_head
                say(f"{said:,} events appended")
        await store.claims.mark_published({claim.session: log.committed_head})
    finally:
        await stream.close()
        await store.close()
    # What a log of this size has after an hour, when autovacuum has been by.
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(log_url)
    try:
        await connection.execute("vacuum (analyze) events")
    finally:
        await connection.close()


def conversation(session: int, chars: int = DELTA_CHARS) -> Iterator[Emission]:
    """Yield the events of one turn after the other, for ever: a question, an answer in pieces, a tool, an end."""
    dice = random.Random(session)
    turn = 0
    while True:
        turn += 1
        run_id = f"run_{session:08d}_{turn:016d}"
        step, message = "answer/llm#1", f"{run_id}.m"
        run = Context(run_id=run_id, attempt=1, trace_id="5af7651916cd43dd8448eb211c80319c")
        work = Context(run_id=run_id, attempt=1, step=step, agent="Ann", trace_id=run.trace_id)
        pieces = [_text(dice, chars) for _ in range(DELTAS)]
        yield Emission(c.CommandAccepted(command_id=f"cmd_{turn}", kind="start"), run)
        yield Emission(c.RunStarted(workflow="talk", workflow_version="1", input="go on"), run)
        yield Emission(
            c.MessageCompleted(
                message_id=f"{run_id}.q", role="user", content=_text(dice, 80), duration_ms=0
            ),
            run,
        )
        yield Emission(c.StepStarted(name="llm"), work, f"{step}/started")
        yield Emission(c.LlmStarted(call_id=message, model="m"), work)
        yield Emission(c.MessageStarted(message_id=message), work)
        for piece in pieces:
            yield Emission(c.MessageDelta(message_id=message, text=piece), work)
        whole = c.MessageCompleted(message_id=message, content="".join(pieces), duration_ms=4_000)
        yield Emission(whole, work, f"{step}/completed")
        yield Emission(c.LlmCompleted(call_id=message, model="m", duration_ms=4_000), work)
        yield Emission(c.ToolStarted(call_id="t", name="search", args={"q": _text(dice, 20)}), work)
        found = c.ToolCompleted(call_id="t", name="search", result=_text(dice, 200), duration_ms=9)
        yield Emission(found, work)
        yield Emission(c.StepCompleted(name="llm", duration_ms=4_100), work, f"{step}/done")
        yield Emission(c.RunCompleted(result=None, duration_ms=4_200), run)


def _text(dice: random.Random, chars: int) -> str:
    words = " ".join(dice.choices(_WORDS, k=chars // 4 + 2))
    return words[:chars]
