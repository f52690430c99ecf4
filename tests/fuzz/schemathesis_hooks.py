"""What schemathesis can't know from the document, said so that every check of it can stay switched on."""

from itertools import count
from typing import Any

import schemathesis
from schemathesis import Case, GenerationMode, HookContext
from schemathesis.core import NOT_SET

_NUMBERS = count()


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    del context, kwargs
    if case.method.upper() in ("GET", "HEAD", "OPTIONS"):
        # A body of these is refused at the door whatever the path, so that 405 wouldn't be seen.
        case.body = NOT_SET
        case.headers.pop("Content-Type", None)
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    if isinstance(case.body, dict):
        # Integers beyond 64 bits are refused at any depth, which the document doesn't say of each of them.
        body: dict[str, Any] = _narrowed(case.body)
        case.body = body
        if "workflow" in body:
            # Which workflows there are is data; so is how far ahead of today a start is.
            body["workflow"] = "free"
            body.pop("start_at", None)
    if "idempotency-key" in case.headers:
        # A key that stood in another request is refused with 422.
        case.headers["idempotency-key"] = f"key-{next(_NUMBERS)}"


def _narrowed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _narrowed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_narrowed(item) for item in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return 0
    return value
