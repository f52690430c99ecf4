"""The console over HTTP: one page everywhere below /console, its files for good, and a policy that lets nothing in."""

import gzip
import re

import pytest

from holdfast.gateway.console.files import Files
from holdfast.gateway.problems import PROBLEM_MEDIA_TYPE
from tests.gateway.http.conftest import Served, serving, settings_for_tests


def script() -> str:
    """The path of the shipped script."""
    page = Files().page()
    assert page is not None
    found = re.search(rb'"(/console/assets/console-[^"]+\.js)"', page.content)
    assert found is not None
    return found[1].decode()


@pytest.mark.parametrize(
    "path",
    [
        "/console",
        "/console/",
        "/console/sessions/ses_1",
        "/console/sessions/report.js",
        "/console/nowhere/at/all",
    ],
)
async def test_every_path_below_the_console_is_its_page(served: Served, path: str):
    """The page knows what the path means; a session's id may look like a file's name."""
    response = await served.client.get(path)

    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert b'<div id="root">' in response.content


async def test_the_gateways_address_leads_to_the_console(served: Served):
    response = await served.client.get("/")

    assert (response.status_code, response.headers["location"]) == (307, "/console")


async def test_the_policy_allows_this_gateway_and_nothing_else(served: Served):
    """No inline script or style, no evaluation, no other host, no frame; strings don't become markup."""
    page = await served.client.get("/console")
    asset = await served.client.get(script())

    policy = dict(
        part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";")
    )
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    for response in (page, asset):
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert response.headers["cross-origin-opener-policy"] == "same-origin"
        assert response.headers["cross-origin-resource-policy"] == "same-origin"
        assert response.headers["x-frame-options"] == "DENY"


async def test_a_file_is_kept_for_good_and_the_page_is_asked_for_anew(served: Served):
    asset = await served.client.get(script())
    page = await served.client.get("/console")

    assert asset.headers["content-type"] == "text/javascript; charset=utf-8"
    assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
    for path, first in ((script(), asset), ("/console", page)):
        again = await served.client.get(path, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert again.headers["cache-control"] == first.headers["cache-control"]
    other = await served.client.get("/console", headers={"if-none-match": '"another", W/"one"'})
    assert other.status_code == 200


async def test_a_file_is_packed_for_those_who_take_it_so(served: Served):
    def plain(name: str):
        return served.client.get(script(), headers={"accept-encoding": name})

    refused, taken = await plain("gzip;q=0, identity"), await plain("br, gzip;q=0.5")

    assert "content-encoding" not in refused.headers
    assert taken.headers["content-encoding"] == "gzip"
    assert "accept-encoding" in taken.headers["vary"]
    assert taken.content == refused.content
    assert int(taken.headers["content-length"]) == len(gzip.compress(refused.content, mtime=0))


@pytest.mark.parametrize("path", ["/console", "asset"])
async def test_head_tells_what_get_would_and_sends_nothing(served: Served, path: str):
    url = script() if path == "asset" else path
    head, get = await served.client.head(url), await served.client.get(url)

    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "content-type", "etag", "cache-control"):
        assert head.headers[name] == get.headers[name]


@pytest.mark.parametrize(
    "path",
    [
        "/console/assets/../files.py",
        "/console/assets/%2e%2e/files.py",
        "/console/assets/..%2ffiles.py",
        "/console/assets/..%5cfiles.py",
        "/console/assets/%2fetc%2fhostname",
        "/console/assets//etc/hostname",
        "/console/assets/index.html",
        "/console/assets/nothing.js",
        "/console/assets/",
    ],
)
async def test_nothing_but_the_consoles_files_can_be_read(served: Served, path: str):
    """Sent as it stands: a client would resolve the dots itself."""
    answer = await served.raw(
        f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".encode()
    )

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404 ")
    assert b"content-type: " + PROBLEM_MEDIA_TYPE.encode() in head
    assert b'"code":"not-found"' in body


async def test_that_a_file_is_not_there_is_nothing_to_remember(served: Served):
    """While a new version rolls out, another replica has it: a cache in between must ask again."""
    response = await served.client.get("/console/assets/console-of-tomorrow.js")

    assert response.status_code == 404
    assert response.headers["cache-control"] == "no-store"


async def test_the_console_is_read_only(served: Served):
    response = await served.client.post("/console", json={})

    assert response.status_code == 405
    assert response.headers["allow"] == "GET"


async def test_a_gateway_without_a_console_knows_none():
    """`HOLDFAST_CONSOLE=0`: for those who serve their own users and want nothing else reachable."""
    async with serving(settings_for_tests(console=False)) as served:
        for path in ("/", "/console", script()):
            response = await served.client.get(path)
            assert response.status_code == 404
            assert response.headers["content-type"] == PROBLEM_MEDIA_TYPE


async def test_the_interfaces_description_holds_no_console(served: Served):
    document = (await served.client.get("/openapi.json")).json()

    assert [path for path in document["paths"] if not path.startswith("/v1/")] == [
        "/livez",
        "/readyz",
        "/metrics",
    ]
