"""Sessions: made, listed, looked at as they stand or stood, added to, erased."""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from holdfast.client.answers import Json, Page, present, segment, types_param
from holdfast.client.calls import Calls, key_or_new
from holdfast.events.codec import to_json
from holdfast.events.recorded import RecordedEvent

# The gateway's own bound for a page; one that serves less says so with `next_after`.
PAGE_EVENTS = 500

# And for a page of sessions.
PAGE_SESSIONS = 200


class SessionCalls(Calls):
    """The calls that are about sessions and what is in them."""

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
        key = key_or_new(idempotency_key)
        return await self._object("POST", "/v1/sessions", body=body, key=key)

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

    async def each_session(self, *, status: str | None = None) -> AsyncIterator[Json]:
        """Yield every session, newest first, page by page."""
        cursor: str | None = None
        while True:
            page = await self.sessions(status=status, limit=PAGE_SESSIONS, cursor=cursor)
            items, following = page.get("items"), page.get("next_cursor")
            if not isinstance(items, list):
                raise self._strange("no page of sessions")
            for item in items:
                yield item
            # A page that points at itself would be read for ever.
            if not isinstance(following, str) or following == cursor:
                return
            cursor = following

    async def erase(self, session_id: str, *, reason: str | None = None) -> None:
        """Ask for the erasure of a session and of all its events, for good."""
        path = f"/v1/sessions/{segment(session_id)}"
        await self._wire.call("DELETE", path, params=present(reason=reason))

    async def messages(self, session_id: str, *, at: int | None = None) -> list[Json]:
        """Return a session's messages, each once, up to and with seq `at` (default: all)."""
        path = f"/v1/sessions/{segment(session_id)}/messages"
        return await self._list(path, params=present(at=at))

    async def state(self, session_id: str, *, at: int | None = None) -> Json:
        """Return the fold of a session's events, up to and with seq `at` (default: all).

        `holdfast.events.fold.from_plain` makes a `State` of it; `live_state` keeps one up to date.
        """
        path = f"/v1/sessions/{segment(session_id)}/state"
        return await self._object("GET", path, params=present(at=at))

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
            key=key_or_new(idempotency_key),
        )
        try:
            return int(answer["after"])
        except (KeyError, TypeError, ValueError) as error:
            raise self._strange(f"no position: {error}") from error

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
            raise self._strange(f"no page: {error}") from error

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
