"""The door: how big, how deep, how slow and in what form a request may be, before any route sees it.

Pure ASGI, since it stands before the hot stream routes too: those pay two sums and nothing else.
"""

import asyncio
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.gateway.problems import Problem
from holdfast.gateway.refusals import asks_for_stream
from holdfast.gateway.strict_json import NotStrictJson, check_strict_json

# As large as the largest event: what fits in here can be recorded as one.
BODY_BYTES_MAX = 256 * 1024

# Eight times what a browser with cookies sends; the server below accepts any number.
HEADER_BYTES_MAX = 16 * 1024

# Filters name at most 64 types of ~20 characters; proxies start refusing at 4 KB.
URL_BYTES_MAX = 2 * 1024

# 256 KB in 15 s is a modem; slower is someone who holds connections open on purpose.
BODY_TIMEOUT_S = 15.0

# What says that there is a body, and where it ends.
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})

_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})

# The rest of a body that was not read must not be taken for the next request.
_CLOSE = {"connection": "close"}


class Limits:
    """ASGI middleware that answers what is over a limit and hands on what isn't, body and all."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await _checked_body(scope, receive)
        except Problem as problem:
            await problem.response(scope)(scope, receive, send)
            return
        except _Gone:
            return
        await self._app(scope, receive if body is None else _replayed(body, receive), send)


class _Gone(Exception):
    """The caller is: there is nobody to answer."""


async def _checked_body(scope: Scope, receive: Receive) -> bytes | None:
    """Return the body, None when the request has none. Raises Problem for what is over a limit."""
    url = len(scope.get("raw_path") or b"") + len(scope["query_string"]) + 1
    if url > URL_BYTES_MAX:
        raise Problem(
            _told(scope, 414), "url-too-long", f"a URL has at most {URL_BYTES_MAX:,} bytes"
        )
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    size = 4 * len(headers)
    has_body = False
    for name, value in headers:
        size += len(name) + len(value)
        has_body = has_body or name in _FRAMING
    if size > HEADER_BYTES_MAX:
        raise Problem(
            _told(scope, 431),
            "headers-too-large",
            f"headers have at most {HEADER_BYTES_MAX:,} bytes in all",
        )
    if not has_body:
        return None
    length = _last(headers, b"content-length")
    if length in (None, b"0") and _last(headers, b"transfer-encoding") is None:
        return None
    if scope["method"] in _WITHOUT_BODY:
        # Left unread it would hide the end of the connection from an open stream.
        raise Problem(400, "body-unexpected", f"{scope['method']} takes no body", headers=_CLOSE)
    if length is not None and length.isdigit() and int(length) > BODY_BYTES_MAX:
        raise _too_large()
    body = await _read(receive)
    if body:
        _check_form(headers)
        _check_content(body)
    return body


def _told(scope: Scope, status: int) -> int:
    """Return the status that says so to this client: a stream's expects 400 for what will never be served."""
    return 400 if asks_for_stream(scope) else status


def _check_form(headers: Iterable[tuple[bytes, bytes]]) -> None:
    content_type = (_last(headers, b"content-type") or b"").lower()
    media_type, _, parameters = content_type.partition(b";")
    charset = parameters.replace(b" ", b"").replace(b'"', b"")
    if media_type.strip() != b"application/json" or charset not in (b"", b"charset=utf-8"):
        raise Problem(
            415,
            "content-type-unsupported",
            "send the body as application/json in UTF-8",
            headers={"accept": "application/json"},
        )
    if _last(headers, b"content-encoding") not in (None, b"identity"):
        raise Problem(415, "content-encoding-unsupported", "send the body uncompressed")


def _check_content(body: bytes) -> None:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Problem(
            400, "body-not-utf-8", f"the body is not UTF-8: byte {error.start} can't be decoded"
        ) from None
    try:
        check_strict_json(text)
    except NotStrictJson as error:
        raise Problem(422, "json-invalid", str(error)) from None


async def _read(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    more = True
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _Gone
                chunk: bytes = message.get("body", b"")
                size += len(chunk)
                if size > BODY_BYTES_MAX:
                    raise _too_large()
                chunks.append(chunk)
                more = message.get("more_body", False)
    except TimeoutError:
        raise Problem(
            408,
            "body-too-slow",
            f"the body did not arrive within {BODY_TIMEOUT_S:.0f} s",
            headers=_CLOSE,
        ) from None
    return b"".join(chunks)


def _too_large() -> Problem:
    return Problem(
        413, "body-too-large", f"a body has at most {BODY_BYTES_MAX:,} bytes", headers=_CLOSE
    )


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that yields the body once and then what the connection yields: its end."""
    message: Message | None = {"type": "http.request", "body": body, "more_body": False}

    async def replay() -> Message:
        nonlocal message
        if message is None:
            return await receive()
        first, message = message, None
        return first

    return replay


def _last(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    return next((value.strip() for key, value in reversed(list(headers)) if key == name), None)
