"""Keys as they come with calls: what is asked of the database, what is remembered, what is refused."""

from __future__ import annotations

import asyncio
import traceback
from contextlib import asynccontextmanager, contextmanager

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from magic_eraser.accounts.identity import Identity
from magic_eraser.accounts.keys import key_format
from magic_eraser.accounts.keys.keys import Keys
from magic_eraser.accounts.keys.pepper import Pepper
from magic_eraser.accounts.plan_files.plan_file import read
from magic_eraser.accounts.plans import Plans
from magic_eraser.accounts.principal import Scope
from magic_eraser.accounts.short_cache import MOST
from magic_eraser.accounts.tables import api_keys
from magic_eraser.accounts.users import Users
from magic_eraser.errors import AccountDisabled, EraserError, InvalidToken, StorageUnavailable, TokenExpired

PEPPER = Pepper(b"the pepper of this test, long enough")
SCOPES = frozenset({Scope.ERASE, Scope.JOBS})


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class House:
    def __init__(self, database) -> None:
        self.database = database
        self.clock = Clock()
        self.keys = Keys(database, PEPPER, self.clock)
        self.users = Users(database, Plans(read(None)))

    async def key(self, **options) -> tuple[str, str]:
        made, text = await self.keys.create("alice", name="x", scopes=SCOPES, actor="cli:test", **options)
        return made.id, text

    async def used(self, key_id: str) -> float | None:
        return (await self.keys.get(key_id, user_id=None)).last_used_at

    async def change(self, **values) -> None:
        async with self.database.write() as connection:
            await connection.execute(api_keys.update().values(values))


@pytest.fixture
def open_house(open_database):
    @asynccontextmanager
    async def opened(**options):
        async with open_database(**options) as database:
            house = House(database)
            await house.users.add("alice", actor="cli:test")
            yield house

    return opened


@contextmanager
def asked(database):
    """The statements that go to the database in the block."""
    statements: list[str] = []

    def note(_connection, _cursor, statement, *_rest) -> None:
        if statement.startswith(("SELECT", "UPDATE", "INSERT", "DELETE")):
            statements.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    yield statements
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)


async def refusal(keys: Keys, text: str) -> EraserError:
    with pytest.raises(EraserError) as raised:
        await keys(text)
    return raised.value


def test_a_good_key_is_looked_up_once_in_half_a_second(open_house):
    async def story():
        async with open_house() as house:
            key_id, text = await house.key()
            with asked(house.database) as statements:
                for _ in range(100):
                    assert await house.keys(text) == Identity("alice", key_id, SCOPES)
                    house.clock.now += 0.0049
                assert len(statements) == 1
                house.clock.now += 0.5
                await house.keys(text)
                assert len(statements) == 2

    asyncio.run(story())


def test_what_is_of_another_kind_or_miswritten_asks_nobody(open_house):
    async def story():
        async with open_house() as house:
            _, text = await house.key()
            with asked(house.database) as statements:
                for other in ("", "eyJhbGciOiJIUzI1NiJ9.e30.x", "ERAS_LIVE_", text.upper(), "é"):
                    assert await house.keys(other) is None
                slip = text[:20] + ("a" if text[20] != "a" else "b") + text[21:]
                for bad in (
                    slip,
                    text[:-1],
                    text + "a",
                    "eras_",
                    "eras_test_" + text[10:],
                    text + "\n",
                    "eras_\0",
                ):
                    assert type(await refusal(house.keys, bad)) is InvalidToken
                assert statements == []

    asyncio.run(story())


def test_an_unknown_key_takes_the_way_of_a_known_one(open_house):
    """Same statement, one row or none: nothing is decided before the look-up by the whole digest."""

    async def story():
        async with open_house() as house:
            _, text = await house.key()
            with asked(house.database) as known:
                await house.keys(text)
            stranger = key_format.make()
            with asked(house.database) as unknown:
                error = await refusal(house.keys, stranger)
                again = await refusal(house.keys, stranger)
            assert known == unknown
            assert "digest" in known[0]
            assert type(error) is type(again) is InvalidToken
            assert error is not again  # a shared one would gather the tracebacks of all callers
            said = "".join(traceback.format_exception(error)) + error.sentence("en") + error.sentence("zh")
            assert stranger not in said
            assert stranger[10:20] not in said

    asyncio.run(story())


def test_the_look_up_uses_the_index(open_house):
    async def story():
        async with open_house() as house, house.database.read() as connection:
            if house.database.is_sqlite:
                explained = await connection.execute(
                    sa.text("EXPLAIN QUERY PLAN SELECT * FROM api_keys WHERE digest = 'x'")
                )
                assert "USING INDEX" in str(explained.all())
            else:
                await connection.execute(sa.text("SET enable_seqscan = off"))
                explained = await connection.execute(
                    sa.text("EXPLAIN SELECT * FROM api_keys WHERE digest = 'x'")
                )
                assert "uq_api_keys_digest" in str(explained.all())

    asyncio.run(story())


def test_whoever_tries_keys_fills_no_memory_and_pushes_out_no_good_one(open_house):
    async def story():
        async with open_house() as house:
            _, text = await house.key()
            await house.keys(text)
            check = house.keys._check
            with asked(house.database) as statements:
                for number in range(MOST + 200):
                    check._bad.put(
                        str(number), None, changes=0
                    )  # as the next lines would, 10,000 look-ups later
                for _ in range(50):
                    await refusal(house.keys, key_format.make())
                assert len(statements) == 50
                assert len(check._bad) == MOST
                await house.keys(text)
                assert len(statements) == 50

    asyncio.run(story())


def test_a_key_is_refused_from_the_moment_its_time_is_over(open_house):
    async def story():
        async with open_house() as house:
            _, text = await house.key(expires_in=0.2)
            await house.keys(text)
            house.clock.now += 0.25  # less than half a second, yet it is not taken from memory
            await asyncio.sleep(0.25)
            assert type(await refusal(house.keys, text)) is TokenExpired
            with asked(house.database) as statements:
                assert type(await refusal(house.keys, text)) is TokenExpired
                assert statements == []

    asyncio.run(story())


def test_revoked_here_it_is_refused_at_once_and_revoked_elsewhere_within_half_a_second(open_house):
    async def story():
        async with open_house() as house:
            key_id, text = await house.key()
            other = Keys(house.database, PEPPER, house.clock)
            await house.keys(text)
            await other(text)
            await house.keys.revoke(key_id, user_id="alice", actor="cli:test")
            assert type(await refusal(house.keys, text)) is InvalidToken
            assert (await other(text)).subject == key_id
            house.clock.now += 0.5
            assert type(await refusal(other, text)) is InvalidToken

    asyncio.run(story())


def test_a_look_up_that_a_revocation_overtakes_is_not_remembered(open_house):
    async def story():
        async with open_house() as house:
            key_id, text = await house.key()
            check = house.keys._check
            row_is_read, go_on = asyncio.Event(), asyncio.Event()
            read_of = house.database.read

            @asynccontextmanager
            async def slow():
                async with read_of() as connection:
                    yield connection
                row_is_read.set()
                await go_on.wait()

            house.database.read = slow
            looking = asyncio.create_task(check(text))
            await row_is_read.wait()
            house.database.read = read_of
            await house.keys.revoke(key_id, user_id="alice", actor="cli:test")
            go_on.set()
            await looking  # was good when it was asked
            assert type(await refusal(house.keys, text)) is InvalidToken

    asyncio.run(story())


def test_a_disabled_users_key_is_refused_and_works_at_once_when_that_is_taken_back(open_house):
    async def story():
        async with open_house() as house:
            key_id, text = await house.key()
            await house.users.disable("alice", actor="cli:test")
            error = await refusal(house.keys, text)
            assert (type(error), error.status) == (AccountDisabled, 403)
            await house.users.enable("alice", actor="cli:test")
            assert (await house.keys(text)).subject == key_id

    asyncio.run(story())


def test_scopes_that_a_newer_version_wrote_are_left_out(open_house):
    async def story():
        async with open_house() as house:
            _, text = await house.key()
            await house.change(scopes=["erase", "fly"])
            assert (await house.keys(text)).scopes == {Scope.ERASE}

    asyncio.run(story())


def test_when_a_key_was_used_is_written_later_to_the_minute(open_house):
    async def story():
        async with open_house() as house:
            key_id, text = await house.key()
            idle_id, _ = await house.key()
            await house.keys(text)
            assert await house.used(key_id) is None
            await house.keys.write_uses()
            used = await house.used(key_id)
            created = (await house.keys.get(key_id, user_id=None)).created_at
            assert used % 60 == 0
            assert 0 <= created - used < 60 or 0 < used - created < 60
            assert await house.used(idle_id) is None
            with asked(house.database) as statements:
                await house.keys.write_uses()
                assert statements == []
            await house.change(last_used_at=used + 600)  # a server whose word came first
            house.clock.now += 1
            await house.keys(text)
            await house.keys.write_uses()
            assert await house.used(key_id) == used + 600

    asyncio.run(story())


def test_uses_of_many_keys_are_written_and_none_is_lost_with_the_database(open_house):
    async def story():
        async with open_house() as house:
            made = [await house.key() for _ in range(20)]
            for _, text in made:
                await house.keys(text)
            write_of = house.database.write

            @asynccontextmanager
            async def away():
                raise StorageUnavailable
                yield

            house.database.write = away
            with pytest.raises(StorageUnavailable):
                await house.keys.write_uses()
            house.database.write = write_of
            await house.keys.write_uses()
            assert all([await house.used(key_id) for key_id, _ in made])

    asyncio.run(story())


def test_without_its_database_no_key_is_taken_for_bad(open_house):
    async def story():
        async with open_house() as house:
            _, text = await house.key()

            @asynccontextmanager
            async def away():
                raise StorageUnavailable
                yield

            read_of, house.database.read = house.database.read, away
            assert type(await refusal(house.keys, text)) is StorageUnavailable
            house.database.read = read_of
            assert (await house.keys(text)).user_id == "alice"

    asyncio.run(story())
