-- Which sessions were erased lately: for a day, somebody looks whether anything of them is back in Redis.
create index sessions_erased on sessions (erased_at) where erased_at is not null;
