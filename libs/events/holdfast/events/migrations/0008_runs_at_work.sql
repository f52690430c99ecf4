-- By itself, so that readers go on while it is made: a transaction that also altered the table would keep them out.
-- Who holds a slot: as many rows as runs are at work, whatever waits or has ended.
create index runs_at_work on runs (workflow)
    where parent_run_id is null and status in ('queued', 'running', 'waiting')
      and (status = 'running' or slot_epoch > 0);
