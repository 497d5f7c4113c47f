"""Users: added, found, disabled; each deed in the audit log."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from magic_eraser.accounts.deeds import newest
from magic_eraser.accounts.plan_files.plan_file import read
from magic_eraser.accounts.plans import Plans
from magic_eraser.accounts.tables import Role, users
from magic_eraser.accounts.users import Users
from magic_eraser.errors import Conflict, NotFound, ValidationFailed

BOSS = "root/key"


@pytest.fixture
def open_users(open_database):
    @asynccontextmanager
    async def opened():
        async with open_database() as database:
            yield Users(database, Plans(read(None))), database

    return opened


async def deeds(database, target: str) -> list[tuple[str, str, dict]]:
    return [
        (deed.actor, deed.action, dict(deed.details))
        for deed in reversed(await newest(database, limit=50, target=target))
    ]


def test_a_user_is_added_once_on_the_default_plan(open_users):
    async def story():
        async with open_users() as (people, database):
            assert await people.find("alice") is None
            alice = await people.add("alice", email="a@b.example", actor=BOSS)
            assert (alice.plan, alice.role, alice.disabled_at, alice.email) == (
                "free",
                Role.USER,
                None,
                "a@b.example",
            )
            assert await people.get("alice") == await people.find("alice") == alice
            with pytest.raises(Conflict, match='already a user "alice"'):
                await people.add("alice", plan="pro", actor=BOSS)
            assert await people.get("alice") == alice
            await people.add("Alice", plan="pro", role=Role.ADMIN, actor=BOSS)  # another one
            assert (await people.get("Alice")).plan == "pro"
            assert await deeds(database, "alice") == [(BOSS, "user.add", {"plan": "free", "role": "user"})]

    asyncio.run(story())


def test_what_cannot_be_a_user_is_not_added(open_users):
    async def story():
        async with open_users() as (people, _):
            for wrong in ({"plan": "gold"}, {"email": "nowhere"}):
                with pytest.raises(ValidationFailed):
                    await people.add("alice", actor=BOSS, **wrong)
            for name in ("local", "anonymous@::1", "a b", "a\0b"):
                with pytest.raises(ValidationFailed):
                    await people.add(name, actor=BOSS)
                with pytest.raises(ValidationFailed):
                    await people.ensure(name)
            assert await people.listing() == []

    asyncio.run(story())


def test_a_token_makes_its_user_once_however_many_calls_come_at_once(open_users):
    async def story():
        async with open_users() as (people, database):
            found = await asyncio.gather(*(people.ensure("auth0|7", email="a@b.example") for _ in range(10)))
            assert len(set(found)) == 1
            assert (found[0].plan, found[0].role) == ("free", Role.USER)
            assert len(await deeds(database, "auth0|7")) == 1
            later = await people.ensure("auth0|7", email="other@b.example")
            assert later == found[0]
            assert (await people.ensure("auth0|8", email="not an address")).email is None

    asyncio.run(story())


def test_of_someone_unknown_nothing_can_be_changed(open_users):
    async def story():
        async with open_users() as (people, database):
            for name in ("nobody", "no\0body", "x" * 300):
                assert await people.find(name) is None
                for deed in (people.disable, people.enable, people.refuse_tokens):
                    with pytest.raises(NotFound):
                        await deed(name, actor=BOSS)
                with pytest.raises(NotFound):
                    await people.set_role(name, Role.ADMIN, actor=BOSS)
                with pytest.raises(NotFound):
                    await people.get(name)
            assert await newest(database, limit=10) == []

    asyncio.run(story())


def test_changes_count_at_once_and_stand_in_the_audit_log_once(open_users):
    async def story():
        async with open_users() as (people, database):
            await people.add("alice", actor=BOSS)
            assert (await people.find("alice")).disabled_at is None

            disabled = await people.disable("alice", actor=BOSS)
            assert disabled.disabled_at == pytest.approx(disabled.created_at, abs=60)
            assert await people.disable("alice", actor=BOSS) == disabled  # since when it is stays
            assert await people.find("alice") == disabled
            assert (await people.enable("alice", actor=BOSS)).disabled_at is None
            assert (await people.find("alice")).disabled_at is None

            assert (await people.set_role("alice", Role.ADMIN, actor=BOSS)).role is Role.ADMIN
            await people.set_role("alice", Role.ADMIN, actor=BOSS)
            assert (await people.find("alice")).role is Role.ADMIN

            await people.set_email("alice", "a@b.example", actor=BOSS)
            await people.set_email("alice", "a@b.example", actor=BOSS)
            assert (await people.find("alice")).email == "a@b.example"
            assert (await people.set_email("alice", None, actor=BOSS)).email is None

            first = await people.refuse_tokens("alice", actor=BOSS)
            second = await people.refuse_tokens("alice", actor=BOSS)
            assert first.tokens_after < second.tokens_after
            assert (await people.find("alice")).tokens_after == second.tokens_after

            told = [action for _, action, _ in await deeds(database, "alice")]
            assert told == [
                "user.add",
                "user.disable",
                "user.enable",
                "user.role",
                "user.email",
                "user.email",
                "user.refuse_tokens",
                "user.refuse_tokens",
            ]

    asyncio.run(story())


def test_what_another_server_changed_is_seen_within_half_a_second(open_users):
    async def story():
        async with open_users() as (people, database), open_users() as (others, _):
            await people.add("alice", actor=BOSS)
            assert (await people.find("alice")).disabled_at is None
            await others.disable("alice", actor=BOSS)
            await asyncio.sleep(0.55)
            assert (await people.find("alice")).disabled_at is not None
            async with database.write() as connection:
                await connection.execute(users.update().values(plan="pro"))
            assert (await people.find("alice")).plan == "free"
            people.forget("alice")
            assert (await people.find("alice")).plan == "pro"

    asyncio.run(story())


def test_the_list_goes_on_where_a_page_ends(open_users):
    async def story():
        async with open_users() as (people, _):
            names = [f"user{number:03}" for number in range(30)]
            for name in reversed(names):
                await people.add(name, actor=BOSS)
            seen, last = [], None
            while page := await people.listing(limit=7, after=last):
                assert len(page) <= 7
                seen += [user.id for user in page]
                last = seen[-1]
            assert seen == names
            assert len(await people.listing(limit=10**9)) == 30
            assert len(await people.listing(limit=-1)) == 1
            assert await people.listing(after="x\0") == []

    asyncio.run(story())


def test_the_search_is_for_parts_and_no_pattern(open_users):
    async def story():
        async with open_users() as (people, _):
            await people.add("alice", email="Alice@One.example", actor=BOSS)
            await people.add("a_ice", actor=BOSS)
            await people.add("bob", email="bob@two.example", actor=BOSS)

            async def found(text: str) -> list[str]:
                return sorted(user.id for user in await people.listing(search=text))

            assert await found("LICE") == ["alice"]
            assert await found("one.EXAMPLE") == ["alice"]
            assert await found("_") == ["a_ice"]
            assert await found("%") == []
            assert await found("example") == ["alice", "bob"]
            assert await found("\0") == ["a_ice", "alice", "bob"]
            assert await found("'; DROP TABLE users; --") == []

    asyncio.run(story())
