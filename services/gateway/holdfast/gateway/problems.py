"""Every error of the HTTP interface is a problem document (RFC 9457): what went wrong, where, and a stable code.

    {"type": "urn:holdfast:problem:run-unknown", "title": "Run unknown", "status": 404, "code": "run-unknown",
     "detail": "no run 'x'", "instance": "/v1/runs/x", "request_id": "…"}

Whoever calls decides on `code`; `detail` is for people. `errors` points at the fields of what was sent.
"""

import random
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from holdfast.events.codec import to_json
from holdfast.events.errors import (
    CursorInvalid,
    EventInvalid,
    Refused,
    SessionGone,
    StoreUnavailable,
    StreamUnavailable,
)
from holdfast.events.store import SessionStatus
from holdfast.gateway.refusals import asks_for_stream, come_back

PROBLEM_MEDIA_TYPE = "application/problem+json"

# Twenty wrong fields are enough to see the pattern; a body could hold a hundred thousand.
ERRORS_MAX = 20

# A pointer holds keys that the caller sent: shown as far as it helps.
POINTER_LENGTH_MAX = 256
DETAIL_LENGTH_MAX = 512

# A failover of Postgres takes seconds; callers that come back spread over three of them.
RETRY_AFTER_S = (1, 3)

_STATUS_OF_CODE = {
    "session-unknown": 404,
    "run-unknown": 404,
    "input-unknown": 404,
    "session-exists": 409,
    "session-busy": 409,
    "run-ended": 409,
    "input-answered": 409,
    "idempotency-key-in-flight": 409,
    "idempotency-key-reused": 422,
    "too-many-open-events": 429,
}
# Refusals that pass by themselves.
_PASSING = {"idempotency-key-in-flight", "too-many-open-events"}
_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
_CODE_OF_STATUS = {404: "not-found", 405: "method-not-allowed", 406: "not-acceptable"}


def field_error(place: str, path: Sequence[str | int], detail: str) -> dict[str, str]:
    """Return one entry of `errors`: a JSON pointer (RFC 6901) into the body, or the name of a parameter."""
    pointer = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
    return {
        "in": place,
        "pointer": pointer[:POINTER_LENGTH_MAX],
        "detail": detail[:DETAIL_LENGTH_MAX],
    }


class Problem(Exception):
    """An answer that is an error. Raise it anywhere below a route."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.errors, self.headers, self.members = errors[:ERRORS_MAX], headers, members

    def response(self, scope: Scope) -> Response:
        """Return the document as a response to the request of `scope`."""
        document: dict[str, Any] = {
            "type": f"urn:holdfast:problem:{self.code}",
            "title": self.code.replace("-", " ").capitalize(),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "instance": scope.get("path", ""),
            "request_id": scope.get("state", {}).get("request_id", ""),
        }
        if self.errors:
            document["errors"] = self.errors
        document.update(self.members)
        return Response(
            to_json(document),
            status_code=self.status,
            headers=dict(self.headers or {}),
            media_type=PROBLEM_MEDIA_TYPE,
        )


def problem_of(error: Exception) -> Problem:
    """Return the problem that tells a caller about `error`; what isn't known to be harmless says nothing."""
    match error:
        case Problem():
            return error
        case SessionGone():
            # An expired session can still be read, so the resource itself isn't gone.
            status = 410 if error.status == SessionStatus.ERASED else 409
            return Problem(status, error.code, str(error), session_status=str(error.status))
        case Refused():
            headers = {"retry-after": "1"} if error.code in _PASSING else None
            return Problem(
                _STATUS_OF_CODE.get(error.code, 409), error.code, str(error), headers=headers
            )
        case CursorInvalid():
            return Problem(400, "cursor-invalid", str(error))
        case EventInvalid():
            return Problem(422, "content-invalid", str(error))
        case StoreUnavailable() | StreamUnavailable():
            # The driver's words may name hosts and databases: they go to the log only.
            return Problem(
                503,
                "store-unavailable",
                "the log can't be reached at the moment; make the same request again",
                headers={"retry-after": str(random.randint(*RETRY_AFTER_S))},
            )
        case RequestValidationError():
            return _of_validation(error)
        case HTTPException():
            phrase = HTTPStatus(error.status_code).phrase
            code = _CODE_OF_STATUS.get(error.status_code, phrase.lower().replace(" ", "-"))
            return Problem(error.status_code, code, error.detail, headers=error.headers)
        case _:
            return Problem(
                500,
                "internal-error",
                "something went wrong here; the request id finds it in the log",
            )


ANSWERED = (
    Problem,
    Refused,
    CursorInvalid,
    EventInvalid,
    StoreUnavailable,
    StreamUnavailable,
    RequestValidationError,
    HTTPException,
)
"""What a route may raise as its answer. Anything else is a bug, which the edge answers."""


def answer_to(scope: Scope, problem: Problem) -> Response:
    """Return the response to a request that is a problem: on the paths of streams one that a client survives."""
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR and asks_for_stream(scope):
        return come_back()
    return problem.response(scope)


def install_problems(app: FastAPI) -> None:
    """Make every error that a route raises a problem document."""

    async def answer(request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        if problem.status == HTTPStatus.METHOD_NOT_ALLOWED:
            problem.headers = {"allow": _allowed(request)}
        return answer_to(request.scope, problem)

    for kind in ANSWERED:
        app.add_exception_handler(kind, answer)


def _allowed(request: Request) -> str:
    """Return every method of the request's path: the framework names only those of the first route that has it."""
    methods = [
        method
        for method in _METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]
    return ", ".join(methods)


def _of_validation(error: RequestValidationError) -> Problem:
    errors = [
        field_error(str(item["loc"][0]), item["loc"][1:], item["msg"])
        for item in error.errors()[:ERRORS_MAX]
    ]
    first = errors[0]
    where = first["pointer"] or "the " + first["in"]
    return Problem(422, "request-invalid", f"{where}: {first['detail']}", errors=errors)
