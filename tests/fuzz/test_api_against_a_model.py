"""Callers do what they like, in any order, with and without keys, to their own and to others' sessions.

After every call the gateway must answer as the model says, and in the end every page, list, state and log must agree
with it. The gateway is the real application, the worker the real orchestrator.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.fuzz.knobs import IS_CI, times
from tests.fuzz.model import Kept, Model, ModelRun, ModelSession
from tests.fuzz.stage import Answer, Stage, stage

STEPS = 10
# A quarter of a second for each on an idle core: a few of them in every run, all of them with the faults.
EXAMPLES = 200
EXAMPLES_QUICK = 40
EXAMPLES_REAL = 12

NAMES = st.sampled_from(["name-a", "name-b", "name-c", None])
KEYS = st.sampled_from([None, None, None, "k1", "k2"])
TENANTS = st.sampled_from([0, 0, 0, 1])
WORKFLOWS = st.sampled_from(["say", "ask", "ask", "fail"])
WORDS = st.sampled_from(["hello", "ü🙂\u2028", ""])
ON_BUSY = st.sampled_from(["enqueue", "reject", "interrupt"])

TERMINAL = {"completed": "run.completed", "failed": "run.failed", "cancelled": "run.cancelled"}


class Callers(RuleBasedStateMachine):
    """Two tenants with a handful of sessions."""

    stage: ClassVar[Stage]

    def __init__(self) -> None:
        super().__init__()
        self.stage.examples += 1
        self.number = self.stage.examples
        self.model = Model()

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
        """Let the worker do what can be done; the gateway must then show what the model says."""
        expected = {run.run_id: run.status for run in session.runs}
        self.stage.settle(session.tenant, session.session_id, session.status, expected)
        shown = self.call(session.tenant, "GET", f"/v1/sessions/{session.session_id}").body
        assert shown["status"] == session.status
        assert {run["run_id"]: run["status"] for run in shown["runs"]} == expected
        for run in session.runs:
            if run.status == "waiting" and run.input_id is None:
                body = self.call(session.tenant, "GET", f"/v1/runs/{run.run_id}").body
                [run.input_id] = body["waiting"]

    # --- what callers do ----------------------------------------------------------------------------

    @rule(which=TENANTS, name=NAMES, key=KEYS, has_ttl=st.booleans())
    def create(self, which: int, name: str | None, key: str | None, has_ttl: bool) -> None:
        tenant = self.tenant(which)
        body: dict[str, Any] = {"session_id": name} if name else {}
        if has_ttl:
            body["ttl_s"] = 3600
        request = ("create", name, has_ttl)
        kept = self.kept(tenant, key)

        answer = self.call(tenant, "POST", "/v1/sessions", json=body, key=key)

        if kept is not None:
            if kept.request != request:
                assert (answer.status, answer.code) == (422, "idempotency-key-reused")
            else:
                assert (answer.status, answer.body["session_id"]) == (201, kept.session_id)
            return
        if name is not None and (tenant, name) in self.model.sessions:
            assert (answer.status, answer.code) == (409, "session-exists")
            return
        assert answer.status == 201, answer.text
        session_id = answer.body["session_id"]
        assert answer.headers["location"] == f"/v1/sessions/{session_id}"
        assert name in (None, session_id)
        session = ModelSession(session_id, tenant, has_ttl)
        self.model.sessions[tenant, session_id] = session
        self.remember(tenant, key, request, session_id, None)
        self.settled(session)

    @precondition(lambda self: self.model.sessions)
    @rule(data=st.data(), workflow=WORKFLOWS, text=WORDS, on_busy=ON_BUSY, key=KEYS)
    def start(
        self, data: st.DataObject, workflow: str, text: str, on_busy: str, key: str | None
    ) -> None:
        session = self.some_session(data)
        body = {"workflow": workflow, "input": text, "on_busy": on_busy}
        request = ("start", session.session_id, workflow, text, on_busy)
        kept = self.kept(session.tenant, key)

        answer = self.call(
            session.tenant, "POST", f"/v1/sessions/{session.session_id}/runs", json=body, key=key
        )

        if kept is not None:
            if kept.request != request:
                assert (answer.status, answer.code) == (422, "idempotency-key-reused")
            else:
                assert (answer.status, answer.body["run_id"]) == (202, kept.run_id)
            return
        if refusal := session.refuses_runs():
            assert (answer.status, answer.code) == refusal
            return
        if on_busy == "reject" and session.open_runs:
            assert (answer.status, answer.code) == (409, "session-busy")
            return
        assert answer.status == 202, answer.text
        run = ModelRun(answer.body["run_id"], workflow, text)
        assert answer.headers["location"] == f"/v1/runs/{run.run_id}"
        self.remember(session.tenant, key, request, session.session_id, run.run_id)
        session.start(run, on_busy)
        self.settled(session)

    @rule(which=TENANTS, text=WORDS)
    def start_in_a_new_session(self, which: int, text: str) -> None:
        tenant = self.tenant(which)

        answer = self.call(tenant, "POST", "/v1/runs", json={"workflow": "say", "input": text})

        assert answer.status == 202, answer.text
        session = ModelSession(answer.body["session_id"], tenant, has_ttl=False)
        self.model.sessions[tenant, session.session_id] = session
        session.start(ModelRun(answer.body["run_id"], "say", text), "enqueue")
        self.settled(session)

    @precondition(lambda self: self.model.sessions)
    @rule(
        data=st.data(),
        body=st.sampled_from(
            [
                ({"workflow": "nobody-knows", "input": "x"}, "workflow-unknown"),
                ({"workflow": "say", "input": 7}, "input-invalid"),
                ({"workflow": "say", "input": "x", "on_busy": "never"}, "request-invalid"),
                ({"input": "x"}, "request-invalid"),
                ({"workflow": "say", "input": "x", "more": 1}, "request-invalid"),
            ]
        ),
    )
    def start_what_does_not_fit(self, data: st.DataObject, body: tuple[Any, str]) -> None:
        session = self.some_session(data)

        answer = self.call(
            session.tenant, "POST", f"/v1/sessions/{session.session_id}/runs", json=body[0]
        )

        assert (answer.status, answer.code) == (422, body[1])

    @precondition(lambda self: any(True for _ in self.model.runs()))
    @rule(data=st.data(), key=KEYS)
    def cancel(self, data: st.DataObject, key: str | None) -> None:
        session, run = self.some_run(data)
        request = ("cancel", run.run_id)
        kept = self.kept(session.tenant, key)

        answer = self.call(session.tenant, "POST", f"/v1/runs/{run.run_id}/cancel", key=key)

        if kept is not None:
            expected = 202 if kept.request == request else 422
            assert answer.status == expected, answer.text
        elif not run.is_open:
            assert (answer.status, answer.code) == (409, "run-ended")
        else:
            assert (answer.status, answer.body["run_id"]) == (202, run.run_id)
            self.remember(session.tenant, key, request, session.session_id, run.run_id)
            session.cancel(run)
            self.settled(session)

    @precondition(lambda self: any(run.workflow == "ask" for _, run in self.model.runs()))
    @rule(
        data=st.data(),
        value=st.sampled_from([{"ok": True}, {"ok": False}, {"ok": 1}, None]),
        key=KEYS,
    )
    def answer_input(self, data: st.DataObject, value: Any, key: str | None) -> None:
        asking = [pair for pair in self.model.runs() if pair[1].workflow == "ask"]
        session, run = data.draw(st.sampled_from(asking), "run")
        input_id = run.input_id or "none"
        request = ("input", run.run_id, input_id, repr(value))
        kept = self.kept(session.tenant, key)
        fits = isinstance(value, dict) and isinstance(value["ok"], bool)

        answer = self.call(
            session.tenant,
            "POST",
            f"/v1/runs/{run.run_id}/input",
            json={"input_id": input_id, "value": value},
            key=key,
        )

        if run.status == "waiting" and not fits:
            assert (answer.status, answer.code) == (422, "value-invalid")
        elif kept is not None:
            expected = 202 if kept.request == request else 422
            assert answer.status == expected, answer.text
        elif run.answered:
            assert (answer.status, answer.code) == (409, "input-answered")
        elif not run.is_open:
            assert (answer.status, answer.code) == (409, "run-ended")
        elif run.status == "queued":
            assert (answer.status, answer.code) == (404, "input-unknown")
        else:
            assert answer.status == 202, answer.text
            self.remember(session.tenant, key, request, session.session_id, run.run_id)
            session.answer(run)
            self.settled(session)

    @precondition(lambda self: self.model.sessions)
    @rule(data=st.data(), really=st.integers(0, 3))
    def erase(self, data: st.DataObject, really: int) -> None:
        session = self.some_session(data)
        if really:
            return  # seldom: little can be done to a session afterwards

        answer = self.call(session.tenant, "DELETE", f"/v1/sessions/{session.session_id}?reason=x")

        assert answer.status == 202, answer.text
        self.model.erase(session)
        self.settled(session)

    @precondition(lambda self: any(_may_expire(s) for s in self.model.sessions.values()))
    @rule(data=st.data())
    def time_passes(self, data: st.DataObject) -> None:
        sessions = [s for s in self.model.sessions.values() if _may_expire(s)]
        session = data.draw(st.sampled_from(sessions), "session")

        self.stage.runner.run(self.stage.expire(session.tenant, session.session_id))

        session.status = "expired"
        self.settled(session)

    # --- what strangers do --------------------------------------------------------------------------

    @precondition(lambda self: self.model.sessions)
    @rule(
        data=st.data(),
        call=st.sampled_from(
            ["GET", "GET/events", "GET/state", "GET/messages", "DELETE", "POST/runs"]
        ),
    )
    def a_foreign_session_is_one_that_never_was(self, data: st.DataObject, call: str) -> None:
        session = self.some_session(data)
        stranger = f"t{self.number}-stranger"
        method, _, rest = call.partition("/")
        body = {"workflow": "say", "input": "x"} if method == "POST" else None

        foreign, unknown = (
            self.call(stranger, method, f"/v1/sessions/{name}{rest and '/' + rest}", json=body)
            for name in (session.session_id, "never-was")
        )

        assert (foreign.status, foreign.code) == (404, "session-unknown")
        assert foreign.text.replace(session.session_id, "never-was") == unknown.text

    @precondition(lambda self: any(True for _ in self.model.runs()))
    @rule(data=st.data(), call=st.sampled_from(["GET", "POST/cancel", "POST/input"]))
    def a_foreign_run_is_one_that_never_was(self, data: st.DataObject, call: str) -> None:
        _, run = self.some_run(data)
        stranger = f"t{self.number}-stranger"
        method, _, rest = call.partition("/")
        body = {"input_id": "i", "value": 1} if rest == "input" else None

        foreign, unknown = (
            self.call(stranger, method, f"/v1/runs/{name}{rest and '/' + rest}", json=body)
            for name in (run.run_id, "never-was")
        )

        assert (foreign.status, foreign.code) == (404, "run-unknown")
        assert foreign.text.replace(run.run_id, "never-was") == unknown.text

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

    def _compare(self, session: ModelSession) -> None:
        path = f"/v1/sessions/{session.session_id}"
        head = self.call(session.tenant, "GET", path).body["head"]
        events = self._events(session, "")
        assert [event["seq"] for event in events] == list(range(1, head + 1))
        for run in session.runs:
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


def _may_expire(session: ModelSession) -> bool:
    return session.has_ttl and session.status == "active" and not session.open_runs


@pytest.fixture
def callers() -> Callable[[Stage], type[Callers]]:
    """Put the callers on a stage, for one test."""

    def on(stage: Stage) -> type[Callers]:
        Callers.stage = stage
        return Callers

    return on


def _play(machine: type[Callers], examples: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=times(examples),
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=IS_CI,
            database=None,
            # A call that a worker never settles takes its whole patience: shrinking it would take hours.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "examples", [EXAMPLES_QUICK, pytest.param(EXAMPLES, marks=pytest.mark.fault)]
)
def test_the_gateway_answers_as_the_model_says(
    callers: Callable[[Stage], type[Callers]], examples: int
):
    with stage() as set_stage:
        _play(callers(set_stage), examples)


@pytest.mark.postgres
@pytest.mark.redis
@pytest.mark.timeout(3600)
def test_and_so_it_does_over_postgres_and_redis(
    callers: Callable[[Stage], type[Callers]], database_url: str, redis_url: str
):
    with stage(database_url, redis_url) as set_stage:
        _play(callers(set_stage), EXAMPLES_REAL)
