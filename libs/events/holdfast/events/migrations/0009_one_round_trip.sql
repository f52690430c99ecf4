-- What has to be looked at after a session's row is held, in the round trip that holds it.
--
-- Under READ COMMITTED a statement sees what was committed when it began: one that waits for a row gets the row as the
-- last holder left it, and nothing else that the holder did. Each statement of a function that is volatile looks anew.

-- Holds a session's row to the transaction's end; tells its head, and which of its endings somebody asked for.
create function hold_session(of_tenant text, named text)
returns table (id bigint, session_id text, status text, head bigint, closing text[])
language plpgsql volatile rows 1 as $$
#variable_conflict use_column
declare
    held sessions;
begin
    select * into held from sessions s where s.tenant = of_tenant and s.session_id = named for update;
    if not found then
        return;
    end if;
    return query
    select held.id, held.session_id, held.status, held.next_seq - 1,
           array(select c.kind from commands c
                  where c.session = held.id and c.state = 'open' and c.kind in ('erase', 'expire'));
end
$$;

-- Releases a session if nothing is to be done in it; false, and nothing is changed, if there is something. Who asks
-- something of it holds its row too: so that is seen here, or finds the session released.
create function let_go_of_session(which bigint, at_epoch bigint, published bigint) returns boolean
language plpgsql volatile as $$
begin
    perform from sessions s where s.id = which and s.epoch = at_epoch for update;
    if not found then
        return true;
    end if;
    if exists (select from commands c where c.session = which and c.state = 'open')
       or exists (select from runs r
                   where r.session = which and r.parent_run_id is null
                     and r.status in ('queued', 'running', 'waiting') and r.not_before <= clock_timestamp()) then
        return false;
    end if;
    update sessions s
       set owner = null, lease_until = clock_timestamp(), published_seq = greatest(s.published_seq, published),
           behind = greatest(s.published_seq, published) < s.next_seq - 1
     where s.id = which;
    return true;
end
$$;

-- Takes the lock on a caller's key (`number` stands for it) to the transaction's end, and tells what was answered to it
-- before. Not free: somebody else has it, and the answer is under way. Without a key there is nothing to tell.
create function recall_answer(number bigint, of_tenant text, of_key text)
returns table (free boolean, request_hash bytea, response json)
language plpgsql volatile rows 1 as $$
#variable_conflict use_column
begin
    if number is not null and not pg_try_advisory_xact_lock(number) then
        return query select false, null::bytea, null::json;
        return;
    end if;
    return query select true, i.request_hash, i.response from (select) none
                   left join idempotency i on i.tenant = of_tenant and i.key = of_key;
end
$$;
