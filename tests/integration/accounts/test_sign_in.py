"""From a credential to a principal: modes, users made by tokens, roles, refusals."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager

import pytest
import sqlalchemy as sa

from databases import Open
from issuer import SECRET, hs256
from magic_eraser.accounts.identity import Identity
from magic_eraser.accounts.plan_files import plan_file
from magic_eraser.accounts.plans import Plans
from magic_eraser.accounts.principal import ANONYMOUS_SCOPES, LOCAL_OWNER, USER_SCOPES, Scope
from magic_eraser.accounts.priority import Priority
from magic_eraser.accounts.sign_in import SignIn
from magic_eraser.accounts.tables import Role, audit_log, users
from magic_eraser.accounts.tokens.tokens import Tokens, issue
from magic_eraser.accounts.users import Users
from magic_eraser.db.base import now
from magic_eraser.errors import AccountDisabled, InvalidToken, NotAuthenticated, TokenExpired
from magic_eraser.settings import AuthSettings

AUTH = AuthSettings(jwt_secret=SECRET, leeway_seconds=30)
PLANS = Plans(plan_file.read(None))


async def keys(credential: str) -> Identity | None:
    """Stands for the handler of keys: `key-of-USER`, with all scopes."""
    if not credential.startswith("key-of-"):
        return None
    return Identity(credential.removeprefix("key-of-"), "k1", frozenset(Scope))


@asynccontextmanager
async def house(open_database: Open, mode="required"):
    async with open_database() as database:
        known = Users(database, PLANS)
        yield database, known, SignIn(mode, [keys, Tokens(AUTH)], known, PLANS)


def token(user_id="alice", **changes) -> str:
    moment = time.time()
    facts = {"iat": moment, "exp": moment + 60, "iss": ..., "aud": ..., **changes}
    return hs256(sub=user_id, **facts)


def test_a_server_that_asks_nobody_never_looks(open_sqlite):
    async def story():
        async with house(open_sqlite, "off") as (_, _, sign_in):
            for credential in (None, "eras_live_broken", token(), "nonsense"):
                principal = await sign_in.principal(credential, "192.0.2.7")
                assert (principal.tenant_id, principal.subject) == (LOCAL_OWNER.tenant_id, "owner")
                assert principal.address == "192.0.2.7"
                assert principal.plan is None

    asyncio.run(story())


def test_without_a_credential(open_sqlite):
    async def story():
        async with house(open_sqlite, "required") as (_, _, sign_in):
            with pytest.raises(NotAuthenticated) as caught:
                await sign_in.principal(None, "192.0.2.7")
            assert caught.value.code == "not_authenticated"
        async with house(open_sqlite, "optional") as (_, _, sign_in):
            principal = await sign_in.principal(None, "192.0.2.7")
            assert principal.tenant_id == principal.party == "anonymous@192.0.2.7"
            assert principal.plan is PLANS.book.default
            assert principal.scopes == ANONYMOUS_SCOPES

    asyncio.run(story())


@pytest.mark.parametrize("mode", ["optional", "required"])
def test_a_bad_credential_is_refused_and_nobody_becomes_anonymous_by_it(open_sqlite, mode):
    async def story():
        async with house(open_sqlite, mode) as (_, known, sign_in):
            for credential in ("", "nonsense", "a.b.c", token() + "x", "eras_live_" + "a" * 43):
                with pytest.raises(InvalidToken):
                    await sign_in.principal(credential, "192.0.2.7")
            with pytest.raises(TokenExpired):
                await sign_in.principal(token(exp=time.time() - 60), "192.0.2.7")
            assert await known.listing() == []

    asyncio.run(story())


def test_a_good_token_makes_its_user_once_on_the_default_plan(open_database: Open):
    async def story():
        async with house(open_database) as (database, known, sign_in):
            every = await asyncio.gather(*(sign_in.principal(token(), "192.0.2.7") for _ in range(8)))
            principal = every[0]
            assert all(each == principal for each in every)
            assert (principal.tenant_id, principal.subject, principal.address) == ("alice", "token", "")
            assert (principal.plan, principal.scopes) == (PLANS.book.default, USER_SCOPES)
            user = await known.get("alice")
            assert (user.plan, user.role) == (PLANS.book.default.id, Role.USER)
            async with database.read() as connection:
                made = (await connection.execute(sa.select(audit_log.c.action))).scalars().all()
            assert made == ["user.add"]

    asyncio.run(story())


def test_claims_give_no_plan_and_no_role(open_database: Open):
    async def story():
        async with house(open_database) as (_, known, sign_in):
            greedy = token(plan="enterprise", role="admin", scope="erase admin")
            principal = await sign_in.principal(greedy, "")
            assert principal.plan is PLANS.book.default
            assert principal.scopes == {Scope.ERASE}
            await known.set_role("alice", Role.ADMIN, actor="test")
            assert (await sign_in.principal(greedy, "")).scopes == {Scope.ERASE, Scope.ADMIN}
            assert (await sign_in.principal(token(), "")).scopes == USER_SCOPES  # an admin only if it says so

    asyncio.run(story())


def test_a_key_may_what_its_user_may(open_database: Open):
    async def story():
        async with house(open_database) as (database, known, sign_in):
            await known.add("vip", plan="enterprise", actor="test")
            await known.add("root", role=Role.ADMIN, actor="test")
            vip = await sign_in.principal("key-of-vip", "192.0.2.7")
            assert (vip.tenant_id, vip.subject, vip.plan.id) == ("vip", "k1", "enterprise")
            assert (vip.priority, vip.scopes) == (Priority.FIRST, USER_SCOPES)
            assert (await sign_in.principal("key-of-root", "")).scopes == set(Scope)
            async with database.write() as connection:
                await connection.execute(sa.update(users).where(users.c.id == "vip").values(plan="gone"))
            known.forget("vip")
            assert (await sign_in.principal("key-of-vip", "")).plan is PLANS.book.default

    asyncio.run(story())


def test_a_disabled_user_is_told_so(open_database: Open):
    async def story():
        async with house(open_database) as (_, known, sign_in):
            await known.add("alice", actor="test")
            await known.disable("alice", actor="test")
            for credential in (token(), "key-of-alice"):
                with pytest.raises(AccountDisabled):
                    await sign_in.principal(credential, "")
            await known.enable("alice", actor="test")
            await sign_in.principal("key-of-alice", "")

    asyncio.run(story())


def test_tokens_that_were_revoked_are_refused_and_one_made_right_after_is_good(open_database: Open):
    async def story():
        async with house(open_database) as (database, known, sign_in):

            async def issued() -> str:
                async with database.read() as connection:
                    at = (await connection.execute(sa.select(now()))).scalar_one()
                return issue(AUTH, "alice", at=at)[0]

            await known.add("alice", actor="test")
            old = await issued()
            without = token(iat=..., nbf=time.time() - 5)
            await sign_in.principal(old, "")
            await sign_in.principal(without, "")
            await asyncio.sleep(0.01)
            await known.refuse_tokens("alice", actor="test")
            await asyncio.sleep(0.01)
            for refused in (old, without):  # nobody knows when the second was issued
                with pytest.raises(InvalidToken, match="revoked"):
                    await sign_in.principal(refused, "")
            await sign_in.principal(await issued(), "")
            await sign_in.principal("key-of-alice", "")
            await sign_in.principal(token("bob"), "")

    asyncio.run(story())
