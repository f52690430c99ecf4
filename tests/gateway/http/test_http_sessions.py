from typing import Any

import pytest

from holdfast.gateway.principal import Principal, principal
from tests.gateway.http.conftest import Served, serving, settings_for_tests


def pointers(response: Any) -> list[str]:
    return [error["pointer"] for error in response.json()["errors"]]


async def test_a_session_is_created_shown_listed_and_erased(served: Served):
    created = await served.client.post(
        "/v1/sessions", json={"session_id": "a.b-c_1", "ttl_s": 60, "metadata": {"k": ["v"]}}
    )
    await served.worker.work()
    shown = await served.client.get("/v1/sessions/a.b-c_1")
    erased = await served.client.delete("/v1/sessions/a.b-c_1?reason=asked")
    await served.worker.work()
    tombstone = await served.client.get("/v1/sessions/a.b-c_1")

    assert created.status_code == 201
    assert created.headers["location"] == "/v1/sessions/a.b-c_1"
    assert shown.json()["metadata"] == {"k": ["v"]}
    assert (shown.json()["head"], shown.json()["ttl_s"], shown.json()["runs"]) == (1, 60, [])
    assert erased.status_code == 202
    assert tombstone.json()["status"] == "erased"


async def test_a_session_without_a_body_gets_an_id_and_is_new_each_time(served: Served):
    first = await served.client.post("/v1/sessions")
    second = await served.client.post("/v1/sessions")

    assert first.status_code == second.status_code == 201
    assert first.json()["session_id"] != second.json()["session_id"]


async def test_the_same_id_twice_is_a_conflict(served: Served):
    await served.client.post("/v1/sessions", json={"session_id": "s"})

    again = await served.client.post("/v1/sessions", json={"session_id": "s"})

    assert (again.status_code, again.json()["code"]) == (409, "session-exists")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"session_id": "a b"}, "/session_id"),
        ({"session_id": "a\n"}, "/session_id"),
        ({"session_id": ""}, "/session_id"),
        ({"session_id": "x" * 129}, "/session_id"),
        ({"session_id": 7}, "/session_id"),
        ({"ttl_s": 59}, "/ttl_s"),
        ({"ttl_s": 30 * 86400 + 1}, "/ttl_s"),
        ({"ttl_s": "60"}, "/ttl_s"),
        ({"ttl_s": True}, "/ttl_s"),
        ({"metadata": {"k": "x" * 16_384}}, "/metadata"),
        ({"metadata": []}, "/metadata"),
        ({"metadta": {}}, "/metadta"),
        ({"a/b~c": 1}, "/a~1b~0c"),
        ([], ""),
    ],
)
async def test_a_field_that_does_not_fit_is_named(served: Served, body: Any, pointer: str):
    response = await served.client.post("/v1/sessions", json=body)

    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "request-invalid"
    assert pointers(response) == [pointer]


async def test_sessions_are_listed_newest_first_page_by_page(served: Served):
    for name in "abc":
        await served.client.post("/v1/sessions", json={"session_id": name})

    first = await served.client.get("/v1/sessions?limit=2&status=active")
    second = await served.client.get(first.links["next"]["url"])

    assert [item["session_id"] for item in first.json()["items"]] == ["c", "b"]
    assert [item["session_id"] for item in second.json()["items"]] == ["a"]
    assert second.json()["next_cursor"] is None
    assert "link" not in second.headers


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/limit"),
        ("limit=201", "/limit"),
        ("limit=x", "/limit"),
        ("limit=" + "9" * 1000, "/limit"),
        ("status=gone", "/status"),
        ("cursor=-1", "/cursor"),
        ("cursor=" + "9" * 19, "/cursor"),
        ("cursor=%00", "/cursor"),
    ],
)
async def test_a_list_with_a_wrong_parameter_is_refused(served: Served, query: str, pointer: str):
    response = await served.client.get(f"/v1/sessions?{query}")

    assert response.status_code == 422
    assert pointers(response) == [pointer]


@pytest.mark.parametrize("name", ["unknown", "%00", "a%2Fb", "%ff", "x" * 200, "a%20b", "ü"])
async def test_a_session_that_nobody_could_have_is_unknown(served: Served, name: str):
    for call in ("", "/stream", "/events", "/replay", "/state", "/messages"):
        response = await served.client.get(f"/v1/sessions/{name}{call}")

        assert response.status_code == 404, call
        assert response.headers["content-type"] == "application/problem+json"


# protocol P22
async def test_another_tenants_session_and_run_are_as_unknown_as_one_that_never_was():
    """Byte for byte, apart from the request's own id: nothing tells that they exist."""
    caller = Principal("mine")

    def prepare(app: Any) -> None:
        app.dependency_overrides[principal] = lambda: caller

    async with serving(settings_for_tests(), prepare=prepare) as served:
        await served.client.post("/v1/sessions", json={"session_id": "s"})
        caller = Principal("other")
        headers = {"x-request-id": "same"}
        calls = [("GET", f"/v1/sessions/s{c}") for c in ("", "/stream", "/events", "/state")]
        calls += [("GET", "/v1/sessions/s/replay"), ("DELETE", "/v1/sessions/s")]

        foreign = [await served.client.request(*call, headers=headers) for call in calls]
        caller = Principal("third")
        unknown = [await served.client.request(*call, headers=headers) for call in calls]

        assert {response.status_code for response in foreign} == {404}
        assert [r.content for r in foreign] == [r.content for r in unknown]
        assert (await served.client.get("/v1/sessions")).json()["items"] == []


async def test_an_erasure_with_an_unprintable_reason_is_refused(served: Served):
    await served.session("s")

    response = await served.client.delete("/v1/sessions/s?reason=a%00b")

    assert response.status_code == 422
    assert pointers(response) == ["/reason"]


@pytest.mark.parametrize("name", [".", ".."])
async def test_a_name_that_paths_resolve_away_is_refused(served: Served, name: str):
    """Nobody could ever ask for it: clients and proxies take it for a step in the path."""
    response = await served.client.post("/v1/sessions", json={"session_id": name})

    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "/session_id")


@pytest.mark.parametrize("name", ["...", ".a", "..a", "a.", "-", "_", "." * 128, "a" * 128])
async def test_other_names_with_dots_are_names(served: Served, name: str):
    created = await served.client.post("/v1/sessions", json={"session_id": name})

    assert created.status_code == 201
    assert (await served.client.get(f"/v1/sessions/{name}")).status_code == 200
