"""What a user is told of an error: its code and its own sentence, never a stack trace."""

from holdfast.events.catalog import ErrorInfo
from holdfast.events.errors import AppendRefused, EventInvalid, HoldfastError
from holdfast.orchestrator.journaling import Nondeterminism
from holdfast.orchestrator.redaction import redact, redact_error

# A sentence, not a document.
ERROR_TEXT_MAX = 500
ERROR_CODE_MAX = 64

_CODES = (
    (Nondeterminism, "nondeterminism"),
    (AppendRefused, "append-refused"),
    (EventInvalid, "event-invalid"),
)


def error_info(error: BaseException) -> ErrorInfo:
    """Return `error` as events carry it, without secrets of the environment.

    An error may bring its own `code` and `retryable`, or a whole `info()`.
    """
    if (made := _own_info(error)) is not None:
        return redact_error(made)
    own = getattr(error, "code", None)
    code = next((name for kind, name in _CODES if isinstance(error, kind)), None)
    text = str(error) if isinstance(error, HoldfastError) else f"{type(error).__name__}: {error}"
    return ErrorInfo(
        code=(code or (own if isinstance(own, str) and own else "workflow-error"))[:ERROR_CODE_MAX],
        # A lone surrogate in somebody's message must not keep the run from ending. Redacted before it is cut: half a
        # secret would not be recognised.
        message=redact(text)[:ERROR_TEXT_MAX].encode("utf-8", "replace").decode(),
        retryable=getattr(error, "retryable", False) is True,
    )


def _own_info(error: BaseException) -> ErrorInfo | None:
    """Return what an error of ours says of itself. A stranger's `info` may be anything, and may raise."""
    info = getattr(error, "info", None)
    if not isinstance(error, HoldfastError) or not callable(info):
        return None
    made = info()
    return made if isinstance(made, ErrorInfo) else None
