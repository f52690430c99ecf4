"""Holds what a round left behind against every invariant, and against the bound on takeovers."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import orjson

from holdfast.events.kinds import is_terminal
from holdfast.verify.checker import check
from holdfast.verify.history import Call, Copy, Got, History, Measure
from holdfast.verify.rows_postgres import Rows, read_rows
from holdfast.verify.windows_redis import read_windows
from tests.campaign.contents import at_work_at_once, wrong_runs
from tests.campaign.round import LOG_BYTES_MAX, Round
from tests.campaign.takeovers import SLACK_S, Standstill, standstills
from tests.campaign.workflows import NARROW_MOST, narrow

# What a process may hold open in Postgres; the rest are ours, and those that look at a session's row just now.
WORKER_BACKENDS, GATEWAY_BACKENDS, OTHER_BACKENDS = 8, 6, 6

# Backends of processes that were killed notice at their next look at the socket.
BACKENDS_GO_S = 5.0

_KILLED, _TERMINATED = -9, -15


@dataclass(slots=True)
class Verdict:
    """What became of a round."""

    violations: list[str] = field(default_factory=list[str])
    counts: Counter[str] = field(default_factory=Counter[str])
    samples: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    runs: int = 0
    events: int = 0
    clients: int = 0


async def judge(round_: Round, scenario: str, *, whole_windows: bool = True) -> Verdict:
    """Check everything about a round that has come to rest; what it left on disk is removed.

    Without `whole_windows` a window may have holes: each piece between two of them must agree with the log.
    """
    verdict = Verdict(samples=round_.samples)
    field_, notes = round_.field, round_.notes
    deaths = await _deaths(round_, verdict)
    sessions = sorted({ask.session for ask in round_.load.asks})
    rows = await read_rows(field_.database_url, sessions)
    history = await _history(round_, rows)
    if not whole_windows:
        pieces = [piece for copy in history.copies for piece in contiguous(copy)]
        history = replace(history, copies=pieces)
    heading = f"scenario {scenario}, seed {round_.seed}"
    verdict.violations += [f"{heading}: {violation.text()}" for violation in check(history)]
    verdict.violations += [f"{heading}: {text}" for text in round_.broken]
    cancels = frozenset(ask.run_id for ask in history.asks if ask.kind == "cancel")
    wrong = await wrong_runs(field_, round_.load.tickets, cancels)
    verdict.violations += [f"{heading}: {text}" for text in wrong]
    if (at_once := await at_work_at_once(field_, round_.load.tickets)) > NARROW_MOST:
        verdict.violations.append(
            f"{heading}: {at_once} runs of narrow at work at once, {NARROW_MOST} may be"
        )
    tickets = round_.load.tickets.values()
    limited = {ticket.run_id for ticket in tickets if ticket.workflow == narrow.name}
    asks = round_.load.asks
    found = standstills(notes, deaths, rows.numbers, rows.logs, asks, limited=limited)
    for one in found:
        _bounded(round_, one, verdict, heading)
    if not history.asks or not history.appends:
        verdict.violations.append(f"{heading}: nothing was asked for, so nothing was shown")
    verdict.violations += [f"{heading}: {text}" for text in _unfinished(round_, rows)]
    _count(round_, rows, history, verdict)
    verdict.counts["slots.all-taken"] = int(at_once == NARROW_MOST)
    _clear(round_)
    return verdict


def contiguous(copy: Copy) -> list[Copy]:
    """Return the pieces of a window between its holes."""
    pieces: list[list[tuple[int, bytes]]] = []
    for seq, digest in copy.events:
        if not pieces or seq != pieces[-1][-1][0] + 1:
            pieces.append([])
        pieces[-1].append((seq, digest))
    return [replace(copy, events=events) for events in pieces]


async def _deaths(round_: Round, verdict: Verdict) -> dict[str, float]:
    """Return when each dead process died; one that went without being told to is a violation."""
    deaths: dict[str, float] = {}
    forge = round_.field.forge
    for child in list(forge.children.values()):
        if child.alive or child.died_at is None:
            continue
        if child.code == _KILLED:
            # By its own word, if it died of a failpoint; its parent hears of it some moments later.
            deaths[child.name] = round_.notes.killed_at.get(child.name, child.died_at)
        elif child.code == _TERMINATED and child.name not in round_.notes.up:
            continue  # told to end before it knew how to
        elif child.code != 0 or not child.asked_to_end:
            text = forge.log(child.name).read_bytes()[-LOG_BYTES_MAX:].decode(errors="replace")
            said = f"{child.name} ended with {child.code}, armed with {', '.join(child.shots)}"
            verdict.violations.append(f"seed {round_.seed}: {said}:\n{text}")
    spared = [child.name for child in round_.field.spared if not child.alive]
    if spared:
        verdict.violations.append(f"seed {round_.seed}: nobody hurt {spared}, and they are gone")
    return deaths


async def _history(round_: Round, rows: Rows) -> History:
    field_ = round_.field
    names = {number: session for session, number in rows.numbers.items()}
    return History(
        logs=rows.logs,
        clients=round_.crowd.clients,
        appends=round_.notes.appends(names),
        copies=await read_windows(field_.servers.redis.url, rows.log_id, rows.numbers),
        runs=rows.runs,
        commands=rows.commands,
        asks=round_.load.asks,
        calls=_calls(round_),
        measures=[await _backends(round_)],
        settled=True,
        one_clock=True,
        seed=round_.seed,
        schedule=sorted(round_.faults, key=lambda fault: fault.at),
    )


def _calls(round_: Round) -> list[Call]:
    tickets = round_.load.tickets
    found: list[Call] = []
    if not round_.ledger.exists():
        return found
    for line in round_.ledger.read_bytes().splitlines():
        try:
            entry = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue  # torn by a kill
        run_id, _, step = entry.get("key", "").partition(":")
        if run_id in tickets:
            found.append(
                Call(
                    session=tickets[run_id].session,
                    run_id=run_id,
                    step=step,
                    attempt=entry["attempt"],
                    at=entry["at"],
                )
            )
    return found


async def _backends(round_: Round) -> Measure:
    """Count the connections to the database when everything is at rest: what the dead held must be free."""
    field_ = round_.field
    alive = Counter(child.kind for child in field_.forge.children.values() if child.alive)
    most = alive["worker"] * WORKER_BACKENDS + alive["gateway"] * GATEWAY_BACKENDS + OTHER_BACKENDS
    deadline = asyncio.get_running_loop().time() + BACKENDS_GO_S
    while True:
        found = await field_.rows(
            "select count(*) from pg_stat_activity where datname = current_database()"
        )
        if found[0][0] <= most or asyncio.get_running_loop().time() > deadline:
            break
        await asyncio.sleep(0.1)
    return Measure(
        process="postgres", name="backends", before=0, after=float(found[0][0]), most=float(most)
    )


def _bounded(round_: Round, one: Standstill, verdict: Verdict, heading: str) -> None:
    if one.claimed_s is not None:
        verdict.samples.setdefault("takeover", []).append(one.claimed_s)
    if one.resumed_s is not None:
        verdict.samples.setdefault("resumed", []).append(one.resumed_s)
    bound = round_.field.lease_s + SLACK_S
    # A machine that gives nobody a core for a second can't hand a session over in it either.
    stalled = round_.field.stalls.within(one.at, bound)
    if one.claimed_s is None or one.claimed_s > bound + stalled:
        verdict.violations.append(
            f"{heading}: {one.text()}; {bound:g} s are promised, {stalled:.2f} s the machine stood still"
        )


def _unfinished(round_: Round, rows: Rows) -> list[str]:
    """Return what was owed when patience was over, where no invariant of the log says so."""
    ended = {e.run_id for log in rows.logs for e in log.events if is_terminal(e.type)}
    owed = [what for what in round_.unsettled if what not in ended]
    return [f"not at rest: {', '.join(owed[:10])}"] if owed else []


def _count(round_: Round, rows: Rows, history: History, verdict: Verdict) -> None:
    verdict.counts = Counter(round_.notes.counts)
    verdict.counts["client.reconnect"] = round_.crowd.reconnects
    verdict.runs = len(round_.load.tickets)
    verdict.events = sum(len(log.events) for log in rows.logs)
    verdict.clients = len(history.clients)
    at: Mapping[tuple[str, int], float | None] = {
        (log.session, event.seq): event.at for log in rows.logs for event in log.events
    }
    verdict.samples["delivery"] = [
        seen.at - recorded
        for client in history.clients
        for connection in client.connections
        for seen in connection.seen
        if seen.kind is Got.EVENT
        and seen.live
        and (recorded := at.get((client.session, seen.seq))) is not None
    ]


def _clear(round_: Round) -> None:
    """Forget the dead, and what the living wrote in this round."""
    forge = round_.field.forge
    for child in list(forge.children.values()):
        if not child.alive:
            forge.forget(child)
    round_.ledger.unlink(missing_ok=True)
