-- The log. Postgres remembers; everything else can be made again from here.
--
-- A session is the unit of ordering and of ownership. Its row is also its lock: whoever appends, claims or asks
-- something of a session holds that row first, so every rule below is decided one transaction at a time.
-- Nothing in this schema orders events of different sessions; a subscription over the whole log goes by `tx`.

create table log (
    log_id      uuid        not null default gen_random_uuid(),
    created_at  timestamptz not null default now(),
    only_row    boolean     not null default true unique check (only_row)
);
insert into log default values;

create table sessions (
    id            bigint generated always as identity primary key,
    tenant        text        not null,
    session_id    text        not null,
    status        text        not null default 'active' check (status in ('active', 'expired', 'erased')),
    epoch         bigint      not null default 0,
    owner         text,
    lease_until   timestamptz,                    -- null = nobody owns it
    next_seq      bigint      not null default 1, -- the head is next_seq - 1
    min_seq       bigint      not null default 1, -- earlier events are gone for good
    published_seq bigint      not null default 0, -- a hint for the sweep, never for safety
    behind        boolean     not null default false, -- released with events that were not published: for the sweep
    last_ts       timestamptz,                    -- event timestamps never go back
    ttl_s         integer,
    created_at    timestamptz not null default now(),
    expires_at    timestamptz,
    erased_at     timestamptz,
    metadata      json        not null default '{}',
    unique (tenant, session_id)
);
create index sessions_expiring on sessions (expires_at) where status = 'active' and expires_at is not null;
-- No index names next_seq or published_seq, also not in its condition: an append, which changes them, stays one
-- write to the row alone (a HOT update).
create index sessions_behind on sessions (id) where behind;
create index sessions_leased on sessions (lease_until) where owner is not null;

create table events (
    session     bigint      not null references sessions (id),
    seq         bigint      not null,
    event_id    uuid        not null,
    run_id      text,
    key         text,
    epoch       bigint      not null,
    type        text        not null,
    schema_v    smallint    not null default 1,
    ts          timestamptz not null,             -- the worker's clock, clamped; informative
    recorded_at timestamptz not null default now(),
    tx          xid8        not null default pg_current_xact_id(),
    body        bytea       not null,             -- the wire's bytes, verbatim; jsonb would change them
    primary key (session, seq)
);
create unique index one_terminal on events (run_id)
    where type in ('run.completed', 'run.failed', 'run.cancelled');
create unique index one_key on events (run_id, key) where key is not null;
create index events_by_commit on events (tx, session, seq);

create table runs (
    run_id        text        primary key,
    session       bigint      not null references sessions (id),
    parent_run_id text,
    workflow      text        not null,
    workflow_v    text,
    input         json,
    status        text        not null default 'queued'
                  check (status in ('queued', 'running', 'waiting', 'completed', 'failed', 'cancelled')),
    after_seq     bigint      not null,           -- the head when the run was asked for
    attempts      integer     not null default 0,
    strikes       integer     not null default 0, -- takeovers in a row without a newly recorded step
    not_before    timestamptz not null default now(), -- the one timer; infinity = not by time
    waiting       json        not null default '{}',
    user_id       text,
    trace_id      text,
    created_at    timestamptz not null default now(),
    started_at    timestamptz,
    ended_at      timestamptz
);
create index runs_by_session on runs (session, created_at);
create index runs_open_by_session on runs (session, created_at)
    where status in ('queued', 'running', 'waiting');
create index runs_open on runs (not_before) where status in ('queued', 'running', 'waiting');
create index runs_by_parent on runs (parent_run_id) where parent_run_id is not null;

create table commands (
    command_id text        primary key,
    n          bigint generated always as identity, -- the order of asking; assigned under the session's lock
    session    bigint      not null references sessions (id),
    run_id     text,
    kind       text        not null check (kind in ('create', 'start', 'cancel', 'input', 'expire', 'erase')),
    input_id   text,
    body       json        not null default '{}', -- json, not jsonb: the caller's text stays as it came
    state      text        not null default 'open' check (state in ('open', 'accepted', 'rejected')),
    created_at timestamptz not null default now()
);
create index commands_open on commands (session, n) where state = 'open';
create index commands_by_session on commands (session);
create index commands_by_run on commands (run_id) where run_id is not null;
create unique index one_answer on commands (run_id, input_id) where kind = 'input' and state <> 'rejected';

create table step_results (
    run_id text  not null,
    key    text  not null,
    body   bytea not null,
    primary key (run_id, key)
);

create table workflows (
    name         text        not null,
    version      text        not null,
    worker       text        not null,
    input_schema json,
    description  text,
    load_error   text,
    seen_at      timestamptz not null default now(),
    primary key (name, version, worker)
);

create table snapshots (
    session      bigint   not null references sessions (id),
    seq          bigint   not null,
    fold_version smallint not null,
    body         bytea    not null,
    primary key (session, seq, fold_version)
);

create table idempotency (
    tenant       text        not null,
    key          text        not null,
    request_hash bytea       not null,
    session      bigint      not null references sessions (id), -- whose erasure takes the answer along
    response     json        not null,
    created_at   timestamptz not null default now(),
    primary key (tenant, key)
);
create index idempotency_by_session on idempotency (session);
create index idempotency_by_age on idempotency (created_at);
