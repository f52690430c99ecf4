"""Who asks a stage, and what must hold after every call and in the end: the ground on which callers stand."""

from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from tests.fuzz.model import HOLD, Kept, Model, ModelRun, ModelSession
from tests.fuzz.stage import Answer, Stage, released

TERMINAL = {"completed": "run.completed", "failed": "run.failed", "cancelled": "run.cancelled"}


class Ground(RuleBasedStateMachine):
    """Two tenants with a handful of sessions."""

    stage: ClassVar[Stage]

    def __init__(self) -> None:
        super().__init__()
        self.stage.examples += 1
        self.number = self.stage.examples
        self.model = Model()
        self.shown: dict[str, dict[str, str]] = {}  # by session: what was last seen

    # --- helpers ------------------------------------------------------------------------------------

    def tenant(self, which: int) -> str:
        return f"t{self.number}-{which}"

    def call(self, tenant: str, method: str, path: str, **more: Any) -> Answer:
        return self.stage.call(tenant, method, path, **more)

    def some_session(self, data: st.DataObject) -> ModelSession:
        return data.draw(st.sampled_from(list(self.model.sessions.values())), "session")

    def some_run(self, data: st.DataObject) -> tuple[ModelSession, ModelRun]:
        return data.draw(st.sampled_from(list(self.model.runs())), "run")

    def kept(self, tenant: str, key: str | None, *request: object) -> Kept | None:
        """Return what the key remembers of this request; the key's other requests are refused."""
        return None if key is None else self.model.keys.get((tenant, key))

    def remember(
        self,
        tenant: str,
        key: str | None,
        request: tuple[object, ...],
        session_id: str,
        run_id: str | None,
    ) -> None:
        if key is not None:
            self.model.keys[tenant, key] = Kept(request, session_id, run_id)

    def settled(self, session: ModelSession) -> None:
        """Let the worker do what can be done; the gateway must then show what the model says, wherever that changed."""
        self.model.settle()
        for one in self.model.sessions.values():
            expected = {run.run_id: run.status for run in one.runs}
            if one is session or self.shown.get(one.session_id) != expected:
                self._settled(one, expected)
                self.shown[one.session_id] = expected

    def _settled(self, session: ModelSession, expected: dict[str, str]) -> None:
        self.stage.settle(session.tenant, session.session_id, session.status, expected)
        shown = self.call(session.tenant, "GET", f"/v1/sessions/{session.session_id}").body
        assert shown["status"] == session.status
        assert {run["run_id"]: run["status"] for run in shown["runs"]} == expected
        for run in session.runs:
            if run.status == "waiting" and run.input_id is None:
                body = self.call(session.tenant, "GET", f"/v1/runs/{run.run_id}").body
                [run.input_id] = body["waiting"]

    # --- what everybody may see ---------------------------------------------------------------------

    def _compare_lists(self) -> None:
        """Every session stands in them once, newest first."""
        for which in (0, 1):
            sessions = self.model.of(self.tenant(which))
            for status in (None, "active", "erased"):
                wanted = [s.session_id for s in reversed(sessions) if status in (None, s.status)]
                assert self._listed(self.tenant(which), status) == wanted

    def _listed(self, tenant: str, status: str | None) -> list[str]:
        found: list[str] = []
        cursor = ""
        while True:
            query = f"?limit=2{cursor}" + (f"&status={status}" if status else "")
            page = self.call(tenant, "GET", f"/v1/sessions{query}").body
            found += [item["session_id"] for item in page["items"]]
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    def teardown(self) -> None:
        """What was recorded must be what was answered."""
        self._compare_lists()
        for session in self.model.sessions.values():
            if session.status == "erased":
                for part in ("events", "state", "messages", "stream", "replay"):
                    path = f"/v1/sessions/{session.session_id}/{part}"
                    assert self.call(session.tenant, "GET", path).status == 410
            else:
                self._compare(session)
        # The next example wants the slot.
        for session in self.model.sessions.values():
            for run in session.runs:
                if run.workflow == HOLD and run.is_open:
                    released[run.run_id].set()
                    run.released = True
        for session in list(self.model.sessions.values()):
            self.settled(session)

    def _compare(self, session: ModelSession) -> None:
        path = f"/v1/sessions/{session.session_id}"
        head = self.call(session.tenant, "GET", path).body["head"]
        events = self._events(session, "")
        assert [event["seq"] for event in events] == list(range(1, head + 1))
        for run in session.runs:
            body = self.call(session.tenant, "GET", f"/v1/runs/{run.run_id}").body
            assert (body["priority"], body["timeout_s"] is not None) == (run.priority, run.brief)
            types = [event["type"] for event in events if event.get("run_id") == run.run_id]
            ends = [type_ for type_ in types if type_ in TERMINAL.values()]
            assert ends == ([] if run.is_open else [TERMINAL[run.status]])
        some = self._events(session, "&types=run.*,input.requested")
        assert some == [
            event
            for event in events
            if event["type"].startswith("run.") or event["type"] == "input.requested"
        ]
        ahead = self.call(session.tenant, "GET", f"{path}/events?after={head + 1}")
        assert (ahead.status, ahead.code) == (409, "cursor-ahead")
        state = self.call(session.tenant, "GET", f"{path}/state").body
        assert state["seq"] == head
        assert [item["input_id"] for item in state["pending_inputs"]] == [
            run.input_id for run in session.runs if run.status == "waiting"
        ]
        messages = self.call(session.tenant, "GET", f"{path}/messages").body
        assert [message["content"] for message in messages["items"]] == session.said

    def _events(self, session: ModelSession, more: str) -> list[Any]:
        found: list[Any] = []
        after = 0
        while True:
            path = f"/v1/sessions/{session.session_id}/events?limit=3&after={after}{more}"
            page = self.call(session.tenant, "GET", path).body
            found += page["items"]
            assert after <= page["next_after"] <= page["head"]
            after = page["next_after"]
            if after >= page["head"]:
                return found
