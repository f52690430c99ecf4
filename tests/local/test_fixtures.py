import asyncpg
import psycopg
import redis


async def test_the_shared_servers_answer(postgres_url, redis_url):
    connection = await asyncpg.connect(postgres_url)
    try:
        assert await connection.fetchval("show synchronous_commit") == "on"
        assert await connection.fetchval("show fsync") == "on"
        assert await connection.fetchval("show data_checksums") == "on"
    finally:
        await connection.close()
    with redis.Redis.from_url(redis_url) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_every_redis_version_of_the_machine_gets_its_turn(any_redis_url, request):
    version = request.node.callspec.params["any_redis_url"]

    with redis.Redis.from_url(any_redis_url) as client:
        assert client.info("server")["redis_version"] == version


def test_a_test_has_a_database_of_its_own(empty_database_url, postgres_url):
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("create table mine (id int)")
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("select to_regclass('mine')").fetchone() == (None,)
