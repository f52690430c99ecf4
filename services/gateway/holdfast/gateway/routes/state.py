"""What a session looks like at a seq: the fold of its events, and the messages in it."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from holdfast.events.codec import to_json
from holdfast.events.cursor import parse_cursor
from holdfast.events.fold import messages
from holdfast.events.fold import to_json as state_json
from holdfast.events.fold.state import State
from holdfast.gateway.gateway import Gateway, Here
from holdfast.gateway.params import CURSOR_FORM, SessionId
from holdfast.gateway.principal import Caller, Principal
from holdfast.gateway.routes.answers import problems
from holdfast.gateway.routes.events import check_cursor

router = APIRouter(tags=["state"])

At = Annotated[
    str | None, Query(description="a seq; without it, the head", json_schema_extra=CURSOR_FORM)
]


class StateView(BaseModel):
    """The state of a session at `seq`. Each list is in order of first appearance.

    Events before `min_seq` are no longer kept and not in it.
    """

    model_config = ConfigDict(extra="allow")

    fold_version: int
    seq: int
    min_seq: int
    session: dict[str, JsonValue]
    stage: JsonValue
    progress: JsonValue
    checkpoint: JsonValue
    shared: dict[str, JsonValue]
    notifications: list[dict[str, JsonValue]]
    runs: list[dict[str, JsonValue]]
    messages: list[dict[str, JsonValue]]
    reasoning: list[dict[str, JsonValue]]
    steps: list[dict[str, JsonValue]]
    agents: list[dict[str, JsonValue]]
    llm_calls: list[dict[str, JsonValue]]
    tools: list[dict[str, JsonValue]]
    plans: list[dict[str, JsonValue]]
    tasks: list[dict[str, JsonValue]]
    components: list[dict[str, JsonValue]]
    pending_inputs: list[dict[str, JsonValue]]
    artifacts: list[dict[str, JsonValue]]
    forgotten: dict[str, int] = Field(
        description="by list, how many of the oldest entries are left out"
    )


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
        **problems(400, 404, 409, 410, 429, 503),
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
        **problems(400, 404, 409, 410, 429, 503),
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
    async with here.fold_turn():
        return await here.folding.fold(session, until=until)
