"""Requests that nobody sends on purpose, from a seed."""

import random
from typing import Any
from urllib.parse import quote

import orjson

TEXTS = [
    "",
    " ",
    "s",
    "free",
    "a" * 200,
    "a" * 3000,
    "\0",
    "a\nb",
    "'; drop table events; --",
    "ü😀\u2028",
    "\ufeff",
    "..",
    "%s%n{}",
    "-1",
    "1",
    "0x10",
    "1" * 25,
    "9223372036854775807",
    "9223372036854775808",
    "1e5",
    "nan",
    "null",
    "true",
    "2026-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "infinity",
    "message.*",
    ",,,",
    "*",
    ".*",
]
VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    60,
    2**63,
    1.5,
    -1e308,
    [],
    {},
    [[[]]],
    {"": ""},
    {"k": None},
]
FIELDS = ["session_id", "ttl_s", "metadata", "workflow", "input", "on_busy", "start_at", "user_id"]
FIELDS += ["reason", "input_id", "value", "x"]
PARAMETERS = ["after", "until", "at", "limit", "cursor", "types", "agent", "speed", "status"]
PARAMETERS += ["reason"]
HEADERS = ["last-event-id", "idempotency-key", "traceparent", "x-request-id", "accept", "origin"]
HEADERS += ["content-type"]
CALLS = [
    ("POST", "/v1/sessions"),
    ("GET", "/v1/sessions"),
    ("GET", "/v1/sessions/{}"),
    ("POST", "/v1/sessions/{}/runs"),
    ("POST", "/v1/runs"),
    ("GET", "/v1/sessions/{}/events"),
    ("GET", "/v1/sessions/{}/replay"),
    ("GET", "/v1/sessions/{}/state"),
    ("GET", "/v1/sessions/{}/messages"),
    ("GET", "/v1/runs/{}"),
    ("POST", "/v1/runs/{}/cancel"),
    ("POST", "/v1/runs/{}/input"),
    ("DELETE", "/v1/sessions/{}"),
    ("GET", "/v1/workflows"),
    ("GET", "/v1/runs/{}/stream"),
]


def nasty_request(chance: random.Random, *, session_id: str, run_id: str) -> dict[str, Any]:
    """Return the arguments of a request, for httpx; one in two is about what exists."""
    method, path = chance.choice(CALLS)
    query = "&".join(
        f"{chance.choice(PARAMETERS)}={quote(chance.choice(TEXTS))}"
        for _ in range(chance.choice((0, 0, 1, 2)))
    )
    headers = [
        (chance.choice(HEADERS), chance.choice(TEXTS).encode())
        for _ in range(chance.choice((0, 0, 1, 2)))
    ]
    # What no client library would let through is tried on raw sockets elsewhere.
    headers = [
        (name, value)
        for name, value in headers
        if not set(value) & {0, 10} and value.strip() == value
    ]
    content = b""
    if method == "POST":
        content = _content(chance)
        if "content-type" not in dict(headers):
            headers.append(("content-type", b"application/json"))
    known = run_id if "/runs/{}" in path else session_id
    named = known if chance.random() < 0.5 else chance.choice(TEXTS)
    return {
        "method": method,
        "url": f"{path.format(quote(named, safe=''))}?{query}",
        "headers": headers,
        "content": content,
    }


def _content(chance: random.Random) -> bytes:
    if chance.random() < 0.1:
        return bytes(chance.randrange(256) for _ in range(chance.randrange(40)))
    body = {
        field: chance.choice(TEXTS) if chance.random() < 0.6 else chance.choice(VALUES)
        for field in chance.sample(FIELDS, chance.randrange(4))
    }
    if chance.random() < 0.5:
        body["workflow"] = "free"
    return orjson.dumps(body)
