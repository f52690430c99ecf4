"""What stands in URLs and headers, read strictly: two answers to one question are none.

A stream's native client dies of any status but 200, 204 and the few that mean "never": so what is malformed
here is a 400, on JSON routes too. (They are coroutines because FastAPI sends plain functions to a thread.)
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Annotated, Any

import orjson
from fastapi import Depends, Header, Path, Query, Request

from holdfast.events.cursor import parse_cursor
from holdfast.events.errors import RunUnknown, SessionUnknown
from holdfast.events.kinds import TypeFilter
from holdfast.events.store import Idempotency
from holdfast.gateway.problems import Problem, field_error
from holdfast.gateway.requests import ID_PATTERN
from holdfast.gateway.selection import EVERYTHING

# What the OpenAPI document says of them. It can't be the validators' own: those answer 422. A cursor of 19 digits is
# taken, too; no log has one.
CURSOR_FORM: dict[str, Any] = {"pattern": r"^[0-9]{1,18}(-[0-9a-f]{1,16})?$"}
_TYPES_FORM: dict[str, Any] = {"pattern": r"^[!-~]*$"}
_AGENT_FORM: dict[str, Any] = {"pattern": r"^[^\x00-\x1f\x7f]{1,128}$"}
_KEY_FORM: dict[str, Any] = {"pattern": r"^[!-~]{1,255}$"}

_ID = re.compile(ID_PATTERN.removesuffix("$") + r"\Z")
_TYPES = re.compile(r"[!-~]*")
_AGENT = re.compile(r"[^\x00-\x1f\x7f]{1,128}")
_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")
_TRACEPARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"
)


def read_session_id(text: str) -> str:
    """Return the id of a session. Raises SessionUnknown."""
    # An id that nobody could have got is simply unknown; it isn't shown to Postgres, which chokes on U+0000.
    if not _ID.match(text):
        raise SessionUnknown(text)
    return text


def read_run_id(text: str) -> str:
    """Return the id of a run. Raises RunUnknown."""
    if not _ID.match(text):
        raise RunUnknown(text)
    return text


def read_cursor(headers: Sequence[str], queried: Sequence[str]) -> int | None:
    """Return the cursor that the headers or else the query say. Raises Problem and CursorInvalid."""
    if len(headers) > 1:
        raise _twice("header", "Last-Event-ID")
    after = read_after(queried)
    return parse_cursor(headers[0]) if headers else after


def read_after(queried: Sequence[str]) -> int | None:
    """Return the cursor that the query says. Raises Problem and CursorInvalid."""
    after = _only("after", queried)
    return None if after is None else parse_cursor(after)


def read_types(queried: Sequence[str]) -> TypeFilter:
    """Return the types that the query wants. Raises Problem."""
    types = _only("types", queried)
    if types is None:
        return EVERYTHING
    if not _TYPES.fullmatch(types):
        raise _malformed("query", "types", "names are visible ASCII, separated by commas")
    try:
        return TypeFilter.parse(types)
    except ValueError as error:
        raise _malformed("query", "types", str(error)) from None


def read_agent(queried: Sequence[str]) -> str | None:
    """Return the agent that the query wants. Raises Problem."""
    agent = _only("agent", queried)
    if agent is not None and not _AGENT.fullmatch(agent):
        raise _malformed("query", "agent", "a name has 1 to 128 printable characters")
    return agent


async def _session_id(
    session_id: Annotated[str, Path(description="the session's id")],
) -> str:
    return read_session_id(session_id)


async def _run_id(run_id: Annotated[str, Path(description="the run's id")]) -> str:
    return read_run_id(run_id)


async def _cursor(
    request: Request,
    after: Annotated[
        str | None,
        Query(
            description="the seq of the last event you have; exclusive",
            json_schema_extra=CURSOR_FORM,
        ),
    ] = None,
    last_event_id: Annotated[
        str | None,
        Header(
            description="the same, as EventSource sends it; beats `after`",
            json_schema_extra=CURSOR_FORM,
        ),
    ] = None,
) -> int | None:
    del after, last_event_id  # the lists are the same, with their length
    headers = request.headers.getlist("last-event-id")
    return read_cursor(headers, request.query_params.getlist("after"))


async def _after(
    request: Request,
    after: Annotated[
        str | None,
        Query(
            description="the seq of the last event you have; exclusive",
            json_schema_extra=CURSOR_FORM,
        ),
    ] = None,
) -> int | None:
    del after
    return read_after(request.query_params.getlist("after"))


async def _types(
    request: Request,
    types: Annotated[
        str | None,
        Query(
            description="comma-separated types and families: `run.completed,message.*`",
            json_schema_extra=_TYPES_FORM,
        ),
    ] = None,
) -> TypeFilter:
    del types
    return read_types(request.query_params.getlist("types"))


async def _agent(
    request: Request,
    agent: Annotated[
        str | None,
        Query(description="only the events of this agent", json_schema_extra=_AGENT_FORM),
    ] = None,
) -> str | None:
    del agent
    return read_agent(request.query_params.getlist("agent"))


async def _idempotency_key(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(
            description="1 to 255 visible ASCII characters: the same key, the same effect, once",
            json_schema_extra=_KEY_FORM,
        ),
    ] = None,
) -> str | None:
    if len(request.headers.getlist("idempotency-key")) > 1:
        raise _twice("header", "Idempotency-Key")
    if idempotency_key is not None and not _IDEMPOTENCY_KEY.fullmatch(idempotency_key):
        raise _malformed("header", "Idempotency-Key", "has 1 to 255 visible ASCII characters")
    return idempotency_key


async def _trace_id(
    traceparent: Annotated[
        str | None, Header(description="W3C trace context; its trace id goes into the run's events")
    ] = None,
) -> str | None:
    # An invalid one is ignored, as the standard asks: tracing must not break what it traces.
    match = _TRACEPARENT.fullmatch(traceparent or "")
    if match is None or (match[1] == "00" and match[3]):
        return None
    return match[2]


SessionId = Annotated[str, Depends(_session_id)]
RunId = Annotated[str, Depends(_run_id)]
Cursor = Annotated[int | None, Depends(_cursor)]
After = Annotated[int | None, Depends(_after)]
Types = Annotated[TypeFilter, Depends(_types)]
Agent = Annotated[str | None, Depends(_agent)]
IdempotencyKey = Annotated[str | None, Depends(_idempotency_key)]
TraceId = Annotated[str | None, Depends(_trace_id)]


def idempotency(key: str | None, call: str, *content: Any) -> Idempotency | None:
    """Return the key with the hash of what is asked for: spacing and key order of the JSON don't count."""
    if key is None:
        return None
    asked = orjson.dumps([call, *content], option=orjson.OPT_SORT_KEYS)
    return Idempotency(key=key, request_hash=hashlib.sha256(asked).digest())


def _only(name: str, queried: Sequence[str]) -> str | None:
    if len(queried) > 1:
        raise _twice("query", name)
    return queried[0] if queried else None


def _twice(place: str, name: str) -> Problem:
    return _malformed(place, name, "stands twice")


def _malformed(place: str, name: str, detail: str) -> Problem:
    code = "cursor-invalid" if name in ("after", "Last-Event-ID") else "parameter-invalid"
    return Problem(400, code, f"{name}: {detail}", errors=[field_error(place, [name], detail)])
