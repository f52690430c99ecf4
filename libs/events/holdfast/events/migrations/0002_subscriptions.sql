-- Durable subscriptions: how far each consumer of the whole log has come, and what it could not handle.
--
-- A position is (tx, session, seq): transactions in the order of their ids, and only those below the oldest one that
-- is still under way, so that no commit can appear behind a position. Nothing here holds an event's body: what is
-- parked is read from the log again, so that erasing a session leaves no copy of it.

create table subscriptions (
    name          text        primary key,
    after_tx      xid8        not null default '0',
    after_session bigint      not null default 0,
    after_seq     bigint      not null default 0,
    epoch         bigint      not null default 0,   -- counts holders; what an earlier one saves is refused
    owner         text,
    lease_until   timestamptz,                      -- null = nobody holds it
    error         text,                             -- why it stands still, if it does
    created_at    timestamptz not null default now(),
    moved_at      timestamptz not null default now()
);

-- An event that failed waits here for its next try; those of its session that came after it wait behind it. One that
-- failed too often stays, as a dead letter, until somebody replays or discards it.
create table parked_events (
    subscription text        not null references subscriptions (name) on delete cascade,
    session      bigint      not null,              -- no foreign key, see below
    seq          bigint      not null,
    tries        integer     not null default 0,    -- 0 = it only waits behind another
    due_at       timestamptz not null default now(),
    dead_at      timestamptz,
    error        text,
    parked_at    timestamptz not null default now(),
    primary key (subscription, session, seq)
);
create index parked_events_waiting on parked_events (subscription, session, seq) where dead_at is null;
create index dead_letters on parked_events (subscription, dead_at) where dead_at is not null;
create index parked_events_by_session on parked_events (session);

-- A foreign key to sessions locks the session's row, for which its owner's appends then wait, and in an order that isn't
-- theirs. Sessions' rows are never deleted, so it would guard against nothing; erasing a session removes what hangs on it.
alter table snapshots drop constraint snapshots_session_fkey;
