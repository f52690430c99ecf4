-- How many runs may be at work at once, over all workers, as each worker says; null = no limit of its.
alter table workflows
    add column max_concurrent  integer, -- of this workflow
    add column tenant_max_runs integer; -- of one tenant, whatever the workflow; the same in all rows of a worker
