-- The queue: runs have a priority and may bring a time limit of their own; one that begins under a limit holds a slot.
--
-- By itself, as every change to `runs` or `workflows`: services lock these tables and `sessions` in any order.
alter table runs
    add column priority   smallint         not null default 0,
    add column timeout_s  double precision,             -- from its first start, as its workflow's own
    -- The session's epoch at which the run was given its slot, until it runs: from then on its status says so. One of
    -- an earlier epoch is none, so that a dead owner's slots are free as soon as its session is taken over.
    add column slot_epoch bigint           not null default 0;
alter table runs add constraint runs_priority_check check (priority between -100 and 100) not valid;
alter table runs add constraint runs_timeout_check check (timeout_s > 0) not valid;
