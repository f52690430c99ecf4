import os
import pickle
import random
import uuid
from datetime import UTC, datetime
from uuid import RFC_4122

from holdfast.events.clock_manual import ManualClock
from holdfast.events.ids import (
    new_command_id,
    new_run_id,
    new_session_id,
    random_uuid,
    seeded_uuid7,
    uuid7,
)


def test_an_id_is_a_uuid_of_version_7():
    made = uuid7()

    assert (made.version, made.variant) == (7, RFC_4122)


def test_an_id_begins_with_the_milliseconds_of_its_making():
    before = int(datetime.now(UTC).timestamp() * 1000)
    made = uuid7().int >> 80
    after = int(datetime.now(UTC).timestamp() * 1000)

    assert before <= made <= after


async def test_ids_sort_by_the_time_of_their_making():
    clock = ManualClock()
    make = seeded_uuid7(clock, random.Random(1))
    made: list[str] = []
    for _ in range(50):
        made.append(new_run_id(make))
        await clock.advance(0.001)

    assert made == sorted(made)


def test_no_two_ids_are_equal():
    assert len({uuid7() for _ in range(10_000)}) == 10_000


def test_the_same_seed_and_time_give_the_same_ids():
    clock = ManualClock()
    one, two = (seeded_uuid7(clock, random.Random(7)) for _ in range(2))
    other = seeded_uuid7(clock, random.Random(8))

    assert [one() for _ in range(3)] == [two() for _ in range(3)]
    assert one() != other()
    assert one().version == 7


def test_an_id_tells_what_it_names():
    ids = [new_session_id(), new_run_id(), new_command_id()]

    assert [name.partition("_")[0] for name in ids] == ["ses", "run", "cmd"]
    assert all(len(name) == 4 + 32 for name in ids)


def test_a_random_uuid_is_one_of_version_4_and_like_no_other() -> None:
    made = [random_uuid() for _ in range(1000)]

    assert len(set(made)) == 1000
    for one in made:
        assert (one.version, one.variant) == (4, RFC_4122)
        assert uuid.UUID(str(one)) == one
        assert pickle.loads(pickle.dumps(one)) == one


def test_a_forked_process_draws_other_uuids_than_its_parent() -> None:
    random_uuid()  # something is drawn in advance
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, random_uuid().bytes)
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reading, 16)
    os.close(reading)
    os.close(writing)

    assert random_uuid().bytes != theirs
