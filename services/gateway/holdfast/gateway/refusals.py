"""Refusals in passing: how a stream is turned away by a status that a native EventSource survives.

It gives up for ever on any other status than 200. So on the paths of streams whatever will pass (the log away, the
gateway full or draining, a bug that nobody knows yet) is a 200 that says when to come back, and ends.
"""

import random
import re
from collections.abc import Mapping
from enum import StrEnum

from starlette.responses import Response
from starlette.types import Scope

from holdfast.gateway import sse
from holdfast.gateway.response import STREAM_HEADERS

# A client that is turned away comes back after 1.5 to 4 s: 10,000 of them make 4,000 connects a second at worst.
RETRY_MS = (1500, 4000)

# One who has as many streams as it may have is served when one of those ends: no reason to ask every three seconds.
OVER_LIMIT_RETRY_MS = (5_000, 15_000)

_STREAMS = re.compile(r"/v1/(?:(?:sessions|runs)/[^/]+/stream|sessions/[^/]+/replay)")


class Why(StrEnum):
    """Why a stream is turned away; the words of the metric."""

    DRAINING = "draining"  # this process is on its way out
    FULL = "full"  # it has as many streams as it takes
    LATE = "late"  # its turn did not come in time
    STORE = "store"  # nothing can be told without Postgres
    FAILED = "failed"  # a mistake of ours
    ADDRESS = "address"  # as many streams of its address as may be
    PRINCIPAL = "principal"  # of its principal
    SESSION = "session"  # of its principal in this session


_OVER_LIMIT = frozenset({Why.ADDRESS, Why.PRINCIPAL, Why.SESSION})


def asks_for_stream(scope: Scope) -> bool:
    """Tell whether a request asks for a stream, before any route was looked for."""
    return scope["method"] == "GET" and _STREAMS.fullmatch(scope["path"]) is not None


def come_back(
    chance: random.Random | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    why: Why = Why.FAILED,
) -> Response:
    """Return the answer of a stream that can't be served right now."""
    spread = OVER_LIMIT_RETRY_MS if why in _OVER_LIMIT else RETRY_MS
    milliseconds = (chance or random).randint(*spread)
    return Response(sse.retry(milliseconds), headers={**STREAM_HEADERS, **(headers or {})})
