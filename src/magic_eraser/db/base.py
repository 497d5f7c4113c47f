"""What every table is declared with: one `MetaData`, one clock."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""Every table of the product. A room declares its own in a file `tables.py`; `db/migrations` makes them."""

Seconds = sa.Double
"""A moment: seconds since 1970, UTC, by the database's clock (`now()`)."""

Counting = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""A number that the database gives: SQLite counts for `INTEGER` only, which has 64 bits there."""


class now(FunctionElement[float]):  # noqa: N801 (reads as the function of SQL that it is)
    """This moment by the clock of the database, so that servers whose clocks differ agree; moves on within a
    transaction."""

    type = sa.Double()
    inherit_cache = True


@compiles(now, "sqlite")
def _sqlite_now(_element: now, _compiler: Any, **_options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"  # unixepoch('subsec') needs SQLite 3.42


@compiles(now, "postgresql")
def _postgresql_now(_element: now, _compiler: Any, **_options: Any) -> str:
    return "(extract(epoch from clock_timestamp())::double precision)"


def has_come(
    moment: sa.ColumnElement[float], longest: float, at: sa.ColumnElement[float] | None = None
) -> sa.ColumnElement[bool]:
    """Whether a moment in the future is here: the end of a lease, of a pause. One that lies further ahead than it can
    was written before the clock was set back, and counts as past.

    Args:
        moment: a column of `Seconds`.
        longest: seconds that it was at most ahead when it was written.
        at: the present; `now()` where None.
    """
    present = now() if at is None else at
    return sa.or_(moment <= present, moment > present + 2 * longest)
