"""Runs: start, show, cancel, answer. Each of these asks; the session's owner does, and the log tells."""

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import JsonValue

from holdfast.events.store import Run, RunRequest, Ticket
from holdfast.gateway.gateway import Gateway, Here
from holdfast.gateway.models import Accepted, RunView
from holdfast.gateway.params import IdempotencyKey, RunId, SessionId, TraceId, idempotency
from holdfast.gateway.principal import Caller, Principal
from holdfast.gateway.problems import Problem
from holdfast.gateway.requests import InputAnswer, RunCancel, RunCreate
from holdfast.gateway.routes.answers import EVENT_STREAM, problems
from holdfast.gateway.run_stream import run_stream
from holdfast.gateway.schemas import SchemaBroken, schema_errors
from holdfast.gateway.seats import Visitor
from holdfast.gateway.views import run_view
from holdfast.gateway.visitors import Visiting

_START = {
    **problems(404, 409, 410, 503, body=True),
    202: {"model": Accepted, "description": "asked for"},
    200: {**EVENT_STREAM[200], "description": "with `Accept: text/event-stream`: the run's stream"},
}

# Fields of a request for a run that came after the first release.
_LATER = {"priority", "timeout_s"}

router = APIRouter(tags=["runs"])
log = structlog.get_logger("holdfast.gateway")


@router.post(
    "/v1/sessions/{session_id}/runs", status_code=202, response_model=Accepted, responses=_START
)
async def start_run(
    here: Here,
    caller: Caller,
    visitor: Visiting,
    request: Request,
    session_id: SessionId,
    key: IdempotencyKey,
    trace_id: TraceId,
    body: RunCreate,
) -> Response:
    """Ask for a run in a session; with `Accept: text/event-stream`, follow it in the same answer."""
    ticket = await _start(here, caller, session_id, body, key, trace_id)
    return await _started(here, visitor, request, ticket)


@router.post("/v1/runs", status_code=202, response_model=Accepted, responses=_START)
async def start_run_in_new_session(
    here: Here,
    caller: Caller,
    visitor: Visiting,
    request: Request,
    key: IdempotencyKey,
    trace_id: TraceId,
    body: RunCreate,
) -> Response:
    """Ask for a run in a new session."""
    ticket = await _start(here, caller, None, body, key, trace_id)
    return await _started(here, visitor, request, ticket)


@router.get("/v1/runs/{run_id}", responses=problems(404, 503))
async def show_run(here: Here, caller: Caller, run_id: RunId) -> RunView:
    """Show a run."""
    return _view(await here.store.desk.run(caller.tenant, run_id))


@router.post(
    "/v1/runs/{run_id}/cancel",
    status_code=202,
    responses=problems(404, 409, 503, body=True),
)
async def cancel_run(
    here: Here,
    caller: Caller,
    run_id: RunId,
    key: IdempotencyKey,
    body: RunCancel | None = None,
) -> RunView:
    """Ask for the end of a run; the log tells whether it was cancelled or had ended by itself."""
    reason = body.reason if body else None
    run = await here.store.desk.cancel(
        caller.tenant, run_id, reason=reason, idempotency=idempotency(key, "cancel", run_id, reason)
    )
    await here.hint(run.session)
    return _view(run)


@router.post(
    "/v1/runs/{run_id}/input",
    status_code=202,
    responses=problems(404, 409, 503, body=True),
)
async def answer_input(
    here: Here, caller: Caller, run_id: RunId, key: IdempotencyKey, body: InputAnswer
) -> RunView:
    """Answer a run's request for input; the first answer counts. Without an `input_id`, steer the run."""
    desk = here.store.desk
    same = idempotency(key, "input", run_id, body.input_id, body.value)
    if body.input_id is None:
        run = await desk.steer(caller.tenant, run_id, body.value, idempotency=same)
    else:
        waiting = await desk.run(caller.tenant, run_id)
        _check_value(waiting, body.input_id, body.value)
        run = await desk.answer(caller.tenant, run_id, body.input_id, body.value, idempotency=same)
    await here.hint(run.session)
    return _view(run)


async def _start(
    here: Gateway,
    caller: Principal,
    session_id: str | None,
    body: RunCreate,
    key: str | None,
    trace_id: str | None,
) -> Ticket:
    same = idempotency(key, "start", session_id, _asked(body))
    try:
        await here.workflows.check(body.workflow, body.input)
    except Problem:
        # The workflow may have changed since this request was first made: who has its answer gets it again.
        ticket = await here.store.desk.remembered(caller.tenant, same) if same else None
        if ticket is None:
            raise
        return ticket
    ticket = await here.store.desk.start(
        caller.tenant,
        session_id,
        RunRequest(
            workflow=body.workflow,
            input=body.input,
            on_busy=body.on_busy,
            start_at=body.start_at,
            # Who the caller is, if known, is not for the caller to choose.
            user_id=caller.subject or body.user_id,
            trace_id=trace_id,
            priority=body.priority,
            timeout_s=body.timeout_s,
        ),
        idempotency=same,
    )
    await here.hint(ticket.session)
    return ticket


def _asked(body: RunCreate) -> JsonValue:
    """Return what makes two requests the same; what a gateway of the first release doesn't know only if it is said.

    A client may repeat its request to another version, while a deployment rolls.
    """
    return {
        **body.model_dump(mode="json", exclude=_LATER),
        **body.model_dump(mode="json", include=_LATER, exclude_defaults=True),
    }


async def _started(here: Gateway, visitor: Visitor, request: Request, ticket: Ticket) -> Response:
    stream = stream_path(ticket.run_id, ticket.after)
    headers = {"location": f"/v1/runs/{ticket.run_id}"}
    if _wants_stream(request):
        # The position to come back to is in the URL: whoever loses this answer goes on with a GET.
        return await run_stream(
            here, visitor, ticket, headers={**headers, "content-location": stream}
        )
    accepted = Accepted(
        run_id=ticket.run_id, session_id=ticket.session_id, after=ticket.after, stream=stream
    )
    return JSONResponse(accepted.model_dump(mode="json"), status_code=202, headers=headers)


def stream_path(run_id: str, after: int) -> str:
    """Return the path of a run's stream from a cursor on."""
    return f"/v1/runs/{run_id}/stream?after={after}"


def _wants_stream(request: Request) -> bool:
    accepted = ",".join(request.headers.getlist("accept")).lower().split(",")
    return any(kind.partition(";")[0].strip() == "text/event-stream" for kind in accepted)


def _view(run: Run) -> RunView:
    return run_view(run, stream=stream_path(run.run_id, run.after))


def _check_value(run: Run, input_id: str, value: JsonValue) -> None:
    """Raise Problem when the run waits for this input and the value doesn't fit what it asked for."""
    schema = (run.waiting.get(input_id) or {}).get("value_schema")
    if not schema:
        return
    try:
        errors = schema_errors(schema, value, at=("value",))
    except SchemaBroken as error:
        # The workflow's fault, which must not lock its users out of their own run.
        log.warning("input.schema_broken", run_id=run.run_id, reason=str(error))
        return
    if errors:
        raise Problem(
            422,
            "value-invalid",
            f"the value does not fit what was asked for: {errors[0]['pointer']}: {errors[0]['detail']}",
            errors=errors,
        )
