"""A person chooses real networks, with seeded weights, and each of them fills."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from checkpoints import whole_catalog
from server_process import Server

READY = ("lama", "anime-lama", "lama-onnx", "migan-onnx")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("networks")
    weights = whole_catalog.write_quick(folder / "weights")
    process = Server(folder, ERASER_WEIGHTS__DIR=str(weights))
    process.wait_ready()
    yield process.url + "/"
    assert process.stop() == 0
    assert "Traceback" not in process.log


def open_chooser(studio: Any) -> None:
    with studio.page.expect_response("**/v1/models"):
        studio.part("settings").click()
    studio.part("chooser").evaluate("each => { each.open = true; }")
    studio.part("model-patch").wait_for()


def choose(studio: Any, model: str) -> None:
    open_chooser(studio)
    studio.part(f"model-{model}").check()
    studio.page.keyboard.press("Escape")


def test_each_network_is_chosen_fills_and_is_named(open_studio, coffee_file, coffee, tmp_path):
    studio = open_studio(quick=False)
    studio.load(coffee_file)
    before = coffee
    for k, (model, name) in enumerate(
        {"lama": "LaMa", "lama-onnx": "LaMa (ONNX)", "migan-onnx": "MI-GAN (ONNX)"}.items()
    ):
        choose(studio, model)
        studio.stroke((70 + 60 * k, 330), (110 + 60 * k, 350))
        studio.erase()

        assert name in studio.part("whisper").inner_text()
        assert studio.part("note").count() == 0
        studio.shot(f"every-model-{k + 1}-{model}")
        with Image.open(studio.download(tmp_path)) as image:
            after = np.asarray(image.convert("RGB"))
        hole = studio.mask()
        assert (after[~hole] == before[~hole]).all()
        assert (after[hole] != before[hole]).any()
        before = after
    open_chooser(studio)
    for model in ("lama", "lama-onnx", "migan-onnx"):
        in_memory = studio.part("models").locator(".model", has=studio.part(f"model-{model}"))
        assert in_memory.get_by_label("in memory").count() == 1
    studio.shot("every-model-4-chooser")


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_the_chooser_offers_what_has_its_weights_and_says_what_the_others_need(open_studio, locale):
    studio = open_studio(quick=False, locale=locale)
    open_chooser(studio)
    offered = [str(each.get_attribute("value")) for each in studio.part("models").get_by_role("radio").all()]
    assert set(READY) <= set(offered)
    studio.part("lacking").locator("summary").click()
    commands = {
        "migan": "magic-eraser models download migan",
        "ldm": "magic-eraser models download ldm",
        "mat": "ERASER_MODELS__ACCEPTED_LICENCES=CC-BY-NC-4.0",
    }
    assert studio.part("lacking").get_by_role("listitem").count() == len(commands)
    for model, command in commands.items():
        assert studio.part(f"lacking-{model}").locator("code").inner_text() == command
    studio.part("lacking-mat").scroll_into_view_if_needed()
    studio.shot(f"every-model-5-lacking-{locale}")
