"""Who may use the server: made by an operator or by a good token, put on a plan, disabled."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from magic_eraser.accounts import admins, audit
from magic_eraser.accounts.plans import Plans
from magic_eraser.accounts.short_cache import ShortCache
from magic_eraser.accounts.tables import Role
from magic_eraser.accounts.tables import users as table
from magic_eraser.accounts.user import User, can_be_id, check_email, check_id, invalid, is_email, of_row
from magic_eraser.db.base import now
from magic_eraser.db.database import Database
from magic_eraser.db.upsert import insert_into
from magic_eraser.errors import Conflict, NotFound

__all__ = ["User", "Users", "check_id"]

MOST_LISTED = 200


class Users:
    """All users of a database.

    Args:
        database: where they lie.
        plans: those that they may be on.
    """

    def __init__(self, database: Database, plans: Plans) -> None:
        self._database = database
        self._plans = plans
        self._cache: ShortCache[User] = ShortCache()

    async def add(
        self,
        user_id: str,
        *,
        email: str | None = None,
        plan: str | None = None,
        role: Role = Role.USER,
        actor: str,
    ) -> User:
        """A new user, on the default plan unless another is named.

        Raises:
            ValidationFailed: see `check_id`; the plan is none; or the email is not one.
            Conflict: there is one of that id.
        """
        check_id(user_id)
        check_email(email)
        if plan is not None and self._plans.book.find(plan) is None:
            names = ", ".join(self._plans.book.plans)
            raise invalid(
                "plan",
                f'There is no plan "{plan[:40]}"; there are: {names}.',
                f"没有套餐“{plan[:40]}”；可选：{names}。",
            )
        async with self._database.write() as connection:
            made = await self._insert(connection, user_id, email, plan, role, actor)
        self.forget(user_id)
        if made is None:
            raise Conflict(f'There is already a user "{user_id}".', f"用户“{user_id}”已存在。")
        return made

    async def ensure(self, user_id: str, *, email: str | None = None) -> User:
        """The user whom a good token names, made on its first call, on the default plan.

        Args:
            email: of a user that is made; left out where it cannot be one.

        Raises:
            ValidationFailed: see `check_id`.
        """
        check_id(user_id)
        known = await self.find(user_id)
        if known is not None:
            return known
        if email is not None and not is_email(email):
            email = None
        async with self._database.write() as connection:
            made = await self._insert(connection, user_id, email, None, Role.USER, f"{user_id}/token")
            user = made or await _get(connection, user_id)  # another call of it was first
        self.forget(user_id)
        return user

    async def get(self, user_id: str) -> User:
        """As the database has it now.

        Raises:
            NotFound: there is none.
        """
        async with self._database.read() as connection:
            return await _get(connection, user_id)

    async def find(self, user_id: str) -> User | None:
        """As it was at most half a second ago (`short_cache.SECONDS`), or since the last change of this process."""
        known = self._cache.get(user_id)
        if known is not None:
            return known
        if not can_be_id(user_id):
            return None
        changes = self._cache.changes
        async with self._database.read() as connection:
            row = (await connection.execute(sa.select(table).where(table.c.id == user_id))).first()
        if row is None:
            return None
        user = of_row(row)
        self._cache.put(user_id, user, changes=changes)
        return user

    async def listing(
        self, *, limit: int = MOST_LISTED, after: str | None = None, search: str | None = None
    ) -> list[User]:
        """By id.

        Args:
            limit: 1 to `MOST_LISTED`; more is cut.
            after: the last id of the page before.
            search: a part of id or email, in large or small letters.
        """
        query = sa.select(table).order_by(table.c.id).limit(max(1, min(limit, MOST_LISTED)))
        if after is not None:
            query = query.where(table.c.id > after.replace("\0", ""))  # which PostgreSQL takes in no text
        if search:
            part = search.lower().replace("\0", "")
            query = query.where(
                sa.or_(
                    sa.func.lower(table.c.id).contains(part, autoescape=True),
                    sa.func.lower(table.c.email).contains(part, autoescape=True),
                )
            )
        async with self._database.read() as connection:
            return [of_row(row) for row in await connection.execute(query)]

    async def set_role(self, user_id: str, role: Role, *, actor: str, keep_admin: bool = False) -> User:
        """Keys with the scope `admin` go on to have it only while their user is an admin.

        Args:
            keep_admin: the last admin stays one.

        Raises:
            NotFound: there is no such user; so does each of those that follow.
            Conflict: see `admins.expect_another`.
        """
        keep = keep_admin and role is not Role.ADMIN
        other = table.c.role != role
        return await self._change(
            user_id, {"role": role}, other, actor, "user.role", keep_admin=keep, role=role
        )

    async def set_email(self, user_id: str, email: str | None, *, actor: str) -> User:
        """Where to write to; None for nowhere. Nothing is sent, and nobody signs in with it.

        Raises:
            ValidationFailed: it is not one.
        """
        check_email(email)
        other = table.c.email.is_distinct_from(email)
        return await self._change(user_id, {"email": email}, other, actor, "user.email")

    async def disable(self, user_id: str, *, actor: str, keep_admin: bool = False) -> User:
        """No credential of it works from now on; its data and its plan stay. Raises as `set_role`."""
        enabled = table.c.disabled_at.is_(None)
        values = {"disabled_at": now()}
        return await self._change(user_id, values, enabled, actor, "user.disable", keep_admin=keep_admin)

    async def enable(self, user_id: str, *, actor: str) -> User:
        """Its credentials work again."""
        disabled = table.c.disabled_at.is_not(None)
        return await self._change(user_id, {"disabled_at": None}, disabled, actor, "user.enable")

    async def refuse_tokens(self, user_id: str, *, actor: str) -> User:
        """Every token that was issued to it until now is refused. Keys work on."""
        return await self._change(user_id, {"tokens_after": now()}, sa.true(), actor, "user.refuse_tokens")

    def forget(self, user_id: str) -> None:
        """What is kept of it is wrong: `find` looks again."""
        self._cache.forget(user_id)

    async def _insert(
        self,
        within: AsyncConnection,
        user_id: str,
        email: str | None,
        plan: str | None,
        role: Role,
        actor: str,
    ) -> User | None:
        """None: there is one."""
        plan = plan or self._plans.book.default.id
        made = await within.execute(
            insert_into(table, is_sqlite=within.dialect.name == "sqlite")
            .values(id=user_id, email=email, plan=plan, role=role, created_at=now())
            .on_conflict_do_nothing()
            .returning(table)
        )
        row = made.first()
        if row is None:
            return None
        await audit.record(within, actor, "user.add", user_id, plan=plan, role=role)
        return of_row(row)

    async def _change(
        self,
        user_id: str,
        values: dict[str, Any],
        needed: sa.ColumnElement[bool],
        actor: str,
        action: str,
        *,
        keep_admin: bool = False,
        **details: Any,
    ) -> User:
        """Nothing, and no line in the audit log, where it is as asked already."""
        if not can_be_id(user_id):
            raise _nobody(user_id)
        async with self._database.write() as connection:
            if keep_admin:
                await admins.expect_another(connection, user_id)
            changed = await connection.execute(
                table.update().where(table.c.id == user_id, needed).values(values).returning(table)
            )
            row = changed.first()
            if row is None:
                return await _get(connection, user_id)
            await audit.record(connection, actor, action, user_id, **details)
        self.forget(user_id)
        return of_row(row)


async def _get(within: AsyncConnection, user_id: str) -> User:
    row = None
    if can_be_id(user_id):
        row = (await within.execute(sa.select(table).where(table.c.id == user_id))).first()
    if row is None:
        raise _nobody(user_id)
    return of_row(row)


def _nobody(user_id: str) -> NotFound:
    return NotFound(f'There is no user "{user_id[:100]}".', f"没有用户“{user_id[:100]}”。")
