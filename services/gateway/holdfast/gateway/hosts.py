"""Under which names the gateway may be called.

A page of any site can point a name of its own at 127.0.0.1 (DNS rebinding): to the browser it then *is* the gateway's
own page, and no rule about origins holds it back. The one thing that it can't forge is the `Host` header, which still
says its name. So where only this machine is meant to call, only this machine's names are answered to.
"""

from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from holdfast.gateway.problems import Problem
from holdfast.gateway.settings import Settings, is_loopback


class Hosts:
    """ASGI middleware that refuses foreign names with 421, before anything else looks at the request.

    `names` are allowed beside this machine's own; None allows every name.
    """

    def __init__(self, app: ASGIApp, *, names: Sequence[str] | None) -> None:
        self._app = app
        self._names = None if names is None else frozenset(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if (
            scope["type"] == "http"
            and self._names is not None
            and is_foreign(self._names, scope["headers"])
        ):
            problem = Problem(
                421,
                "host-refused",
                "this gateway does not answer to that name; HOLDFAST_HOSTS lists others",
            )
            await problem.response(scope)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def is_foreign(names: Collection[str], headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Tell whether a request calls the gateway by a name that is neither this machine's nor one of `names`."""
    # All of them: which of two counts depends on the reader. None at all is no browser, which always sends one.
    for field, value in headers:
        if field == b"host":
            name, is_here = _name_of(value.decode("latin-1"))
            if not (is_here or name in names):
                return True
    return False


@lru_cache(maxsize=256)  # a gateway goes by a few names
def _name_of(host: str) -> tuple[str, bool]:
    """Return the name in a `Host` header, and whether it is this machine's own."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return "", False
    return name, is_loopback(name)


def answered_to(settings: Settings) -> Sequence[str] | None:
    """Return the names for `Hosts`: a gateway that others reach is called by whatever name they know it by."""
    return settings.hosts if settings.hosts or is_loopback(settings.host) else None
