import asyncio
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from holdfast.events.catalog.run import InputRequested, RunCompleted, RunStarted
from holdfast.events.commands import CommandKind
from holdfast.events.errors import StreamUnavailable
from holdfast.events.store import RunStatus, WorkflowInfo
from holdfast.gateway.principal import Principal, principal
from holdfast.gateway.requests import VALUE_BYTES_MAX
from holdfast.gateway.workflows import CACHE_S
from tests.gateway.http.conftest import WORKFLOWS, Served, serving, settings_for_tests

STARTED = RunStarted(workflow="free", workflow_version="1")
COMPLETED = RunCompleted(result=1, duration_ms=1)


def pointers(response: Any) -> list[str]:
    return [error["pointer"] for error in response.json()["errors"]]


# protocol P19
async def test_a_run_is_accepted_with_everything_needed_to_follow_it(served: Served):
    session_id, _ = await served.session()

    response = await served.client.post(
        f"/v1/sessions/{session_id}/runs",
        json={"workflow": "echo", "input": {"requirement": "tea"}, "user_id": "ann"},
        headers={"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
    )
    run = (await served.client.get(response.headers["location"])).json()

    assert response.status_code == 202
    answer = response.json()
    assert answer["session_id"] == session_id
    assert answer["after"] == 1
    assert answer["stream"] == f"/v1/runs/{answer['run_id']}/stream?after=1"
    assert run["input"] == {"requirement": "tea"}
    assert (run["status"], run["user_id"]) == ("queued", "ann")
    assert run["trace_id"] == "0af7651916cd43dd8448eb211c80319c"


async def test_a_run_without_a_session_makes_one(served: Served):
    response = await served.client.post("/v1/runs", json={"workflow": "free"})

    session = await served.client.get(f"/v1/sessions/{response.json()['session_id']}")
    assert response.status_code == 202
    assert response.json()["after"] == 0
    assert [run["workflow"] for run in session.json()["runs"]] == ["free"]


@pytest.mark.parametrize(
    "traceparent",
    [
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "x",
    ],
)
async def test_an_invalid_trace_context_is_ignored(served: Served, traceparent: str):
    response = await served.client.post(
        "/v1/runs", json={"workflow": "free"}, headers={"traceparent": traceparent}
    )

    assert response.status_code == 202
    assert (await served.client.get(response.headers["location"])).json()["trace_id"] is None


async def test_a_known_caller_is_the_user_whatever_the_body_says():
    def prepare(app: Any) -> None:
        app.dependency_overrides[principal] = lambda: Principal("local", subject="ann")

    async with serving(settings_for_tests(), prepare=prepare) as served:
        await served.store.registry.announce("w", WORKFLOWS)
        response = await served.client.post("/v1/runs", json={"workflow": "free", "user_id": "bob"})

        run = (await served.client.get(response.headers["location"])).json()
        assert run["user_id"] == "ann"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/workflow"),
        ({"workflow": ""}, "/workflow"),
        ({"workflow": "x" * 201}, "/workflow"),
        ({"workflow": 1}, "/workflow"),
        ({"workflow": "free", "on_busy": "wait"}, "/on_busy"),
        ({"workflow": "free", "start_at": "tomorrow"}, "/start_at"),
        ({"workflow": "free", "start_at": "2030-01-01T00:00:00"}, "/start_at"),
        ({"workflow": "free", "start_at": "9999-12-31T23:59:59Z"}, "/start_at"),
        ({"workflow": "free", "start_at": "9999-12-31T23:59:59-12:00"}, "/start_at"),
        ({"workflow": "free", "start_at": "0001-01-01T00:00:00+14:00"}, "/start_at"),
        ({"workflow": "free", "start_at": 1e300}, "/start_at"),
        ({"workflow": "free", "user_id": ""}, "/user_id"),
        ({"workflow": "free", "query": "tea"}, "/query"),
        ({"workflow": "echo", "input": {}}, "/input/requirement"),
        ({"workflow": "echo", "input": {"requirement": ""}}, "/input/requirement"),
        ({"workflow": "echo", "input": {"requirement": "x", "n": "1"}}, "/input/n"),
        ({"workflow": "echo", "input": {"requirement": "x", "m": 1}}, "/input"),
        ({"workflow": "echo", "input": []}, "/input"),
        ({"workflow": "echo"}, "/input"),
    ],
)
async def test_a_run_that_does_not_fit_names_the_field(served: Served, body: Any, pointer: str):
    session_id, _ = await served.session()

    in_session = await served.client.post(f"/v1/sessions/{session_id}/runs", json=body)
    alone = await served.client.post("/v1/runs", json=body)

    for response in (in_session, alone):
        assert response.status_code == 422
        assert pointers(response) == [pointer]
    assert len((await served.client.get("/v1/sessions")).json()["items"]) == 1


async def test_an_unknown_workflow_is_answered_with_the_known_ones(served: Served):
    response = await served.client.post("/v1/runs", json={"workflow": "ekho"})

    assert (response.status_code, response.json()["code"]) == (422, "workflow-unknown")
    assert response.json()["known"] == ["broken", "echo", "free"]
    assert pointers(response) == ["/workflow"]


async def test_a_workflow_that_did_not_load_is_answered_with_its_error(served: Served):
    response = await served.client.post("/v1/runs", json={"workflow": "broken"})

    assert (response.status_code, response.json()["code"]) == (409, "workflow-broken")
    assert response.json()["load_error"] == "No module named 'x'"


async def test_a_workflow_announced_a_moment_ago_is_known(served: Served):
    """The registry is cached for a second; nobody is told "unknown" out of the cache."""
    await served.client.get("/v1/workflows")
    await served.store.registry.announce(
        "second", [WorkflowInfo(name="fresh", version="1", input_schema=None)]
    )

    response = await served.client.post("/v1/runs", json={"workflow": "fresh"})

    assert response.status_code == 202


@pytest.mark.parametrize(
    "schema",
    [{"type": "nonsense"}, {"$ref": "#/$defs/none"}, {"$ref": "#"}],
)
async def test_a_broken_schema_is_the_workflows_fault(served: Served, schema: dict[str, Any]):
    await served.store.registry.announce(
        "second", [WorkflowInfo(name="bad", version="1", input_schema=schema)]
    )

    response = await served.client.post("/v1/runs", json={"workflow": "bad", "input": 1})

    assert (response.status_code, response.json()["code"]) == (409, "workflow-broken")


async def test_a_schema_that_points_at_another_host_makes_nobody_call_it(served: Served):
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.setblocking(False)
        schema = {"$ref": f"http://127.0.0.1:{elsewhere.getsockname()[1]}/schema.json"}
        await served.store.registry.announce(
            "second", [WorkflowInfo(name="bad", version="1", input_schema=schema)]
        )

        response = await served.client.post("/v1/runs", json={"workflow": "bad", "input": 1})

        assert (response.status_code, response.json()["code"]) == (409, "workflow-broken")
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


async def test_workflows_are_listed(served: Served):
    items = (await served.client.get("/v1/workflows")).json()["items"]

    assert [(item["name"], item["load_error"]) for item in items] == [
        ("broken", "No module named 'x'"),
        ("echo", None),
        ("free", None),
    ]
    assert items[1]["workers"] == ["worker"]


@pytest.mark.parametrize(
    "changed",
    [
        WorkflowInfo(name="echo", version="2", input_schema={"type": "string"}),
        WorkflowInfo(name="echo", version="2", input_schema=None, load_error="No module"),
    ],
)
async def test_the_same_key_gives_the_first_answer_though_the_workflow_changed(
    served: Served, monkeypatch: pytest.MonkeyPatch, changed: WorkflowInfo
):
    """Who lost the first answer asks again to learn it, not to be judged by today's rules."""
    body = {"workflow": "echo", "input": {"requirement": "a"}}
    key = {"idempotency-key": "k-1"}
    first = await served.client.post("/v1/runs", json=body, headers=key)

    async def workflows() -> list[WorkflowInfo]:
        return [changed]

    monkeypatch.setattr(served.store.registry, "workflows", workflows)
    await asyncio.sleep(CACHE_S)  # the registry is read again after that
    again = await served.client.post("/v1/runs", json=body, headers=key)
    fresh = await served.client.post("/v1/runs", json=body)
    other = await served.client.post(
        "/v1/runs", json={**body, "input": {"requirement": "b"}}, headers=key
    )

    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert fresh.json()["code"] in ("input-invalid", "workflow-broken")
    assert other.json()["code"] == "idempotency-key-reused"


# protocol P18
async def test_the_same_key_gives_the_same_run_and_another_request_is_told_so(served: Served):
    session_id, _ = await served.session()
    key = {"idempotency-key": "k-1"}
    path = f"/v1/sessions/{session_id}/runs"
    body = {"workflow": "echo", "input": {"requirement": "a", "n": 1}}
    reordered = b'{"input":{"n":1, "requirement":"a"},"workflow":"echo"}'

    first = await served.client.post(path, json=body, headers=key)
    again = await served.client.post(path, json=body, headers=key)
    same = await served.client.post(
        path, content=reordered, headers={**key, "content-type": "application/json"}
    )
    other = await served.client.post(path, json={"workflow": "free"}, headers=key)

    assert first.json() == again.json() == same.json()
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert len((await served.client.get(f"/v1/sessions/{session_id}")).json()["runs"]) == 1


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "ü"])
async def test_a_malformed_idempotency_key_is_refused(served: Served, key: str):
    response = await served.client.post(
        "/v1/runs", json={"workflow": "free"}, headers={"idempotency-key": key.encode()}
    )

    assert (response.status_code, response.json()["code"]) == (400, "parameter-invalid")


async def test_a_busy_session_may_be_told_to_reject(served: Served):
    session_id, _ = await served.session()
    await served.run(session_id)

    response = await served.client.post(
        f"/v1/sessions/{session_id}/runs", json={"workflow": "free", "on_busy": "reject"}
    )

    assert (response.status_code, response.json()["code"]) == (409, "session-busy")


async def test_a_start_in_the_future_is_kept(served: Served):
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)

    response = await served.client.post(
        "/v1/runs", json={"workflow": "free", "start_at": moment.isoformat()}
    )

    run = (await served.client.get(response.headers["location"])).json()
    assert datetime.fromisoformat(run["due_at"]) == moment


async def test_an_erased_session_takes_no_runs(served: Served):
    session_id, _ = await served.session()
    await served.client.delete(f"/v1/sessions/{session_id}")
    await served.worker.work()

    response = await served.client.post(
        f"/v1/sessions/{session_id}/runs", json={"workflow": "free"}
    )

    assert (response.status_code, response.json()["code"]) == (410, "session-gone")


async def test_cancelling_is_accepted_twice_and_refused_once_the_run_has_ended(served: Served):
    session_id, session = await served.session()
    run_id = (await served.run(session_id))["run_id"]
    await served.worker.set_run(session, run_id, RunStatus.RUNNING, STARTED)

    first = await served.client.post(f"/v1/runs/{run_id}/cancel", json={"reason": "enough"})
    second = await served.client.post(f"/v1/runs/{run_id}/cancel")
    await served.worker.set_run(session, run_id, RunStatus.COMPLETED, COMPLETED)
    third = await served.client.post(f"/v1/runs/{run_id}/cancel")

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["run_id"] == run_id
    assert (third.status_code, third.json()["code"]) == (409, "run-ended")


@pytest.mark.parametrize("run_id", ["unknown", "%00", "x" * 200, "a%2Fb"])
async def test_a_run_that_nobody_could_have_is_unknown(served: Served, run_id: str):
    for method, call, body in (
        ("GET", "", None),
        ("GET", "/stream", None),
        ("POST", "/cancel", None),
        ("POST", "/input", {"input_id": "i", "value": 1}),
    ):
        response = await served.client.request(method, f"/v1/runs/{run_id}{call}", json=body)

        assert response.status_code == 404, call
        assert response.headers["content-type"] == "application/problem+json"


async def waiting_run(served: Served, schema: dict[str, Any]) -> str:
    session_id, session = await served.session()
    run_id = (await served.run(session_id))["run_id"]
    await served.worker.set_run(
        session,
        run_id,
        RunStatus.WAITING,
        InputRequested(input_id="in-1", prompt="how many?", value_schema=schema),
        waiting={"in-1": {"value_schema": schema}},
    )
    return run_id


async def test_an_answer_must_fit_what_was_asked_and_counts_once(served: Served):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    run_id = await waiting_run(served, schema)
    path = f"/v1/runs/{run_id}/input"

    wrong = await served.client.post(path, json={"input_id": "in-1", "value": {"n": "1"}})
    missing = await served.client.post(path, json={"input_id": "in-1"})
    unknown = await served.client.post(path, json={"input_id": "in-2", "value": {"n": 1}})
    first = await served.client.post(path, json={"input_id": "in-1", "value": {"n": 1}})
    second = await served.client.post(path, json={"input_id": "in-1", "value": {"n": 2}})

    assert (wrong.status_code, wrong.json()["code"]) == (422, "value-invalid")
    assert pointers(wrong) == ["/value/n"]
    assert pointers(missing) == ["/value"]
    assert (unknown.status_code, unknown.json()["code"]) == (404, "input-unknown")
    assert first.status_code == 202
    assert (second.status_code, second.json()["code"]) == (409, "input-answered")


async def test_a_value_without_an_input_id_steers_the_run_though_it_asked_for_nothing(
    served: Served,
):
    session_id, session = await served.session()
    run_id = (await served.run(session_id))["run_id"]

    told = await served.client.post(f"/v1/runs/{run_id}/input", json={"value": "shorter, please"})

    assert (told.status_code, told.json()["run_id"]) == (202, run_id)
    asked = await served.store.claims.pending([session])
    assert [(c.run_id, c.body["value"]) for c in asked if c.kind is CommandKind.INPUT] == [
        (run_id, "shorter, please")
    ]


async def test_a_broken_schema_does_not_lock_the_user_out(served: Served):
    run_id = await waiting_run(served, {"type": "nonsense"})

    response = await served.client.post(
        f"/v1/runs/{run_id}/input", json={"input_id": "in-1", "value": None}
    )

    assert response.status_code == 202


async def test_a_hint_that_fails_or_hangs_costs_the_caller_nothing(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    """The command is on disk: workers find it by themselves within a second."""
    asked = 0

    class Deaf:
        async def hint_work(self, session: int) -> None:
            nonlocal asked
            asked += 1
            if asked == 1:
                raise StreamUnavailable("away")
            await asyncio.Event().wait()

    monkeypatch.setattr(served.gateway, "publisher", Deaf())
    async with asyncio.timeout(2):
        answers = [await served.client.post("/v1/sessions") for _ in range(2)]

    assert asked == 2
    assert [answer.status_code for answer in answers] == [201, 201]


async def test_a_value_that_no_event_has_room_for_is_refused_at_the_door(served: Served):
    """As bytes of the event: what is escaped there counts as it is written."""
    run_id = await waiting_run(served, {"type": "string"})
    path = f"/v1/runs/{run_id}/input"

    for value in ("x" * (VALUE_BYTES_MAX - 1), "\u2028" * (VALUE_BYTES_MAX // 6)):
        refused = await served.client.post(path, json={"input_id": "in-1", "value": value})
        assert (refused.status_code, pointers(refused)) == (422, ["/value"])
    largest = {"input_id": "in-1", "value": "x" * (VALUE_BYTES_MAX - 2)}
    assert (await served.client.post(path, json=largest)).status_code == 202
