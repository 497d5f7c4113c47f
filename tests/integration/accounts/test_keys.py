"""Keys: made, listed, rotated, revoked, on both databases."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager

import pytest
import sqlalchemy as sa

from magic_eraser.accounts.deeds import newest
from magic_eraser.accounts.keys.keys import Keys, foreign_keys
from magic_eraser.accounts.keys.pepper import Pepper
from magic_eraser.accounts.plan_files.plan_file import read
from magic_eraser.accounts.plans import Plans
from magic_eraser.accounts.principal import USER_SCOPES, Scope
from magic_eraser.accounts.tables import Role, api_keys
from magic_eraser.accounts.users import Users
from magic_eraser.errors import (
    Conflict,
    InsufficientScope,
    InvalidToken,
    NotFound,
    TokenExpired,
    ValidationFailed,
)

PEPPER = Pepper(b"the pepper of this test, long enough")
OTHER_PEPPER = Pepper(b"another pepper of this test, long too")
BOSS = "root/key"
ERASE = frozenset({Scope.ERASE})


@pytest.fixture
def open_keys(open_database):
    """Keys of alice and bob, who are users, and of root, who is an admin."""

    @asynccontextmanager
    async def opened():
        async with open_database() as database:
            people = Users(database, Plans(read(None)))
            for name in ("alice", "bob"):
                await people.add(name, actor="cli:test")
            await people.add("root", role=Role.ADMIN, actor="cli:test")
            yield Keys(database, PEPPER), database

    return opened


async def rows(database) -> list:
    async with database.read() as connection:
        return list(await connection.execute(sa.select(api_keys)))


async def change(database, key_id: str, **values) -> None:
    async with database.write() as connection:
        await connection.execute(api_keys.update().where(api_keys.c.id == key_id).values(values))


def test_a_key_is_told_once_and_only_its_digest_is_kept(open_keys):
    async def story():
        async with open_keys() as (keys, database):
            made, text = await keys.create("alice", name="  shop ", scopes=ERASE, actor="alice/key")
            assert re.fullmatch(r"[0-9A-Za-z]{22}", made.id)
            assert (made.user_id, made.name, made.scopes, made.made_by) == ("alice", "shop", ERASE, "alice")
            assert (made.expires_at, made.revoked_at, made.last_used_at, made.ending) == (
                None, None, None, text[-4:],
            )  # fmt: skip
            (row,) = await rows(database)
            assert (row.digest, row.pepper_id) == (PEPPER.digest(text), PEPPER.id)
            assert await keys.listing("alice") == [made] == [await keys.get(made.id, user_id="alice")]
            secret = text[10:-6]
            said = f"{made!r} {row!r} {await newest(database, limit=10)!r} {keys!r}"
            assert secret not in said
            assert secret[:8] not in said
            deed = (await newest(database, limit=1))[0]
            assert (deed.actor, deed.action, deed.target) == ("alice/key", "key.create", "alice")
            assert deed.details == {"key": made.id, "name": "shop", "scopes": ["erase"]}

    asyncio.run(story())


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""}, {"name": "   "}, {"name": "x" * 101}, {"name": "two\nlines"}, {"name": "a\0b"},
        {"scopes": frozenset()}, {"expires_in": 0}, {"expires_in": -1}, {"expires_in": 1e12},
        {"expires_in": float("nan")},
    ],
)  # fmt: skip
def test_what_cannot_be_a_key_is_not_made(open_keys, wrong):
    async def story():
        async with open_keys() as (keys, database):
            with pytest.raises(ValidationFailed):
                await keys.create("alice", **{"name": "shop", "scopes": ERASE, "actor": BOSS, **wrong})
            assert await rows(database) == []

    asyncio.run(story())


def test_keys_are_made_for_users_only_and_an_admins_for_admins(open_keys):
    async def story():
        async with open_keys() as (keys, _):
            for name in ("carol", "car\0ol"):
                with pytest.raises(NotFound):
                    await keys.create(name, name="x", scopes=ERASE, actor=BOSS)
            with pytest.raises(InsufficientScope):
                await keys.create("alice", name="x", scopes={Scope.ADMIN}, actor=BOSS)
            made, _ = await keys.create("root", name="x", scopes={Scope.ADMIN}, actor=BOSS)
            assert made.scopes == {Scope.ADMIN}

    asyncio.run(story())


def test_of_ones_own_making_are_as_many_as_allowed_however_many_ask_at_once(open_keys):
    async def story():
        async with open_keys() as (keys, _):

            async def make(actor: str):
                return await keys.create("alice", name="x", scopes=ERASE, actor=actor, most=3)

            answers = await asyncio.gather(*(make("alice/k") for _ in range(8)), return_exceptions=True)
            assert sum(isinstance(answer, Conflict) for answer in answers) == 5
            assert await keys.count_own("alice") == 3
            await make(BOSS)  # an operator's does not count
            assert await keys.count_own("alice") == 3
            first = next(answer[0] for answer in answers if not isinstance(answer, Conflict))
            await keys.rotate(first.id, user_id="alice", actor="alice/k")
            assert await keys.count_own("alice") == 3
            with pytest.raises(Conflict, match="You have 3 keys"):
                await make("alice/k")
            other = next(
                key for key in await keys.listing("alice") if key.made_by == "alice" and not key.replaced_by
            )
            await keys.revoke(other.id, user_id="alice", actor="alice/k")
            await make("alice/k")
            assert await keys.count_own("bob") == 0

    asyncio.run(story())


def test_another_users_key_is_not_there(open_keys):
    async def story():
        async with open_keys() as (keys, database):
            made, text = await keys.create("alice", name="x", scopes=ERASE, actor=BOSS)
            for key_id in (made.id, "0" * 22, "", "x\0y", text):
                for work in (
                    keys.get(key_id, user_id="bob"),
                    keys.revoke(key_id, user_id="bob", actor="bob/k"),
                    keys.rotate(key_id, user_id="bob", actor="bob/k"),
                ):
                    with pytest.raises(NotFound) as raised:
                        await work
                    assert text not in raised.value.detail
                    assert text[:40] not in raised.value.detail
            assert await keys.listing("bob") == []
            assert (await rows(database))[0].revoked_at is None
            assert (await keys.revoke(made.id, user_id=None, actor=BOSS)).revoked_at is not None

    asyncio.run(story())


def test_a_revoked_key_stays_revoked_as_of_the_first_time(open_keys):
    async def story():
        async with open_keys() as (keys, database):
            made, text = await keys.create("alice", name="x", scopes=ERASE, actor=BOSS)
            assert (await keys(text)).subject == made.id
            first = await keys.revoke(made.id, user_id="alice", actor="alice/k")
            assert await keys.revoke(made.id, user_id="alice", actor="alice/k") == first
            with pytest.raises(InvalidToken, match="revoked"):
                await keys(text)
            with pytest.raises(Conflict, match="was revoked"):
                await keys.rotate(made.id, user_id="alice", actor="alice/k")
            told = [deed.action for deed in await newest(database, limit=10) if deed.target == "alice"]
            assert told == ["key.revoke", "key.create", "user.add"]

    asyncio.run(story())


def test_a_rotated_key_works_on_beside_the_new_one_for_a_while(open_keys):
    async def story():
        async with open_keys() as (keys, database):
            old, old_text = await keys.create("alice", name="shop", scopes=ERASE, actor=BOSS)
            new, new_text = await keys.rotate(old.id, user_id="alice", overlap_seconds=3600, actor="alice/k")
            assert (new.name, new.scopes, new.made_by, new.expires_at) == ("shop", ERASE, "root", None)
            assert (await keys(old_text)).subject == old.id
            assert (await keys(new_text)).subject == new.id
            old = await keys.get(old.id, user_id="alice")
            assert old.replaced_by == new.id
            assert old.expires_at - new.created_at == pytest.approx(3600, abs=5)
            with pytest.raises(Conflict, match=new.id):
                await keys.rotate(old.id, user_id="alice", actor="alice/k")
            newer, _ = await keys.rotate(new.id, user_id="alice", overlap_seconds=0, actor="alice/k")
            with pytest.raises(TokenExpired):
                await keys(new_text)
            assert [key.id for key in await keys.listing("alice")] == [newer.id, old.id, new.id]
            deed = (await newest(database, limit=1))[0]
            assert deed.details == {"key": new.id, "replaced_by": newer.id, "overlap_seconds": 0}

    asyncio.run(story())


def test_rotation_makes_no_key_live_longer_than_its_end(open_keys):
    async def story():
        async with open_keys() as (keys, _):
            old, _text = await keys.create("alice", name="x", scopes=ERASE, expires_in=600, actor=BOSS)
            new, _text = await keys.rotate(old.id, user_id="alice", overlap_seconds=604_800, actor="alice/k")
            assert (await keys.get(old.id, user_id=None)).expires_at == old.expires_at
            assert new.expires_at - new.created_at == pytest.approx(600, abs=1)
            for overlap in (-1, 604_801, float("nan"), float("inf")):
                with pytest.raises(ValidationFailed):
                    await keys.rotate(new.id, user_id="alice", overlap_seconds=overlap, actor="alice/k")

    asyncio.run(story())


def test_of_two_who_rotate_a_key_at_once_one_does(open_keys):
    async def story():
        async with open_keys() as (keys, _):
            made, _text = await keys.create("alice", name="x", scopes=ERASE, actor="alice/k")
            answers = await asyncio.gather(
                *(keys.rotate(made.id, user_id="alice", actor="alice/k") for _ in range(5)),
                return_exceptions=True,
            )
            assert sum(isinstance(answer, Conflict) for answer in answers) == 4
            assert await keys.count_own("alice") == 1

    asyncio.run(story())


def test_nobody_rotates_a_key_into_one_that_can_do_more_than_the_caller(open_keys):
    async def story():
        async with open_keys() as (keys, _):
            made, _text = await keys.create("root", name="x", scopes={Scope.ADMIN, Scope.JOBS}, actor=BOSS)
            with pytest.raises(InsufficientScope, match="admin"):
                await keys.rotate(made.id, user_id="root", actor=BOSS, may=USER_SCOPES)
            new, _text = await keys.rotate(made.id, user_id="root", actor=BOSS, may=frozenset(Scope))
            assert new.scopes == {Scope.ADMIN, Scope.JOBS}

    asyncio.run(story())


def test_an_expired_key_is_over_and_listed_last(open_keys):
    async def story():
        async with open_keys() as (keys, database):
            good, _text = await keys.create("alice", name="good", scopes=ERASE, actor="alice/k")
            over, text = await keys.create("alice", name="over", scopes=ERASE, expires_in=60, actor="alice/k")
            await change(database, over.id, expires_at=over.created_at)
            with pytest.raises(TokenExpired, match=over.id):
                await keys(text)
            with pytest.raises(Conflict, match="expired"):
                await keys.rotate(over.id, user_id="alice", actor="alice/k")
            assert [key.name for key in await keys.listing("alice")] == ["good", "over"]
            assert await keys.count_own("alice") == 1
            assert good.expires_at is None

    asyncio.run(story())


def test_keys_of_another_pepper_are_unknown_and_counted(open_keys):
    async def story():
        async with open_keys() as (keys, database):
            _made, text = await keys.create("alice", name="x", scopes=ERASE, actor=BOSS)
            dead, _text = await keys.create("alice", name="y", scopes=ERASE, actor=BOSS)
            await keys.revoke(dead.id, user_id=None, actor=BOSS)
            assert await foreign_keys(database, PEPPER) == 0
            assert await foreign_keys(database, OTHER_PEPPER) == 1
            with pytest.raises(InvalidToken, match="not known"):
                await Keys(database, OTHER_PEPPER)(text)

    asyncio.run(story())
