"""Durable before visible, looked at where it can be seen: in a log that has just crashed, before anybody writes to it.

A worker that lost a reply writes the same bytes again, at the same seq: a minute later the loss of an event that a
client had seen would have left no trace. So the database is started on a port that nobody knows, and asked there.
"""

import asyncio
from collections import defaultdict
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from holdfast.local.ports import free_port
from holdfast.verify.history import Got
from holdfast.verify.log import digest_of
from tests.campaign.round import Round

_SAVED = """
select s.session_id, e.seq, e.body from events e join sessions s on s.id = e.session
 where s.session_id = $1 and e.seq = any($2)
"""

ANSWER_S = 30.0


class Probe:
    """Holds what the clients of a round saw against what a crash left."""

    def __init__(self, round_: Round) -> None:
        self._round = round_
        self._looked: dict[tuple[str, int], int] = defaultdict(int)  # (client, connection) → rows
        self.held = 0  # events that were looked up, each client's for itself

    async def crashed(self) -> list[str]:
        """Look at the log of a Postgres that is down, and start it again for everybody; return what was lost."""
        seen = self._seen()
        postgres = self._round.field.servers.postgres
        port, postgres.port = postgres.port, free_port()
        try:
            await asyncio.to_thread(postgres.start)
            parts = urlsplit(self._round.field.database_url)
            userinfo = parts.netloc.rpartition("@")[0]
            alone = urlunsplit(parts._replace(netloc=f"{userinfo}@{postgres.address}"))
            return await _lost(alone, seen)
        finally:
            # Whatever became of the look: the next scenario on this stack finds a database at its address.
            await asyncio.to_thread(postgres.stop)
            postgres.port = port
            await asyncio.to_thread(postgres.start)

    def _seen(self) -> dict[str, dict[int, bytes]]:
        """Return what clients saw since the last look: session → seq → digest."""
        found: dict[str, dict[int, bytes]] = defaultdict(dict)
        for client in self._round.crowd.clients:
            for number, connection in enumerate(client.connections):
                key = (client.name, number)
                for seen in connection.seen[self._looked[key] :]:
                    if seen.kind is Got.EVENT:
                        found[client.session][seen.seq] = seen.digest
                        self.held += 1
                self._looked[key] = len(connection.seen)
        return found


async def _lost(url: str, seen: dict[str, dict[int, bytes]]) -> list[str]:
    connection = await asyncpg.connect(url, timeout=ANSWER_S, command_timeout=ANSWER_S)
    found: list[str] = []
    try:
        for session, events in seen.items():
            rows = await connection.fetch(_SAVED, session, list(events))
            saved = {row["seq"]: digest_of(bytes(row["body"])) for row in rows}
            missing = [seq for seq in sorted(events) if seq not in saved]
            changed = [seq for seq in sorted(saved) if saved[seq] != events[seq]]
            if missing:
                found.append(f"session {session}: clients saw {missing[:5]}, and a crash lost them")
            if changed:
                found.append(f"session {session}: {changed[:5]} are not what clients saw")
    finally:
        await connection.close()
    return found
