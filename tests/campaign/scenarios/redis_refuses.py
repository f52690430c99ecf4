"""A Redis that answers and takes no writes, in each of its four ways: it costs time, and nothing else."""

import asyncio
from collections.abc import Mapping, Sequence

from redis.exceptions import ResponseError

from holdfast.local.redis_server import RedisServer
from tests.campaign.alive import goes_on
from tests.campaign.redis_harm import tell
from tests.campaign.round import Round
from tests.campaign.scenario import Setting

Commands = Sequence[Sequence[str]]

# How each is brought about, and how it is ended. A snapshot fails when its name is a directory's.
HARMS: Mapping[str, tuple[Commands, Commands]] = {
    "OOM": (
        [["CONFIG", "SET", "maxmemory", "1mb"]],
        [["CONFIG", "SET", "maxmemory", "0"]],
    ),
    "READONLY": (
        # A replica of nobody who answers: it serves what it has.
        [["REPLICAOF", "127.0.0.1", "1"]],
        [["REPLICAOF", "NO", "ONE"]],
    ),
    "MISCONF": (
        [["CONFIG", "SET", "save", "3600 1"], ["BGSAVE"]],
        [["CONFIG", "SET", "save", ""]],
    ),
    "NOREPLICAS": (
        [["CONFIG", "SET", "min-replicas-to-write", "1"]],
        [["CONFIG", "SET", "min-replicas-to-write", "0"]],
    ),
}

CI_EACH, EACH = 2, 50

HOLD_S = (0.3, 1.0)
REFUSED_WITHIN_S = 10.0


class RedisRefuses:
    """Each unit is one spell of one refusal."""

    name = "redis-refuses"
    title = "Redis refuses writes (OOM, READONLY, MISCONF, NOREPLICAS)"
    ci = CI_EACH * len(HARMS)
    units = EACH * len(HARMS)
    batch = 10 * len(HARMS)
    setting = Setting(clients_max=60)
    must_fire = ("publish.failed",)

    async def hurt(self, round_: Round, first: int, count: int) -> None:
        """Have it refuse for a while, and see a run to its end meanwhile and afterwards."""
        redis = round_.field.servers.redis
        kinds = list(HARMS)
        for unit in range(first, first + count):
            kind = kinds[unit % len(kinds)]
            harm, cure = HARMS[kind]
            try:
                if kind == "MISCONF":
                    _block(redis)
                for command in harm:
                    await tell(redis, *command)
                said = await _refusal(round_, kind)
                round_.fault(f"Redis says {said}")
                if round_.chance.random() < 0.5:
                    await goes_on(round_, f"seen during {kind}")
                else:
                    await asyncio.sleep(round_.chance.uniform(*HOLD_S))
            finally:
                for command in cure:
                    await tell(redis, *command)
                _unblock(redis)
            round_.fault(f"no more {kind}")
            await goes_on(round_, "seen after a refusal")
            round_.done[kind] += 1


def _block(redis: RedisServer) -> None:
    """Let snapshots fail: the name of their file is a directory's."""
    dump = redis.data_dir / "dump.rdb"
    dump.unlink(missing_ok=True)  # of a synchronization with a replica, maybe
    dump.mkdir()


def _unblock(redis: RedisServer) -> None:
    dump = redis.data_dir / "dump.rdb"
    if dump.is_dir():
        dump.rmdir()


async def _refusal(round_: Round, kind: str) -> str:
    """Wait until a write is refused as it is meant to be; return the words."""
    deadline = round_.field.timeline.now() + REFUSED_WITHIN_S
    while round_.field.timeline.now() < deadline:
        said = await _write(round_)
        # redis-py takes some of the codes off and makes classes of them.
        if said is not None:
            return said
        await asyncio.sleep(0.02)
    round_.broken.append(f"nothing was refused with {kind}")
    return "nothing"


async def _write(round_: Round) -> str | None:
    try:
        await tell(round_.field.servers.redis, "XADD", "campaign-probe", "*", "a", "b")
        await tell(round_.field.servers.redis, "DEL", "campaign-probe")  # may be the first refused
    except ResponseError as error:
        return f"{type(error).__name__}: {error}"
    return None
