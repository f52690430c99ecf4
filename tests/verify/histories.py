"""Histories that break nothing, of any size, from a seed: two sessions, their writers, their readers, their rows."""

import random
from dataclasses import dataclass, field
from typing import Any

import orjson

from holdfast.events.kinds import TypeFilter
from holdfast.verify import (
    Append,
    Ask,
    Call,
    Client,
    CommandRow,
    Connection,
    Copy,
    Ending,
    Got,
    History,
    LogEvent,
    Measure,
    Outcome,
    RunRow,
    Seen,
    SessionLog,
    Want,
)

BEGUN = 1_800_000_000.0
EVERY_S = 0.01  # between two events of a session
COMMIT_S = 0.001  # from asking for an append to the event's time
DELIVERY_S = 0.003


@dataclass
class Writing:
    """A session as its owners write it."""

    session: str
    chance: random.Random
    events: list[LogEvent] = field(default_factory=list)
    appends: list[Append] = field(default_factory=list)
    runs: list[RunRow] = field(default_factory=list)
    commands: list[CommandRow] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    epoch: int = 1

    @property
    def now(self) -> float:
        return BEGUN + EVERY_S * len(self.events)

    def add(self, type_: str, *, key: str | None = None, data: Any = None, **envelope: Any) -> None:
        seq = len(self.events) + 1
        body = orjson.dumps(
            {"v": 1, "seq": seq, "type": type_, "session_id": self.session, **envelope}
            | {"ts": "2027-01-15T08:00:00.000Z", "data": data or {}}
        )
        event = LogEvent.of(
            body, at=self.now, epoch=self.epoch, key=key, event_id=f"{self.session}-{seq}"
        )
        self.events.append(event)
        outcome = Outcome.UNKNOWN if self.chance.random() < 0.05 else Outcome.OK
        writer = f"worker-{self.epoch}"
        if self.chance.random() < 0.05:
            # Whom it has replaced wrote the same place, other bytes, and was refused.
            refused = bytes(reversed(event.digest))
            self.appends.append(self._append("zombie", event, refused, Outcome.FENCED))
        self.appends.append(self._append(writer, event, event.digest, outcome))

    def _append(self, writer: str, event: LogEvent, digest: bytes, outcome: Outcome) -> Append:
        return Append(
            writer=writer,
            session=self.session,
            seq=event.seq,
            digest=digest,
            asked_at=(event.at or 0) - COMMIT_S,
            outcome=outcome,
            epoch=self.epoch,
        )

    def command(self, kind: str, run_id: str | None, state: str = "accepted") -> None:
        command_id = f"{self.session}-{kind}-{len(self.commands) + 1}"
        self.commands.append(
            CommandRow(
                command_id=command_id, session=self.session, kind=kind, state=state, run_id=run_id
            )
        )
        if run_id is not None:
            ask = Ask(kind=kind, session=self.session, run_id=run_id, at=self.now, key=command_id)
            self.asks.append(ask)
        if kind in ("start", "cancel") or state == "rejected":
            context = {"run_id": run_id} if state == "accepted" else {}
            self.add(f"command.{state}", data={"command_id": command_id, "kind": kind}, **context)

    def run(self, number: int) -> None:
        chance, run_id, attempt = self.chance, f"{self.session}-run{number}", 1
        self.command("start", run_id)
        self.add("run.started", run_id=run_id, attempt=1, key="started")
        for step in (f"work#{n}" for n in range(chance.randint(1, 3))):
            at = {"run_id": run_id, "step": step}
            self.add("step.started", **at, attempt=attempt, key=f"{step}/started")
            self._call(run_id, step, attempt)
            for _ in range(chance.randint(0, 6)):
                self.add("message.delta", **at, attempt=attempt)
            if chance.random() < 0.3:
                # Its owner dies: the next one begins the step anew.
                self.epoch, attempt = self.epoch + 1, attempt + 1
                self.add("run.resumed", run_id=run_id, attempt=attempt)
                self.add("step.restarted", **at, attempt=attempt)
                self.add("step.started", **at, attempt=attempt)
                self._call(run_id, step, attempt)
            self.add("step.completed", **at, attempt=attempt, key=f"{step}/completed")
            self.add("message.delta", run_id=run_id, attempt=attempt)
        status = chance.choice(["completed", "failed", "cancelled"])
        if status == "cancelled":
            self.command("cancel", run_id)
        self.add(f"run.{status}", run_id=run_id, attempt=attempt)
        if status != "cancelled" and chance.random() < 0.3:
            self.command("cancel", run_id, "rejected")
        self.runs.append(
            RunRow(run_id=run_id, session=self.session, status=status, attempts=attempt)
        )

    def _call(self, run_id: str, step: str, attempt: int) -> None:
        self.calls.append(
            Call(session=self.session, run_id=run_id, step=step, attempt=attempt, at=self.now)
        )


def valid(seed: int, *, runs: int = 3, clients: int = 5, sessions: int = 2) -> History:
    """Return a history in which every promise is kept."""
    chance = random.Random(seed)
    written: list[Writing] = []
    for number in range(sessions):
        writing = Writing(f"s{number}", chance)
        writing.command("create", None)
        writing.add("session.created")
        for n in range(runs):
            writing.run(n)
        written.append(writing)
    return History(
        logs=[
            SessionLog(session=w.session, events=w.events, head=len(w.events), epoch=w.epoch)
            for w in written
        ],
        clients=[
            _client(chance, written[n % sessions], n // sessions, f"c{n}") for n in range(clients)
        ],
        appends=[append for w in written for append in w.appends],
        copies=[copy for w in written for copy in _copies(chance, w)],
        runs=[row for w in written for row in w.runs],
        commands=[row for w in written for row in w.commands],
        asks=[ask for w in written for ask in w.asks],
        calls=[call for w in written for call in w.calls],
        measures=[Measure(process="gateway", name="fds", before=20, after=22, most=37)],
        one_clock=True,
        seed=seed,
    )


def _copies(chance: random.Random, writing: Writing) -> list[Copy]:
    rows = [(event.seq, event.digest) for event in writing.events]
    begin = chance.randrange(len(rows) // 2)
    return [
        Copy(name="pages of b", session=writing.session, events=rows, whole=True),
        Copy(name="window", session=writing.session, events=rows[begin:], whole=False),
    ]


def _client(chance: random.Random, writing: Writing, kind: int, name: str) -> Client:
    head = len(writing.events)
    want, after = Want(), 0
    if kind % 3 == 1:
        want = Want(types=("message.*", "run.failed"))
    elif kind % 3 == 2:
        want = Want(run_id=f"{writing.session}-run1")
    if chance.random() < 0.3:
        after = chance.randint(0, head // 2)
    family, types = frozenset({want.run_id or ""}), TypeFilter(want.types)
    wanted = [e for e in writing.events if want.passes(e, family, types)]
    client = Client(name=name, session=writing.session, want=want, stayed=True)
    cursor = after
    while True:
        late = chance.uniform(0, DELIVERY_S)
        connection = Connection(gateway="a", cursor=cursor, at=BEGUN)
        client.connections.append(connection)
        # Each connection reads some more of it; the last one, all.
        until = chance.choice([cursor + chance.randint(0, 40), head])
        for event in wanted:
            if cursor < event.seq <= until:
                at = (event.at or 0) + late
                if event.seq > cursor + 1:
                    connection.seen.append(Seen(Got.ID, event.seq - 1, at))
                connection.seen.append(Seen(Got.EVENT, event.seq, at, event.digest, live=True))
                cursor = event.seq
        if until >= head:
            if cursor < head:
                connection.seen.append(Seen(Got.ID, head, writing.now))
            connection.ending = Ending.END
            return client
        connection.ending = Ending.CUT
        if chance.random() < 0.2:
            cursor = max(after, cursor - 5)
