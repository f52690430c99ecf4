"""Gates in the database: an append stands still at an exact event, its worker dies there, and the test chooses
whether the commit under way goes through.

Killing a worker "about now" hits the moments between two commits, hardly ever the commit itself. A trigger on
`events` waits for a lock that the test holds, so the death falls exactly between "sent" and "recorded".
"""

from dataclasses import dataclass
from enum import StrEnum

from tests.e2e.stack import eventually
from tests.faults.rig import Rig

# The first half of the lock's number, told apart from every lock that the product takes.
_GATES = 0x6761

_SETUP = f"""
create table if not exists fault_gates (session bigint primary key, seq bigint, type text, nth integer);
create or replace function fault_gate() returns trigger language plpgsql as $$
begin
    if exists (select from fault_gates g
                where g.session = new.session
                  and (new.seq >= g.seq or new.type = 'run.completed'
                       or (new.type = g.type
                           and g.nth <= (select count(*) + 1 from events e
                                          where e.session = new.session and e.type = new.type)))) then
        perform pg_advisory_xact_lock_shared({_GATES}, new.session::integer);
    end if;
    return new;
end $$;
create or replace trigger fault_gate before insert on events for each row execute function fault_gate();
"""


class Commit(StrEnum):
    """What becomes of the commit in whose middle a worker dies."""

    LOST = "lost"
    KEPT = "kept"


@dataclass(frozen=True)
class Gate:
    """A session whose append stands still in front of an event: at a seq, or at the nth of a type.

    Whatever it was to stop at, a run's completion is where it stops at the latest.
    """

    rig: Rig
    session: int
    session_id: str

    def reached(self, *, within_s: float = 30) -> int:
        """Wait until an append stands in front of the gate; return the backend that does it."""

        def look() -> int | None:
            found = self.rig.rows(
                "select pid from pg_locks where locktype = 'advisory' and not granted"
                " and classid = %s and objid = %s",
                _GATES,
                self.session,
            )
            return found[0][0] if found else None

        return eventually(f"{self.session_id} reaches its gate", look, within_s=within_s)

    def open(self, backend: int, commit: Commit) -> None:
        """Decide what becomes of the append at the gate, and take the gate away."""
        if commit is Commit.LOST:
            # As after a cut network: the server rolls back when it finds that nobody is there.
            self.rig.rows("select pg_terminate_backend(%s, 5000)", backend)
        self.rig.execute("delete from fault_gates where session = %s", self.session)
        self.rig.rows("select pg_advisory_unlock(%s, %s)", _GATES, self.session)


def gate(
    rig: Rig, session_id: str, *, seq: int | None = None, type: str | None = None, nth: int = 1
) -> Gate:
    """Put a gate into a session, before its events are written."""
    rig.execute(_SETUP)
    session = rig.rows("select id from sessions where session_id = %s", session_id)[0][0]
    rig.rows("select pg_advisory_lock(%s, %s)", _GATES, session)
    rig.execute("insert into fault_gates values (%s, %s, %s, %s)", session, seq, type, nth)
    return Gate(rig, session, session_id)
