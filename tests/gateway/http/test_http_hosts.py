"""A page whose name its owner points at this machine is, to the browser, the gateway's own. Its name gives it away."""

import pytest

from tests.gateway.http.conftest import Serve, Served


async def asked(served: Served, host: bytes, path: bytes = b"/v1/sessions") -> bytes:
    """Return the status line of the answer."""
    answer = await served.raw(
        b"GET %b HTTP/1.1\r\n%bconnection: close\r\n\r\n"
        % (path, b"host: %b\r\n" % host if host else b"")
    )
    return answer.partition(b"\r\n")[0]


@pytest.mark.parametrize(
    "host",
    [
        b"evil.example",
        b"evil.example:8000",
        b"localhost.evil.example",
        b"127.0.0.1.evil.example",
        b"127.0.0.1@evil.example",
        b"0.0.0.0:8000",
        b"10.0.0.7",
        b"[::2]:8000",
        b"[::1",
        b"localhost\r\nhost: evil.example",
    ],
)
async def test_on_loopback_a_foreign_name_is_not_answered_to(served: Served, host: bytes):
    assert await asked(served, host) == b"HTTP/1.1 421 Misdirected Request"
    assert await asked(served, host, b"/metrics") == b"HTTP/1.1 421 Misdirected Request"


async def test_a_foreign_name_changes_nothing_and_learns_nothing(served: Served):
    """With an origin of the same name the page would else count as the gateway's own."""
    await served.session("s")
    foreign = {"host": "evil.example", "origin": "http://evil.example"}

    refused = await served.client.post("/v1/sessions", headers=foreign)
    stream = await served.client.get("/v1/sessions/s/stream", headers=foreign)

    for response in (refused, stream):
        assert (response.status_code, response.json()["code"]) == (421, "host-refused")
        assert response.headers["x-request-id"]
    assert len((await served.client.get("/v1/sessions")).json()["items"]) == 1


@pytest.mark.parametrize(
    "host",
    [b"localhost", b"LOCALHOST:8000", b"127.0.0.1:1", b"127.9.8.7", b"[::1]:8000", b"[::1]", b""],
)
async def test_this_machines_own_names_are_answered_to(served: Served, host: bytes):
    assert await asked(served, host) == b"HTTP/1.1 200 OK"


async def test_names_that_were_given_are_answered_to(serve: Serve):
    """A proxy on the same machine passes on the name that the world knows it by."""
    async with serve(hosts="app.example, Other.Example") as served:
        assert await asked(served, b"app.example") == b"HTTP/1.1 200 OK"
        assert await asked(served, b"other.example:443") == b"HTTP/1.1 200 OK"
        assert await asked(served, b"third.example") == b"HTTP/1.1 421 Misdirected Request"


async def test_an_address_that_others_reach_is_called_by_any_name(serve: Serve):
    async with serve(host="0.0.0.0", i_know_there_is_no_auth=True) as served:
        assert await asked(served, b"app.example") == b"HTTP/1.1 200 OK"
