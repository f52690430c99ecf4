"""One stream over one connection: asked for, judged by its status, read chunk by chunk, over."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx2

from holdfast.client.errors import AnswerInvalid, ClientError, ProblemError
from holdfast.client.wire import (
    EVENT_STREAM,
    STRANGE_ANSWERS,
    Wire,
    describe,
    is_passing,
    retry_after_s,
)

# The body of a refusal is read this far and no further.
_REFUSAL_BYTES_MAX = 64 * 1024

_OK, _NO_CONTENT = 200, 204


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What is followed: a path, its parameters, and what ends it."""

    path: str
    params: Mapping[str, str | int]
    run_id: str | None = None
    until: int | None = None


class Lost(ClientError):
    """A stream is over before its time, or there is none yet; trying again may help.

    `by_gateway` when the gateway meant it (a status, a clean end); `silent` when nothing was heard.
    """

    def __init__(
        self,
        reason: str,
        *,
        by_gateway: bool = False,
        silent: bool = False,
        asked_s: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason, self.by_gateway, self.silent = reason, by_gateway, silent
        self.asked_s = asked_s


class Connection:
    """An open stream."""

    def __init__(self, response: httpx2.Response, *, stall_s: float) -> None:
        self._response, self._stall_s = response, stall_s
        self._chunks: AsyncGenerator[bytes, None] = response.aiter_bytes()
        self._reading: asyncio.Future[bytes] | None = None

    async def chunk(self) -> bytes:
        """Return the next bytes of the stream. Raises Lost at its end, however it comes.

        Who is cancelled here finds the bytes, and the stream, at the next call.
        """
        # A read that is cancelled would take the response with it: it goes on by itself instead.
        self._reading = reading = self._reading or asyncio.ensure_future(anext(self._chunks))
        await asyncio.wait((reading,))
        self._reading = None
        try:
            return reading.result()
        except StopAsyncIteration:
            # Its own doing (a drain, a refusal, a reader too slow): `retry:` is meant.
            raise Lost("the gateway closed the stream", by_gateway=True) from None
        except httpx2.ReadTimeout:
            reason = f"no byte for {self._stall_s:g} s, not even a heartbeat"
            raise Lost(reason, silent=True) from None
        except (httpx2.TransportError, httpx2.DecodingError, httpx2.StreamError) as error:
            raise Lost(f"the connection was lost ({describe(error)})") from error

    def cut(self) -> None:
        """Break the connection as a network would: whoever reads it finds out."""
        stream: Any = self._response.extensions.get("network_stream")
        wire: Any = stream.get_extra_info("socket") if stream is not None else None
        if wire is not None:
            with suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)

    async def close(self) -> None:
        """Give the connection back."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self._chunks.aclose()
        await self._response.aclose()


async def connect(
    wire: Wire, gateway: str, course: Course, *, cursor: int, stall_s: float, handshake_s: float
) -> Connection | None:
    """Ask `gateway` for what comes after `cursor`; return the stream, None when nothing ever will.

    Raises Lost for what may pass, ProblemError for a refusal that won't and AnswerInvalid for no
    gateway at all.
    """
    try:
        async with asyncio.timeout(handshake_s):
            response = await wire.open(
                gateway, course.path, params=course.params, cursor=cursor, stall_s=stall_s
            )
    except httpx2.LocalProtocolError:
        raise  # the caller's own mistake: no gateway will mend a header that can't be sent
    except STRANGE_ANSWERS as error:
        raise AnswerInvalid(gateway, describe(error)) from error
    except TimeoutError:
        raise Lost(f"{gateway}: no answer in time") from None
    except httpx2.TransportError as error:
        raise Lost(f"{gateway}: {describe(error)}") from error
    status = response.status_code
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if status == _OK and kind == EVENT_STREAM:
        return Connection(response, stall_s=stall_s)
    if status == _NO_CONTENT:
        await response.aclose()
        return None
    if is_passing(status) or status == _OK:
        # 200 of another kind is a proxy's or a portal's page: it passes, as an outage does.
        await response.aclose()
        what = f"answered {status}" if status != _OK else f"sent {kind or 'no type'}"
        raise Lost(f"{gateway} {what}", by_gateway=True, asked_s=retry_after_s(response))
    body = await _refusal(response)
    await response.aclose()
    raise ProblemError.of(status, body)


async def _refusal(response: httpx2.Response) -> bytes:
    body = b""
    with suppress(httpx2.TransportError, httpx2.DecodingError):  # the status alone says enough
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > _REFUSAL_BYTES_MAX:
                break
    return body
