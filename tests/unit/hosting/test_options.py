"""What the operator decides reaches the pool."""

from __future__ import annotations

import time

from fastapi.testclient import TestClient

from magic_eraser.api.app import create_app
from magic_eraser.hosting import memory
from magic_eraser.hosting.options import HostingOptions
from magic_eraser.models.setup import Precision
from magic_eraser.settings import ModelSettings, Settings


def test_every_setting_has_its_place():
    settings = ModelSettings(
        threads=3, idle_unload_seconds=60, idle_unload_of="ldm=5,lama=0", memory_budget_mb=900, isolation="thread",
        device="cuda:1", precision="bfloat16", cpu_offload=True, low_memory=True,
    )  # fmt: skip
    assert HostingOptions.of(settings) == HostingOptions(
        isolation="thread", network_threads=3, device="cuda:1", precision=Precision.BFLOAT16, cpu_offload=True,
        low_memory=True, budget_mb=900, idle_seconds=60, idle_seconds_of={"ldm": 5.0, "lama": 0.0},
    )  # fmt: skip


def test_without_a_number_models_may_take_six_tenths_of_the_memory():
    assert HostingOptions(budget_mb=900).budget() == 900
    assert HostingOptions().budget() == int(memory.total_mb() * 0.6)


def test_a_server_makes_ready_what_it_is_told_to(tmp_path):
    app = create_app(Settings(data_dir=tmp_path, models=ModelSettings(preload="telea")))
    with TestClient(app) as client:
        end = time.monotonic() + 10
        while time.monotonic() < end:
            models = {model["id"]: model["state"] for model in client.get("/v1/status").json()["models"]}
            if models["telea"] == "ready":
                break
            time.sleep(0.01)
    assert (models["telea"], models["ns"]) == ("ready", "absent")
