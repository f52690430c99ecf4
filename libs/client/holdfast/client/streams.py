"""Streams: of a session, of a run, of the past, and of a state."""

from collections.abc import Callable, Iterable
from pathlib import Path

from holdfast.client.answers import present, segment, types_param
from holdfast.client.connection import Course
from holdfast.client.cursor_file import CursorFile
from holdfast.client.follow import Follower
from holdfast.client.live_state import LiveState
from holdfast.client.sessions import SessionCalls
from holdfast.client.status import Status


class StreamCalls(SessionCalls):
    """The calls that follow."""

    _stall_s: float
    _handshake_s: float

    def follow(
        self,
        session_id: str,
        *,
        after: int = 0,
        types: Iterable[str] = (),
        agent: str | None = None,
        on_status: Callable[[Status], None] | None = None,
        cursor_file: str | Path | None = None,
    ) -> Follower:
        """Follow a session after seq `after`, over all its runs; ends when the session does.

        What `cursor_file` holds beats `after`, and the cursor is kept there.
        """
        course = Course(
            path=f"/v1/sessions/{segment(session_id)}/stream",
            params={**types_param(types), **present(agent=agent)},
        )
        return self._follower(course, after, on_status, cursor_file)

    def follow_run(
        self,
        run_id: str,
        *,
        after: int = 0,
        types: Iterable[str] = (),
        on_status: Callable[[Status], None] | None = None,
        cursor_file: str | Path | None = None,
    ) -> Follower:
        """Follow a run and its children; ends with the run's terminal event, which is never
        filtered out.
        """
        path = f"/v1/runs/{segment(run_id)}/stream"
        course = Course(path=path, params=types_param(types), run_id=run_id)
        return self._follower(course, after, on_status, cursor_file)

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

    def live_state(
        self, session_id: str, *, on_status: Callable[[Status], None] | None = None
    ) -> LiveState:
        """Keep a session's state: load it, then apply each event as it comes."""
        return LiveState(
            load=lambda: self.state(session_id),
            follow=lambda after: self.follow(session_id, after=after, on_status=on_status),
            gateway=self._wire.gateways.current,
        )

    def _follower(
        self,
        course: Course,
        after: int,
        on_status: Callable[[Status], None] | None,
        cursor_file: str | Path | None = None,
    ) -> Follower:
        return Follower(
            self._wire,
            course,
            after=after,
            on_status=on_status,
            cursor_file=None if cursor_file is None else CursorFile(cursor_file, course.path),
            stall_s=self._stall_s,
            handshake_s=self._handshake_s,
        )
