"""What the doctor looks at in a gateway: does it answer, what does it see, is its clock ours."""

import time
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
import orjson

from holdfast.cli.checks_postgres import judge_skew
from holdfast.cli.findings import Finding, fail, ok, warn
from holdfast.client.wire import gateway_url

TIMEOUT_S = 5.0

# A `Date` header is cut to the second: on average half of one is missing.
_DATE_CUT_S = 0.5


async def check_gateway(url: str) -> AsyncIterator[Finding]:
    """Ask `/readyz`."""
    subject = f"gateway {url}"
    try:
        url = gateway_url(url)
    except ValueError as error:
        yield fail(subject, str(error), "correct --url")
        return
    try:
        async with httpx2.AsyncClient(timeout=TIMEOUT_S) as client:
            asked = time.time()
            response = await client.get(f"{url}/readyz")
            answered = time.time()
    except (httpx2.RequestError, httpx2.InvalidURL) as error:
        do = "start it (holdfast dev, holdfast gateway) or correct --url"
        yield fail(subject, f"does not answer: {str(error) or type(error).__name__}", do)
        return
    for finding in judge_readiness(subject, response.status_code, response.content):
        yield finding
    try:
        theirs = parsedate_to_datetime(response.headers["date"]).timestamp() + _DATE_CUT_S
    except (KeyError, ValueError):
        return
    yield judge_skew(f"{subject} clock", theirs - (asked + answered) / 2)


def judge_readiness(subject: str, status: int, body: bytes) -> list[Finding]:
    """Judge what `/readyz` said."""
    try:
        said: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        said = None
    if not isinstance(said, dict) or "status" not in said:
        do = "is the address a gateway's?"
        return [fail(subject, f"answers {status}, but not like a gateway", do)]
    findings = [
        ok(subject, "ready")
        if said["status"] == "ready"
        else warn(subject, str(said["status"]), "it sends its clients to other gateways")
    ]
    postgres, redis = said.get("postgres"), said.get("redis")
    if isinstance(postgres, dict) and not postgres.get("reachable"):
        findings.append(
            fail(subject, "doesn't reach Postgres", "look at its log and HOLDFAST_DATABASE_URL")
        )
    if isinstance(redis, dict) and not redis.get("connected"):
        says = "doesn't hear Redis: events come up to a second later"
        findings.append(warn(subject, says, "look at its log and HOLDFAST_REDIS_URL"))
    return findings
