"""What a round learned from the notebooks of its processes."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.verify.history import Append, Outcome


@dataclass(frozen=True, slots=True)
class Owned:
    """A worker claimed a session."""

    worker: str
    session: int
    epoch: int
    at: float
    taken_over: bool


@dataclass(slots=True)
class Notes:
    """All of it, in the order in which each process wrote it."""

    counts: Counter[str] = field(default_factory=Counter[str])
    owned: list[Owned] = field(default_factory=list[Owned])
    # (worker, session, epoch) → when it let go of it by itself
    left: dict[tuple[str, int, int], float] = field(
        default_factory=dict[tuple[str, int, int], float]
    )
    fired: list[tuple[str, str, float]] = field(default_factory=list[tuple[str, str, float]])
    up: set[str] = field(default_factory=set[str])  # workers that announced themselves
    killed_at: dict[str, float] = field(default_factory=dict[str, float])
    _asked: dict[tuple[str, int], dict[str, Any]] = field(
        default_factory=dict[tuple[str, int], dict[str, Any]]
    )

    def take(self, process: str, lines: Iterable[Mapping[str, Any]]) -> None:
        """Take in what a process wrote since the last time."""
        for line in lines:
            match line["k"]:
                case "count":
                    self.counts[line["c"]] += line["n"]
                case "up":
                    self.up.add(process)
                case "own":
                    self.owned.append(Owned(process, line["s"], line["e"], line["t"], line["over"]))
                case "gone":
                    self.left[process, line["s"], line["e"]] = line["t"]
                case "kept":
                    # It was about to be given back, and there was something to be done in it.
                    self.left.pop((process, line["s"], line["e"]), None)
                case "fired":
                    self.fired.append((process, line["shot"], line["t"]))
                    if ":kill@" in line["shot"]:
                        self.killed_at[process] = line["t"]
                case "append":
                    self._asked[process, line["n"]] = {
                        "at": line["t"],
                        "b": line["b"],
                        "is": "lost",
                    }
                case "done" | "lost" | "rejected":
                    # What was asked for in an earlier round is that round's.
                    if (asked := self._asked.get((process, line["n"]))) is not None:
                        asked["is"], asked["refused"] = line["k"], set(line.get("refused", ()))
                case _:
                    pass

    def owns(self, worker: str) -> bool:
        """Tell whether a worker has a session that it has not let go of."""
        return any(
            (worker, each.session, each.epoch) not in self.left
            for each in self.owned
            if each.worker == worker
        )

    def appends(self, sessions: Mapping[int, str]) -> list[Append]:
        """Return the producers' logs. A refusal counts only where no earlier try of the same bytes is in doubt."""
        found: list[Append] = []
        doubtful: set[tuple[int, int, str]] = set()
        for (process, _), asked in self._asked.items():
            for session, epoch, head, digests in asked["b"]:
                if session not in sessions:
                    continue
                for place, digest in enumerate(digests):
                    event = (session, head + 1 + place, digest)
                    outcome = Outcome.UNKNOWN
                    if asked["is"] == "done":
                        refused = session in asked["refused"]
                        outcome = Outcome.FENCED if refused else Outcome.OK
                        if refused and event in doubtful:
                            outcome = Outcome.UNKNOWN
                    elif asked["is"] == "lost":
                        doubtful.add(event)
                    found.append(
                        Append(
                            writer=process,
                            session=sessions[session],
                            seq=event[1],
                            digest=bytes.fromhex(digest),
                            asked_at=asked["at"],
                            outcome=outcome,
                            epoch=epoch,
                        )
                    )
        return found
