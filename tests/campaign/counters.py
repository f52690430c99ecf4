"""What a campaign must have seen happen: a fault that was never felt proves nothing.

Each scenario demands what it is there to provoke (`must_fire`); this is what all of them together may not miss.
"""

from collections.abc import Mapping

# Counter → what it counts, in a reader's words. Noted by hooks inside the processes, so that a kill loses none.
MUST_FIRE: Mapping[str, str] = {
    "claim.takeover": "sessions of dead workers taken over",
    "lease.lost": "workers that found their session taken",
    "append.fenced": "appends refused to former owners",
    "checkpoint.fenced": "checkpoints refused to former owners",
    "unknown.recorded": "commits without a reply that turned out recorded",
    "unknown.absent": "commits without a reply that turned out lost",
    "publish.dup": "publishes that were there already",
    "publish.gap": "publishes that found a hole",
    "publish.rebase": "windows begun anew",
    "publish.failed": "publishes that failed",
    "sweep.published": "sessions published by the sweep",
    "gateway.repair.gap": "gateways that filled a gap from the store",
    "gateway.repair.behind": "gateways that found their window behind",
    "gateway.head-check": "head checks that found a session behind",
    "gateway.ended.drain": "streams sent away by a draining gateway",
    "client.reconnect": "clients that came back with a cursor",
    "poison.stop": "runs given up after killing their workers",
}


def silent(counts: Mapping[str, int]) -> list[str]:
    """Return what never happened, in words."""
    return [words for name, words in MUST_FIRE.items() if not counts.get(name)]
