"""The client for programs without an event loop: the same calls, each waited for.

with BlockingHoldfast("http://127.0.0.1:8000") as client:
    ticket = client.start("ticker", {"events": 3})
    for event in client.follow_run(ticket.run_id, after=ticket.after):
        print(event.type)
"""

import asyncio
from collections.abc import (
    AsyncIterator,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import closing
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from holdfast.client.answers import Json, OnBusy, Page, Ticket
from holdfast.client.follow import Followed, Follower
from holdfast.client.holdfast import DEFAULT_URL, Holdfast
from holdfast.client.sessions import PAGE_EVENTS
from holdfast.client.status import Counters, Status
from holdfast.events.recorded import RecordedEvent

T = TypeVar("T")


class Waited(Generic[T]):
    """An async iterator's items, each waited for."""

    def __init__(self, runner: asyncio.Runner, items: AsyncIterator[T]) -> None:
        self._runner, self._items = runner, items

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        async def step() -> tuple[T] | None:
            # A StopAsyncIteration can't leave a coroutine.
            try:
                return (await anext(self._items),)
            except StopAsyncIteration:
                return None

        got = self._runner.run(step())
        if got is None:
            raise StopIteration
        return got[0]


class BlockingFollower(Waited[Followed]):
    """A `Follower` that is waited for. While nobody asks for the next event nothing is read, and a
    gateway drops a reader that is too slow; the next one asked for is there all the same.
    """

    def __init__(self, runner: asyncio.Runner, follower: Follower) -> None:
        super().__init__(runner, follower)
        self._follower = follower

    @property
    def cursor(self) -> int:
        """The seq of the last event that was handed out."""
        return self._follower.cursor

    @property
    def status(self) -> Status:
        """Where the follower stands."""
        return self._follower.status

    @property
    def counters(self) -> Counters:
        """What it went through."""
        return self._follower.counters

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._runner.run(self._follower.__aexit__(kind, error, trace))

    def close(self) -> None:
        """Stop following."""
        self._runner.run(self._follower.aclose())


class BlockingHoldfast:
    """`Holdfast`, each call waited for. Not from a running event loop, and from one thread."""

    def __init__(self, base_url: str | Sequence[str] = DEFAULT_URL, **options: Any) -> None:
        """Take what `Holdfast` takes."""
        self._client = Holdfast(base_url, **options)
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection, also those of followers."""
        with closing(self._runner):
            self._runner.run(self._client.aclose())

    def start(
        self,
        workflow: str,
        input: Any = None,
        session_id: str | None = None,
        *,
        on_busy: OnBusy | None = None,
        start_at: datetime | None = None,
        user_id: str | None = None,
        priority: int | None = None,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
    ) -> Ticket:
        """Ask for a run, as `Holdfast.start` does."""
        call = self._client.start(
            workflow, input, session_id, on_busy=on_busy, start_at=start_at,
            user_id=user_id, priority=priority, timeout_s=timeout_s, idempotency_key=idempotency_key,
        )  # fmt: skip
        return self._wait(call)

    def run(self, run_id: str) -> Json:
        """Look a run up."""
        return self._wait(self._client.run(run_id))

    def cancel(self, run_id: str, *, reason: str | None = None) -> Json:
        """Ask for the end of a run."""
        return self._wait(self._client.cancel(run_id, reason=reason))

    def answer(self, run_id: str, input_id: str, value: Any) -> Json:
        """Answer a run's request for input; the first answer counts."""
        return self._wait(self._client.answer(run_id, input_id, value))

    def steer(self, run_id: str, value: Any) -> Json:
        """Tell a run something that it did not ask for."""
        return self._wait(self._client.steer(run_id, value))

    def workflows(self) -> list[Json]:
        """Return what can be run."""
        return self._wait(self._client.workflows())

    def create_session(
        self,
        session_id: str | None = None,
        *,
        ttl_s: int | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Json:
        """Create a session; without an id the gateway makes one."""
        return self._wait(self._client.create_session(session_id, ttl_s=ttl_s, metadata=metadata))

    def session(self, session_id: str) -> Json:
        """Look a session up."""
        return self._wait(self._client.session(session_id))

    def each_session(self, *, status: str | None = None) -> Iterator[Json]:
        """Yield every session, newest first."""
        return Waited(self._runner, self._client.each_session(status=status))

    def erase(self, session_id: str, *, reason: str | None = None) -> None:
        """Ask for the erasure of a session and of all its events, for good."""
        self._wait(self._client.erase(session_id, reason=reason))

    def state(self, session_id: str, *, at: int | None = None) -> Json:
        """Return the fold of a session's events, up to and with seq `at` (default: all)."""
        return self._wait(self._client.state(session_id, at=at))

    def messages(self, session_id: str, *, at: int | None = None) -> list[Json]:
        """Return a session's messages, each once."""
        return self._wait(self._client.messages(session_id, at=at))

    def publish(
        self,
        session_id: str,
        type: str,
        data: Mapping[str, Any] | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> int:
        """Publish an event of your own, as `Holdfast.publish` does."""
        call = self._client.publish(
            session_id, type, data, metadata=metadata, idempotency_key=idempotency_key
        )
        return self._wait(call)

    def events(
        self,
        session_id: str,
        *,
        after: int = 0,
        limit: int = PAGE_EVENTS,
        types: Iterable[str] = (),
    ) -> Page:
        """Return one page of events after seq `after`."""
        return self._wait(self._client.events(session_id, after=after, limit=limit, types=types))

    def read(
        self, session_id: str, *, after: int = 0, types: Iterable[str] = ()
    ) -> Iterator[RecordedEvent]:
        """Yield every event that exists now."""
        return Waited(self._runner, self._client.read(session_id, after=after, types=types))

    def follow(
        self,
        session_id: str,
        *,
        after: int = 0,
        types: Iterable[str] = (),
        agent: str | None = None,
        on_status: Callable[[Status], None] | None = None,
        cursor_file: str | Path | None = None,
    ) -> BlockingFollower:
        """Follow a session, as `Holdfast.follow` does."""
        follower = self._client.follow(
            session_id, after=after, types=types, agent=agent,
            on_status=on_status, cursor_file=cursor_file,
        )  # fmt: skip
        return BlockingFollower(self._runner, follower)

    def follow_run(
        self,
        run_id: str,
        *,
        after: int = 0,
        types: Iterable[str] = (),
        on_status: Callable[[Status], None] | None = None,
        cursor_file: str | Path | None = None,
    ) -> BlockingFollower:
        """Follow a run to its end, as `Holdfast.follow_run` does."""
        follower = self._client.follow_run(
            run_id, after=after, types=types, on_status=on_status, cursor_file=cursor_file
        )
        return BlockingFollower(self._runner, follower)

    def _wait(self, call: Coroutine[Any, Any, T]) -> T:
        try:
            return self._runner.run(call)
        finally:
            call.close()  # what a running loop refused to run would warn that it never ran


def publish(
    base_url: str | Sequence[str],
    session_id: str,
    type: str,
    data: Mapping[str, Any] | None = None,
    *,
    metadata: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> int:
    """Publish one event of your own and hang up; not from a running event loop."""
    with BlockingHoldfast(base_url, headers=headers) as client:
        return client.publish(
            session_id, type, data, metadata=metadata, idempotency_key=idempotency_key
        )
