"""A session of a million events: what the gateway holds while somebody opens it, at its end and from its start.

The same is done to sessions of other lengths: what does not depend on the length is the same in all columns. Resident
memory is the kernel's high-water mark during each deed, above what was resident when it began.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx2

from bench.history.making import Made, make_session
from bench.history.memory import Peak
from bench.history.readers import Reader
from holdfast.client import Holdfast
from tests.e2e.stack import Stack, eventually
from tests.faults.rig import Rig

SIZES = (10_000, 100_000, 1_000_000)

# Half a hundred clients come back from the first event on: some as fast as they can, most over a phone.
FAST, SLOW = 10, 40

# The first fold of a million events, on a machine that does other things as well.
ANSWER_S = 600.0

# An answer without paging, a state of 4 MiB of weight as objects and twice as JSON, and what the allocator keeps of
# it; fifty readers' pages and what is on its way to them. However long the session is.
GROWN_MAX_KB = 64 * 1024


@dataclass(frozen=True, slots=True)
class Deed:
    """What was done to a session of `events`, and what it took."""

    events: int
    name: str
    seconds: float
    first_ms: float  # to the first event, or to the whole answer
    grown_kb: int
    size: int  # bytes that came

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Got:
    """What a deed brought."""

    first_s: float
    size: int


class Opening:
    """Opens one session in every way there is."""

    def __init__(self, stack: Stack, rig: Rig, made: Made, *, slow: bool) -> None:
        self._stack, self._rig, self._made = stack, rig, made
        self._base = f"{stack.url}/v1/sessions/{made.session_id}"
        self._peak = Peak(stack.pid("gateway-1"))
        self._crowd = slow

    def deeds(self) -> Mapping[str, Callable[[], Awaitable[Got]]]:
        """What is done, in this order: the first state is folded from the first event on, the second isn't."""
        head = self._made.events
        deeds: dict[str, Callable[[], Awaitable[Got]]] = {
            "state, for the first time": lambda: self._answer("state"),
            "state, from its snapshot": lambda: self._answer("state"),
            "messages": lambda: self._answer("messages"),
            "stream, 5 events behind the head": lambda: self._stream("stream", head - 5),
            "stream from the start, one client": lambda: self._stream("stream", 0),
            "replay as fast as possible": lambda: self._stream("replay?speed=0", None),
            "all pages of /events": self._pages,
            "the Python client reads it all": self._client,
        }
        if self._crowd:
            deeds[f"stream from the start, {FAST} fast and {SLOW} slow"] = self._many
        deeds["erase"] = self._erase
        return deeds

    def do(self, name: str, deed: Callable[[], Awaitable[Got]]) -> Deed:
        """Do it, and say what it took."""
        self._peak.begin()
        began = time.monotonic()
        got = asyncio.run(_awaited(deed()))
        seconds = time.monotonic() - began
        return Deed(
            self._made.events, name, seconds, got.first_s * 1e3, self._peak.grown_kb, got.size
        )

    async def _answer(self, what: str) -> Got:
        began = time.monotonic()
        async with httpx2.AsyncClient(timeout=ANSWER_S) as http:
            answer = await http.get(f"{self._base}/{what}")
        answer.raise_for_status()
        return Got(time.monotonic() - began, len(answer.content))

    async def _stream(self, what: str, cursor: int | None) -> Got:
        reader = await Reader(f"{self._base}/{what}", cursor).read(self._made.events)
        wanted = self._made.events - (cursor or 0)
        if reader.events != wanted:
            raise AssertionError(f"{reader.events} events instead of {wanted}")
        return Got(reader.first_event_s, reader.size)

    async def _many(self) -> Got:
        url, head = f"{self._base}/stream", self._made.events
        slow = [asyncio.create_task(Reader(url, 0, slow=True).read(None)) for _ in range(SLOW)]
        try:
            fast = await asyncio.gather(*(Reader(url, 0).read(head) for _ in range(FAST)))
        finally:
            for task in slow:
                task.cancel()
            await asyncio.gather(*slow, return_exceptions=True)
        if any(reader.events != head for reader in fast):
            raise AssertionError(f"of {head} events came {[reader.events for reader in fast]}")
        return Got(max(r.first_event_s for r in fast), sum(r.size for r in fast))

    async def _pages(self) -> Got:
        after, size, first = 0, 0, 0.0
        began = time.monotonic()
        async with httpx2.AsyncClient(timeout=60) as http:
            while after < self._made.events:
                answer = await http.get(
                    f"{self._base}/events", params={"after": after, "limit": 500}
                )
                first = first or time.monotonic() - began
                size += len(answer.content)
                after = answer.json()["next_after"]
        return Got(first, size)

    async def _client(self) -> Got:
        began, first, size, last = time.monotonic(), 0.0, 0, 0
        async with Holdfast(self._stack.url) as client:
            async for event in client.read(self._made.session_id):
                first = first or time.monotonic() - began
                size += len(event.body)
                last = event.seq
        if last != self._made.events:
            raise AssertionError(f"the client stopped at {last}")
        return Got(first, size)

    async def _erase(self) -> Got:
        began = time.monotonic()
        httpx2.delete(self._base, timeout=30).raise_for_status()
        query = "select status from sessions where id = %s"
        eventually(
            "the session is erased",
            lambda: self._rig.rows(query, self._made.session)[0][0] == "erased",
            within_s=ANSWER_S,
        )
        return Got(time.monotonic() - began, 0)


async def _awaited(got: Awaitable[Got]) -> Got:
    return await got


def measure(
    place: Path, sizes: Sequence[int], *, crowd: bool, say: Callable[[str], object]
) -> list[Deed]:
    """Make a session of each size and open it in every way."""
    stack = Stack(place / "data-million", "--quiet").ready()
    rig = Rig(stack)
    deeds: list[Deed] = []
    try:
        for size in sizes:
            say(f"making a session of {size:,} events")
            opening = Opening(stack, rig, make_session(stack, rig, size, say=say), slow=crowd)
            for name, deed in opening.deeds().items():
                say(f"{size:,} events: {name}")
                deeds.append(opening.do(name, deed))
    finally:
        rig.close()
        stack.stop()
    return deeds
