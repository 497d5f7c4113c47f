"""Models as ONNX files, run by ONNX Runtime: a small install without torch.

Two that are published, `lama-onnx` and `migan-onnx`, and any of a person's own that takes a picture and a mask.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from magic_eraser.models.card import ModelCard, Quality, Speed, WeightFile
from magic_eraser.models.framing import to_pixels
from magic_eraser.models.inpainter import Hole, InpaintOptions, Pixels
from magic_eraser.models.setup import Setup
from magic_eraser.models.watch import Watch

if TYPE_CHECKING:
    from magic_eraser.models.onnx.form import Convention, Form
    from magic_eraser.models.onnx.session import Session

SIDE = 512

LAMA_CARD = ModelCard(
    id="lama-onnx",
    title="LaMa by ONNX Runtime: without torch",
    licence="Apache-2.0",
    source="Resolution-robust Large Mask Inpainting with Fourier Convolutions (Suvorov et al., WACV 2022)",
    speed=Speed.MODERATE,
    quality=Quality.HIGH,
    context=0.75,
    working_size=SIDE,
    multiple_of=SIDE,
    detail=True,
    weights=(
        WeightFile(
            "lama_fp32.onnx",
            "https://huggingface.co/Carve/LaMa-ONNX/resolve/main/lama_fp32.onnx",
            size=208_044_816,
            sha256="1faef5301d78db7dda502fe59966957ec4b79dd64e16f03ed96913c7a4eb68d6",
        ),
    ),
    needs=("onnxruntime",),
    extra="onnx",
    memory_mb=900,
    isolated=True,
)
MIGAN_CARD = replace(
    LAMA_CARD,
    id="migan-onnx",
    title="MI-GAN by ONNX Runtime: without torch",
    licence="MIT",
    source="MI-GAN: A Simple Baseline for Image Inpainting on Mobile Devices (Sargsyan et al., ICCV 2023)",
    speed=Speed.FAST,
    quality=Quality.GOOD,
    min_context=128,
    multiple_of=1,  # it brings a crop of any size to its own
    weights=(
        WeightFile(
            "migan_pipeline_v2.onnx",
            "https://huggingface.co/andraniksargsyan/migan/resolve/main/migan_pipeline_v2.onnx",
            size=28_079_181,
            sha256="6f1f3530a1a2324b19752018ce756088b07973cda8d7d890034ace5c8a48c40b",
        ),
    ),
    memory_mb=450,
)
PATTERN = replace(LAMA_CARD, quality=Quality.GOOD, multiple_of=1)
"""Of a person's own file: it may take any size, and what it can do is not known."""


class OnnxInpainter:
    """A session and what its model wants; see `load`."""

    def __init__(self, card: ModelCard, session: Session, form: Form) -> None:
        from magic_eraser.models.onnx.probe import find_convention

        self.card = card
        self._session, self._form = session, form
        self._convention = find_convention(
            form, lambda image, hole, way: self._answer(image, hole, way, Watch())
        )

    def inpaint(self, image: Pixels, hole: Hole, options: InpaintOptions, watch: Watch) -> Pixels:
        import cv2

        from magic_eraser.models.onnx.form import fitted, to_unit

        framed, framed_hole, scale = fitted(image, hole, self._form.framed_size(hole))
        answer = to_unit(self._answer(framed, framed_hole, self._convention, watch), self._convention.answer)
        if scale < 1:
            height, width = (max(1, round(side * scale)) for side in hole.shape)
            back = (hole.shape[1], hole.shape[0])
            answer = cv2.resize(answer[:height, :width], back, interpolation=cv2.INTER_CUBIC).astype(
                np.float32
            )
        return to_pixels(answer, like=image)

    def _answer(self, image: Pixels, hole: Hole, convention: Convention, watch: Watch) -> NDArray[np.float32]:
        from magic_eraser.models.onnx.form import picture

        outputs = self._session.run(self._form.feeds(image, hole, convention), watch)
        return picture(outputs, (hole.shape[0], hole.shape[1]))

    def close(self) -> None:
        del self._session


def load(setup: Setup, *, card: ModelCard) -> OnnxInpainter:
    """Open the file, read what it declares, and find out by a run or a few what it does not.

    Args:
        setup: `weights` is one file.
        card: of the model.

    Raises:
        ModelUnavailable: the file cannot be run, or takes other things than a picture and a mask.
        UnusableOutput: it answers no picture.
    """
    from magic_eraser.models.onnx.form import read_form
    from magic_eraser.models.onnx.session import Session

    path = setup.weights[0]
    session = Session(path, setup, card.id)
    return OnnxInpainter(card, session, read_form(session.inputs, path))


__all__ = ["LAMA_CARD", "MIGAN_CARD", "PATTERN", "OnnxInpainter", "load"]
