"""Callers do what they like, in any order, with and without keys, to their own and to others' sessions.

After every call the gateway must answer as the model says, and in the end every page, list, state and log must agree
with it. The gateway is the real application, the worker the real orchestrator.
"""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from tests.fuzz.callers import Ground
from tests.fuzz.knobs import IS_CI, times
from tests.fuzz.model import ASK, HOLD, ModelRun, ModelSession
from tests.fuzz.stage import Stage, released, stage

STEPS = 10
# A quarter of a second for each on an idle core: a few of them in every run, all of them with the faults.
EXAMPLES = 200
EXAMPLES_QUICK = 40
EXAMPLES_REAL = 12

NAMES = st.sampled_from(["name-a", "name-b", "name-c", None])
KEYS = st.sampled_from([None, None, None, "k1", "k2"])
TENANTS = st.sampled_from([0, 0, 0, 1])
WORKFLOWS = st.sampled_from(["say", ASK, ASK, HOLD, "fail"])
# So far apart that no example takes long enough for waiting to count.
PRIORITIES = st.sampled_from([None, None, 0, 100, -100])
# Nobody answers within it, and it isn't long to wait for.
BRIEF_S = 0.3
WORDS = st.sampled_from(["hello", "ü🙂\u2028", ""])
ON_BUSY = st.sampled_from(["enqueue", "reject", "interrupt"])


class Callers(Ground):
    """Two tenants with a handful of sessions."""

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
    @rule(
        data=st.data(),
        workflow=WORKFLOWS,
        text=WORDS,
        on_busy=ON_BUSY,
        priority=PRIORITIES,
        brief=st.sampled_from([False, False, False, True]),
        key=KEYS,
    )
    def start(
        self,
        data: st.DataObject,
        workflow: str,
        text: str,
        on_busy: str,
        priority: int | None,
        brief: bool,
        key: str | None,
    ) -> None:
        session = self.some_session(data)
        body: dict[str, Any] = {"workflow": workflow, "input": text, "on_busy": on_busy}
        # Whoever stands still gets the slot in the order of asking: another session's turn may not be seen in time.
        priority = None if workflow == HOLD else priority
        brief = brief and workflow == ASK
        if priority is not None:
            body["priority"] = priority
        if brief:
            body["timeout_s"] = BRIEF_S
        request = ("start", session.session_id, workflow, text, on_busy, priority or 0, brief)
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
        run = ModelRun(
            answer.body["run_id"],
            workflow,
            text,
            number=self.model.asked(),
            priority=priority or 0,
            brief=brief,
        )
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
        run = ModelRun(answer.body["run_id"], "say", text, number=self.model.asked())
        session.start(run, "enqueue")
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
                ({"workflow": "say", "input": "x", "priority": 101}, "request-invalid"),
                ({"workflow": "say", "input": "x", "timeout_s": 0}, "request-invalid"),
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
            run.status = "cancelled"
            self.settled(session)

    @precondition(lambda self: any(run.status == "running" for _, run in self.model.runs()))
    @rule()
    def let_go(self) -> None:
        [(session, run)] = [pair for pair in self.model.runs() if pair[1].status == "running"]
        run.released = True
        released[run.run_id].set()
        self.settled(session)

    @precondition(lambda self: any(run.workflow == ASK for _, run in self.model.runs()))
    @rule(
        data=st.data(),
        value=st.sampled_from([{"ok": True}, {"ok": False}, {"ok": 1}, None]),
        key=KEYS,
    )
    def answer_input(self, data: st.DataObject, value: Any, key: str | None) -> None:
        asking = [pair for pair in self.model.runs() if pair[1].workflow == ASK]
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
            run.answered = True
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
