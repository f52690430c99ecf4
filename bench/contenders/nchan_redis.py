"""nchan with Redis behind it, which is what makes several nginx one: the peer whose events outlive a restart, too."""

from collections.abc import Sequence
from pathlib import Path

from bench.contenders.contender import Pace
from bench.contenders.nchan import Nchan
from bench.rig.clocks import pin
from holdfast.local.ladder import redis_server
from holdfast.local.server import ChildServer


class NchanRedis:
    """nginx on core 0 and a Redis of its own on core 1, as Holdfast's is: both belong to the price."""

    name = "nchan + redis"

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        server = redis_server(folder / "redis")
        assert isinstance(server, ChildServer), "a given Redis is not ours to measure"
        self._redis = server
        server.start()
        assert server.pid is not None
        pin([server.pid], 1)
        port = int(server.address.rpartition(":")[2])
        self._nginx = Nchan(folder / "nginx", redis_port=port, redis_pid=server.pid)
        self.port = self._nginx.port

    @property
    def pids(self) -> Sequence[int]:
        """nginx."""
        return self._nginx.pids

    @property
    def beside(self) -> Sequence[int]:
        """Its Redis."""
        return self._nginx.beside

    def sessions(self, count: int) -> Sequence[str]:
        """Channels."""
        return self._nginx.sessions(count)

    def path(self, session: str) -> str:
        """A channel from its oldest message."""
        return self._nginx.path(session)

    def publish(self, sessions: Sequence[str], pace: Pace) -> None:
        """POST the events."""
        self._nginx.publish(sessions, pace)

    def settle(self, timeout_s: float) -> None:
        """Wait for the last answer."""
        self._nginx.settle(timeout_s)

    def stop(self) -> None:
        """End both."""
        self._nginx.stop()
        self._redis.stop()
