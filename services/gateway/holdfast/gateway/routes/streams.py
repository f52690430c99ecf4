"""The live streams, of a session and of a run, as routes: what they take and answer. What they do is in `opening`.

A request gets here only where the shortcut doesn't serve it.
"""

from fastapi import APIRouter, Response

from holdfast.gateway.gateway import Here
from holdfast.gateway.opening import Asked, open_run_stream, open_session_stream
from holdfast.gateway.params import Agent, Cursor, RunId, SessionId, Types
from holdfast.gateway.routes.answers import EVENT_STREAM, problems
from holdfast.gateway.visitors import Visiting

_RESPONSES = {**EVENT_STREAM, **problems(400, 404, 410)}

router = APIRouter(tags=["streams"])


@router.get("/v1/sessions/{session_id}/stream", response_class=Response, responses=_RESPONSES)
async def session_stream(
    here: Here,
    visitor: Visiting,
    session_id: SessionId,
    cursor: Cursor,
    types: Types,
    agent: Agent,
) -> Response:
    """Follow a session: what is recorded after the cursor, and then what comes, over many runs."""
    return await open_session_stream(here, visitor, session_id, Asked(cursor, types, agent))


@router.get("/v1/runs/{run_id}/stream", response_class=Response, responses=_RESPONSES)
async def run_stream(
    here: Here, visitor: Visiting, run_id: RunId, cursor: Cursor, types: Types
) -> Response:
    """Follow a run and the runs below it to the terminal event; afterwards the answer is 204."""
    return await open_run_stream(here, visitor, run_id, Asked(cursor, types))
