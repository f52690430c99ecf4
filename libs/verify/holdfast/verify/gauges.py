"""What gateways say of their own resources: read before the clients come and after they have gone."""

import asyncio
import re
from collections.abc import Mapping

import httpx2

from holdfast.verify.history import Measure
from holdfast.verify.plan import Plan

# A closed connection is noticed at once, its last objects go with the next collection.
REST_S = 10.0

_READ_S = 5.0

# Five percent, and what a process takes once and keeps: pools, caches, code that was never run before.
_SHARE = 1.05
_SPARE: Mapping[str, float] = {
    "holdfast_sse_connections": 0,
    "process_open_fds": 16,
    "process_resident_memory_bytes": 64 * 1024 * 1024,
}
_BORN = "process_start_time_seconds"

Gauges = Mapping[str, Mapping[str, float]]


async def read_gauges(plan: Plan) -> Gauges:
    """Return the gauges of each gateway that shows them."""
    found: dict[str, dict[str, float]] = {}
    async with httpx2.AsyncClient(timeout=_READ_S, headers=dict(plan.headers)) as http:
        for url in plan.urls:
            try:
                answer = await http.get(f"{url.rstrip('/')}/metrics")
            except httpx2.TransportError:
                continue
            if answer.is_success:
                found[url] = {
                    name: float(value)
                    for name, value in re.findall(r"^(\w+) ([0-9.e+]+)$", answer.text, re.MULTILINE)
                    if name in _SPARE or name == _BORN
                }
    return found


async def measures(plan: Plan, before: Gauges) -> list[Measure]:
    """Return how the gauges are now, waiting REST_S for what is on its way back."""
    deadline = asyncio.get_running_loop().time() + REST_S
    while True:
        found = compare(before, await read_gauges(plan))
        above = any(measure.after > measure.most for measure in found)
        if not above or asyncio.get_running_loop().time() > deadline:
            return found
        await asyncio.sleep(0.5)


def compare(before: Gauges, after: Gauges) -> list[Measure]:
    """Hold two readings against each other; a process that was started in between has no before."""
    return [
        Measure(
            process=url,
            name=name,
            before=was[name],
            after=after[url][name],
            most=was[name] if not spare else was[name] * _SHARE + spare,
        )
        for url, was in before.items()
        for name, spare in _SPARE.items()
        if url in after and was.get(_BORN) == after[url].get(_BORN)
        if name in was and name in after[url]
    ]
