"""Logging of both services: facts named as events are, with fields, one JSON object a line on stdout.

    subscription.ended session=7 cursor=42 ending=slow

What libraries log through the standard module goes the same way.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from structlog.typing import Processor

LEVELS = ("debug", "info", "warning", "error")

# These narrate every connection at INFO; what they warn of still comes through. Clients of HTTP do so with the whole
# URL, whose path and query are often secrets: only what they warn of is told, at any level.
_TALKATIVE = ("uvicorn", "uvicorn.error", "uvicorn.access", "sse_starlette", "asyncio")
_TELLS_SECRETS = ("httpx", "httpx2", "httpcore", "httpcore2")


def configure_logging(level: str = "info", *, console: bool = False) -> None:
    """Send everything of `level` and above to stdout, as JSON lines or, on a console, for people."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
    ]
    if not console:
        shared.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    last: Processor = (
        # Its own tracebacks show every local variable: seconds of work, and secrets.
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if console
        else structlog.processors.JSONRenderer(sort_keys=False, default=str)
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _from_library],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
    for name in _TELLS_SECRETS:
        logging.getLogger(name).setLevel(logging.WARNING)


def _from_library(
    _logger: Any, _method: str, fact: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Keep a library's sentence apart from our own facts, whose `event` is a name."""
    fact["message"] = fact["event"]
    fact["event"] = "library.logged"
    return fact
