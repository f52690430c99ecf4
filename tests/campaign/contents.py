"""What each run should have said and returned: what no invariant of a log can know."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from tests.campaign.field import Field
from tests.campaign.load import Ticket

_TYPES = ["run.completed", "run.failed", "run.cancelled", "message.delta", "message.completed"]

# What a run may fail of that is nobody's mistake: too many workers in a row died with it; it was given too little time.
POISON, TIMEOUT = "poison", "timeout"

# The team answers six times, whatever becomes of its workers.
TEAM_MESSAGES = 6


async def wrong_runs(
    field: Field, tickets: Mapping[str, Ticket], cancelled: frozenset[str]
) -> list[str]:
    """Return what runs said or returned that they shouldn't have, a sentence each."""
    said: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for run_id, body in await field.rows(
        """select run_id, body from events where run_id = any($1) and type = any($2)
            order by session, seq""",
        list(tickets),
        _TYPES,
    ):
        said[run_id].append(orjson.loads(body))
    found: list[str] = []
    for run_id, ticket in tickets.items():
        what = _wrong(ticket, said[run_id], may_be_cancelled=run_id in cancelled)
        if what is not None:
            found.append(f"{ticket.workflow} run {run_id} in session {ticket.session} {what}")
    return found


async def at_work_at_once(field: Field, tickets: Mapping[str, Ticket]) -> int:
    """Return how many runs of `narrow` were at work at once, at most.

    A slot is taken by a claim that comes before the event of the start, and given back with the one of the end: what
    the log's clock says of these two is a part of the time for which it was held.
    """
    of_it = [run_id for run_id, ticket in tickets.items() if ticket.workflow == "narrow"]
    rows = await field.rows(
        """select run_id, type = 'run.started' from events
            where run_id = any($1) and type = any($2) order by recorded_at, type = 'run.started'""",
        of_it,
        ["run.started", "run.completed", "run.failed", "run.cancelled"],
    )
    begun, most = set[str](), 0
    for run_id, starts in rows:
        (begun.add if starts else begun.discard)(run_id)
        most = max(most, len(begun))
    return most


def _wrong(
    ticket: Ticket, events: Sequence[dict[str, Any]], *, may_be_cancelled: bool
) -> str | None:
    ends = [event for event in events if event["type"].startswith("run.")]
    if not ends:
        return None  # the checker says that it hangs
    end, data = ends[0]["type"], ends[0]["data"]
    if end == "run.cancelled":
        return None if may_be_cancelled else "was cancelled, and nobody asked for that"
    if end == "run.failed":
        code = data["error"]["code"]
        forgiven = code == POISON or (code == TIMEOUT and ticket.timeout_s is not None)
        return None if forgiven else f"failed: {data['error']}"
    if ticket.workflow == "doomed":
        return "completed, which it can't"
    wanted = _wanted(ticket)
    got = _got(ticket, events, data.get("result"))
    return None if got == wanted else f"came to {got!r}, not to {wanted!r}"


def _wanted(ticket: Ticket) -> Any:
    given = ticket.input
    match ticket.workflow:
        case "ledger":
            return {"total": sum(number * number for number in range(given["steps"]))}
        case "ticker":
            return [f"tick {n}\n" for n in range(1, given["events"] + 1)]
        case "narrow":
            return sum(range(given["steps"]))
        case "talk":
            return [
                "".join(f"{number}.{piece} " for piece in range(given["pieces"]))
                for number in range(given["messages"])
            ]
        case "team":
            return TEAM_MESSAGES
        case _:
            return None


def _got(ticket: Ticket, events: Sequence[dict[str, Any]], result: Any) -> Any:
    match ticket.workflow:
        case "ledger" | "narrow":
            return result
        case "ticker":
            return [e["data"]["text"] for e in events if e["type"] == "message.delta"]
        case "talk":
            return [e["data"]["content"] for e in events if e["type"] == "message.completed"]
        case "team":
            messages = [e for e in events if e["type"] == "message.completed"]
            return len({e["data"]["message_id"] for e in messages})
        case _:
            return None
