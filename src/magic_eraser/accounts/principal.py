"""Who calls."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from magic_eraser.accounts.plans import Feature, Plan
from magic_eraser.accounts.priority import Priority
from magic_eraser.errors import InsufficientScope, PlanForbidsFeature, PlanForbidsModel
from magic_eraser.models.card import ModelCard


class Scope(StrEnum):
    """What a credential may do. Each route names the one it needs."""

    ERASE = "erase"
    """Erase, and keep pictures for the next round."""
    JOBS = "jobs"
    ACCOUNT_READ = "account:read"
    """See plan, calls left, usage and keys."""
    ACCOUNT = "account"
    """Make and revoke keys, change the plan."""
    ADMIN = "admin"
    """The operator's: all users, plans, refunds, models."""


USER_SCOPES = frozenset({Scope.ERASE, Scope.JOBS, Scope.ACCOUNT_READ, Scope.ACCOUNT})
"""The most that a user may have who is no admin."""
ANONYMOUS_SCOPES = frozenset({Scope.ERASE, Scope.JOBS, Scope.ACCOUNT_READ})
LOCAL_SCOPES = ANONYMOUS_SCOPES
"""Without accounts there is nothing to administer, and a server whose port is open has no admin at all."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller, as every room behind the door knows it.

    Attributes:
        tenant_id: whose data it may see; goes into every storage path and cache key. The user's id where users are
            known, `anonymous@ADDRESS` for callers without credentials, "local" where nobody is asked.
        subject: the credential within the tenant: the id of a key, "token" for a JWT.
        address: where the call comes from, where nobody is asked who they are: such callers are one tenant, but take
            turns with each other; empty for the others.
        priority: who goes first.
        plan: what the tenant has paid for, as it was a moment ago; None: no plan and no limit.
        scopes: what the credential may do.
    """

    tenant_id: str
    subject: str
    address: str = ""
    priority: Priority = Priority.NORMAL
    plan: Plan | None = None
    scopes: frozenset[Scope] = LOCAL_SCOPES

    @property
    def party(self) -> str:
        """Who takes turns with the others, and whose calls are counted: the tenant, or the address of one unknown."""
        return f"{self.tenant_id}@{self.address}" if self.address else self.tenant_id

    def require(self, scope: Scope) -> None:
        """Raises `InsufficientScope` where the credential lacks it."""
        if scope not in self.scopes:
            raise InsufficientScope(
                f'This needs the scope "{scope}", which the key or token does not have.',
                f"此操作需要权限“{scope}”，当前密钥或令牌没有该权限。",
                extra={"scope": str(scope)},
            )

    def has(self, feature: Feature) -> bool:
        """Whether the plan includes it; without a plan everything is."""
        return self.plan is None or feature in self.plan.features

    def require_feature(self, feature: Feature) -> None:
        """Raises `PlanForbidsFeature` where the plan does not include it."""
        if self.plan is not None and feature not in self.plan.features:
            raise PlanForbidsFeature(
                f'The plan "{self.plan.id}" does not include {feature}.',
                f"套餐“{self.plan.title_zh}”不包含 {feature} 功能。",
                extra={"feature": str(feature), "plan": self.plan.id},
            )

    def may_use(self, card: ModelCard) -> bool:
        """Whether the plan includes a model."""
        return self.plan is None or self.plan.allows(card)

    def require_model(self, card: ModelCard) -> None:
        """Raises `PlanForbidsModel` where the plan does not include it."""
        if self.plan is not None and not self.plan.allows(card):
            raise PlanForbidsModel(
                f'The plan "{self.plan.id}" does not include the model "{card.id}".',
                f"套餐“{self.plan.title_zh}”不包含模型“{card.id}”。",
                extra={"model": card.id, "plan": self.plan.id},
            )


LOCAL_OWNER = Principal(tenant_id="local", subject="owner")
"""The one caller of a server that asks nobody who they are, of the library and of the command line."""
