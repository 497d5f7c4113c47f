"""`magic-eraser tokens`: tokens for users who have no other issuer."""

from __future__ import annotations

import asyncio
import getpass
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Collection

    from magic_eraser.accounts.principal import Scope
    from magic_eraser.settings import Settings
