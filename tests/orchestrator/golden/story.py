"""The story that every kind of agent tells: what happens in it, and how to see from a log that it happened."""

from collections.abc import Iterable
from typing import Any

from holdfast.events.fold import fold
from holdfast.events.recorded import RecordedEvent

THOUGHT = "Let me think."
QUERY = {"query": "cats"}
PAGES = ["a page about cats"]
FOUND = "Found it."
SHIPPED = "Shipped."
WAITING = "Waiting for ever."
WRONG = "the oven is cold"

# Who speaks beside the agent itself, in which lane, and what.
CRITIC = ("Critic", "Looks fine.")
LANES = {"Left": "From the left.", "Right": "From the right."}

ANSWER = {"approved": True}

EXPECTED: dict[str, Any] = {
    "status": "completed",
    "result": SHIPPED,
    "thoughts": [THOUGHT],
    "tools": [("search", QUERY, PAGES, "completed"), ("ship", {}, "ok", "completed")],
    "said": sorted([FOUND, SHIPPED]),
    "said_by": sorted([CRITIC, *LANES.items()]),
    "agents": sorted([("Critic", "completed"), ("Left", "completed"), ("Right", "completed")]),
    "lanes": 2,
    "asked": 0,
}
"""What the story adds up to, whoever tells it."""


def story(events: Iterable[RecordedEvent]) -> dict[str, Any]:
    """Return what a log adds up to, without what frameworks may differ in: ids, steps, times, who hosts whom."""
    state = fold(events)
    [run] = state.runs.all.values()
    helpers = {CRITIC[0], *LANES}
    messages = list(state.messages.all.values())
    assert all(m["complete"] or m["cut"] for m in messages), "nothing is left open"
    agents = [(a["name"], a["status"]) for a in state.agents.all.values() if a["name"] in helpers]
    lanes = {m["lane"] for m in messages if m["agent"] in LANES}
    return {
        "status": run["status"],
        "result": run["result"],
        "thoughts": [r["content"] for r in state.reasoning.all.values()],
        "tools": sorted(
            (t["name"], t["args"], t["result"], t["status"]) for t in state.tools.all.values()
        ),
        "said": sorted(m["content"] for m in messages if m["agent"] not in helpers),
        "said_by": sorted((m["agent"], m["content"]) for m in messages if m["agent"] in helpers),
        "agents": sorted(agents),
        "lanes": len(lanes - {None}),
        "asked": len(state.pending_inputs.all),
    }
