"""A server that was there before us, given by its URL."""

import time
from urllib.parse import urlsplit

from holdfast.local.errors import NotOurs, ServerFailed
from holdfast.local.server import POLL_SECONDS

# Compose starts everything at once: the server may need a little longer than we do.
REACH_SECONDS = 10.0

PROBE_SECONDS = 2


class GivenServer:
    """A Redis or Postgres named by a URL in the environment: used, never stopped."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self._url = url
        self._version = "unknown"

    @property
    def url(self) -> str:
        """The URL as it was given."""
        return self._url

    @property
    def address(self) -> str:
        """`host:port`, without the secret that a URL may hold."""
        parts = urlsplit(self._url)
        return f"{parts.hostname or 'localhost'}:{parts.port or ''}".rstrip(":")

    @property
    def pid(self) -> int | None:
        """None: its process is not ours."""
        return None

    @property
    def version(self) -> str:
        """What it said at `start`."""
        return self._version

    def is_running(self) -> bool:
        """True: whoever runs it answers for that."""
        return True

    def start(self) -> None:
        """Return when it answers. Raises ServerFailed after REACH_SECONDS."""
        deadline = time.monotonic() + REACH_SECONDS
        while True:
            try:
                self._version = (
                    _ask_redis(self._url) if self.name == "redis" else _ask_postgres(self._url)
                )
            except Exception as error:  # each driver has errors of its own
                if time.monotonic() > deadline:
                    reason = f"nobody answers at {self.address} ({type(error).__name__})"
                    raise ServerFailed(self.name, reason) from error
                time.sleep(POLL_SECONDS * 5)
            else:
                return

    def stop(self) -> None:
        """Nothing: it was there before us and stays."""

    def kill(self) -> None:
        """Raise NotOurs."""
        raise NotOurs(self.name)

    def restart(self) -> None:
        """Raise NotOurs."""
        raise NotOurs(self.name)


def _ask_redis(url: str) -> str:
    import redis

    with redis.Redis.from_url(
        url, socket_timeout=PROBE_SECONDS, socket_connect_timeout=PROBE_SECONDS
    ) as client:
        info = client.info("server")
    assert isinstance(info, dict)
    return str(info["redis_version"])


def _ask_postgres(url: str) -> str:
    import psycopg

    with psycopg.connect(url, connect_timeout=PROBE_SECONDS) as connection:
        return connection.info.parameter_status("server_version") or "unknown"
