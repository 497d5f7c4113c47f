"""The servers that tests start for themselves."""

from __future__ import annotations

import asyncio

import asyncpg

from private_servers import PrivatePostgres, PrivateRedis, redis_answers


def test_a_private_postgres_keeps_its_data_over_a_stop_and_over_a_kill():
    async def tell(url, statement):
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    with PrivatePostgres() as server:
        asyncio.run(tell(server.url, "CREATE TABLE kept AS SELECT 7 AS number"))
        server.restart()
        assert asyncio.run(tell(server.url, "SELECT number FROM kept")) == 7
        server.kill()
        server.start()
        assert asyncio.run(tell(server.url, "SELECT number FROM kept")) == 7
    assert not server.folder.exists()


def test_a_private_redis_can_be_stopped_and_started():
    with PrivateRedis(maxmemory="3mb") as server:
        assert redis_answers(server.port)
        server.stop()
        assert not redis_answers(server.port)
        server.start()
        server.kill()
    assert not server.folder.exists()
