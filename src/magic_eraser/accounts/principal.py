"""Who calls."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Priority(IntEnum):
    """Who goes first where several wait."""

    BATCH = 0
    """Items of a job: nobody looks at a clock."""
    NORMAL = 1
    FIRST = 2
    """Plans with priority."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller, as every room behind the door knows it.

    Attributes:
        tenant_id: whose data it may see; goes into every storage path and cache key.
        subject: the user or key within the tenant.
        address: where the call comes from, where nobody is asked who they are: such callers are one tenant, but take
            turns with each other; empty for the others.
        priority: who goes first.
    """

    tenant_id: str
    subject: str
    address: str = ""
    priority: Priority = Priority.NORMAL

    @property
    def party(self) -> str:
        """Who takes turns with the others, and whose calls are counted: the tenant, or the address of one unknown."""
        return f"{self.tenant_id}@{self.address}" if self.address else self.tenant_id


LOCAL_OWNER = Principal(tenant_id="local", subject="owner")
"""The one caller of a server that asks nobody who they are, of the library and of the command line."""
