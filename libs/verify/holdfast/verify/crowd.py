"""The clients of a verification: who reads what, from where on, and when they come and go."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence

from holdfast.verify.history import Client, Want
from holdfast.verify.index import Index
from holdfast.verify.plan import Plan, Timeline
from holdfast.verify.reader import Reader

# The first connections are spread over this long, or a tenth of the duration if that is less.
ARRIVAL_S = 2.0

# Of ten readers two are filtered, two begin late and somewhere in the middle, and six see all of it.
FILTERED_OF_10 = 2
LATE_OF_10 = 2

# What filtered readers ask for: sparse, dense, ends only.
FILTERS = (
    ("run.*",),
    ("message.delta",),
    ("run.completed", "run.failed", "run.cancelled"),
    ("message.*", "command.*"),
)

# One run in three also has a reader of its own stream, for as long as there are fewer of them than a tenth.
RUN_READER_CHANCE = 1 / 3


class Crowd:
    """Readers as tasks of a group. They are seeded one by one: the same seed is the same crowd."""

    def __init__(
        self, plan: Plan, sessions: Sequence[str], timeline: Timeline, group: asyncio.TaskGroup
    ) -> None:
        self._plan, self._sessions = plan, sessions
        self._timeline, self._group = timeline, group
        self._readers: list[tuple[Reader, asyncio.Task[None]]] = []
        self._of_session: dict[str, list[Reader]] = defaultdict(list)
        self._chance = random.Random(f"{plan.seed}/crowd")
        self._arriving: list[asyncio.Task[None]] = []
        self._runs_read = 0
        self._calm = False

    @property
    def readers(self) -> list[Reader]:
        """Everybody who has come so far."""
        return [reader for reader, _ in self._readers]

    @property
    def clients(self) -> list[Client]:
        """What they wrote down."""
        return [reader.client for reader in self.readers]

    @property
    def frames(self) -> int:
        """How many frames they hold."""
        return sum(reader.frames for reader in self.readers)

    def come(self) -> None:
        """Let all readers of sessions come, each in its time."""
        for number in range(self._plan.clients):
            session = self._sessions[number % len(self._sessions)]
            self._arriving.append(self._group.create_task(self._arrive(number, session)))

    async def _arrive(self, number: int, session: str) -> None:
        chance = random.Random(f"{self._plan.seed}/{number}/reader")
        want, late = Want(), False
        place = (number // len(self._sessions)) % 10
        if place < FILTERED_OF_10 and self._plan.clients > len(self._sessions):
            want = Want(types=chance.choice(FILTERS))
        elif place < FILTERED_OF_10 + LATE_OF_10 and self._plan.clients > len(self._sessions):
            late = True
        first_s = min(ARRIVAL_S, self._plan.duration_s / 10)
        await asyncio.sleep(chance.uniform(0, self._plan.duration_s * 0.8 if late else first_s))
        after = 0
        if late:
            # Any id that was ever issued: those that others have are such.
            after = chance.randint(0, max((r.cursor for r in self._of_session[session]), default=0))
        self._follow(f"c{number}", session, want, after, chance)

    def on_run(self, session: str, run_id: str, after: int) -> None:
        """Let a run have a reader of its own, sometimes."""
        reading = sum(not task.done() for r, task in self._readers if r.client.want.run_id)
        if self._chance.random() < RUN_READER_CHANCE and reading <= self._plan.clients // 10:
            self._runs_read += 1
            name = f"r{self._runs_read}"
            chance = random.Random(f"{self._plan.seed}/{name}")
            self._follow(name, session, Want(run_id=run_id), after, chance)

    def calm(self) -> None:
        """Cut nobody any more, and let nobody come who has not come yet."""
        self._calm = True
        for task in self._arriving:
            task.cancel()
        for reader in self.readers:
            reader.calm()

    def behind(self, index: Index) -> int:
        """Return how many readers still wait for something that is in the log."""
        return sum(
            index.owed(
                reader.client.session,
                reader.client.want,
                after=reader.cursor,
                through=index.head(reader.client.session),
            )[0]
            > 0
            for reader in self.readers
        )

    async def leave(self) -> None:
        """Send everybody home; all of them stayed to the end."""
        for _, task in self._readers:
            task.cancel()
        await asyncio.gather(*(task for _, task in self._readers), return_exceptions=True)
        for reader in self.readers:
            reader.client.stayed = True

    def _follow(
        self, name: str, session: str, want: Want, after: int, chance: random.Random
    ) -> None:
        reader = Reader(
            name,
            session,
            want,
            after=after,
            gateways=self._plan.urls,
            churn=0.0 if self._calm else self._plan.churn,
            chance=chance,
            timeline=self._timeline,
            headers=self._plan.headers,
        )
        self._of_session[session].append(reader)
        self._readers.append((reader, self._group.create_task(reader.follow())))
