"""What a session looks like at a seq: the fold of its events, and the messages in it."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, JsonValue

from holdfast.events.codec import to_json
from holdfast.events.cursor import parse_cursor
from holdfast.events.fold import apply, empty_state, messages
from holdfast.events.fold import to_json as state_json
from holdfast.events.fold.state import State
from holdfast.events.store import Reader
from holdfast.gateway.gateway import Gateway, Here
from holdfast.gateway.params import SessionId
from holdfast.gateway.principal import Caller, Principal
from holdfast.gateway.routes.answers import problems
from holdfast.gateway.routes.events import check_cursor

router = APIRouter(tags=["state"])

At = Annotated[str | None, Query(description="a seq; without it, the head")]


class StateView(BaseModel):
    """The state of a session at `seq`. Each list is in order of first appearance.

    Events before `min_seq` are no longer kept and not in it.
    """

    model_config = ConfigDict(extra="allow")

    fold_version: int
    seq: int
    min_seq: int
    session: dict[str, JsonValue]
    stage: JsonValue = None
    progress: JsonValue = None
    runs: list[dict[str, JsonValue]]
    messages: list[dict[str, JsonValue]]
    steps: list[dict[str, JsonValue]]
    tools: list[dict[str, JsonValue]]
    components: list[dict[str, JsonValue]]
    inputs: list[dict[str, JsonValue]]


class MessageView(BaseModel):
    """A complete message."""

    model_config = ConfigDict(extra="allow")

    id: str
    role: str
    content: str
    content_type: str
    agent: str | None
    step: str | None
    run_id: str | None
    trace_id: str | None
    ts: str


class MessageList(BaseModel):
    """A session's messages, each once, as of `seq`; those of events before `min_seq` are no longer kept."""

    items: list[MessageView]
    seq: int
    min_seq: int


@router.get(
    "/v1/sessions/{session_id}/state",
    response_class=Response,
    responses={
        200: {"model": StateView, "description": "the state"},
        **problems(400, 404, 409, 410, 503),
    },
)
async def show_state(here: Here, caller: Caller, session_id: SessionId, at: At = None) -> Response:
    """Fold a session's events up to a seq into its state."""
    state, min_seq = await _state(here, caller, session_id, at)
    # The fold's own bytes, and before them what it can't know.
    body = b'{"min_seq":%d,' % min_seq + state_json(state).removeprefix(b"{")
    return Response(body, media_type="application/json")


@router.get(
    "/v1/sessions/{session_id}/messages",
    response_class=Response,
    responses={
        200: {"model": MessageList, "description": "the messages"},
        **problems(400, 404, 409, 410, 503),
    },
)
async def list_messages(
    here: Here, caller: Caller, session_id: SessionId, at: At = None
) -> Response:
    """List a session's complete messages, each once."""
    state, min_seq = await _state(here, caller, session_id, at)
    found: dict[str, Any] = {"items": messages(state), "seq": state.seq, "min_seq": min_seq}
    return Response(to_json(found), media_type="application/json")


async def _state(
    here: Gateway, caller: Principal, session_id: str, at: str | None
) -> tuple[State, int]:
    """Return the state and the earliest seq that went into it."""
    session = await here.store.desk.session(caller.tenant, session_id)
    until = session.head if at is None else parse_cursor(at)
    check_cursor(session, until)
    async with here.folds:
        return await folded(
            here.store.reader, session.session, until=until, min_seq=session.min_seq
        )


async def folded(
    reader: Reader, session: int, *, until: int, min_seq: int = 1
) -> tuple[State, int]:
    """Return the state after event `until`, read page by page, and the earliest seq that was there to be read."""
    state = empty_state()
    after = 0
    while after < until:
        page = await reader.read(session, after=after, until=until)
        min_seq = page.min_seq
        for recorded in page.items:
            apply(state, recorded)
        if page.through <= after:
            break
        after = page.through
        # A page of 500 takes milliseconds to fold: the streams get their turn after each.
        await asyncio.sleep(0)
    return state, min_seq
