"""What every route of `/v1/admin` asks for."""

from __future__ import annotations

from magic_eraser.accounts.principal import Scope
from magic_eraser.api.deps import Needs
from magic_eraser.api.routes.keys import WithAccounts

ADMIN = [WithAccounts, Needs(Scope.ADMIN)]
