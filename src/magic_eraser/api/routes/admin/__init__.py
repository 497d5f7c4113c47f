"""`/v1/admin`: the operator's. Every route needs the scope `admin`."""

from __future__ import annotations

from fastapi import APIRouter

from magic_eraser.accounts.principal import Scope
from magic_eraser.api.deps import Needs
from magic_eraser.api.routes.admin import audit, models, money, usage, users
from magic_eraser.api.routes.keys import WithAccounts

router = APIRouter(prefix="/v1/admin", tags=["admin"], dependencies=[WithAccounts, Needs(Scope.ADMIN)])
for module in (users, money, usage, audit, models):
    router.include_router(module.router)
