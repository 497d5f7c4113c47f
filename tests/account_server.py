"""A real server that asks who calls, and the operator who runs it: users and keys are made by the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from server_process import Server

PLANS = """
default = "free"
timezone = "UTC"
currency = "usd"

[plans.free]
title = "Free"
title_zh = "免费版"
price = "0"
calls_a_day = 2
cost_a_call = "0"
features = ["basic_inpaint"]
models = ["telea", "patch"]
max_pixels = 4_000_000

[plans.basic]
title = "Basic"
title_zh = "基础版"
price = "29.00"
calls_a_day = 100
cost_a_call = "0.10"
features = ["basic_inpaint", "hd_processing"]
models = ["telea", "patch", "ns"]

[plans.pro]
title = "Pro"
title_zh = "专业版"
price = "99.00"
calls_a_day = 1000
cost_a_call = "0.05"
features = ["basic_inpaint", "hd_processing", "all_models", "batch_processing", "api_access"]
"""


class AccountServer(Server):
    """`mode` is that of `ERASER_AUTH__MODE`; the free plan has two calls a day, and no model `ns`."""

    def __init__(self, data_dir: Path, mode: str, **environment: str) -> None:
        data_dir.mkdir(exist_ok=True)
        plans = data_dir / "plans.toml"
        plans.write_text(PLANS)
        self.environment = {
            **environment,
            "ERASER_DATA_DIR": str(data_dir),
            "ERASER_PLANS_FILE": str(plans),
            "ERASER_AUTH__MODE": mode,
        }
        self.operate("db", "upgrade")
        super().__init__(data_dir, slow=None, script=None, **self.environment)

    def operate(self, *words: str) -> str:
        """What an operator types behind `magic-eraser`; its standard output."""
        done = subprocess.run(
            [sys.executable, "-m", "magic_eraser", *words],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def add_user(self, user: str, *, plan: str = "free", role: str = "user") -> str:
        """Make a user; a key that may do all that the role may."""
        self.operate("users", "add", user, "--plan", plan, "--role", role)
        return str(self.add_key(user, role)["key"])

    def add_key(self, user: str, role: str = "user", *scopes: str) -> dict[str, Any]:
        """Make a key; with its secret and its id."""
        usual = ("erase", "jobs", "account:read", "account", *(("admin",) if role == "admin" else ()))
        words = [word for scope in scopes or usual for word in ("--scope", scope)]
        made: dict[str, Any] = json.loads(self.operate("keys", "create", user, *words, "--json"))
        return made
