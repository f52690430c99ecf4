"""The client of a Holdfast gateway: ask for runs, and follow what becomes of them."""

import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from holdfast.client.answers import Json, OnBusy, Page, Ticket, present, segment, types_param
from holdfast.client.backoff import Backoff
from holdfast.client.errors import AnswerInvalid
from holdfast.client.follow import HANDSHAKE_S, STALL_S, Course, Follower
from holdfast.client.status import Status
from holdfast.client.wire import CALL_TIMEOUT_S, Gateways, Wire
from holdfast.events.clock import Clock, SystemClock
from holdfast.events.codec import to_json
from holdfast.events.recorded import RecordedEvent

DEFAULT_URL = "http://127.0.0.1:8000"

# The gateway's own bound for a page; one that serves less says so with `next_after`.
PAGE_EVENTS = 500


class Holdfast:
    """A connection to one gateway, or to several that serve the same log.

        async with Holdfast("http://127.0.0.1:8000") as client:
            ticket = await client.start("ticker", {"events": 3})
            async with client.follow_run(ticket.run_id, after=ticket.after) as events:
                async for event in events:
                    print(event.type)

    Calls retry by themselves, which is safe: each write carries an idempotency key. They raise
    ProblemError when the gateway refuses, Unreachable when none answered. With several URLs, a
    failure moves on to the next one. Answers without a class of their own are the gateway's JSON
    objects.
    """

    def __init__(
        self,
        base_url: str | Sequence[str] = DEFAULT_URL,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = CALL_TIMEOUT_S,
        stall_s: float = STALL_S,
        handshake_s: float = HANDSHAKE_S,
        backoff: Backoff | None = None,
        clock: Clock | None = None,
        chance: random.Random | None = None,
    ) -> None:
        urls = [base_url] if isinstance(base_url, str) else list(base_url)
        self._wire = Wire(
            Gateways(urls),
            headers=headers or {},
            timeout_s=timeout_s,
            backoff=backoff or Backoff(),
            clock=clock or SystemClock(),
            chance=chance or random.Random(),
        )
        self._stall_s, self._handshake_s = stall_s, handshake_s

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection, also those of followers."""
        await self._wire.close()

    # --- asking ---------------------------------------------------------------------------------

    async def create_session(
        self,
        session_id: str | None = None,
        *,
        ttl_s: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Json:
        """Create a session; without an id the gateway makes one."""
        body = present(session_id=session_id, ttl_s=ttl_s, metadata=metadata)
        return await self._object("POST", "/v1/sessions", body=body, key=_key(idempotency_key))

    async def start(
        self,
        workflow: str,
        input: Any = None,
        session_id: str | None = None,
        *,
        on_busy: OnBusy | None = None,
        start_at: datetime | None = None,
        idempotency_key: str | None = None,
    ) -> Ticket:
        """Ask for a run in a session, or in a new one. `start_at` must be aware."""
        if start_at is not None and start_at.tzinfo is None:
            raise ValueError("start_at needs a time zone")
        body = present(
            workflow=workflow,
            input=input,
            on_busy=on_busy,
            start_at=None if start_at is None else start_at.isoformat(),
        )
        path = "/v1/runs" if session_id is None else f"/v1/sessions/{segment(session_id)}/runs"
        answer = await self._object("POST", path, body=body, key=_key(idempotency_key))
        try:
            return Ticket(str(answer["run_id"]), str(answer["session_id"]), int(answer["after"]))
        except (KeyError, TypeError, ValueError) as error:
            raise AnswerInvalid(self._wire.gateways.current, f"no ticket: {error}") from error

    async def cancel(
        self, run_id: str, *, reason: str | None = None, idempotency_key: str | None = None
    ) -> Json:
        """Ask for the end of a run."""
        return await self._object(
            "POST",
            f"/v1/runs/{segment(run_id)}/cancel",
            body=present(reason=reason),
            key=_key(idempotency_key),
        )

    async def answer(
        self, run_id: str, input_id: str, value: Any, *, idempotency_key: str | None = None
    ) -> Json:
        """Answer a run's request for input; the first answer counts."""
        return await self._object(
            "POST",
            f"/v1/runs/{segment(run_id)}/input",
            body={"input_id": input_id, "value": value},
            key=_key(idempotency_key),
        )

    async def steer(self, run_id: str, value: Any, *, idempotency_key: str | None = None) -> Json:
        """Tell a run something that it did not ask for; it sees what it is told in the order of telling."""
        return await self._object(
            "POST",
            f"/v1/runs/{segment(run_id)}/input",
            body={"value": value},
            key=_key(idempotency_key),
        )

    async def publish(
        self,
        session_id: str,
        type: str,
        data: Mapping[str, Any] | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> int:
        """Publish an event of your own, of a type under `custom.`; it comes after the seq that is
        returned.

        A session's owner appends it; without one it waits for the next worker.
        """
        answer = await self._object(
            "POST",
            f"/v1/sessions/{segment(session_id)}/events",
            body=present(type=type, data=data, metadata=metadata),
            key=_key(idempotency_key),
        )
        try:
            return int(answer["after"])
        except (KeyError, TypeError, ValueError) as error:
            raise AnswerInvalid(self._wire.gateways.current, f"no position: {error}") from error

    async def erase(self, session_id: str) -> None:
        """Ask for the erasure of a session and of all its events, for good."""
        await self._wire.call("DELETE", f"/v1/sessions/{segment(session_id)}")

    # --- looking --------------------------------------------------------------------------------

    async def run(self, run_id: str) -> Json:
        """Look a run up."""
        return await self._object("GET", f"/v1/runs/{segment(run_id)}")

    async def session(self, session_id: str) -> Json:
        """Look a session up."""
        return await self._object("GET", f"/v1/sessions/{segment(session_id)}")

    async def sessions(
        self,
        *,
        status: str | None = None,
        limit: int | None = None,
        cursor: str | int | None = None,
    ) -> Json:
        """Return one page of sessions, newest first."""
        params = present(status=status, limit=limit, cursor=cursor)
        return await self._object("GET", "/v1/sessions", params=params)

    async def workflows(self) -> list[Json]:
        """Return what can be run: names, versions, input schemas, load errors, live workers."""
        return await self._list("/v1/workflows")

    async def messages(self, session_id: str) -> list[Json]:
        """Return a session's messages, each once."""
        return await self._list(f"/v1/sessions/{segment(session_id)}/messages")

    async def state(self, session_id: str, *, at: int | None = None) -> Json:
        """Return the fold of a session's events, up to and with seq `at` (default: all)."""
        path = f"/v1/sessions/{segment(session_id)}/state"
        return await self._object("GET", path, params=present(at=at))

    async def events(
        self,
        session_id: str,
        *,
        after: int = 0,
        limit: int = PAGE_EVENTS,
        types: Iterable[str] = (),
    ) -> Page:
        """Return one page of events after seq `after`."""
        answer = await self._object(
            "GET",
            f"/v1/sessions/{segment(session_id)}/events",
            params={"after": after, "limit": limit, **types_param(types)},
        )
        try:
            # Canonical in, canonical out: these are the bytes that the stream carries.
            items = [
                RecordedEvent(int(e["seq"]), str(e["type"]), e.get("run_id"), to_json(e))
                for e in answer["items"]
            ]
            return Page(items, int(answer["next_after"]), int(answer["head"]))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise AnswerInvalid(self._wire.gateways.current, f"no page: {error}") from error

    async def read(
        self, session_id: str, *, after: int = 0, types: Iterable[str] = ()
    ) -> AsyncIterator[RecordedEvent]:
        """Yield every event that exists now, page by page; `follow` brings what is to come."""
        chosen = tuple(types)
        head: int | None = None
        while head is None or after < head:
            page = await self.events(session_id, after=after, types=chosen)
            # The head of the first page: a session that is written to faster than it is read must
            # not hold us here.
            head = page.head if head is None else head
            for event in page.items:
                if event.seq > head:
                    return
                yield event
            if page.next_after <= after:
                return
            after = page.next_after

    # --- following ------------------------------------------------------------------------------

    def follow(
        self,
        session_id: str,
        *,
        after: int = 0,
        types: Iterable[str] = (),
        agent: str | None = None,
        on_status: Callable[[Status], None] | None = None,
    ) -> Follower:
        """Follow a session after seq `after`, over all its runs; ends when the session does."""
        course = Course(
            path=f"/v1/sessions/{segment(session_id)}/stream",
            params={**types_param(types), **present(agent=agent)},
        )
        return self._follower(course, after, on_status)

    def follow_run(
        self,
        run_id: str,
        *,
        after: int = 0,
        types: Iterable[str] = (),
        on_status: Callable[[Status], None] | None = None,
    ) -> Follower:
        """Follow a run and its children; ends with the run's terminal event, which is never
        filtered out.
        """
        path = f"/v1/runs/{segment(run_id)}/stream"
        return self._follower(
            Course(path=path, params=types_param(types), run_id=run_id), after, on_status
        )

    def replay(
        self,
        session_id: str,
        *,
        until: int,
        after: int = 0,
        speed: float = 1.0,
        on_status: Callable[[Status], None] | None = None,
    ) -> Follower:
        """Follow the past at its own pace times `speed` (0: as fast as possible), up to and with
        seq `until`.
        """
        course = Course(
            path=f"/v1/sessions/{segment(session_id)}/replay",
            params={"until": until, "speed": f"{speed:g}"},
            until=until,
        )
        return self._follower(course, after, on_status)

    def _follower(
        self, course: Course, after: int, on_status: Callable[[Status], None] | None
    ) -> Follower:
        return Follower(
            self._wire,
            course,
            after=after,
            on_status=on_status,
            stall_s=self._stall_s,
            handshake_s=self._handshake_s,
        )

    async def _object(self, method: str, path: str, **call: Any) -> Json:
        answer = await self._wire.call(method, path, **call)
        if not isinstance(answer, dict):
            raise AnswerInvalid(self._wire.gateways.current, f"{method} {path} gave no object")
        return answer

    async def _list(self, path: str) -> list[Json]:
        answer = await self._wire.call("GET", path)
        items = answer.get("items") if isinstance(answer, dict) else answer
        if not isinstance(items, list):
            raise AnswerInvalid(self._wire.gateways.current, f"GET {path} gave no list")
        return items


def _key(given: str | None) -> str:
    return given or str(uuid4())
