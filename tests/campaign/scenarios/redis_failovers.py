"""A replica that had stopped hearing of its primary takes its place and address: the tail is gone, nobody misses it."""

import asyncio
import shutil

from holdfast.local.ports import free_port
from holdfast.local.redis_server import RedisServer
from tests.campaign.alive import goes_on
from tests.campaign.redis_harm import tell
from tests.campaign.round import Round
from tests.campaign.scenario import Setting
from tests.campaign.servers import Servers
from tests.campaign.wire import Trouble, Wire, wire

# How long the primary goes on unheard: what it takes in then is lost.
UNHEARD_S = (0.2, 1.5)

SYNCED_S = 30.0


class RedisFailovers:
    """Each unit is one failover; the two change their parts with it."""

    name = "redis-failovers"
    title = "Redis failed over without its tail"
    ci = 3
    units = 100
    batch = 10
    setting = Setting(in_flight=12, clients_max=60)
    must_fire = ("publish.gap", "publish.rebase")

    async def hurt(self, round_: Round, first: int, count: int) -> None:
        """Cut the replication, kill the primary, promote the replica in its place."""
        servers = round_.field.servers
        # From the command line, as any replica: without it each synchronization begins with a pause of 5 s.
        spare = RedisServer(
            servers.root / "redis-spare", port=free_port(), binary=servers.redis.binary
        )
        try:
            for _ in range(count):
                port = servers.redis.port
                assert port is not None, "it has been started"
                async with wire("127.0.0.1", port, round_.chance) as line:
                    await _follows(spare, servers, line)
                    await asyncio.sleep(round_.chance.uniform(*UNHEARD_S))
                    line.becomes(Trouble.BLACKHOLE)
                    await asyncio.sleep(round_.chance.uniform(*UNHEARD_S))
                    lost = await _offset(servers.redis) - await _offset(spare)
                    await asyncio.to_thread(servers.redis.kill)
                if lost <= 0:
                    round_.broken.append("a failover that lost nothing")
                old = servers.redis
                await tell(spare, "REPLICAOF", "NO", "ONE")
                await asyncio.to_thread(_takes_over, spare, port)
                servers.redis, spare = spare, old
                round_.fault(f"failed over, {lost:,} bytes of replication are gone")
                await goes_on(round_, "seen after a failover")
                round_.done["failover"] += 1
        finally:
            await asyncio.to_thread(spare.stop)


async def _follows(spare: RedisServer, servers: Servers, line: Wire) -> None:
    """Begin anew as a replica of the one in service, and wait until it has caught up."""
    await tell(servers.redis, "CONFIG", "SET", "repl-diskless-sync-delay", "0")
    await asyncio.to_thread(spare.stop)
    await asyncio.to_thread(shutil.rmtree, spare.data_dir, ignore_errors=True)
    spare.port = free_port()
    await asyncio.to_thread(spare.start)
    await tell(spare, "REPLICAOF", "127.0.0.1", line.port)
    deadline = asyncio.get_running_loop().time() + SYNCED_S
    while (await tell(spare, "INFO", "replication"))["master_link_status"] != "up":
        assert asyncio.get_running_loop().time() < deadline, "the replica is not let in"
        await asyncio.sleep(0.05)


async def _offset(server: RedisServer) -> int:
    said = await tell(server, "INFO", "replication")
    return int(said.get("slave_repl_offset", said["master_repl_offset"]))


def _takes_over(replica: RedisServer, port: int) -> None:
    """Serve at another's address what is there."""
    replica.stop()
    replica.port = port
    replica.start()
