"""Who calls."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller, as every room behind the door knows it.

    Attributes:
        tenant_id: whose data it may see; goes into every storage path and cache key.
        subject: the user or key within the tenant.
    """

    tenant_id: str
    subject: str


LOCAL_OWNER = Principal(tenant_id="local", subject="owner")
"""The one caller of a server that asks nobody who they are, of the library and of the command line."""
