"""Requests to one of several gateways. Any of them can answer any request: a client that fails at
one tries the next.

Every call may be made again: reads by nature, writes by the idempotency key that each one carries.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx2
import orjson

from holdfast.client.backoff import Backoff
from holdfast.client.errors import AnswerInvalid, ProblemError, Unreachable
from holdfast.events.clock import Clock

# A JSON call is tried three times, or once per gateway where there are more: 0.6 to 1.2 s in all
# when each refuses the connection, short enough for a person who mistyped the port.
CALL_TRIES = 3

# A page of 500 events comes in 10 ms; 30 s is a gateway whose database is away.
CALL_TIMEOUT_S = 30.0

# Time for a connection to be made; beyond it another gateway is the better choice.
CONNECT_TIMEOUT_S = 5.0

# Idle connections kept for later calls; followed streams hold one each and are not counted.
_IDLE_CONNECTIONS_MAX = 20

# Refusals that pass by themselves. All else in the 4xx is final.
PASSING_4XX = frozenset({408, 425, 429})

# The first request with this idempotency key is still under way: its answer can be had in a moment.
_IN_FLIGHT = "idempotency-key-in-flight"

# Redirections without end or to what is no web address, a body that can't be unpacked: somebody
# answers, and it is no gateway.
STRANGE_ANSWERS = (httpx2.UnsupportedProtocol, httpx2.TooManyRedirects, httpx2.DecodingError)

EVENT_STREAM = "text/event-stream"


def is_passing(status: int) -> bool:
    """Tell whether the same request may succeed later."""
    return status in PASSING_4XX or not 200 <= status < 500


def gateway_url(url: str) -> str:
    """Return the address of a gateway without what is to be added to it. Raises ValueError."""
    try:
        parts = urlsplit(url)
        # `port` raises ValueError beyond 65535; the driver's own parser knows what else is no URL.
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        httpx2.URL(url)
    except (ValueError, httpx2.InvalidURL):
        sound = False
    if not sound:
        raise ValueError(f"{url!r} is not the URL of a gateway, such as http://127.0.0.1:8000")
    return url.rstrip("/")


class Gateways:
    """The addresses, and the one in use. All followers of a client share what each of them
    learns.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        if not urls:
            raise ValueError("at least one gateway URL is needed")
        self._urls = [gateway_url(url) for url in urls]

    def __len__(self) -> int:
        return len(self._urls)

    @property
    def current(self) -> str:
        """The gateway to ask next."""
        return self._urls[0]

    def leave(self, url: str) -> None:
        """Try another one than `url` from now on; two that fail at once at the same gateway move
        on once.
        """
        if self._urls[0] == url:
            self._urls.append(self._urls.pop(0))


class Wire:
    """An HTTP client for gateways: JSON calls that retry, and responses that stream."""

    def __init__(
        self,
        gateways: Gateways,
        *,
        headers: Mapping[str, str],
        timeout_s: float,
        backoff: Backoff,
        clock: Clock,
        chance: random.Random,
    ) -> None:
        self.gateways, self.backoff, self.clock, self.chance = gateways, backoff, clock, chance
        self._http = httpx2.AsyncClient(
            headers=dict(headers),
            timeout=httpx2.Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S)),
            limits=httpx2.Limits(
                max_connections=None, max_keepalive_connections=_IDLE_CONNECTIONS_MAX
            ),
        )

    async def close(self) -> None:
        """Close every connection, streams included."""
        await self._http.aclose()

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: Any = None,
        key: str | None = None,
    ) -> Any:
        """Return the JSON answer, None for an empty one. Raises ProblemError, Unreachable and
        AnswerInvalid.
        """
        headers = {"accept": "application/json"}
        content = None
        if body is not None:
            content = orjson.dumps(body)
            headers["content-type"] = "application/json"
        if key is not None:
            headers["idempotency-key"] = key
        tries = max(CALL_TRIES, len(self.gateways))
        for number in range(1, tries + 1):
            gateway = self.gateways.current
            failure: Unreachable | ProblemError
            asked_s = None
            try:
                response = await self._http.request(
                    method, gateway + path, params=params, content=content, headers=headers,
                    follow_redirects=method == "GET",
                )  # fmt: skip
            except httpx2.LocalProtocolError:
                raise  # the caller's own mistake: no gateway will mend a header that can't be sent
            except STRANGE_ANSWERS as error:
                raise AnswerInvalid(gateway, describe(error)) from error
            except httpx2.TransportError as error:
                failure = Unreachable(gateway, describe(error))
            else:
                if response.is_success:
                    return _json(gateway, response)
                failure = ProblemError.of(response.status_code, response.content)
                asked_s = retry_after_s(response)
                if not is_passing(failure.status) and failure.code != _IN_FLIGHT:
                    raise failure
            if number == tries:
                raise failure
            self.gateways.leave(gateway)
            await self.clock.sleep(self.backoff.delay(number, self.chance, asked_s=asked_s))
        raise AssertionError("the last try returns or raises")

    async def open(
        self,
        gateway: str,
        path: str,
        *,
        params: Mapping[str, str | int],
        cursor: int,
        stall_s: float,
    ) -> httpx2.Response:
        """Return the response to a request for a stream after `cursor`, its body unread.

        A read of it raises httpx2.ReadTimeout when no byte came for `stall_s`. Raises
        httpx2.TransportError.
        """
        request = self._http.build_request(
            "GET",
            gateway + path,
            params={**params, "after": cursor},
            headers={
                "accept": EVENT_STREAM,
                # A compressor in between would hold frames back until its block is full.
                "accept-encoding": "identity",
                "cache-control": "no-cache",
                "last-event-id": str(cursor),
            },
            timeout=httpx2.Timeout(stall_s, connect=CONNECT_TIMEOUT_S),
        )
        return await self._http.send(request, stream=True, follow_redirects=True)


def retry_after_s(response: httpx2.Response) -> float | None:
    """Return the seconds of a `Retry-After` header; its date form is rare and left alone."""
    value = response.headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() else None


def describe(error: Exception) -> str:
    """Say what went wrong in a few words; some of the driver's errors have no text at all."""
    text = str(error).strip()
    name = type(error).__name__
    return text or {
        "ReadTimeout": "no answer in time",
        "ConnectTimeout": "no connection in time",
    }.get(name, name)


def _json(gateway: str, response: httpx2.Response) -> Any:
    if not response.content:
        return None
    try:
        return orjson.loads(response.content)
    except orjson.JSONDecodeError as error:
        raise AnswerInvalid(gateway, "the body is not JSON") from error
